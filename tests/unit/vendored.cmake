# What others wrote and the dashboard carries along is as it was taken over.
prism_wanted(unit "" wanted)
if(wanted)
    add_test(NAME ${PRISM_TEST_PREFIX}unit.vendored COMMAND ${T}/vendored.sh)
    set_tests_properties(${PRISM_TEST_PREFIX}unit.vendored PROPERTIES LABELS unit TIMEOUT 60)
    prism_test_needs(${PRISM_TEST_PREFIX}unit.vendored cpus)
endif()
