# cmake --install: headers, libraries, the test kit, the tool, the CMake package, the pkg-config file.
include(CMakePackageConfigHelpers)

install(DIRECTORY include/fuselage ${FUSELAGE_GENERATED_INCLUDE}/fuselage DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp")
install(DIRECTORY include/fuselage DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
# Programs include <fuse.h> or, as Debian's lie in a folder of that name, <fuse/fuse.h>.
set(fuse2_headers "\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}/fuselage/fuse2")
install(CODE "file(CREATE_LINK . \"${fuse2_headers}/fuse\" SYMBOLIC)")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(libraries fuselage-shared fuselage-static)
if(TARGET fuselage-testing)
  list(APPEND libraries fuselage-testing)
endif()
install(TARGETS ${libraries} EXPORT fuselage-targets)
install(TARGETS fuselage-fuse2 LIBRARY DESTINATION ${FUSELAGE_DROP_IN_DIR})
if(TARGET fuselage)
  install(TARGETS fuselage)
  # mount(8) looks for mount.TYPE in sbin; the tool sees from its name that it was called that way.
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_BINDIR BASE_DIRECTORY ${CMAKE_INSTALL_FULL_SBINDIR} OUTPUT_VARIABLE bin)
  file(CREATE_LINK ${bin}/fuselage ${PROJECT_BINARY_DIR}/mount.fuselage SYMBOLIC)
  install(FILES ${PROJECT_BINARY_DIR}/mount.fuselage DESTINATION ${CMAKE_INSTALL_SBINDIR})
endif()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/fuselage)
install(EXPORT fuselage-targets NAMESPACE fuselage:: DESTINATION ${package})
configure_package_config_file(cmake/fuselage-config.cmake.in fuselage-config.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(fuselage-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fuselage-config.cmake ${PROJECT_BINARY_DIR}/fuselage-config-version.cmake
        DESTINATION ${package})

# Paths relative to the .pc file, so that an installed tree may be moved.
set(pkgconfig_dir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${pkgconfig_dir} OUTPUT_VARIABLE pc_prefix)
foreach(dir LIBDIR INCLUDEDIR)
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_${dir} BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE pc_${dir})
endforeach()
foreach(name fuselage fuselage-fuse2)
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
