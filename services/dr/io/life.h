/* What goes on regularly, on the one replica that holds the lease dr-life, in a thread of its own:
 * drills when they are due or asked for, deleting what may go, reading everything that stays. */
#ifndef DR_LIFE_H
#define DR_LIFE_H

#include "io/store.h"

struct dr_life;

struct dr_life_options { /* borrowed */
    const char *db_uri, *holder;
    const struct dr_config *cfg;
    const struct dr_store *store;
    const char *home; /* as of io/retention.h */
    struct pr_metrics *metrics;
};
PR_CHECKED enum pr_code dr_life_start(struct dr_life **out, const struct dr_life_options *o,
                                      struct pr_err *err);
void dr_life_stop(struct dr_life *l); /* ends what is under way; NULL is fine */

#endif
