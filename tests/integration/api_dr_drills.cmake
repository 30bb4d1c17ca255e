foreach(name drills restores)
    prism_test(integration/api_dr_${name} SOURCES ${T}/api_dr_${name}_test.c ${T}/api_fixture.c
        LINK prism_it prism_io prism_proto PkgConfig::libcurl PkgConfig::jansson
        FIXTURE stack TIMEOUT 120)
    add_dependencies(test_integration_api_dr_${name} prism-metadata-api prismctl)
endforeach()
