prism_test(integration/dr_ship SOURCES ${T}/dr_ship_test.c ${T}/dr_stage.c
    LINK prism_it prism_base FIXTURE stack s3 TIMEOUT 300)
add_dependencies(test_integration_dr_ship prism-dr prism-rebalance)
prism_test(integration/dr_cli SOURCES ${T}/dr_cli_test.c ${T}/dr_stage.c
    LINK prism_it prism_base FIXTURE stack s3 TIMEOUT 120)
add_dependencies(test_integration_dr_cli prism-dr)
prism_test(integration/dr_restore SLOW SOURCES ${T}/dr_restore_test.c ${T}/dr_restore_stage.c
    ${T}/dr_bucket.c ${T}/dr_stage.c ${T}/rebalance_stage.c
    LINK prism_it prism_s3 prism_dataplane_io prism_io prism_proto prism_base
    FIXTURE stack s3 TIMEOUT 900)
add_dependencies(test_integration_dr_restore prism-dr prism-rebalance)
prism_test(integration/dr_orders SLOW SOURCES ${T}/dr_orders_test.c ${T}/dr_restore_stage.c
    ${T}/dr_stage.c ${T}/rebalance_stage.c
    LINK prism_it prism_dataplane_io prism_io prism_proto prism_base FIXTURE stack s3 TIMEOUT 300)
add_dependencies(test_integration_dr_orders prism-dr prism-rebalance)
foreach(name faults failover)
    set(fixture stack)
    if(name STREQUAL failover)
        set(fixture stack2)
    endif()
    prism_test(integration/dr_${name} SLOW SOURCES ${T}/dr_${name}_test.c ${T}/dr_ledger.c ${T}/dr_stage.c
        LINK prism_it prism_io prism_proto prism_base FIXTURE ${fixture} s3 TIMEOUT 400)
    add_dependencies(test_integration_dr_${name} prism-dr prism-rebalance)
endforeach()
prism_test(integration/dr_rebalance SLOW SOURCES ${T}/dr_rebalance_test.c ${T}/dr_stage.c
    ${T}/rebalance_stage.c LINK prism_it prism_dataplane_io prism_io prism_proto prism_base
    FIXTURE stack s3 TIMEOUT 300)
add_dependencies(test_integration_dr_rebalance prism-dr prism-rebalance)
prism_test(integration/dr_index SOURCES ${T}/dr_index_test.c LINK dr_io prism_s3 prism_io prism_base TIMEOUT 120)
prism_test(integration/dr_digest SOURCES ${T}/dr_digest_test.c LINK dr_io prism_io prism_base TIMEOUT 120)
prism_test(integration/dr_moved SLOW SOURCES ${T}/dr_moved_test.c ${T}/dr_stage.c
    LINK prism_it prism_base FIXTURE stack s3 TIMEOUT 300)
add_dependencies(test_integration_dr_moved prism-dr prism-rebalance)
prism_test(integration/dr_maps SLOW SOURCES ${T}/dr_maps_test.c ${T}/dr_bucket.c ${T}/dr_stage.c
    LINK dr_core prism_it prism_s3 prism_io prism_base FIXTURE stack s3 TIMEOUT 300)
add_dependencies(test_integration_dr_maps prism-dr prism-rebalance)
prism_test(integration/dr_slots SLOW SOURCES ${T}/dr_slots_test.c ${T}/dr_slots_ledger.c ${T}/rebalance_slot_stage.c
    ${T}/rebalance_slot_ledger.c ${T}/dr_stage.c LINK rebalance_io prism_it PkgConfig::libxxhash FIXTURE stack2 s3 LABELS slots
    TIMEOUT 400)
add_dependencies(test_integration_dr_slots prism-dr prism-rebalance)
prism_test(integration/dr_keys SOURCES ${T}/dr_keys_test.c ${T}/autoscale_provider.c
    LINK autoscale_io prism_it prism_base FIXTURE s3 TIMEOUT 120)
add_dependencies(test_integration_dr_keys prism-dr)
