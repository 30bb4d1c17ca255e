# The simulator runs the cores as shipped (protocol) and, for the regressions,
# the same sources compiled so that a rule can be taken out.
set(simulator ${T}/model.c ${T}/shard.c ${T}/world.c ${T}/mover_actor.c ${T}/client_actor.c
    ${T}/oracle.c)
set(core ${CMAKE_SOURCE_DIR}/common/dataplane/core)

prism_test(sim/protocol SOURCES ${T}/protocol_test.c ${simulator} LINK prism_dataplane
    TIMEOUT 300)
target_include_directories(test_sim_protocol PRIVATE ${T})

# Shards of such a history cut at different offsets, and what dr makes of them.
set(reconcile)
if(PRISM_SANITIZE) # touches all of the code, too
    set(reconcile 1 12500)
endif()
prism_test(sim/reconcile SOURCES ${T}/reconcile_test.c ${simulator} LINK prism_dataplane dr_core
    ARGS ${reconcile} TIMEOUT 300)
target_include_directories(test_sim_reconcile PRIVATE ${T} ${CMAKE_SOURCE_DIR}/services/dr)

prism_test(sim/regressions SOURCES ${T}/regressions_test.c ${simulator}
    ${core}/mover.c ${core}/client.c LINK prism_base TIMEOUT 300)
target_include_directories(test_sim_regressions PRIVATE ${T} ${core}
    ${CMAKE_SOURCE_DIR}/common/dataplane)
target_compile_definitions(test_sim_regressions PRIVATE PRISM_SIM_RULES)

# The state machine of a slot's move, as shipped, over a model of the cluster.
set(slot_simulator ${T}/slot_model.c ${T}/slot_world.c ${T}/slot_scheduler.c ${T}/slot_keys.c
    ${T}/slot_client.c)
# Under a sanitizer the random runs touch all of the code; pairs and rules look for more
# orders of events, which the release build does ten times faster.
if(PRISM_SANITIZE)
    prism_test(sim/slot SOURCES ${T}/slot_test.c ${slot_simulator} LINK rebalance_core
        ARGS 1 60000 no-pairs TIMEOUT 300)
else()
    prism_test(sim/slot SOURCES ${T}/slot_test.c ${slot_simulator} LINK rebalance_core TIMEOUT 300)
    prism_test(sim/slot_rules SOURCES ${T}/slot_rules_test.c ${slot_simulator} LINK rebalance_core
        TIMEOUT 300)
    target_include_directories(test_sim_slot_rules PRIVATE ${T})
endif()
target_include_directories(test_sim_slot PRIVATE ${T})

# Shards that give slots away while dr ships them; the rules as shipped.
if(PRISM_SANITIZE)
    prism_test(sim/gate SOURCES ${T}/gate_test.c LINK dr_core ARGS 1 5000 TIMEOUT 300)
else()
    prism_test(sim/gate SOURCES ${T}/gate_test.c LINK dr_core TIMEOUT 300)
endif()
target_include_directories(test_sim_gate PRIVATE ${CMAKE_SOURCE_DIR}/services/dr)
