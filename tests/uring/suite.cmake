fuselage_test(uring LABELS mount TIMEOUT 240)
target_sources(uring_test PRIVATE session/allocations.cpp)
