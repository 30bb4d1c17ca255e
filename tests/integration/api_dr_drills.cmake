prism_test(integration/api_dr_drills SOURCES ${T}/api_dr_drills_test.c ${T}/api_fixture.c
    LINK prism_it prism_io prism_proto PkgConfig::libcurl PkgConfig::jansson
    FIXTURE stack TIMEOUT 120)
add_dependencies(test_integration_api_dr_drills prism-metadata-api prismctl)
