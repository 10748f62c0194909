# The Python module.
if(NOT TARGET fuselage-python)
  return()
endif()

# python_test(NAME [LABELS ...] [TIMEOUT SECONDS] ENVIRONMENT ...): a program of unittest, with the module in its path.
function(python_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS python)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  add_test(NAME python.${name} COMMAND ${FUSELAGE_PYTHON} -B ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${name}.py)
  set_tests_properties(python.${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77
                       ENVIRONMENT "PYTHONPATH=${FUSELAGE_PYTHON_TREE};PYTHONDONTWRITEBYTECODE=1;${ARG_ENVIRONMENT}")
endfunction()

foreach(name data promises operations mistakes sessions oracle)
  python_test(${name})
endforeach()
