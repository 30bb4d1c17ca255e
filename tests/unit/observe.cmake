# Alerts and runbooks are one to one; the rules fire at their boundaries; dashboards are as their table says.
prism_wanted(unit "" wanted)
if(wanted AND NOT PRISM_SANITIZE)
    foreach(name runbooks rules dashboards)
        add_test(NAME ${PRISM_TEST_PREFIX}unit.${name} COMMAND ${T}/${name}.sh ${CMAKE_SOURCE_DIR})
        set_tests_properties(${PRISM_TEST_PREFIX}unit.${name} PROPERTIES LABELS unit TIMEOUT 120 SKIP_RETURN_CODE 77)
        prism_test_needs(${PRISM_TEST_PREFIX}unit.${name} cpus)
    endforeach()
endif()
