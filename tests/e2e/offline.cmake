# The commands that need no server.
prism_wanted(e2e "" wanted)
if(wanted)
    add_test(NAME ${PRISM_TEST_PREFIX}e2e.offline
        COMMAND ${T}/offline_test.sh ${CMAKE_BINARY_DIR}/bin ${CMAKE_SOURCE_DIR})
    set_tests_properties(${PRISM_TEST_PREFIX}e2e.offline PROPERTIES LABELS e2e TIMEOUT 200)
    prism_test_needs(${PRISM_TEST_PREFIX}e2e.offline cpus)
endif()
