fuselage_test(memory_large LABELS slow)
