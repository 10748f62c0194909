fuselage_test(options LABELS fast)
