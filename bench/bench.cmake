# The bench, and the servers that it measures: a program for each, beside the bench. The other libraries are used by
# those programs alone, and only where they are installed.
file(GLOB bench_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.cpp)
fuselage_program(fuselage-bench ${bench_sources})
target_include_directories(fuselage-bench PRIVATE src)
target_link_libraries(fuselage-bench PRIVATE CLI11::CLI11 nlohmann_json::nlohmann_json)

# bench_server(NAME SOURCE LIBRARY...): what is not there is left out, and the bench says so.
function(bench_server name source)
  add_executable(${name} bench/servers/${source})
  target_include_directories(${name} PRIVATE src)
  target_link_libraries(${name} PRIVATE Threads::Threads ${ARGN})
  add_dependencies(fuselage-bench ${name})
endfunction()

bench_server(bench-raw-device raw_device.cpp fuselage-static)
bench_server(bench-fuselage fuselage.cpp fuselage-static)

find_package(PkgConfig)
if(PkgConfig_FOUND)
  pkg_check_modules(FUSE3 IMPORTED_TARGET fuse3)
  pkg_check_modules(URING IMPORTED_TARGET liburing)
endif()
if(TARGET PkgConfig::URING)
  bench_server(bench-raw-ring raw_ring.cpp fuselage-static PkgConfig::URING)
endif()
if(TARGET PkgConfig::FUSE3)
  bench_server(bench-libfuse3-lowlevel libfuse_lowlevel.cpp PkgConfig::FUSE3)
  bench_server(bench-libfuse3-highlevel libfuse_highlevel.cpp PkgConfig::FUSE3)
endif()
