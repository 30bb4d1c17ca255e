prism_test(property/autoscale_carry SOURCES ${T}/autoscale_carry_test.c LINK autoscale_core)
