prism_test(property/autoscale_hpa SOURCES ${T}/autoscale_hpa_test.c LINK autoscale_core)
