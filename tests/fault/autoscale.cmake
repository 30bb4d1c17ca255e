set(stage ${T}/../integration)
prism_test(fault/autoscale SOURCES ${T}/autoscale_test.c ${stage}/autoscale_service_stage.c
    LINK prism_it prism_io FIXTURE stack TIMEOUT 400)
target_include_directories(test_fault_autoscale PRIVATE ${stage})
add_dependencies(test_fault_autoscale prism-autoscale)
