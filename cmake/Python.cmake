# The Python module llfuse, for one interpreter, which need not be the one that runs the build's scripts.
set(FUSELAGE_PYTHON /usr/bin/python3 CACHE FILEPATH "The interpreter that the module llfuse is built for")
set(FUSELAGE_PYTHON_DIR "" CACHE PATH
    "Where to install the module llfuse; empty: where the interpreter looks for what is installed below the prefix")

set(report "import sysconfig as s
print(s.get_path('include'), s.get_config_var('EXT_SUFFIX'), 'python' + s.get_python_version(), sep=';', end='')")
execute_process(COMMAND ${FUSELAGE_PYTHON} -c "${report}" OUTPUT_VARIABLE found RESULT_VARIABLE failed ERROR_QUIET)
if(failed)
  set(found "none;none;none")
endif()
list(GET found 0 python_include)
list(GET found 1 python_suffix)
list(GET found 2 python_version)
if(NOT EXISTS ${python_include}/Python.h)
  message(STATUS "The Python module is left out: no Python.h for ${FUSELAGE_PYTHON} (package python3-dev)")
  return()
endif()

# A package that can be imported from the build tree, too.
set(FUSELAGE_PYTHON_TREE ${PROJECT_BINARY_DIR}/python)
file(GLOB python_sources CONFIGURE_DEPENDS src/python/*.cpp)
add_library(fuselage-python MODULE ${python_sources})
target_include_directories(fuselage-python PRIVATE src)
target_include_directories(fuselage-python SYSTEM PRIVATE ${python_include})
target_link_libraries(fuselage-python PRIVATE fuselage-static)
set_target_properties(fuselage-python PROPERTIES PREFIX "" OUTPUT_NAME _core SUFFIX ${python_suffix}
                      LIBRARY_OUTPUT_DIRECTORY ${FUSELAGE_PYTHON_TREE}/llfuse)
file(GLOB python_files CONFIGURE_DEPENDS src/python/llfuse/*.py src/python/llfuse/*.pyi src/python/llfuse/py.typed)
foreach(file IN LISTS python_files)
  cmake_path(GET file FILENAME name)
  configure_file(${file} ${FUSELAGE_PYTHON_TREE}/llfuse/${name} COPYONLY)
endforeach()

if(FUSELAGE_INSTALL)
  set(python_dir ${FUSELAGE_PYTHON_DIR})
  if(NOT python_dir AND CMAKE_INSTALL_PREFIX STREQUAL /usr)
    set(python_dir lib/python3/dist-packages)  # Debian's own packages
  elseif(NOT python_dir)
    set(python_dir lib/${python_version}/dist-packages)
  endif()
  install(TARGETS fuselage-python LIBRARY DESTINATION ${python_dir}/llfuse COMPONENT python)
  install(FILES ${python_files} DESTINATION ${python_dir}/llfuse COMPONENT python)
endif()
