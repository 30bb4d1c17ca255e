/* What an Auto Scaling group does around its policies: who waits for a cooldown, forecasts, warm
 * pools, zones, who goes first, instance refresh. What the AWS actuator talks to behaves so, and
 * what-if answers count on it. Pure.
 * Source: Amazon EC2 Auto Scaling User Guide (cooldowns, instance warm-up, predictive scaling,
 * warm pools, benefits: zones, termination policies, instance refresh with checkpoints) and API
 * Reference (PredictiveScalingConfiguration). */
#ifndef AUTOSCALE_AWS_GROUP_H
#define AUTOSCALE_AWS_GROUP_H

#include "core/vote.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- cooldown and warm-up ------------------------------------------------------------ */

enum autoscale_trigger {
    AUTOSCALE_BY_SIMPLE,
    AUTOSCALE_BY_STEP,
    AUTOSCALE_BY_TARGET,
    AUTOSCALE_BY_PREDICTIVE,
    AUTOSCALE_BY_SCHEDULE,
    AUTOSCALE_BY_HAND,        /* waits when it is asked to honor the cooldown */
    AUTOSCALE_BY_REPLACEMENT, /* of an unhealthy member */
};
bool autoscale_cooldown_waits(enum autoscale_trigger by, bool cooling, bool honor);
/* The policy's own warm-up, else the group's, else the default cooldown; -1: none. */
int64_t autoscale_warmup_of(int64_t policy_s, int64_t group_s, int64_t cooldown_s);
/* What an alarm may do while so many members warm up. */
enum autoscale_move autoscale_warmup_lets(enum autoscale_move alarm, int warming);

/* --- predictive scaling --------------------------------------------------------------- */

enum {                                         /* defaults and fixed terms */
       AUTOSCALE_FORECAST_HISTORY_H = 14 * 24, /* looked at */
       AUTOSCALE_FORECAST_LEAST_H = 24,        /* needed */
       AUTOSCALE_FORECAST_AHEAD_H = 48,
       AUTOSCALE_FORECAST_EVERY_H = 6, /* it is made anew */
       AUTOSCALE_FORECAST_STEP_H = 1,
       AUTOSCALE_FORECAST_BUFFER_S = 300, /* launched so long before (SchedulingBufferTime) */
       AUTOSCALE_FORECAST_BUFFER_MOST_S = 3600,
};
struct autoscale_forecast {
    int actual, predicted, min, max;
    bool forecast_only;  /* looks and does nothing */
    bool may_exceed_max; /* IncreaseMaxCapacity */
    double buffer_pct;   /* of what is predicted, above it */
};
/* The maximum while that is predicted. */
int autoscale_forecast_max(const struct autoscale_forecast *f);
/* Raises to what is predicted, never lowers. */
int autoscale_forecast_capacity(const struct autoscale_forecast *f);

/* --- sizes and zones ------------------------------------------------------------------- */

int autoscale_warm_pool(int max, int desired, int max_prepared, int min_size); /* -1: not set */
int autoscale_rebalance_limit(int max); /* while zones are evened: 10 % or one more */

/* Adds to the zone with the fewest, again and again; ties: the first. closed: [zones] or NULL,
 * where launches fail. Returns how many found a place. */
int autoscale_zones_launch(int *count, size_t zones, const bool *closed, int add);
/* Takes from the zone with the most that has an unprotected one. protect: [zones] or NULL. */
int autoscale_zones_terminate(int *count, size_t zones, const int *protect, int remove);

/* --- who goes first ------------------------------------------------------------------- */

enum autoscale_termination {
    AUTOSCALE_GOES_DEFAULT, /* oldest launch configuration, then template, then billing hour */
    AUTOSCALE_GOES_OLDEST_INSTANCE,
    AUTOSCALE_GOES_NEWEST_INSTANCE,
    AUTOSCALE_GOES_OLDEST_CONFIGURATION,
    AUTOSCALE_GOES_OLDEST_TEMPLATE,
    AUTOSCALE_GOES_BILLING_HOUR,
    AUTOSCALE_TERMINATIONS
};
bool autoscale_termination_parse(const char *name, enum autoscale_termination *out);

struct autoscale_leaver {
    int zone;               /* from 0 */
    bool keep;              /* protected from scale-in */
    bool by_configuration;  /* launched by a launch configuration, not a template */
    double version;         /* of it; smaller is older */
    double age;             /* larger is older; any unit */
    double to_billing_hour; /* any unit */
};
/* The next to go, of those that are left: in the zones that have the most members and an
 * unprotected one, what each policy in turn leaves; then the first. n: nobody may. */
size_t autoscale_goes_next(const struct autoscale_leaver *one, const bool *gone, size_t n,
                           const enum autoscale_termination *policy, size_t policies);

/* --- instance refresh ------------------------------------------------------------------ */

enum { AUTOSCALE_CHECKPOINTS = 32, AUTOSCALE_BATCHES = 4096 };
struct autoscale_refresh {
    int instances;
    double min_healthy_pct; /* of them; at least one is replaced at a time */
    double warmup_min, delay_min;
    double checkpoint_pct[AUTOSCALE_CHECKPOINTS]; /* rising; the last one ends it */
    size_t checkpoints;                           /* 0: all are replaced without a pause */
};
struct autoscale_batch {
    double at_min;
    int replace;
};
/* Batches in time; *done_min when the last one is warm. Returns how many, AUTOSCALE_BATCHES at
 * most. */
size_t autoscale_refresh_timeline(const struct autoscale_refresh *r, struct autoscale_batch *out,
                                  double *done_min);
/* The checkpoint that so many replaced have reached, skipping lower ones; -1: none. */
double autoscale_refresh_checkpoint(const double *pct, size_t n, int instances, int replaced);

#endif
