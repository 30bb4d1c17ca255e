foreach(name approve batch diff drain pace progress repair slot_machine throttle topology verdict window)
    prism_test(unit/rebalance_${name} SOURCES ${T}/rebalance_${name}_test.c LINK rebalance_core)
endforeach()
foreach(name goals limits plan refuse waves)
    prism_test(unit/rebalance_fleet_${name} SOURCES ${T}/rebalance_fleet_${name}_test.c
        LINK rebalance_core)
endforeach()
prism_test(unit/rebalance_copies SOURCES ${T}/rebalance_copies_test.c LINK rebalance_io)
