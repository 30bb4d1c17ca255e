prism_script_test(e2e/nodes ${T}/nodes_test.sh TIMEOUT 400)
