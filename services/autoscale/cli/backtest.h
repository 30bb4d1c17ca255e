/* What the files of prism-autoscale backtest share. Private to cli/backtest*.c. */
#ifndef AUTOSCALE_CLI_BACKTEST_H
#define AUTOSCALE_CLI_BACKTEST_H

#include "core/backtest.h"

struct backtest_args {
    const char *trace, *column, *plot; /* column NULL: the first that is not minute; plot NULL */
    bool json, help;
    enum autoscale_kind policy[AUTOSCALE_KINDS];
    size_t policies;
    double scale; /* members at 100 % CPU at the 99.9th percentile; 0: the values are members */
    int smooth;   /* minutes */
    struct autoscale_backtest how;
};
/* PR_EINVAL: what is wrong with the command line. Text is borrowed from argv. */
PR_CHECKED enum pr_code backtest_parse(int argc, char **argv, struct backtest_args *out,
                                       struct pr_err *err);
extern const char backtest_usage[];

struct backtest_trace {
    double *load; /* [minutes] NAN: no row tells of it; owned */
    size_t minutes, missing;
    int interval;  /* minutes between most rows */
    int64_t first; /* minute of the first row */
    char column[64];
};
/* Reads CSV, also xz-compressed: a column "minute" of rising whole numbers, and values that are
 * 0 or more. Between rows of the usual interval the value goes straight from one to the other;
 * minutes of a longer gap are missing. PR_EDATA: names file, line and column. */
PR_CHECKED enum pr_code backtest_read(const char *path, const char *column,
                                      struct backtest_trace *out, struct pr_err *err);
/* The same of text in memory; path is for words. */
PR_CHECKED enum pr_code backtest_read_text(const char *path, const char *text, size_t bytes,
                                           const char *column, struct backtest_trace *out,
                                           struct pr_err *err);
/* Each minute becomes the mean of the known ones of the last `minutes`. */
PR_CHECKED enum pr_code backtest_smooth(struct backtest_trace *t, int minutes, struct pr_err *err);
void backtest_trace_done(struct backtest_trace *t);

struct backtest_run {
    const struct backtest_args *args;
    struct backtest_trace trace;
    struct autoscale_result result[AUTOSCALE_KINDS]; /* [args->policies] */
    struct autoscale_series series[AUTOSCALE_KINDS]; /* for the plot; owned */
    double oracle_hours;
};
PR_CHECKED enum pr_code backtest_print(const struct backtest_run *r, struct pr_err *err);

/* What gnuplot is told: one panel a policy. */
struct pr_buf;
void backtest_plot_text(const struct backtest_run *r, const char *svg, struct pr_buf *to);
/* PR_ENOTFOUND: there is no gnuplot in PATH. */
PR_CHECKED enum pr_code backtest_plotter(char *program, size_t bytes, struct pr_err *err);
PR_CHECKED enum pr_code backtest_plot(const struct backtest_run *r, const char *program,
                                      struct pr_err *err);

#endif
