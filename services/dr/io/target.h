/* The cluster that a restore fills. While it is filled it is sealed: the function library `prism`
 * is replaced by one of the same name whose every function answers RESTORING, so that whoever uses
 * the store is refused, the start-up check of every program that uses it fails, and nothing is
 * loaded over it by mistake but by who loads it on purpose. Functions are replicated and are in
 * the servers' files: the seal stays over fail-overs, restarts, and the death of who restores. */
#ifndef DR_TARGET_H
#define DR_TARGET_H

#include "core/generation.h"

#include "prism/buf.h"
#include "prism/io/redis.h"

struct dr_target {
    const char *seeds; /* borrowed, as auth */
    const struct pr_redis_auth *auth;
    struct pr_cluster *cluster;
    struct pr_redis **primary; /* [primaries] that own slots: connections of the cluster's */
    size_t primaries;
    uint64_t keys; /* on all of them */
    bool sealed;   /* every one: what it holds is of a restore that failed */
};

/* PR_ECONFLICT: it is not fit to be filled (slots without owner or moving, a primary that failed,
 * settings), naming what. */
PR_CHECKED enum pr_code dr_target_open(struct dr_target *t, const char *seeds,
                                       const struct pr_redis_auth *auth, struct pr_err *err);
void dr_target_close(struct dr_target *t); /* zeroed is fine */

/* Seals every primary, and then deletes every key. */
PR_CHECKED enum pr_code dr_target_empty(struct dr_target *t, struct pr_err *err);
/* The functions of a restored shard as FUNCTION DUMP has them; empty: it has no library `prism`. */
PR_CHECKED enum pr_code dr_target_functions(struct pr_redis *from, struct pr_buf *out,
                                            struct pr_err *err);
/* Ends the seal: the functions become those, or the library of this build when there are none. */
PR_CHECKED enum pr_code dr_target_unseal(struct dr_target *t, const struct pr_buf *functions,
                                         struct pr_err *err);
/* Keys in every slot, as its owner says. */
PR_CHECKED enum pr_code dr_target_count(struct dr_target *t, uint32_t slot[DR_SLOTS],
                                        struct pr_err *err);

#endif
