/* The rules of the protocol that live outside the cores, each with a switch
 * that takes it out (those inside: common/dataplane/core/rules.h). */
#ifndef PRISM_SIM_SWITCHES_H
#define PRISM_SIM_SWITCHES_H

#include <stdbool.h>

enum sim_rule {
    /* of the functions */
    SIM_TAKE_REFUSES_OLDER,   /* take: _e > E is refused */
    SIM_FENCE_CHECKS_VERSION, /* fence: _v = v */
    SIM_FENCE_CHECKS_EPOCH,   /* fence: _e = E */
    SIM_PROMOTE_KEEPS_VERTEX, /* promote: never over LIVE or over a STUB of E or newer */
    SIM_ROUTE_KEEPS_LIVE,
    SIM_ROUTE_KEEPS_NEWER,
    SIM_WRITE_NEVER_CREATES,
    SIM_DELETE_LEAVES_TOMBSTONE,
    SIM_CLAIM_SEES_VERTEX, /* the claim is in the vertex's own key */
    SIM_CREATE_KEEPS_STUB,
    /* of those who call them */
    SIM_STAGING_BY_EPOCH,     /* the staging key's name holds E */
    SIM_FRESH_EPOCH,          /* a new attempt has a new E */
    SIM_WAIT_SAME_CONNECTION, /* WAIT on the connection that executed the fact */
    SIM_WAIT_STAGED,
    SIM_WAIT_FENCED,
    SIM_WAIT_PROMOTED,
    SIM_WAIT_ROUTED,
    SIM_WAIT_CANCELED,
    SIM_WAIT_CLAIM_MADE,
    SIM_WAIT_CLAIM_FOUND,
    SIM_RECORD_UNDER_LEASE, /* no command without its record under the newest lease */
    SIM_SWEEP_UNDER_LEASE,
    SIM_SWEEP_ONLY_AT_END,
    SIM_RULES
};

extern bool sim_off[SIM_RULES];

#define ON(rule) (!sim_off[SIM_##rule])

#endif
