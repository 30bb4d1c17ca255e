/* prism-autoscale backtest: policies side by side on a recorded load. */
#include "cli/backtest.h"

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>

static enum pr_code run_one(struct backtest_run *r, size_t i, struct pr_err *err)
{
    const struct backtest_args *a = r->args;
    const struct autoscale_trace trace = { .load = r->trace.load,
                                           .minutes = r->trace.minutes,
                                           .begin_ms = r->trace.first * AUTOSCALE_MINUTE_MS };
    struct autoscale_settings *settings = calloc(1, sizeof *settings);
    struct autoscale_series *s = &r->series[i];
    enum pr_code rc = PR_OK;
    if (a->plot != NULL) {
        s->desired = calloc(r->trace.minutes, sizeof *s->desired);
        s->serving = calloc(r->trace.minutes, sizeof *s->serving);
    }
    if (settings == NULL || (a->plot != NULL && (s->desired == NULL || s->serving == NULL))) {
        rc = pr_fail(err, PR_ENOMEM, "a backtest of %zu minutes", r->trace.minutes);
    } else {
        settings->policies = 1;
        autoscale_policy_default(a->policy[i], &settings->policy[0]);
        rc = autoscale_backtest_run(&a->how, settings, &trace, &r->result[i], s, err);
        r->oracle_hours = r->result[i].oracle_hours;
    }
    free(settings);
    return rc;
}

static enum pr_code run(struct backtest_run *r, struct pr_err *err)
{
    const struct backtest_args *a = r->args;
    char gnuplot[512] = "";
    enum pr_code rc = a->plot == NULL ? PR_OK : backtest_plotter(gnuplot, sizeof gnuplot, err);
    if (rc == PR_OK)
        rc = backtest_read(a->trace, a->column, &r->trace, err);
    if (rc == PR_OK)
        rc = backtest_smooth(&r->trace, a->smooth, err);
    if (rc == PR_OK && a->scale > 0)
        autoscale_trace_scale(r->trace.load, r->trace.minutes, a->scale);
    for (size_t i = 0; rc == PR_OK && i < a->policies; i++) {
        rc = run_one(r, i, err);
        if (rc != PR_OK)
            rc = pr_wrap(err, rc, "%.120s: %s", a->trace, autoscale_kind_name(a->policy[i]));
    }
    if (rc == PR_OK)
        rc = backtest_print(r, err);
    return rc == PR_OK && a->plot != NULL ? backtest_plot(r, gnuplot, err) : rc;
}

int autoscale_cli_backtest(int argc, char **argv)
{
    struct backtest_args a;
    struct backtest_run r = { .args = &a };
    struct pr_err err = { .text = "" };
    if (backtest_parse(argc, argv, &a, &err) != PR_OK) {
        (void)fprintf(stderr, "prism-autoscale backtest: %s\n%s", err.text, backtest_usage);
        return 2;
    }
    if (a.help) {
        (void)fputs(backtest_usage, stdout);
        return 0;
    }
    const enum pr_code rc = run(&r, &err);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-autoscale backtest: %s\n", err.text);
    for (size_t i = 0; i < a.policies; i++) {
        free(r.series[i].desired);
        free(r.series[i].serving);
    }
    backtest_trace_done(&r.trace);
    return rc == PR_OK ? 0 : 1;
}
