fuselage_test(wire LABELS fast)
target_compile_definitions(wire_test PRIVATE GOLDEN_DIRECTORY="${CMAKE_CURRENT_LIST_DIR}/golden")
