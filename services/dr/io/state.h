/* Where a group left off: its rows in PostgreSQL, which may be seconds old, and what came after in
 * the bucket. The bucket is the truth. */
#ifndef DR_STATE_H
#define DR_STATE_H

#include "io/shard.h"

#include "prism/io/lease.h"

struct dr_saved {
    char shard[DR_NAME];
    struct dr_position at;
    int64_t beat_ms;     /* Unix epoch; 0: none was seen */
    char group[DR_NAME]; /* whose containers have what comes behind `at` */
    int64_t begun_ms;    /* of the base, Unix epoch, when `at` comes from its manifest; 0 */
};

struct dr_state {
    uint64_t epoch;         /* ours, above all that the bucket has seen */
    struct dr_saved *shard; /* [shards], those that were asked for, by name; owned */
    size_t shards;
};

struct dr_taking { /* borrowed */
    struct pr_db *db;
    struct pr_s3 *s3;
    const struct pr_s3_store *store;
    const struct dr_codec *codec; /* that goes on with it */
    const atomic_bool *cancel;
    const struct pr_lease *lease;
    const char *cluster, *group;
    uint32_t groups;             /* that shards are divided into */
    const char (*name)[DR_NAME]; /* [names] the shards of the group, sorted */
    size_t names;
};
/* Takes a new epoch under the lease, and learns where the shards of the group are: at the newest
 * generation of which the bucket has a manifest, as far as its pieces lead. A shard whose newest
 * generation has no manifest begins anew: whoever was about to write it may do so yet. So does one
 * that was written under another key: no key would bring all of it back.
 * PR_EFENCED: the lease is not ours any more. PR_ECONFLICT: somebody leads a group with another
 * number of groups, so a shard would be in two. */
PR_CHECKED enum pr_code dr_state_take_over(const struct dr_taking *t, struct dr_state *out,
                                           struct pr_err *err);
void dr_state_done(struct dr_state *st);
/* Its part (state_key.c): those that cannot be gone on with under our key begin anew. */
PR_CHECKED enum pr_code dr_state_keys(const struct dr_taking *t, struct dr_state *st,
                                      struct pr_err *err);

/* What the group knows now: printed while its shards stand still, saved when they need not, in one
 * transaction under the lease. */
struct dr_report {
    const char *group;
    uint64_t epoch, seq; /* of the last container that is durable; seq UINT64_MAX: none yet */
    const char *trouble; /* with the bucket; "" */
};
void dr_state_print(struct pr_buf *json, struct dr_shard *s); /* appends to a list */
PR_CHECKED enum pr_code dr_state_save(struct pr_db *db, const struct pr_lease *lease,
                                      const struct dr_report *r, const char *json,
                                      struct pr_err *err);

/* Of what was printed, how old what is durable was at most. Apart, so that it is in nobody's way:
 * nothing but a chart depends on it. */
PR_CHECKED enum pr_code dr_state_keep_ages(struct pr_db *db, const struct pr_lease *lease,
                                           const char *json, struct pr_err *err);

/* Why a group is led by nobody. */
PR_CHECKED enum pr_code dr_state_complain(struct pr_db *db, const struct pr_lease *lease,
                                          const char *group, uint32_t groups, const char *why,
                                          struct pr_err *err);

#endif
