prism_test(property/placement_capacity SOURCES ${T}/placement_capacity_test.c LINK placement_metis)
prism_test(property/placement_real SOURCES ${T}/placement_real_test.c LINK placement_metis prism_graph)
