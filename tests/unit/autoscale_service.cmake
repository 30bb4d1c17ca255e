prism_test(unit/autoscale_carry SOURCES ${T}/autoscale_carry_test.c LINK autoscale_core)
prism_test(unit/autoscale_setup SOURCES ${T}/autoscale_setup_test.c LINK autoscale_io)
