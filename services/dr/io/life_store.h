/* What goes on regularly, in PostgreSQL: drills that are asked for and held, what reading the
 * bucket found, where the scrub is. Writes are under the lease; PR_EFENCED: it is not ours any
 * more. */
#ifndef DR_LIFE_STORE_H
#define DR_LIFE_STORE_H

#include "io/drill.h"
#include "io/life_db.h"
#include "io/retention.h"

struct dr_life_row { /* times in Unix ms; 0: never */
    int64_t drills_ms, retained_ms, scrub_begun_ms, scrub_ended_ms;
    int64_t good_drill_ms; /* when the last good one ended; else when all this began */
    int64_t damaged;       /* generations */
    int64_t scrub_objects, scrub_bytes;
    char scrub_object[DR_KEY];
};
/* Makes the row when there is none. */
PR_CHECKED enum pr_code dr_life_load(const struct dr_life_db *l, struct dr_life_row *out,
                                     struct pr_err *err);

/* Drills that a replica began and did not end are queued again, but three times at most. */
PR_CHECKED enum pr_code dr_life_requeue(const struct dr_life_db *l, struct pr_err *err);
/* Queues drills of n shards (0: all) that serve slots, those first whose last one is oldest. */
PR_CHECKED enum pr_code dr_life_schedule(const struct dr_life_db *l, int64_t n, struct pr_err *err);
/* The oldest that is queued is running now; *id 0: none is. */
PR_CHECKED enum pr_code dr_life_next_drill(const struct dr_life_db *l, int64_t *id,
                                           char shard[DR_NAME], struct pr_err *err);
PR_CHECKED enum pr_code dr_life_drilled(const struct dr_life_db *l, int64_t id,
                                        const struct dr_drilled *d, struct pr_err *err);

PR_CHECKED enum pr_code dr_life_verified(const struct dr_life_db *l, const char *shard,
                                         const struct dr_generation_id *id, int64_t begun_ms,
                                         struct pr_err *err);
/* ask: a new base of the shard is wanted. */
PR_CHECKED enum pr_code dr_life_damaged(const struct dr_life_db *l, const char *shard,
                                        const struct dr_generation_id *id, const char *why,
                                        bool ask, struct pr_err *err);
/* *out: one malloc. */
PR_CHECKED enum pr_code dr_life_marks(struct pr_db *db, struct dr_mark **out, size_t *n,
                                      struct pr_err *err);

/* why: "", or what went wrong. */
PR_CHECKED enum pr_code dr_life_retained(const struct dr_life_db *l, const struct dr_retained *r,
                                         const char *why, struct pr_err *err);
PR_CHECKED enum pr_code dr_life_scrubbed(const struct dr_life_db *l, const struct dr_life_row *row,
                                         const char *why, struct pr_err *err);

#endif
