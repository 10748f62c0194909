# Rules about the tree and the installed library; the instrumentation of a sanitizer adds nothing to them.
if(FUSELAGE_SANITIZE)
  return()
endif()

set(tree ${CMAKE_CURRENT_LIST_DIR}/tree.py --generated ${FUSELAGE_GENERATED_INCLUDE})

# structure_test(NAME COMMAND...)
function(structure_test name)
  add_test(NAME structure.${name} COMMAND ${ARGN})
  set_tests_properties(structure.${name} PROPERTIES LABELS fast SKIP_RETURN_CODE 77)
endfunction()

foreach(rule include_picture headers_have_no_macros files_are_short text_is_publishable)
  structure_test(${rule} Python3::Interpreter ${tree} ${rule})
endforeach()
foreach(compiler g++ clang++-14)
  structure_test(headers_compile_alone_with_${compiler}
                 Python3::Interpreter ${tree} headers_compile_alone --compiler ${compiler})
endforeach()
if(FUSELAGE_INSTALL)
  structure_test(installed_tree_serves_programs
                 ${CMAKE_CURRENT_LIST_DIR}/install.sh ${PROJECT_BINARY_DIR} ${CMAKE_COMMAND} ${CMAKE_CXX_COMPILER})
endif()
