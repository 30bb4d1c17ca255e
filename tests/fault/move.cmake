prism_test(fault/move SOURCES ${T}/move_test.c LINK prism_it prism_dataplane_io
    FIXTURE stack2 TIMEOUT 300)
