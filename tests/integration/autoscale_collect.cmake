foreach(name clock fleets members simulate store store_decisions tenure view)
    prism_test(integration/autoscale_${name} SOURCES ${T}/autoscale_${name}_test.c
        ${T}/autoscale_store_stage.c LINK autoscale_io prism_it FIXTURE stack)
endforeach()
prism_test(integration/autoscale_collect SOURCES ${T}/autoscale_collect_test.c ${T}/own_nats.c ${T}/nats_session.c
    LINK autoscale_io prism_it PkgConfig::libnats FIXTURE stack LABELS threads)
prism_test(integration/autoscale_collect_redis SOURCES ${T}/autoscale_collect_redis_test.c
    LINK autoscale_io prism_it FIXTURE stack LABELS threads TIMEOUT 240)
