/* What was measured and what was done: what every policy sees. Pure.
 * Times are ms since the Unix epoch; percentages are 0..100 (a load may exceed 100 where
 * its source can say so); NAN: unknown, which is never taken for a number.
 * Source: docs/explanation/autoscale.md. */
#ifndef AUTOSCALE_HISTORY_H
#define AUTOSCALE_HISTORY_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AUTOSCALE_MINUTE_MS = 60000,
    AUTOSCALE_MEMBERS_MOST = 1000000, /* more than that are no fleet */
};

/* One minute of the fleet: means over its members in service. A minute that nobody
 * measured is no sample. */
struct autoscale_sample {
    int64_t at_ms;  /* end of the minute */
    double cpu_pct; /* saturates at 100 */
    double memory_pct;
    double network_bps; /* of one member */
    double backlog;     /* messages that wait, of the whole fleet */
    double load;        /* in members at 100 % CPU, where it is known apart from cpu_pct */
    int serving;        /* members whose figures these are; 0 unknown */
    int silent;         /* members that should have reported and did not */
};

/* One member now, where members are known singly (HPA's rules for missing metrics and
 * unready members need them). */
struct autoscale_member {
    const char *id; /* borrowed */
    double cpu_pct; /* NAN: no metric */
    double memory_pct, network_bps;
    int64_t metric_at_ms, metric_window_ms;
    int64_t started_ms;     /* 0 unknown: long ago */
    int64_t ready_since_ms; /* last change of readiness; 0 never */
    bool ready, leaving, failed;
};

/* Means of a longer time than the samples of a view go back, where somebody has them. */
enum { AUTOSCALE_LONG_MS = 6 * 60 * AUTOSCALE_MINUTE_MS };
struct autoscale_means {                     /* of the last AUTOSCALE_LONG_MS */
    int minutes;                             /* that were measured; 0: nobody has looked */
    double cpu_pct, memory_pct, network_bps; /* NAN: unknown in more than half of them */
};

struct autoscale_action { /* a change of what is wanted, once the actuator was told */
    int64_t at_ms;
    int from, to;
};

struct autoscale_view {
    int64_t now_ms;
    int desired; /* instances wanted now */
    int serving; /* in service and useful: booted, and has its share of the load */
    int min, max;
    int64_t useful_after_ms; /* from an order to a useful member: boot and move, as learnt */
    const struct autoscale_sample *sample; /* [samples], oldest first; borrowed */
    size_t samples;
    const struct autoscale_member *member; /* [members]; empty where nobody knows them */
    size_t members;
    const struct autoscale_action *action; /* [actions], oldest first */
    size_t actions;
    struct autoscale_means longer;
};

/* PR_EDATA: names the first sample that is out of order, a duplicate, from the future,
 * or not a number in range (NAN is unknown and welcome). */
PR_CHECKED enum pr_code autoscale_view_check(const struct autoscale_view *v, struct pr_err *err);

/* Mean of a metric over the window that ends now. Returns the samples that had a value;
 * *mean is NAN when there is none. */
enum autoscale_metric {
    AUTOSCALE_CPU,
    AUTOSCALE_MEMORY,
    AUTOSCALE_NETWORK,
    AUTOSCALE_BACKLOG,
    AUTOSCALE_LOAD,
    AUTOSCALE_METRICS
};
const char *autoscale_metric_name(enum autoscale_metric m); /* "cpu", "memory", ... */
double autoscale_metric_of(const struct autoscale_sample *s, enum autoscale_metric m);
size_t autoscale_window_mean(const struct autoscale_view *v, enum autoscale_metric m,
                             int64_t window_ms, double *mean);

#endif
