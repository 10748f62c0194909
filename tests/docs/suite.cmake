foreach(rule readme_shows_hello diffs_are_in_the_source links_lead_somewhere)
  add_test(NAME docs.${rule} COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/documents.py ${rule})
  set_tests_properties(docs.${rule} PROPERTIES LABELS fast)
endforeach()
