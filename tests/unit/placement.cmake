foreach(name graph store balance match assign report explain hint run)
    prism_test(unit/placement_${name} SOURCES ${T}/placement_${name}_test.c LINK placement_core)
endforeach()
prism_test(unit/placement_metis SOURCES ${T}/placement_metis_test.c LINK placement_engine)
