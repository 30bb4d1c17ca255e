# Whole zones fail under writers: two primaries of a zone, half of all, with spares to stand in.
set(stage ${T}/../integration/zone_stage.c ${T}/../integration/zone_writers.c)
prism_test(fault/zones SLOW SOURCES ${T}/zones_test.c ${T}/../integration/zone_lost.c ${stage}
    LINK prism_it prism_dataplane_io prism_io FIXTURE stack TIMEOUT 600)
prism_test(fault/zone_spares SLOW SOURCES ${T}/zone_spares_test.c ${stage}
    LINK prism_it prism_dataplane_io prism_io FIXTURE stack3 TIMEOUT 300)
foreach(name zones zone_spares)
    target_include_directories(test_fault_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/integration)
    add_dependencies(test_fault_${name} prism-rebalance)
endforeach()
