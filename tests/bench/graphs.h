/* The graphs of the bench, and their files. */
#ifndef PRISM_BENCH_GRAPHS_H
#define PRISM_BENCH_GRAPHS_H

#include "bench.h"

/* In which runs a graph takes part. */
enum bench_size { SIZE_SMALL, SIZE_FULL, SIZE_BIG, SIZE_HUGE };

struct bench_graph {
    const char *name;
    const char *data;     /* file in tests/data, or NULL: */
    const char *generate; /* arguments of graphgen */
    enum bench_size size;
    bool quick, full;  /* runs it is measured in */
    bool power_law;    /* counts in geometric means */
    bool communities;  /* has some worth finding */
    double best_cut;   /* k = 3: least ratio known of any tool; 0: not known */
    double best_digit; /* one of the last digit that best_cut is known to */
};
extern const struct bench_graph bench_graphs[];
extern const unsigned bench_graph_count;

struct bench_files {
    const char *bin;   /* directory of the programs */
    const char *data;  /* tests/data */
    const char *cache; /* directory of the prepared graphs, made when missing */
};
/* Writes the path of g's distinct edges, which are made when they are not there. */
PR_CHECKED enum pr_code bench_graph_file(const struct bench_files *f, const struct bench_graph *g,
                                         char path[256], struct pr_err *err);

/* Runs a worker and waits for it. Failures of the worker are in o->rc. */
PR_CHECKED enum pr_code bench_run(const struct bench_files *f, bool peer,
                                  const struct bench_task *t, struct bench_outcome *o,
                                  struct pr_err *err);

#endif
