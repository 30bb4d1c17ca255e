foreach(name cluster create load workload)
    prism_test(integration/${name} SOURCES ${T}/${name}_test.c ${T}/dp_tools.c
        LINK prism_it prism_dataplane_io FIXTURE stack LABELS threads TIMEOUT 300)
endforeach()
foreach(name load workload)
    add_dependencies(test_integration_${name} prism-load prism-workload)
endforeach()
prism_test(integration/cluster_ask SOURCES ${T}/cluster_ask_test.c LINK prism_io LABELS threads)
