# The generated pages are as the code says, and no page names what does not exist.
prism_wanted(unit "" wanted)
if(wanted)
    add_test(NAME ${PRISM_TEST_PREFIX}unit.docs
        COMMAND ${CMAKE_SOURCE_DIR}/tools/docs.sh --check ${CMAKE_BINARY_DIR}/bin)
    set_tests_properties(${PRISM_TEST_PREFIX}unit.docs PROPERTIES LABELS unit TIMEOUT 60)
    prism_test_needs(${PRISM_TEST_PREFIX}unit.docs cpus)
    add_test(NAME ${PRISM_TEST_PREFIX}unit.docs_bite
        COMMAND ${CMAKE_SOURCE_DIR}/tests/unit/docs_bite.sh ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/bin/prismctl)
    set_tests_properties(${PRISM_TEST_PREFIX}unit.docs_bite PROPERTIES LABELS unit TIMEOUT 60)
endif()
