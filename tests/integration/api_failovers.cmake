prism_test(integration/api_failovers
    SOURCES ${T}/api_failovers_test.c ${T}/api_failovers_stage.c ${T}/api_fixture.c ${T}/dr_pg_relay.c
    LINK prism_it prism_io prism_proto PkgConfig::libcurl PkgConfig::jansson
    FIXTURE stack TIMEOUT 180)
add_dependencies(test_integration_api_failovers prism-metadata-api prismctl)
