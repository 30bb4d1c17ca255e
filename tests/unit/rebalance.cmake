foreach(name batch diff pace topology)
    prism_test(unit/rebalance_${name} SOURCES ${T}/rebalance_${name}_test.c LINK rebalance_core)
endforeach()
