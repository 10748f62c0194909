# The Python module.
if(NOT TARGET fuselage-python)
  return()
endif()

set(python_environment PYTHONPATH=${FUSELAGE_PYTHON_TREE} PYTHONDONTWRITEBYTECODE=1)
if(FUSELAGE_SANITIZE MATCHES address)
  # The interpreter neither has AddressSanitizer nor shows it its own allocations.
  foreach(library asan stdc++)
    execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=lib${library}.so
                    OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE)
    list(APPEND runtimes ${path})
  endforeach()
  list(JOIN runtimes ":" runtimes)
  list(APPEND python_environment LD_PRELOAD=${runtimes} PYTHONMALLOC=malloc)
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
                       ENVIRONMENT "${python_environment}")
endfunction()

foreach(name data promises signals operations attributes notifications mistakes coroutines sessions
        oracle examples annotations borg bench)
  python_test(${name})
endforeach()
if(NOT FUSELAGE_SANITIZE)  # which keeps what was freed, to see who still uses it
  python_test(leaks LABEL slow TIMEOUT 1800)
endif()
if(FUSELAGE_INSTALL)
  python_test(installing_from_source LABEL slow TIMEOUT 1800)
  python_test(installing ARGUMENTS ${PROJECT_BINARY_DIR} ${CMAKE_COMMAND})
endif()
