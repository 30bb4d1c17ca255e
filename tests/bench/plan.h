/* What is measured in a run of the bench: contenders, in groups that are
 * measured in turns so that a noisy machine is noisy for all of them. */
#ifndef PRISM_BENCH_PLAN_H
#define PRISM_BENCH_PLAN_H

#include "graphs.h"

enum bench_row { ROW_COMMUNITIES, ROW_CUT3, ROW_CUT64, ROW_BALANCE, ROW_WARM, ROW_BIG, ROWS };
extern const char *const bench_row_name[ROWS];

enum { MOST_RUNS = 15, MOST_CONTENDERS = 256 };

struct contender {
    const struct bench_graph *graph;
    enum bench_row row;
    const char *who;
    bool peer;
    struct bench_task task;
    unsigned runs; /* outcomes there are */
    struct bench_outcome outcome[MOST_RUNS];
};

struct plan_options {
    unsigned runs;
    bool quick, big, huge;
    bool row[ROWS];
    const char *only; /* names of graphs, separated by commas; NULL: all */
    uint32_t tries, threads;
    uint64_t seed;
    bool vary; /* run i takes seed + i */
    double price, cap;
    struct bench_files files;
};

struct plan {
    struct contender *c; /* [n] those of a group in a row */
    unsigned n;
    char peers[256]; /* versions */
};

PR_CHECKED enum pr_code plan_init(struct plan *p, const struct plan_options *o, struct pr_err *err);
void plan_done(struct plan *p);
/* Measures all, telling standard error how far it is. A contender that fails is
 * told as well, and is missing from the results. */
PR_CHECKED enum pr_code plan_run(struct plan *p, const struct plan_options *o, struct pr_err *err);

/* NULL: not measured. */
const struct contender *plan_find(const struct plan *p, const struct bench_graph *g,
                                  enum bench_row row, const char *who);
/* Of a double in struct bench_outcome, by its offset. */
double contender_median(const struct contender *c, size_t field);
#define MEDIAN(c, field) contender_median((c), offsetof(struct bench_outcome, field))
uint64_t contender_peak(const struct contender *c); /* most of all runs */

#endif
