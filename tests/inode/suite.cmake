fuselage_test(inode LABELS fast)
