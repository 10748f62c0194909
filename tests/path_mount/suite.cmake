fuselage_test(path_mount LABELS mount)
