/* What the files of repair share. */
#ifndef REBALANCE_REPAIR_PRIVATE_H
#define REBALANCE_REPAIR_PRIVATE_H

#include "core/fleet/repair.h"
#include "io/fleet/duties_links.h"
#include "io/fleet/repair.h"

struct repair_primary { /* one that is alive */
    char id[PR_NODE_ID], host[PR_HOST];
    int port;
    struct rebalance_view *view;
    uint32_t *keys;       /* [REBALANCE_SLOTS] */
    struct pr_redis *act; /* as the fleet user; opened when needed */
};

struct repair {
    const struct rebalance_duty_ctx *ctx;
    struct rebalance_repair_report *report;
    struct pr_arena arena;       /* of the last look */
    struct repair_primary *p;    /* [n] */
    struct rebalance_witness *w; /* [n] */
    struct rebalance_side *side; /* [n] */
    size_t n;
};

/* Views of all live primaries, and how many keys each has of the slots (NULL: all).
 * Connections are closed. */
PR_CHECKED enum pr_code repair_look(struct repair *r, const uint8_t *slots, struct pr_err *err);
void repair_done(struct repair *r);
/* Slots that a plan of ours is moving. */
PR_CHECKED enum pr_code repair_busy(const struct repair *r, uint8_t busy[2048], struct pr_err *err);

/* Carries out one decision. *left: "" or why the slot cannot be mended now. */
PR_CHECKED enum pr_code repair_act(struct repair *r, int slot, const struct rebalance_mend *m,
                                   char *left, size_t size, struct pr_err *err);

struct repair_side_of { /* a primary, and whether the slot is being imported there */
    struct repair_primary *node;
    bool asking;
};
/* Moves every key of the slot that may move; a key that is on both sides goes from
 * `from` when both are the same. *left as above: names a key that stayed. */
PR_CHECKED enum pr_code repair_drain(struct repair *r, int slot, struct repair_side_of from,
                                     struct repair_side_of to, char *left, size_t size,
                                     struct pr_err *err);
/* What the primary has written so far is at every replica in step with it. takes: keys
 * go there. PR_EUNAVAIL: not yet, or who takes keys has no replica and that was not allowed. */
PR_CHECKED enum pr_code repair_settle(struct repair *r, struct repair_primary *p, bool takes,
                                      struct pr_err *err);
/* The connection of the fleet user. */
PR_CHECKED enum pr_code repair_conn(struct repair *r, struct repair_primary *p,
                                    struct pr_redis **conn, struct pr_err *err);
void repair_cut(struct repair_primary *p); /* closes it: answers may be under way */

#endif
