/* Holds back the streams of shards that give slots away: a thread that reads dr_gives, asks takers'
 * primaries where they are, and lets pass what the bucket has all takers for (core/gate.h). One
 * for all groups of a replica. */
#ifndef DR_GATE_IO_H
#define DR_GATE_IO_H

#include "io/group.h"
#include "io/store.h"

struct dr_gates;

struct dr_gates_options { /* borrowed */
    const char *db_uri;
    const struct dr_config *cfg;
    const struct dr_store *store;
    struct dr_sources *sources;
    struct dr_group *const *group; /* [groups] */
    size_t groups;
};
PR_CHECKED enum pr_code dr_gates_start(struct dr_gates **out, const struct dr_gates_options *o,
                                       struct pr_err *err);
void dr_gates_stop(struct dr_gates *g);    /* before the groups end: nothing passes any more */
void dr_gates_close(struct dr_gates *g);   /* after they ended; NULL is fine, for all three */
void dr_gates_changed(struct dr_gates *g); /* more is durable */

#endif
