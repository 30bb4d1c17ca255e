# What goes wrong around the dr service. fault/dr, fault/dr_pg, fault/dr_region: each case once; with
# _long: more than 500 faults; only run when asked for (./dev test fault, ./dev test slow), as is
# fault/dr_region, in which every round is a fail-over of a region.
set(stage ${T}/../integration)
add_library(test_fault_dr_clock MODULE ${T}/dr_clock.c)
if(NOT PRISM_SANITIZE) # it comes before a sanitizer's own library
    target_link_libraries(test_fault_dr_clock PRIVATE prism_flags)
endif()
prism_test(fault/dr SOURCES ${T}/dr_test.c ${T}/dr_table.c ${T}/dr_scene.c ${T}/dr_bucket_cases.c
        ${T}/dr_kill_cases.c ${T}/dr_source_cases.c ${T}/dr_object_cases.c ${T}/dr_whole_cases.c
        ${stage}/dr_stage.c ${stage}/dr_ledger.c ${stage}/dr_bucket.c ${stage}/dr_restore_stage.c
        ${stage}/rebalance_stage.c
    LINK prism_it prism_s3 prism_dataplane_io prism_io prism_proto prism_base
    FIXTURE stack3 s3 TIMEOUT 600)
target_include_directories(test_fault_dr PRIVATE ${stage})
target_compile_definitions(test_fault_dr PRIVATE DR_CLOCK_LIBRARY="$<TARGET_FILE:test_fault_dr_clock>")
add_dependencies(test_fault_dr test_fault_dr_clock prism-dr prism-rebalance)
prism_test(fault/dr_pg SOURCES ${T}/dr_pg_test.c ${T}/dr_table.c ${stage}/dr_pg_stage.c
        ${stage}/dr_pg_relay.c LINK prism_it prism_base FIXTURE stack s3 TIMEOUT 600)
target_include_directories(test_fault_dr_pg PRIVATE ${stage})
add_dependencies(test_fault_dr_pg prism-dr)
prism_test(fault/dr_region SLOW SOURCES ${T}/dr_region_test.c ${T}/dr_table.c
        ${stage}/dr_region_stage.c ${stage}/dr_ledger.c ${stage}/dr_restore_stage.c
        ${stage}/dr_stage.c ${stage}/rebalance_stage.c
    LINK prism_it prism_dataplane_io prism_io prism_proto prism_base FIXTURE stack s3 TIMEOUT 900)
target_include_directories(test_fault_dr_region PRIVATE ${stage})
add_dependencies(test_fault_dr_region prism-dr prism-rebalance)
prism_wanted(fault "" wanted)
if(wanted)
    foreach(each "dr;stack3" "dr_pg;stack" "dr_region;stack")
        list(POP_FRONT each name)
        set(test ${PRISM_TEST_PREFIX}fault.${name}_long)
        add_test(NAME ${test} CONFIGURATIONS slow fault COMMAND test_fault_${name} strikes=10)
        set_tests_properties(${test} PROPERTIES LABELS "fault;slow" TIMEOUT 5400 COST 5400)
        prism_test_needs(${test} servers ${each} s3)
    endforeach()
else()
    set_target_properties(test_fault_dr_clock PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
