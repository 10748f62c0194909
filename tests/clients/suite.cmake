# Programs as they are packaged, on the memory file system: one test for each script NAME.sh but the harness.
if(NOT TARGET fuselage)
  return()
endif()

# client_test(NAME LABELS ... [SCRIPT OTHER] [OPTIONS ...]): runs clients/NAME.sh, or OTHER.sh.
function(client_test name)
  cmake_parse_arguments(ARG "" "SCRIPT" "LABELS;OPTIONS" ${ARGN})
  if(NOT ARG_SCRIPT)
    set(ARG_SCRIPT ${name})
  endif()
  set(here ${CMAKE_CURRENT_SOURCE_DIR}/clients)
  add_test(NAME clients.${name} COMMAND ${here}/harness.sh ${here}/${ARG_SCRIPT}.sh
                                        $<TARGET_FILE:fuselage> mount memory ${ARG_OPTIONS})
  set_tests_properties(clients.${name} PROPERTIES LABELS "${ARG_LABELS}" SKIP_RETURN_CODE 77 TIMEOUT 300)
endfunction()

foreach(name build fio git python rsync shell sqlite tar)
  client_test(${name} LABELS clients)
endforeach()
foreach(name build fio git rsync sqlite)
  client_test(${name}_with_writeback_cache SCRIPT ${name} LABELS clients slow OPTIONS -o writeback_cache)
  client_test(${name}_with_one_thread SCRIPT ${name} LABELS clients slow OPTIONS -s)
endforeach()
client_test(stress LABELS clients slow)
client_test(stress_with_writeback_cache SCRIPT stress LABELS clients slow OPTIONS -o writeback_cache)
