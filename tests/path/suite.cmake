fuselage_test(path LABELS fast)
