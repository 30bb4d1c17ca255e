/* Samples and readings in PostgreSQL, in time partitions. Whatever is written again changes
 * nothing, or is replaced by what is newer.
 * Source: migrations, autoscale_samples and autoscale_readings. */
#ifndef AUTOSCALE_SAMPLES_H
#define AUTOSCALE_SAMPLES_H

#include "core/merge.h"

#include "prism/io/db.h"
#include "prism/io/lease.h"

#include <math.h>

enum {
    AUTOSCALE_READING_PAST_MS = 3600000, /* older ones are not stored: nobody merges them */
    AUTOSCALE_READING_AHEAD_MS = 600000  /* nor those further ahead of our clock */
};

/* NAN for NULL. */
static inline double autoscale_cell_real(const PGresult *r, int row, int col)
{
    return pr_cell(r, row, col) == NULL ? NAN : pr_cell_real(r, row, col);
}

struct autoscale_retention {
    int64_t samples_days;   /* 7 at least */
    int64_t readings_hours; /* 2 at least */
};

/* Makes the partitions around now_ms (a week and some hours ahead) and drops those that are
 * older than wanted. To be called before anything is stored and then every few minutes.
 * *dropped: partitions. */
PR_CHECKED enum pr_code autoscale_partitions_keep(struct pr_db *db, int64_t now_ms,
                                                  const struct autoscale_retention *keep,
                                                  int *dropped, struct pr_err *err);

/* Stores minutes that were measured (others are skipped), in one transaction under the lease.
 * A minute that is there stays, unless it was merged before merged_ms. */
PR_CHECKED enum pr_code autoscale_samples_put(struct pr_db *db, const struct pr_lease *lease,
                                              const char *fleet, int64_t merged_ms,
                                              const struct autoscale_merged *minute, size_t n,
                                              struct pr_err *err);
/* Those in (from_ms, to_ms], oldest first, in the arena. */
PR_CHECKED enum pr_code autoscale_samples_load(struct pr_db *db, struct pr_arena *arena,
                                               const char *fleet, int64_t from_ms, int64_t to_ms,
                                               struct autoscale_sample **sample, size_t *n,
                                               struct pr_err *err);
/* Ends of the oldest and the newest of them; 0 and 0: none. */
PR_CHECKED enum pr_code autoscale_samples_range(struct pr_db *db, const char *fleet,
                                                int64_t from_ms, int64_t to_ms, int64_t *oldest_ms,
                                                int64_t *newest_ms, struct pr_err *err);
/* End of the newest minute that is stored; 0: none. */
PR_CHECKED enum pr_code autoscale_samples_newest(struct pr_db *db, const char *fleet,
                                                 int64_t *at_ms, struct pr_err *err);

struct autoscale_put {
    size_t stored;
    size_t again;   /* they were there */
    size_t refused; /* too old, or too far ahead */
};
/* Any replica may store readings: they are facts, not decisions. The first one of a member,
 * source and time stays. PR_ENOTFOUND: no such fleet. PR_EUNAVAIL: there is no partition for
 * them (yet). */
PR_CHECKED enum pr_code autoscale_readings_put(struct pr_db *db, const char *fleet, int64_t now_ms,
                                               const struct autoscale_reading *reading, size_t n,
                                               struct autoscale_put *out, struct pr_err *err);
/* Those whose time is in (from_ms, to_ms], in the arena, strings too. To merge a minute, load
 * up to AUTOSCALE_READING_AHEAD_MS behind its end: those from the future are counted when they
 * came. */
PR_CHECKED enum pr_code autoscale_readings_load(struct pr_db *db, struct pr_arena *arena,
                                                const char *fleet, int64_t from_ms, int64_t to_ms,
                                                struct autoscale_reading **reading, size_t *n,
                                                struct pr_err *err);

#endif
