prism_test(property/placement_capacity SOURCES ${T}/placement_capacity_test.c LINK placement_run)
prism_test(property/placement_real SOURCES ${T}/placement_real_test.c LINK placement_run prism_graph)
foreach(name partition partition_limits)
    prism_test(property/placement_${name}
        SOURCES ${T}/placement_${name}_test.c ${T}/placement_tasks.c ${T}/placement_graphs.c
        LINK placement_engine LABELS threads TIMEOUT 600)
endforeach()
prism_test(property/placement_quality SOURCES ${T}/placement_quality_test.c
    LINK placement_engine prism_graph TIMEOUT 300)
if(TARGET metis_peer)
    target_link_libraries(test_property_placement_quality PRIVATE metis_peer)
    target_compile_definitions(test_property_placement_quality PRIVATE HAVE_METIS)
endif()
prism_test(property/placement_build SOURCES ${T}/placement_build_test.c LINK placement_core LABELS threads)
prism_test(property/placement_warm SOURCES ${T}/placement_warm_test.c
    LINK placement_engine LABELS threads)
prism_test(property/placement_warm_real SOURCES ${T}/placement_warm_real_test.c
    LINK placement_engine prism_graph)
prism_test(property/placement_hierarchy SOURCES ${T}/placement_hierarchy_test.c
    LINK placement_engine LABELS threads TIMEOUT 300)
prism_test(property/placement_community
    SOURCES ${T}/placement_community_test.c ${T}/placement_graphs.c
    LINK placement_engine LABELS threads TIMEOUT 300)
