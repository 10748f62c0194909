fuselage_test(memory LABELS fast)
