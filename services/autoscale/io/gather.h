/* Figures of a fleet: its sources are asked in time, what they say is stored, minutes that are
 * over are merged. By who holds the lease. */
#ifndef AUTOSCALE_GATHER_H
#define AUTOSCALE_GATHER_H

#include "io/fleets.h"

#include "prism/io/lease.h"
#include "prism/io/service.h"
#include "prism/web/aws_keys.h"

enum { AUTOSCALE_GATHER_OFTEN, AUTOSCALE_GATHER_MINUTELY, AUTOSCALE_GATHER_RHYTHMS };
struct autoscale_gather { /* of one fleet; zeroed: nothing yet */
    struct autoscale_redis_memory redis;
    int64_t asked_ms[AUTOSCALE_GATHER_RHYTHMS]; /* fleet's time of the last try; 0 never */
    int64_t good_ms[AUTOSCALE_GATHER_RHYTHMS];  /* and of the last one that went well */
    char said[AUTOSCALE_SOURCES][120];          /* what was logged last */
    int64_t merged_ms; /* end of the newest minute that was merged; 0: not known yet */
    bool waits;        /* for the clock: looked at again when looked_ms is a while ago */
    int64_t looked_ms;
};
void autoscale_gather_done(struct autoscale_gather *g);

struct autoscale_gather_ctx {
    struct pr_service *svc;
    const struct autoscale_config *cfg;
    struct pr_db *db;            /* the thread's */
    struct pr_aws_keyring *ring; /* opened when first needed; NULL */
};

/* Asks those whose time has come and stores what they say. What goes wrong with one is logged
 * and counted; an error is of the database. */
PR_CHECKED enum pr_code autoscale_gather_turn(struct autoscale_gather *g,
                                              struct autoscale_gather_ctx *ctx,
                                              const struct autoscale_fleet_row *fleet,
                                              int64_t now_ms, struct pr_err *err);

/* A minute is over that was not merged yet, or our clock is behind those that were: it is worth to
 * look what else is known. */
bool autoscale_gather_due(struct autoscale_gather *g, const struct autoscale_fleet_row *fleet,
                          int64_t now_ms);

/* Merges the minutes that are due. expected[members]: whose figures count; none: whoever
 * reports. *newest_ms: the end of the newest minute that can be decided for; 0: none is new. */
PR_CHECKED enum pr_code
autoscale_gather_merge(struct autoscale_gather *g, struct autoscale_gather_ctx *ctx,
                       const struct pr_lease *lease, const struct autoscale_fleet_row *fleet,
                       const char *const *expected, size_t members, int64_t now_ms,
                       int64_t *newest_ms, struct pr_err *err);

#endif
