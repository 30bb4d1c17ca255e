prism_test(property/autoscale_decide SOURCES ${T}/autoscale_decide_test.c LINK autoscale_core)
prism_test(property/autoscale_decide_replay SOURCES ${T}/autoscale_decide_replay_test.c
    LINK autoscale_json)
