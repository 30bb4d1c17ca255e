prism_test(property/rebalance_plan SOURCES ${T}/rebalance_plan_test.c LINK rebalance_core)
