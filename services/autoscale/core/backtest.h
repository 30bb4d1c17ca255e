/* What a policy would have done on a recorded load. Pure: trace and settings in, figures
 * out. Model (docs/explanation/autoscale.md): each minute is judged, measured, and then
 * decided by autoscale_decide. Members that are ordered at its end are paid from then on, boot
 * for boot_minutes and serve after that; who leaves goes at once, the newest that boot first.
 * CPU saturates at 100 %, and is all that policies see: never the load. It begins with what the
 * first minute's load needs at 70 %. */
#ifndef AUTOSCALE_BACKTEST_H
#define AUTOSCALE_BACKTEST_H

#include "core/decide.h"

struct autoscale_trace {
    const double *load; /* [minutes] in members at 100 % CPU; NAN: no metric then, and the load is
                           taken to go on as a straight line */
    size_t minutes;
    int64_t begin_ms;
};

struct autoscale_backtest {
    int boot_minutes;                    /* 10 */
    int min, max;                        /* 48, 1000 */
    const struct autoscale_fleet *fleet; /* its units, zones and floors; limits and boot are those
                                            above. NULL: single nodes, no floor but min. Borrowed */
    double price_hour;
    double short_pct;  /* 85: a minute is short when load is over this share of what serves */
    double oracle_pct; /* 70 */
    int flap_minutes;  /* 30: a change in the other direction so soon after the one before it */
    bool (*stop)(
        void *ctx); /* asked after each day of the trace: true ends it there. NULL: never */
    void *stop_ctx;
};

/* With the values above; price_hour is that of an r6i.4xlarge: 1.008. */
void autoscale_backtest_default(struct autoscale_backtest *out);

struct autoscale_result {
    double days;
    double short_minutes_per_day; /* load over 85 % of serving capacity */
    double over_minutes_per_day;  /* over 100 % */
    double lost_load_ratio;       /* load that found no capacity / load */
    double instance_hours, oracle_hours, hours_ratio;
    double actions_per_day, flaps_per_day;
    double cost;
};

/* fleet: optional per-minute series for plots, [minutes] each, or NULL. */
struct autoscale_series {
    int *desired, *serving;
};

/* PR_EINVAL: model, settings or trace are wrong. PR_ECANCELED: stop said so. */
PR_CHECKED enum pr_code autoscale_backtest_run(const struct autoscale_backtest *how,
                                               const struct autoscale_settings *settings,
                                               const struct autoscale_trace *trace,
                                               struct autoscale_result *out,
                                               struct autoscale_series *series, struct pr_err *err);
/* Fewest instance-hours of whoever knows the future: load within oracle_pct at all times, a
 * boot ordered in time and paid. */
PR_CHECKED enum pr_code autoscale_backtest_oracle(const struct autoscale_backtest *how,
                                                  const struct autoscale_trace *trace,
                                                  double *instance_hours, struct pr_err *err);
/* A trace's 99.9th percentile becomes `peak` members. */
void autoscale_trace_scale(double *load, size_t minutes, double peak);

#endif
