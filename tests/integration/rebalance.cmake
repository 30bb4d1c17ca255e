prism_test(integration/rebalance SOURCES ${T}/rebalance_test.c ${T}/rebalance_stage.c
    LINK prism_it prism_dataplane_io prism_io prism_proto FIXTURE stack TIMEOUT 300)
if(TARGET test_integration_rebalance)
    add_dependencies(test_integration_rebalance prism-rebalance)
endif()
foreach(name retention standstill)
    prism_test(integration/rebalance_${name} SOURCES ${T}/rebalance_${name}_test.c
        LINK rebalance_io prism_it FIXTURE stack)
endforeach()
set(slot_stage ${T}/rebalance_slot_stage.c ${T}/rebalance_slot_ledger.c)
foreach(name slot slot_resume slot_copies slot_failover reign)
    prism_test(integration/rebalance_${name} SOURCES ${T}/rebalance_${name}_test.c
        ${T}/rebalance_slot_hand.c ${slot_stage} LINK rebalance_io prism_it FIXTURE stack2
        LABELS slots TIMEOUT 300)
endforeach()
prism_test(integration/rebalance_prints SOURCES ${T}/rebalance_prints_test.c
    LINK rebalance_io prism_it)
# The servers that offer atomic slot migration are stood in for: tests/support/fake_pair.h.
foreach(name job job_told)
    prism_test(integration/rebalance_${name} SOURCES ${T}/rebalance_${name}_test.c
        ${T}/rebalance_job_stage.c ${slot_stage} LINK rebalance_io prism_it
        FIXTURE stack2 LABELS slots TIMEOUT 300)
endforeach()
# Minutes of waiting for gossip and elections each: once is enough. What they share with
# the others is sanitized there.
if(NOT PRISM_SANITIZE)
    foreach(name duty facts mend)
        prism_test(integration/rebalance_${name} SOURCES ${T}/rebalance_${name}_test.c
            ${T}/duty_stage.c ${T}/own_redis.c
            LINK rebalance_io prism_it prism_dataplane_io FIXTURE stack2 TIMEOUT 300)
    endforeach()
    foreach(name fleet fleet_orders gain told)
        prism_test(integration/rebalance_${name} SOURCES ${T}/rebalance_${name}_test.c
            ${T}/rebalance_fleet_stage.c LINK prism_it prism_dataplane_io prism_io prism_proto
            FIXTURE stack2 TIMEOUT 300)
        if(TARGET test_integration_rebalance_${name})
            add_dependencies(test_integration_rebalance_${name} prism-rebalance prism-placement)
        endif()
    endforeach()
    prism_test(integration/rebalance_zone SOURCES ${T}/rebalance_zone_test.c ${T}/zone_stage.c
        ${T}/zone_writers.c ${T}/zone_lost.c LINK prism_it prism_dataplane_io prism_io FIXTURE stack2 TIMEOUT 300)
    if(TARGET test_integration_rebalance_zone)
        add_dependencies(test_integration_rebalance_zone prism-rebalance)
    endif()
endif()
