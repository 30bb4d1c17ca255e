foreach(name aws rules)
    prism_test(property/autoscale_${name} SOURCES ${T}/autoscale_${name}_test.c LINK autoscale_core)
endforeach()
