/* What to do about a slot that somebody left open, without an owner, or with keys on
 * a primary that does not serve it: from what every live primary says of it.
 * One action at a time: the caller acts, looks again, and asks again. Pure.
 * Source: docs/explanation/rebalance.md, "Repair". */
#ifndef REBALANCE_REPAIR_H
#define REBALANCE_REPAIR_H

#include "core/fleet/view.h"

/* For whom a side names: NONE nobody, DOWN a node that is known and not alive,
 * STRANGER one that no live primary knows, else the index of a side (a replica that
 * is named stands for its primary: there was a fail-over). */
enum { REBALANCE_DOWN = -2, REBALANCE_STRANGER = -3 };

struct rebalance_side { /* a live primary's word on one slot */
    int16_t owner;      /* whom it believes to serve the slot; itself: it does */
    int16_t migrating_to, importing_from;
    uint32_t keys; /* of the slot, here */
};

enum rebalance_mend_kind {
    REBALANCE_MEND_NOTHING, /* the slot is right */
    REBALANCE_MEND_CLOSE,   /* STABLE on owner (when open there), then on other */
    REBALANCE_MEND_FORWARD, /* finish the move of everything from owner to other */
    REBALANCE_MEND_BRING,   /* keys on other go to owner; then STABLE on other */
    REBALANCE_MEND_OWN,     /* nobody serves it: owner shall */
    REBALANCE_MEND_WAIT     /* not to be decided now */
};
const char *rebalance_mend_name(enum rebalance_mend_kind k);

struct rebalance_mend {
    enum rebalance_mend_kind kind;
    int16_t owner, other; /* sides; NONE */
    const char *why;      /* static */
};

/* side[n]: every live primary. */
void rebalance_mend_slot(const struct rebalance_side *side, size_t n, struct rebalance_mend *out);

struct rebalance_witness { /* a live primary */
    const struct rebalance_view *view;
    const uint32_t *keys; /* [REBALANCE_SLOTS]; NULL: not counted */
};
/* Marks in suspect[16384 / 8] every slot that is open on a witness, not served by
 * exactly one, or has keys on a witness that does not serve it. */
void rebalance_repair_suspects(const struct rebalance_witness *w, size_t n, uint8_t suspect[2048]);
/* What the witnesses say of one slot; side[n]. */
void rebalance_repair_sides(const struct rebalance_witness *w, size_t n, int slot,
                            struct rebalance_side *side);

#endif
