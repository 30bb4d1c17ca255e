foreach(name approve batch chains conflict crossing diff drain flight pace progress reign repair returns slot_job slot_job_walk slot_machine standstill takeover throttle topology verdict window zones)
    prism_test(unit/rebalance_${name} SOURCES ${T}/rebalance_${name}_test.c LINK rebalance_core)
endforeach()
foreach(name cost goals limits plan refuse waves)
    prism_test(unit/rebalance_fleet_${name} SOURCES ${T}/rebalance_fleet_${name}_test.c
        LINK rebalance_core)
endforeach()
# Two services agree on what one writes and the other reads.
prism_test(unit/slot_traffic SOURCES ${T}/slot_traffic_test.c LINK placement_core rebalance_core
    LABELS threads)
prism_test(unit/rebalance_copies SOURCES ${T}/rebalance_copies_test.c LINK rebalance_io)
