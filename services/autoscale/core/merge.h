/* Readings of many members, as they came from wherever, made one sample of a minute. Pure:
 * equal readings give an equal sample, in whichever order they came.
 * Source: docs/explanation/autoscale.md. */
#ifndef AUTOSCALE_MERGE_H
#define AUTOSCALE_MERGE_H

#include "core/history.h"

#include "prism/arena.h"

struct autoscale_reading { /* what one source says of one member, or of the whole fleet */
    const char *member;    /* id; "": the whole fleet. Borrowed, as all strings here */
    const char *zone;      /* "" unknown */
    const char *source;    /* "redis", "prometheus cpu": whose figures these are */
    int64_t at_ms;         /* when it was measured; of a mean: the end of its time */
    int64_t received_ms;   /* when we had it, by our clock */
    /* Of autoscale_metric; NAN unknown. Of a member: backlog is its part, load is in members
     * at 100 % CPU (1: all that it can do; more may want in). */
    double value[AUTOSCALE_METRICS];
    double data_bytes; /* that a member would leave to others, without buffers; NAN unknown */
    const char *why;   /* what is unknown, and why; "" nothing */
};
/* Every value unknown, every string "". */
struct autoscale_reading autoscale_reading_unknown(void);

/* What was not taken as it came, each counted in the minute that it is about. */
enum autoscale_oddity {
    AUTOSCALE_ODD_LATE,      /* came when its minute had long been closed: ignored */
    AUTOSCALE_ODD_FUTURE,    /* measured after it came, more than clocks differ: ignored */
    AUTOSCALE_ODD_DUPLICATE, /* same member, source and time again: what came first stays */
    AUTOSCALE_ODD_UNORDERED, /* came after a later one of its source: taken all the same */
    AUTOSCALE_ODD_NEGATIVE,  /* a value below 0: unknown */
    AUTOSCALE_ODD_TOO_LARGE, /* over 1e15, or a percentage over 110: unknown */
    AUTOSCALE_ODD_EMPTY,     /* no value that is known: as if it had not come */
    AUTOSCALE_ODD_STRANGER,  /* of a member that is none (booting, leaving, gone): ignored */
    AUTOSCALE_ODDITIES
};
const char *autoscale_oddity_name(enum autoscale_oddity o); /* "late", "future", ... */

enum {
    AUTOSCALE_LATE_MS = 180000, /* a minute is closed so long after its end */
    AUTOSCALE_AHEAD_MS = 5000   /* clocks of members may be ahead so much */
};

struct autoscale_merge {
    int64_t end_ms; /* of the minute, a multiple of 60,000; it begins just after the one before */
    int64_t now_ms;
    const struct autoscale_reading *reading; /* [readings], in any order */
    size_t readings;
    const char *const *expected; /* [members] in service, whose figures count; none: nobody
                                    knows, whoever reports is one */
    size_t members;
};

struct autoscale_merged {
    bool measured; /* false: nobody said anything of this minute; there is no sample */
    struct autoscale_sample sample;
    size_t taken, odd[AUTOSCALE_ODDITIES];
};

/* A member's figure is the mean of its readings in the minute (backlog: the last), the
 * fleet's is the mean of its members'; backlog and load are sums, with the silent taken to be
 * like the others. A reading of the whole fleet stands above its members'. scratch is used
 * meanwhile. PR_EINVAL: end_ms is no end of a minute. PR_ECONFLICT: the minute is not over
 * (a clock that went back, perhaps). PR_ENOMEM. */
PR_CHECKED enum pr_code autoscale_merge(const struct autoscale_merge *in, struct pr_arena *scratch,
                                        struct autoscale_merged *out, struct pr_err *err);

/* The same minute, member by member: id, figures (means of the minute), metric_at_ms of the
 * newest reading and metric_window_ms; the rest is the caller's to fill. Sorted by id, in the
 * arena; who said nothing is not among them. Ids are the readings' own. */
PR_CHECKED enum pr_code autoscale_merge_members(const struct autoscale_merge *in,
                                                struct pr_arena *arena,
                                                struct autoscale_member **member, size_t *n,
                                                struct pr_err *err);

struct autoscale_due { /* minutes to be merged, by their ends; none when first > last */
    int64_t first_ms, last_ms;
};
enum { AUTOSCALE_CATCH_UP = 60 }; /* minutes that one turn merges at most, the newest */

/* done_ms: the newest minute that was merged, 0 none; behind it nothing is due (core/clock.h).
 * Minutes that are still open for late readings are due again. settle_ms: so long after a minute's
 * end its readings are awaited. */
struct autoscale_due autoscale_merge_due(int64_t done_ms, int64_t now_ms, int64_t settle_ms);

#endif
