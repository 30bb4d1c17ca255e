foreach(name placement placement_ask)
    prism_test(integration/${name} SOURCES ${T}/${name}_test.c ${T}/placement_stage.c
        LINK prism_it prism_io prism_proto prism_graph FIXTURE stack TIMEOUT 180)
    add_dependencies(test_integration_${name} prism-placement)
endforeach()
