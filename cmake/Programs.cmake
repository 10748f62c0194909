# What is built on the library: the file systems that come with it, the command-line tool, the examples, the bench.

# The file systems, for the tool, the tests and the bench; included as "filesystems/NAME/FILE.hpp".
file(GLOB filesystem_sources CONFIGURE_DEPENDS filesystems/*/*.cpp)
if(filesystem_sources)
  add_library(fuselage-filesystems STATIC ${filesystem_sources})
  target_include_directories(fuselage-filesystems PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(fuselage-filesystems PUBLIC fuselage-static)
endif()

# fuselage_program(TARGET SOURCE...): a program that has the library, the file systems and fmt at hand.
function(fuselage_program target)
  add_executable(${target} ${ARGN})
  target_link_libraries(${target} PRIVATE fuselage-static fuselage-fmt)
  if(TARGET fuselage-filesystems)
    target_link_libraries(${target} PRIVATE fuselage-filesystems)
  endif()
endfunction()

if(FUSELAGE_BUILD_PROGRAMS)
  file(GLOB cli_sources CONFIGURE_DEPENDS src/cli/*.cpp)
  if(cli_sources)
    find_package(CLI11 REQUIRED)
    find_package(nlohmann_json REQUIRED)
    fuselage_program(fuselage ${cli_sources})
    target_include_directories(fuselage PRIVATE src)
    set(drop_in ${CMAKE_INSTALL_FULL_LIBDIR}/fuselage)
    cmake_path(RELATIVE_PATH drop_in BASE_DIRECTORY ${CMAKE_INSTALL_FULL_BINDIR})
    target_compile_definitions(fuselage PRIVATE FUSELAGE_VERSION="${PROJECT_VERSION}" FUSELAGE_DROP_IN="${drop_in}")
    target_link_libraries(fuselage PRIVATE CLI11::CLI11 nlohmann_json::nlohmann_json)
  endif()

  # One program for each file. Like the programs of our users, they see the public headers only.
  file(GLOB example_sources CONFIGURE_DEPENDS examples/*.cpp)
  foreach(source IN LISTS example_sources)
    cmake_path(GET source STEM name)
    add_executable(example-${name} ${source})
    target_link_libraries(example-${name} PRIVATE fuselage-static)
    set_target_properties(example-${name} PROPERTIES OUTPUT_NAME ${name}
                          RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
  endforeach()

  include(bench/bench.cmake)
endif()
