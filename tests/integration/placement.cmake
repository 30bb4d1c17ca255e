prism_test(integration/placement SOURCES ${T}/placement_test.c
    LINK prism_it prism_io prism_proto prism_graph FIXTURE stack TIMEOUT 180)
add_dependencies(test_integration_placement prism-placement)
