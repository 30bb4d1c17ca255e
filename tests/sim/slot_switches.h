/* The rules of moving a slot, each with a switch that takes it out. Without the last two nothing
 * was found to go wrong here: they are against nodes that do not hear of a claim for longer than a
 * vote takes, and here whoever is up does. Two have no switch: fencing a MIGRATE on a node that was
 * voted out, and deleting a former scheduler's user. What they keep out can only bring back a key
 * that a client deleted, and clients delete nothing here. */
#ifndef PRISM_SIM_SLOT_SWITCHES_H
#define PRISM_SIM_SLOT_SWITCHES_H

#include <stdbool.h>

enum slot_rule {
    SLOT_CLAIM_EMPTY,     /* NODE on the taker only once the giver has no key */
    SLOT_CLAIM_BUMPS,     /* the taker's NODE takes a new epoch */
    SLOT_OUTBID,          /* the taker knows the giver's epoch before it claims */
    SLOT_CURE,            /* an importing taker is told of a promoted giver */
    SLOT_REOPEN,          /* marks are looked at again after a change of roles */
    SLOT_SETTLE,          /* no handoff before live replicas have heard of the last DEL */
    SLOT_WAIT_BATCH,      /* the taker's replicas have a batch before the giver deletes it */
    SLOT_RESOLVE,         /* compare what is on both sides */
    SLOT_GIVER_RECORDED,  /* on which primary the slot was opened outlives the scheduler */
    SLOT_GIVER_EPOCH,     /* with the epoch of its election: it may be voted out and in again */
    SLOT_FLIGHT_RECORDED, /* and so do the keys in flight */
    SLOT_UNCERTAIN,       /* a MIGRATE that failed may have left the giver serving: no gap then */
    SLOT_FIRST_PROMOTED,  /* leftovers are older than the first fail-over since the opening */
    SLOT_REIGNS,          /* two fail-overs between two looks are not one */
    SLOT_GAP_WATCHED,     /* and only after one fail-over, seen by who judges */
    SLOT_GAP_AT_DECISION, /* whether writes in the gap can count is asked when a copy is dropped */
    SLOT_CUT_KEPT,        /* of a MIGRATE that the giver never answered its copies count when an old
                             one is among them */
    SLOT_CUT_ORDER,       /* that went before */
    SLOT_CUT_UNUSED,      /* and the taker's are unused */
    SLOT_CUT_FRESH,       /* and no key of it was compared and changed before */
    SLOT_IDLE_NOTED,      /* a node that had a child process since does not know who used a key */
    SLOT_PRINT_INHERITED, /* a print says nothing of a source that did not inherit the printed state
                           */
    SLOT_PRINT_COVERS,    /* an unwritten copy at the target gives way to one that has all of it */
    SLOT_CLIENTS_CUT,     /* who waits for a copy that is dropped is cut off */
    SLOT_WAIT_UNION,      /* the taker's replicas have a union before the giver's copy goes */
    SLOT_WAIT_RESOLVED,   /* replicas have heard of all that before it counts as compared */
    SLOT_DEADLINE,        /* a SETSLOT that comes too late refuses itself */
    SLOT_TURN,            /* who goes back gives the slot away first */
    SLOT_UNTURNED,        /* a source that failed over before that counts as failed over */
    SLOT_TARGET_CLOSED_FIRST, /* a cancel closes the target before the source */
    SLOT_AGREED,              /* done only when everybody says so */
    SLOT_REPLICAS_AGREE,      /* replicas among them */
    SLOT_DISSENT_BUMPS,       /* lasting dissent makes the owner take a new epoch */
    SLOT_EPOCH_ABOVE,         /* and the owner's epoch is above the giver's */
    SLOT_RULES
};

extern bool slot_off[SLOT_RULES];

#define RULE(rule) (!slot_off[SLOT_##rule])

#endif
