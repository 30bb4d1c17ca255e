foreach(name limits replicas vote)
    prism_test(unit/autoscale_hpa_${name} SOURCES ${T}/autoscale_hpa_${name}_test.c
        LINK autoscale_core)
endforeach()
prism_test(unit/autoscale_hpa_cases SOURCES ${T}/autoscale_hpa_cases_test.c LINK autoscale_cli)
