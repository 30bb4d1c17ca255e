# Slots move under faults. fault/slots: each fault once. slow/slots: as often as it
# takes to trust it; only run when asked for (./dev test slow, ctest -C slow). Alone, too, are those
# in which source and scheduler go: who comes after both judges by when copies were used, and on a
# machine that is busy with other tests that is not known in time any more, so a person is asked.
add_library(test_fault_slots_cut MODULE ${T}/slots_cut.c)
target_link_libraries(test_fault_slots_cut PRIVATE prism_flags)
prism_test(fault/slots SOURCES ${T}/slots_test.c ${T}/slots_nodes.c ${T}/slots_pause.c ${T}/slots_service.c
        ${T}/slots_limits.c ${T}/slots_strike.c ${T}/slots_scene.c ${T}/slots_clients.c
        ${T}/slots_keys.c ${T}/slots_cluster.c ${T}/slots_batch.c
    LINK prism_it prism_dataplane_io prism_io prism_proto FIXTURE stack3 TIMEOUT 600
    ARGS "but=*source*_and_*")
target_compile_definitions(test_fault_slots PRIVATE
    SLOTS_CUT_LIBRARY="$<TARGET_FILE:test_fault_slots_cut>")
add_dependencies(test_fault_slots test_fault_slots_cut prism-rebalance)
prism_wanted(fault "" wanted)
if(wanted)
    set(test ${PRISM_TEST_PREFIX}slow.slots)
    add_test(NAME ${test} CONFIGURATIONS slow COMMAND test_fault_slots kills=20 strikes=5)
    set_tests_properties(${test} PROPERTIES LABELS slow TIMEOUT 3600)
    prism_test_needs(${test} servers stack3)
else()
    set_target_properties(test_fault_slots_cut PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
