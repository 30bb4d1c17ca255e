prism_script_test(e2e/failover ${T}/failover_test.sh SLOW TIMEOUT 900)
