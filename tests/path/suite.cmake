fuselage_test(path LABELS fast TIMEOUT 300)
