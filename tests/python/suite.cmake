# The Python module.
if(NOT TARGET fuselage-python)
  return()
endif()

# python_test(NAME [LABEL LABEL] [TIMEOUT SECONDS] [ARGUMENTS ...]): a program of unittest, with the module in its path.
function(python_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;LABEL" "ARGUMENTS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL python)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  add_test(NAME python.${name}
           COMMAND ${FUSELAGE_PYTHON} -B ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${name}.py ${ARG_ARGUMENTS})
  set_tests_properties(python.${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77
                       ENVIRONMENT "PYTHONPATH=${FUSELAGE_PYTHON_TREE};PYTHONDONTWRITEBYTECODE=1")
endfunction()

foreach(name data promises operations mistakes sessions oracle examples annotations borg bench)
  python_test(${name})
endforeach()
python_test(leaks LABEL slow TIMEOUT 1800)
if(FUSELAGE_INSTALL)
  python_test(installing ARGUMENTS ${PROJECT_BINARY_DIR} ${CMAKE_COMMAND})
endif()
