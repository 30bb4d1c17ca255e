/* Restores a shard to scratch, loads it in a redis-server of its own, looks, and removes all. */
#ifndef DR_DRILL_IO_H
#define DR_DRILL_IO_H

#include "core/drill.h"
#include "io/restore.h"

struct dr_drill {
    const struct pr_s3_store *store;
    const struct dr_codec *codec;
    const atomic_bool *cancel; /* may be NULL */
    const char *cluster, *shard;
    struct dr_index *index; /* see struct dr_restore; reading it counts as time, and how old what
                             * comes back is counts from when it was read; NULL */
    const char *scratch;    /* directory that a new one is made in; short: a socket is in it */
    unsigned threads;       /* that fetch; 0: 8 */
    struct dr_drill_limits limits;
};

struct dr_drilled {
    struct dr_drill_verdict verdict;
    struct dr_restored restored; /* as far as it came */
    uint64_t loaded_keys;        /* from the base */
    uint64_t keys;               /* in the end */
    int64_t begun_ms, beat_ms;   /* Unix epoch; beat_ms 0: none came back */
    int64_t load_ms, took_ms;    /* of redis-server; of everything until it answered */
};

/* PR_OK: the drill was held, whatever came of it. PR_ECANCELED. */
PR_CHECKED enum pr_code dr_drill_hold(const struct dr_drill *d, struct dr_drilled *out,
                                      struct pr_err *err);

#endif
