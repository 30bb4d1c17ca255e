/* The newest end of what a cluster's dr ships: how far each shard goes, by the heads of the last
 * containers of every group, not by all of them. Tells; what a restore brings back decides. */
#ifndef DR_TAIL_H
#define DR_TAIL_H

#include "core/keys.h"

#include "prism/s3/s3.h"

struct dr_tail_shard {
    char shard[DR_NAME];
    char replid[DR_REPLID]; /* of its newest piece */
    uint64_t to;
    int64_t last_ms; /* arrival of its last byte */
};
struct dr_tail {                 /* zeroed to begin with; dr_tail_done */
    struct dr_tail_shard *shard; /* [shards] that were in those containers */
    size_t shards, room;
    struct {
        char name[DR_NAME], after[DR_KEY];
    } * group;
    size_t groups;
};
/* What came since the last time; the first time: up to 64 containers of each group. */
PR_CHECKED enum pr_code dr_tail_read(struct dr_tail *t, struct pr_s3 *s3, const char *cluster,
                                     struct pr_err *err);
void dr_tail_done(struct dr_tail *t);
const struct dr_tail_shard *dr_tail_find(const struct dr_tail *t, const char *shard);
/* Some shard has that history, up to there at least. */
bool dr_tail_reaches(const struct dr_tail *t, const char *replid, uint64_t offset);

#endif
