fuselage_test(mount LABELS mount)
