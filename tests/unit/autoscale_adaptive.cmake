foreach(name history adaptive adaptive_data adaptive_learn backtest)
    prism_test(unit/autoscale_${name} SOURCES ${T}/autoscale_${name}_test.c LINK autoscale_core)
endforeach()
prism_test(unit/autoscale_backtest_cli SOURCES ${T}/autoscale_backtest_cli_test.c
    LINK autoscale_cli autoscale_core)
