# What the installed headers declare is exported from the shared library, everything else is hidden. The headers need no
# attribute for it: the library's own sources see each one through a wrapper that raises the visibility around it.

set(FUSELAGE_EXPORT_INCLUDE ${PROJECT_BINARY_DIR}/export)

# fuselage_export_headers(ROOT): makes the wrappers of ROOT/fuselage/**.hpp.
function(fuselage_export_headers root)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${root} ${root}/fuselage/*.hpp)
  foreach(header IN LISTS headers)
    file(CONFIGURE OUTPUT ${FUSELAGE_EXPORT_INCLUDE}/${header} @ONLY CONTENT
"#pragma once
#pragma GCC visibility push(default)
#include \"@root@/@header@\"
#pragma GCC visibility pop
")
  endforeach()
endfunction()
