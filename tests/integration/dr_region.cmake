# A fail-over is a restore of everything, and there are dozens.
foreach(name region region_crash)
    prism_test(integration/dr_${name} SLOW SOURCES ${T}/dr_${name}_test.c ${T}/dr_region_stage.c
        ${T}/dr_ledger.c ${T}/dr_restore_stage.c ${T}/dr_stage.c ${T}/rebalance_stage.c
        LINK prism_it dr_core prism_dataplane_io prism_io prism_proto prism_base
        FIXTURE stack s3 TIMEOUT 900)
    add_dependencies(test_integration_dr_${name} prism-dr prism-rebalance)
endforeach()
prism_test(integration/dr_region_pg SLOW SOURCES ${T}/dr_region_pg_test.c ${T}/dr_region_stage.c
    ${T}/dr_ledger.c ${T}/dr_restore_stage.c ${T}/dr_stage.c ${T}/rebalance_stage.c
    ${T}/dr_pg_stage.c ${T}/dr_pg_relay.c
    LINK prism_it prism_dataplane_io prism_io prism_proto prism_base FIXTURE stack s3 TIMEOUT 900)
add_dependencies(test_integration_dr_region_pg prism-dr prism-rebalance)
