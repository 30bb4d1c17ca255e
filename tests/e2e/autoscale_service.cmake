prism_script_test(e2e/autoscale ${T}/autoscale_test.sh TIMEOUT 1500)
