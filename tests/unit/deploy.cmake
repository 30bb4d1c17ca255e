# The chart, rendered with every set of values; IAM and S3 documents; and that every linter refuses what is broken.
prism_wanted(unit "" wanted)
if(wanted AND NOT PRISM_SANITIZE)
    add_test(NAME ${PRISM_TEST_PREFIX}unit.chart
        COMMAND ${T}/../deploy/chart.sh ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/bin)
    add_test(NAME ${PRISM_TEST_PREFIX}unit.iam COMMAND ${T}/../deploy/iam.sh ${CMAKE_SOURCE_DIR})
    add_test(NAME ${PRISM_TEST_PREFIX}unit.s3_documents COMMAND ${T}/../deploy/s3.sh ${CMAKE_SOURCE_DIR})
    add_test(NAME ${PRISM_TEST_PREFIX}unit.lint_bites COMMAND ${T}/../lint/bites.sh ${CMAKE_SOURCE_DIR})
    foreach(name chart iam s3_documents lint_bites)
        set_tests_properties(${PRISM_TEST_PREFIX}unit.${name} PROPERTIES LABELS unit TIMEOUT 900 COST 900
            SKIP_RETURN_CODE 77)
        prism_test_needs(${PRISM_TEST_PREFIX}unit.${name} cpus)
    endforeach()
endif()
