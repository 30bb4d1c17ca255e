prism_script_test(e2e/demo ${T}/demo_test.sh TIMEOUT 400)
