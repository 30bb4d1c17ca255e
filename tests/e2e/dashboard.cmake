prism_script_test(e2e/dashboard ${T}/dashboard_test.sh TIMEOUT 900)
# Needs chromium and programs from npm: skipped, and said so, where they cannot be had.
if(TEST ${PRISM_TEST_PREFIX}e2e.dashboard)
    set_tests_properties(${PRISM_TEST_PREFIX}e2e.dashboard PROPERTIES SKIP_RETURN_CODE 77)
endif()
