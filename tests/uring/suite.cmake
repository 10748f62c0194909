fuselage_test(uring LABELS mount TIMEOUT 240)
target_sources(uring_test PRIVATE session/allocations.cpp)

# This one switches the module's parameter, which is the whole machine's.
file(APPEND ${CMAKE_CURRENT_BINARY_DIR}/uring_properties.cmake
     "set_tests_properties(uring.Fallback.is_the_device_where_the_module_has_it_switched_off PROPERTIES RUN_SERIAL TRUE)\n")
