# {fmt} for our own sources: link with fuselage-fmt, and get the functions from src/base/fmt.cpp. They have a namespace of
# their own, so that a program which uses the static library may use any {fmt} it likes beside it.
find_package(fmt REQUIRED)
add_library(fuselage-fmt INTERFACE)
target_include_directories(
  fuselage-fmt INTERFACE $<TARGET_PROPERTY:fmt::fmt-header-only,INTERFACE_INCLUDE_DIRECTORIES>)
target_compile_definitions(
  fuselage-fmt INTERFACE "FMT_BEGIN_NAMESPACE=namespace fmt { inline namespace fuselage_fmt {" "FMT_END_NAMESPACE=} }")
