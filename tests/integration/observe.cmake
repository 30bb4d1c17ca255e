# /metrics of the real programs, against promtool, their tables, rules and dashboards.
prism_wanted(integration "" wanted)
if(wanted AND NOT PRISM_SANITIZE)
    add_test(NAME ${PRISM_TEST_PREFIX}integration.metrics_live
        COMMAND ${T}/metrics_live.sh ${CMAKE_BINARY_DIR}/bin ${CMAKE_SOURCE_DIR})
    set_tests_properties(${PRISM_TEST_PREFIX}integration.metrics_live PROPERTIES LABELS integration TIMEOUT 180
        SKIP_RETURN_CODE 77)
    prism_test_needs(${PRISM_TEST_PREFIX}integration.metrics_live cpus)
endif()
