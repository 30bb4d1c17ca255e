prism_test(integration/autoscale_service SOURCES ${T}/autoscale_service_test.c
    LINK prism_it prism_io prism_proto PkgConfig::jansson FIXTURE stack TIMEOUT 300)
add_dependencies(test_integration_autoscale_service prism-autoscale)
