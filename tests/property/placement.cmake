prism_test(property/placement_capacity SOURCES ${T}/placement_capacity_test.c LINK placement_engine)
