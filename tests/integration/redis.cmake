prism_test(integration/cluster SOURCES ${T}/cluster_test.c LINK prism_it prism_dataplane_io
    FIXTURE stack)
