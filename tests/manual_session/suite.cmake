fuselage_test(manual_session LABELS mount)
