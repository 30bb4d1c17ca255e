prism_test(unit/bus_rules SOURCES ${T}/bus_rules_test.c LINK prism_io)
prism_test(unit/db_args SOURCES ${T}/db_args_test.c LINK prism_io m)
