prism_script_test(e2e/fleet ${T}/fleet_test.sh TIMEOUT 400)
