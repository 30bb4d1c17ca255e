prism_test(integration/autoscale_service SOURCES ${T}/autoscale_service_test.c ${T}/autoscale_service_stage.c
    LINK prism_it prism_io prism_proto PkgConfig::jansson FIXTURE stack TIMEOUT 300)
add_dependencies(test_integration_autoscale_service prism-autoscale)
prism_test(integration/autoscale_lead SOURCES ${T}/autoscale_lead_test.c LINK prism_it prism_io
    FIXTURE stack)
add_dependencies(test_integration_autoscale_lead prism-autoscale)
prism_test(integration/autoscale_marks SOURCES ${T}/autoscale_marks_test.c
    ${T}/autoscale_provider.c LINK autoscale_io prism_it FIXTURE stack)
add_dependencies(test_integration_autoscale_marks prism-autoscale)
