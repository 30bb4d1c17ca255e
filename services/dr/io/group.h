/* A group of shards whose streams share containers: holds the lease of the group, runs a thread a
 * shard, and writes what they bring to the bucket, one container after another.
 *
 * While PostgreSQL is away it goes on writing under the epoch that it has: should another replica
 * lead meanwhile, everybody takes that one's newer epoch for the truth (core/chain.h). It does not
 * say then that anything is durable, and begins no generation. */
#ifndef DR_GROUP_H
#define DR_GROUP_H

#include "io/region/guard.h"
#include "io/shard.h"

#include "prism/io/tenure.h"

struct dr_group;

struct dr_group_options { /* borrowed */
    uint32_t number, groups;
    const char *db_uri, *holder;
    const struct dr_config *cfg;
    const struct pr_s3_store *store;
    const struct dr_codec *codec;
    struct dr_sources *sources;
    struct pr_metrics *metrics;
    struct dr_guard *guard; /* NULL: no owner is looked at */
    /* More is durable, or who leads has changed; from the group's thread. */
    void (*changed)(void *ctx);
    void *ctx;
};
PR_CHECKED enum pr_code dr_group_start(struct dr_group **out, const struct dr_group_options *o,
                                       struct pr_err *err);
void dr_group_stop(struct dr_group *g); /* what has arrived is packed first; NULL is fine */

/* How far a shard is durable. False: it is not one of ours, we do not lead for certain, or another
 * site owns the store. */
bool dr_group_durable(struct dr_group *g, const char *shard, struct dr_shard_status *out);

bool dr_group_leads(struct dr_group *g);
/* The lease that it leads under. False: it does not. */
bool dr_group_lease(struct dr_group *g, struct pr_lease *out);
/* Every shard of it that is followed, under a lock of the group's. each returns whether there may
 * be something to pack. */
void dr_group_shards(struct dr_group *g, bool (*each)(void *ctx, struct dr_shard *s), void *ctx);

/* Every shard of it, as long as we lead, its alarms looked at anew: each(ctx, name, status), under
 * a lock of the group's. Once a second. *trouble: what the bucket said last, "" while it takes what
 * it is sent. */
enum { DR_TROUBLE = 160 };
void dr_group_each(struct dr_group *g, int64_t now_ms,
                   void (*each)(void *ctx, const char *name, const struct dr_shard_status *is),
                   void *ctx, char trouble[DR_TROUBLE]);

#endif
