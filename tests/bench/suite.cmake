# That the bench works, with so few operations that its numbers mean nothing.
if(NOT TARGET fuselage-bench OR FUSELAGE_SANITIZE)
  return()
endif()

add_test(NAME bench.measures COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/smoke.py
                                     $<TARGET_FILE:fuselage-bench>)
set_tests_properties(bench.measures PROPERTIES LABELS mount SKIP_RETURN_CODE 77 TIMEOUT 300)
