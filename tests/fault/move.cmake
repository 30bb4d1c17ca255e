prism_test(fault/move SOURCES ${T}/move_test.c LINK prism_it prism_dataplane_io
    FIXTURE stack3 TIMEOUT 300)
