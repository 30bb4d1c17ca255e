prism_test(integration/cluster SOURCES ${T}/cluster_test.c
    LINK prism_it prism_dataplane_io FIXTURE stack)
foreach(name load workload)
    prism_test(integration/${name} SOURCES ${T}/${name}_test.c ${T}/dp_tools.c
        LINK prism_it prism_dataplane_io FIXTURE stack)
    add_dependencies(test_integration_${name} prism-load prism-workload)
endforeach()
