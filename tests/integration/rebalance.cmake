prism_test(integration/rebalance SOURCES ${T}/rebalance_test.c ${T}/rebalance_stage.c
    LINK prism_it prism_dataplane_io prism_io prism_proto FIXTURE stack TIMEOUT 300)
if(TARGET test_integration_rebalance)
    add_dependencies(test_integration_rebalance prism-rebalance)
endif()
