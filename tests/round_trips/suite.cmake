fuselage_test(round_trips LABELS mount)
