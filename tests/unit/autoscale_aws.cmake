foreach(name aws aws_vote rules queue schedule)
    prism_test(unit/autoscale_${name} SOURCES ${T}/autoscale_${name}_test.c LINK autoscale_core)
endforeach()
prism_test(unit/autoscale_cases SOURCES ${T}/autoscale_cases_test.c LINK autoscale_cli)
