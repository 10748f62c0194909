fuselage_test(io LABELS mount)
