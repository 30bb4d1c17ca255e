/* What the driver asks of a worker, and what comes back. Every measurement is
 * a process of its own: placement-bench-ours links what ships,
 * placement-bench-peer the peers, so that neither pays for the other's memory. */
#ifndef PRISM_BENCH_H
#define PRISM_BENCH_H

#include "prism/err.h"

#include <stdbool.h>
#include <stdint.h>

enum bench_kind {
    BENCH_PREPARE, /* graph file -> its distinct edges, bin32, at `out` */
    BENCH_LOAD,
    BENCH_CUT,     /* ours or METIS */
    BENCH_LOUVAIN, /* ours or igraph */
    BENCH_LEIDEN,
    BENCH_WARM,     /* new edges between random vertices */
    BENCH_WARM_OWN, /* new edges are the graph's own, held back at first */
    BENCH_VERSIONS,
    BENCH_KINDS
};

/* What makes a cut harder to keep in balance. */
enum bench_variant {
    BENCH_PLAIN,
    BENCH_WEIGHTED, /* random weights of vertices and edges */
    BENCH_UNEQUAL,  /* the last block holds half of what the others do */
    BENCH_FIXED,    /* 5 % of the vertices fixed at random */
    BENCH_HARD,     /* all three */
    BENCH_VARIANTS
};

struct bench_task {
    enum bench_kind kind;
    enum bench_variant variant;
    char graph[256]; /* file */
    char out[256];
    uint32_t blocks, threads, tries;
    uint64_t seed;
    double imbalance;     /* of a cut */
    double price;         /* of a warm start: engine/warm.h */
    double cap;           /* share of the vertices that a warm start may move */
    bool known;           /* a warm start is told which vertices changed */
    bool coded;           /* gap-coded rows */
    uint64_t limit_bytes; /* of address space; 0: none */
};

extern const char *const bench_kind_name[BENCH_KINDS];
extern const char *const bench_variant_name[BENCH_VARIANTS];

/* argv from [1]: "kind key=value ..."; args has room for BENCH_ARGS pointers
 * into text. */
enum { BENCH_ARGS = 20, BENCH_TEXT = 1024 };
void bench_task_args(const struct bench_task *t, char **args, char text[BENCH_TEXT]);
PR_CHECKED enum pr_code bench_task_parse(int argc, char **argv, struct bench_task *t,
                                         struct pr_err *err);

struct bench_outcome {
    enum pr_code rc; /* else nothing but text counts */
    char text[256];  /* error, or versions */
    uint64_t vertices, edges;
    double load_s, work_s, cpu_s; /* cpu: of the work, all threads */
    double cut_ratio;             /* weight of cut edges over all; recomputed by the bench */
    double imbalance;             /* largest load over its share, less 1 */
    double modularity;            /* recomputed by the bench */
    uint64_t communities;
    uint64_t hash; /* of the labels: equal results, equal hashes */
    /* of a warm start: work_s is its time */
    double fresh_s, fresh_ratio; /* a cut of the new graph from scratch */
    double today_ratio;          /* cut of the new graph when nothing moves */
    double moved_ratio;          /* of the vertices, forced ones counted */
    double fresh_moved_ratio;    /* by the fresh cut, blocks renamed to fit */
    uint64_t peak_bytes;         /* filled in by the driver: resident, loading included */
};

/* A worker: runs bench_work on what argv asks and writes the outcome to
 * descriptor BENCH_FD (its readable form to standard output when that is not
 * open). */
enum { BENCH_FD = 3 };
int bench_worker(int argc, char **argv,
                 enum pr_code (*work)(const struct bench_task *t, struct bench_outcome *o,
                                      struct pr_err *err));

double bench_wall_s(void); /* monotonic */
double bench_cpu_s(void);  /* of the process */

#endif
