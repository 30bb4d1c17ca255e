prism_test(unit/dr_failover_ask SOURCES ${T}/dr_failover_ask_test.c LINK dr_io LABELS threads)
