if(FUSELAGE_SANITIZE MATCHES thread OR NOT TARGET fuselage)
  return()
endif()

# Programs as users write them: C, with the installed headers only, against libfuse.so.2.
function(capi2_program name source)
  add_executable(capi2-${name} ${CMAKE_CURRENT_LIST_DIR}/../programs/${source})
  target_include_directories(capi2-${name} PRIVATE ${PROJECT_SOURCE_DIR}/include/fuselage/fuse2)
  target_compile_definitions(capi2-${name} PRIVATE _FILE_OFFSET_BITS=64 _GNU_SOURCE ${ARGN})
  target_compile_options(capi2-${name} PRIVATE -Wno-conversion)
  target_link_libraries(capi2-${name} PRIVATE fuselage-fuse2 Threads::Threads)
endfunction()

capi2_program(mirror mirror.c)
capi2_program(low-level low_level.c)
capi2_program(device device.c)
capi2_program(unruly unruly.c)
set(capi2_versions 21 22 25 26 27 28 29)
foreach(version IN LISTS capi2_versions)
  capi2_program(tiny-${version} tiny.c FUSE_USE_VERSION=${version})
  set_target_properties(capi2-tiny-${version} PROPERTIES C_STANDARD 90 C_EXTENSIONS OFF)
endforeach()

set(capi2_low_versions 24 25 26 29)
foreach(version IN LISTS capi2_low_versions)
  capi2_program(tiny-low-${version} tiny_low.c FUSE_USE_VERSION=${version})
  set_target_properties(capi2-tiny-low-${version} PROPERTIES C_STANDARD 90 C_EXTENSIONS OFF)
endforeach()

# A layer for -o modules=.
add_library(capi2-shout MODULE ${CMAKE_CURRENT_LIST_DIR}/../programs/shout.c)
set_target_properties(capi2-shout PROPERTIES PREFIX "" OUTPUT_NAME libfusemod_shout C_VISIBILITY_PRESET default)
target_include_directories(capi2-shout PRIVATE ${PROJECT_SOURCE_DIR}/include/fuselage/fuse2)
target_compile_definitions(capi2-shout PRIVATE _FILE_OFFSET_BITS=64 _GNU_SOURCE)
target_link_libraries(capi2-shout PRIVATE fuselage-fuse2)

# Programs linked long ago: one asks for versions by name, the other was linked with a library that had none.
add_library(capi2-before-versions SHARED ${CMAKE_CURRENT_LIST_DIR}/../programs/before_versions.c)
set_target_properties(capi2-before-versions PROPERTIES NO_SONAME ON)
target_link_options(capi2-before-versions PRIVATE -Wl,-soname,libfuse.so.2)
foreach(name old older)
  add_executable(capi2-${name} ${CMAKE_CURRENT_LIST_DIR}/../programs/old.c)
  # By its path: under AddressSanitizer it is not the program that calls dlopen, so its own path is not searched.
  target_compile_definitions(capi2-${name} PRIVATE LIBRARY="$<TARGET_FILE:fuselage-fuse2>")
  target_link_libraries(capi2-${name} PRIVATE ${CMAKE_DL_LIBS})
  set_target_properties(capi2-${name} PROPERTIES BUILD_RPATH $<TARGET_FILE_DIR:fuselage-fuse2>)
endforeach()
target_compile_definitions(capi2-older PRIVATE BEFORE_VERSIONS)
target_link_libraries(capi2-older PRIVATE capi2-before-versions)

fuselage_test(capi2 LABELS mount LIBRARIES fuselage-fuse2 TIMEOUT 300)
target_include_directories(capi2_test PRIVATE ${PROJECT_SOURCE_DIR}/include/fuselage/fuse2)
target_compile_definitions(
  capi2_test PRIVATE PROGRAMS="${CMAKE_CURRENT_BINARY_DIR}" FUSELAGE_TOOL="$<TARGET_FILE:fuselage>"
                     LIBRARY="$<TARGET_FILE:fuselage-fuse2>")
add_dependencies(capi2_test fuselage capi2-mirror capi2-low-level capi2-device capi2-unruly capi2-old capi2-older capi2-shout)
foreach(version IN LISTS capi2_versions)
  add_dependencies(capi2_test capi2-tiny-${version})
endforeach()
foreach(version IN LISTS capi2_low_versions)
  add_dependencies(capi2_test capi2-tiny-low-${version})
endforeach()

if(FUSELAGE_SANITIZE)  # whose runtime what follows does not bring along
  return()
endif()

add_test(NAME capi2.exports
         COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/exports.py
                 ${CMAKE_CURRENT_LIST_DIR}/exports.golden ${CMAKE_CURRENT_LIST_DIR}/imports.txt
                 $<TARGET_FILE:fuselage-fuse2>)
add_test(NAME capi2.headers
         COMMAND ${CMAKE_CURRENT_LIST_DIR}/headers.sh ${CMAKE_C_COMPILER} ${CMAKE_CXX_COMPILER}
                 ${PROJECT_SOURCE_DIR})
set_tests_properties(capi2.exports capi2.headers PROPERTIES LABELS fast SKIP_RETURN_CODE 77)

# Packaged programs, unmodified.
foreach(name bindfs bindfs-threads bindfs-permissions bindfs-user bindfs-killed unionfs mhddfs posixovl convmvfs fuseiso
            afuse archivemount fuse-zip wim fusepy fuse-python loggedfs disorderfs encfs fuse2fs exfat httpfs2 casync
            s3backer avfs securefs perl perl-threads llfuse zfs)
  add_test(NAME capi2.${name} COMMAND ${CMAKE_CURRENT_LIST_DIR}/clients.sh ${name} $<TARGET_FILE:fuselage>)
  set_tests_properties(capi2.${name} PROPERTIES LABELS clients SKIP_RETURN_CODE 77 TIMEOUT 300)
endforeach()
