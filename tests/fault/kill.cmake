prism_script_test(fault/services ${T}/kill_test.sh
    ARGS 6 1 2 placement rebalance metadata-api nats TIMEOUT 600)
prism_script_test(fault/redis_primary ${T}/kill_test.sh ARGS 3 2 3 primary TIMEOUT 600)
prism_script_test(fault/postgres ${T}/kill_test.sh ARGS 3 1 1 postgres TIMEOUT 300)
