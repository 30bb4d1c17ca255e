/* The policy `adaptive`: as many members as the load of the last half hour needs at the target,
 * or as its highest forecast needs at the peak's limit, whichever is more. Pure.
 * Source: docs/explanation/autoscale.md.
 *
 * Load is counted in members at 100 % CPU: what the members in service measured, times how many
 * they are. For each minute the policy forecasts the highest load until an order given then
 * helps (boot and move): the load, raised by as much as its trend and the rise of this time of
 * the day and of this time of the week have lately explained of what came (three weights, by
 * least squares, never below 0). A signal that does not foretell this fleet's load gets a weight
 * near 0, so forecasting costs nothing where it cannot help.
 *
 *     need = the largest of
 *            mean load of mean_ms / target_pct           56 %: with one of three zones lost 84 %
 *            highest forecast of hold_ms / peak_pct      65 %: with a zone lost 98 %
 *            serving x jump_ratio, when CPU is saturated, or the load of this time of two
 *                                  other days / target_pct, but at most half of the way from
 *                                  who served when that began to max
 *            serving x memory / memory_pct, serving x network / network_bps
 *
 * It goes out when need exceeds what is wanted by more than out_band_pct, in when it is lower by
 * more than in_band_pct. The hold before scaling in grows with each flap of the last day. */
#ifndef AUTOSCALE_ADAPTIVE_H
#define AUTOSCALE_ADAPTIVE_H

#include "core/history.h"
#include "core/vote.h"

struct autoscale_adaptive {
    double target_pct; /* CPU in the mean: 56 */
    int64_t mean_ms;   /* of so long, or of ten minutes when that is lower: 30 min */
    double peak_pct;   /* CPU at the highest forecast: 65 */

    double out_band_pct, in_band_pct; /* within them nothing is done: 10, 12 */
    int64_t hold_ms;                  /* the highest forecast of so long counts: 20 min */
    int64_t hold_flap_ms;             /* longer by so much for each flap of the last day: 5 min */
    int64_t gap_ms;                   /* from any change to the next one inward: 5 min */
    int64_t flap_ms;                  /* from a change outward to the next one inward, and a change
                                         outward so soon after one inward is a flap: 30 min */
    int flaps_per_day, actions_per_day; /* used up: nothing goes in; without actions, only what is
                                           urgent goes out. 12, 96; 0 no budget */

    double saturated_pct; /* from here CPU says that the load is at least this: 95 */
    double jump_ratio;    /* then: 1.5 */
    double growth_ratio;  /* and in one saturated run, as far as this, or as the load of two
                             other days needs, and no further: 4 */

    double memory_pct, network_bps; /* limits that the mean of three minutes keeps: 85, 8e9; 0: it
                                       takes no part */
    int64_t alarm_after_ms;         /* of unknown or flat-lined CPU: 10 min */
};
void autoscale_adaptive_default(struct autoscale_adaptive *out);
/* PR_EINVAL: names the setting that is wrong. */
PR_CHECKED enum pr_code autoscale_adaptive_check(const struct autoscale_adaptive *p,
                                                 struct pr_err *err);

enum {
    AUTOSCALE_ADAPTIVE_RING = 64,   /* minutes: the longest hold and the longest delay */
    AUTOSCALE_ADAPTIVE_SIGNALS = 3, /* trend, day, week */
    AUTOSCALE_ADAPTIVE_PAIRS = 6,
    AUTOSCALE_ADAPTIVE_DAY = 144,  /* ten minutes each, UTC */
    AUTOSCALE_ADAPTIVE_WEEK = 336, /* half an hour each, from Thursday 00:00 UTC */
};

/* Minutes are those since the Unix epoch; what belongs to one is at its remainder by the ring's
 * length. -1: unknown. */
struct autoscale_adaptive_memory {
    int64_t minute;                           /* of the newest sample */
    double load[AUTOSCALE_ADAPTIVE_RING];     /* members at 100 % CPU */
    double forecast[AUTOSCALE_ADAPTIVE_RING]; /* highest load until an order helps */
    double signal[AUTOSCALE_ADAPTIVE_SIGNALS * AUTOSCALE_ADAPTIVE_RING];

    double weight[AUTOSCALE_ADAPTIVE_SIGNALS];
    double pair[AUTOSCALE_ADAPTIVE_PAIRS];   /* means of signal x signal: upper triangle */
    double rise[AUTOSCALE_ADAPTIVE_SIGNALS]; /* means of signal x what came */
    double mean[AUTOSCALE_ADAPTIVE_SIGNALS], came;

    double day[AUTOSCALE_ADAPTIVE_DAY]; /* load at that time; 0 unknown */
    double week[AUTOSCALE_ADAPTIVE_WEEK];
    double day_sum, week_sum; /* of the slots of now */
    int32_t day_n, week_n;
    /* The load at that time of the last day that showed any with CPU below saturation, and of
     * the last one before it; 0 unknown. */
    double held[2 * AUTOSCALE_ADAPTIVE_DAY];
    double held_sum; /* of the slot of now */

    double cpu_pct;                /* of the newest sample; */
    int64_t same_since;            /* minute: CPU has read exactly this since, */
    int32_t same_least, same_most; /* while so many served */
    int32_t begun;                 /* 0: nothing yet, and all of this means nothing */
    int32_t serving;               /* of the newest sample; 0 unknown */
    int64_t hot_since;             /* minute: CPU has been saturated since; */
    int32_t hot_serving;           /* who served then; 0: it is not saturated */
    int32_t held_n;
    int64_t grown;     /* minute in which more served than before; */
    double grown_load; /* the highest load of the minutes before; -1 unknown */
};

/* Folds in what of the view is newer than the memory, then votes. */
void autoscale_adaptive_vote(const struct autoscale_adaptive *p,
                             struct autoscale_adaptive_memory *memory,
                             const struct autoscale_view *view, struct autoscale_vote *out);

#endif
