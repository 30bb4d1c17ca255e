/* Restores of all shards into a cluster that somebody asked for by a row of dr_cluster_restores:
 * the one replica that holds dr-life carries them out, one after another, in a thread of its own.
 *
 * What is about to be done to the target is in the row before it is done, under the lease. So when
 * the replica dies, or loses the lease, another one begins again, and knows: a target that it finds
 * sealed holds what a restore left half-done; one that was to be unsealed, and is, is done, and may
 * be written to by now: it is left alone. */
#ifndef DR_ORDERS_H
#define DR_ORDERS_H

#include "io/life_db.h"
#include "io/store.h"

#include <stdatomic.h>

struct dr_work; /* a restore under way */

struct dr_orders { /* the first three: set by the owner, borrowed; the rest zeroed */
    const struct dr_config *cfg;
    const struct dr_store *store;
    const char *db_uri;
    struct dr_work *work; /* NULL: none */
    atomic_bool cancel;   /* of it; may be set by any thread */
};

/* After taking the lease, with no work: those that a replica began and did not end are queued
 * again, but three times at most. */
PR_CHECKED enum pr_code dr_orders_requeue(const struct dr_life_db *l, struct pr_err *err);
/* Begins what is queued, writes down how far what is under way is, and what came of it. *busy:
 * something is under way. */
PR_CHECKED enum pr_code dr_orders_turn(struct dr_orders *o, const struct dr_life_db *l, bool *busy,
                                       struct pr_err *err);
/* Ends what is under way; its row stays as it is, for whoever leads next. */
void dr_orders_let_go(struct dr_orders *o);

#endif
