prism_test(property/rebalance_plan SOURCES ${T}/rebalance_plan_test.c LINK rebalance_core)
foreach(name flow plan size)
    prism_test(property/rebalance_fleet_${name} SOURCES ${T}/rebalance_fleet_${name}_test.c
        LINK rebalance_core)
endforeach()
