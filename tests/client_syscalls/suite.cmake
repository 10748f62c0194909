fuselage_test(client_syscalls LABELS mount)
