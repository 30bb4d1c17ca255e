foreach(name api api_dr api_work api_errors api_ctl api_fleet api_fleet_ctl api_events api_shell api_common)
    prism_test(integration/${name} SOURCES ${T}/${name}_test.c ${T}/api_fixture.c
        LINK prism_it prism_io prism_proto PkgConfig::libcurl PkgConfig::jansson
        FIXTURE stack TIMEOUT 120)
    add_dependencies(test_integration_${name} prism-metadata-api prismctl)
endforeach()
foreach(name api_autoscale api_autoscale_ask api_autoscale_ctl)
    prism_test(integration/${name}
        SOURCES ${T}/${name}_test.c ${T}/api_autoscale_stage.c ${T}/api_fixture.c
        LINK prism_it prism_io prism_proto PkgConfig::libcurl PkgConfig::jansson
        FIXTURE stack TIMEOUT 120)
    add_dependencies(test_integration_${name} prism-metadata-api prismctl)
endforeach()
prism_test(integration/api_autoscale_service
    SOURCES ${T}/api_autoscale_service_test.c ${T}/api_fixture.c
    LINK prism_it prism_io prism_proto PkgConfig::libcurl PkgConfig::jansson
    FIXTURE stack TIMEOUT 120)
add_dependencies(test_integration_api_autoscale_service prism-metadata-api prism-autoscale)
prism_test(integration/api_matrix SOURCES ${T}/api_matrix_test.c ${T}/api_fixture.c
    LINK prism_it metadata_api_io PkgConfig::libcurl FIXTURE stack TIMEOUT 120)
add_dependencies(test_integration_api_matrix prism-metadata-api)
