fuselage_test(node_table LABELS fast)
