prism_test(integration/bus SOURCES ${T}/bus_test.c ${T}/own_nats.c ${T}/nats_session.c LINK prism_io prism_it
    PkgConfig::libnats FIXTURE stack LABELS threads TIMEOUT 180)
prism_test(integration/bus_serve SOURCES ${T}/bus_serve_test.c ${T}/own_nats.c ${T}/nats_session.c
    LINK prism_io prism_it PkgConfig::libnats FIXTURE stack LABELS threads)
prism_test(integration/db SOURCES ${T}/db_test.c LINK prism_io prism_it FIXTURE stack)
prism_test(integration/lease SOURCES ${T}/lease_test.c LINK prism_io prism_it FIXTURE stack)
prism_test(integration/outbox SOURCES ${T}/outbox_test.c ${T}/own_nats.c ${T}/nats_session.c LINK prism_io prism_it
    PkgConfig::libnats FIXTURE stack LABELS threads TIMEOUT 180)
prism_test(integration/admin SOURCES ${T}/admin_test.c LINK prism_it prism_base PkgConfig::hiredis
    FIXTURE stack)
add_dependencies(test_integration_admin prism-admin)
prism_test(integration/bus_tls SOURCES ${T}/bus_tls_test.c LINK prism_io prism_it FIXTURE stack)
prism_test(integration/bus_cluster SOURCES ${T}/bus_cluster_test.c ${T}/nats_session.c LINK prism_io prism_it
    PkgConfig::libnats FIXTURE stack TIMEOUT 300)
