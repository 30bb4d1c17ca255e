# They wait minutes for time-outs of pgBackRest and for promotions.
foreach(name restore fault bucket failback)
    prism_test(integration/dr_pg_${name} SLOW SOURCES ${T}/dr_pg_${name}_test.c ${T}/dr_pg_stage.c
        ${T}/dr_pg_relay.c LINK prism_it prism_base FIXTURE stack s3 TIMEOUT 600)
    add_dependencies(test_integration_dr_pg_${name} prism-dr)
endforeach()
