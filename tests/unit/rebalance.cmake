foreach(name approve batch diff drain pace repair slot_machine throttle topology verdict window)
    prism_test(unit/rebalance_${name} SOURCES ${T}/rebalance_${name}_test.c LINK rebalance_core)
endforeach()
foreach(name plan refuse)
    prism_test(unit/rebalance_fleet_${name} SOURCES ${T}/rebalance_fleet_${name}_test.c
        LINK rebalance_core)
endforeach()
