fuselage_test(session LABELS fast)
