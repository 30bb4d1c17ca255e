prism_test(property/autoscale_adaptive SOURCES ${T}/autoscale_adaptive_test.c LINK autoscale_core)
# Under a sanitizer the traces' first days alone, and no bars.
set(args)
if(PRISM_SANITIZE)
    set(args quick)
endif()
prism_test(property/autoscale_backtest SOURCES ${T}/autoscale_backtest_test.c
    LINK autoscale_cli autoscale_core ARGS ${args} TIMEOUT 600)
