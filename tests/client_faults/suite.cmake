fuselage_test(client_faults LABELS mount)

# The long form of a test, which the normal run leaves out.
add_test(NAME client_faults.Cycles.a_thousand_leak_nothing
         COMMAND client_faults_test --gtest_also_run_disabled_tests
                 --gtest_filter=Cycles.DISABLED_a_thousand_leak_nothing)
set_tests_properties(client_faults.Cycles.a_thousand_leak_nothing PROPERTIES LABELS "mount;slow" TIMEOUT 300)
