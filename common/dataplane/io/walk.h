/* One worker of the workload: its own connections, route cache, ledger. */
#ifndef PRISM_DP_WALK_H
#define PRISM_DP_WALK_H

#include "prism/dp/exec.h"
#include "prism/dp/workload.h"
#include "prism/rng.h"

enum { WALK_WRITER_FIELD = DP_WRITER_BYTES + 4 };

struct walk_visit { /* one vertex read in one traversal */
    struct dp_vertex vertex;
    uint32_t traversal;
    bool done;
    char direction; /* 'o', then 'i' when there is nothing */
    char cursor[24];
    char count[24];
    unsigned pages;
    const char *arg[3];
    size_t len[3];
};

struct walk_traversal {
    int root_zone;                /* -1 until the root was found */
    uint64_t bytes[DP_MAX_ZONES]; /* by zone of the node that answered */
};

struct walk {
    const struct dp_adjacency *a;
    const struct dp_workload_options *o;
    const uint32_t *rank; /* [vertices]: Zipf rank -> vertex */
    const struct pr_zipf *zipf;
    struct pr_cluster *cluster;
    struct dp_exec exec;
    struct pr_rng rng;
    struct pr_map routes; /* vertex hash -> partition, only off home */
    struct dp_ledger ledger;
    int ledger_fd; /* -1 none */
    char writer[DP_WRITER_BYTES], field[WALK_WRITER_FIELD];
    size_t field_len;
    struct walk_traversal *traversal; /* [batch] */
    struct walk_visit *visit;         /* [visits]: every level of the batch */
    size_t visits, visits_cap;
    struct dp_op *op; /* [ops_cap] */
    uint32_t *whose;  /* [ops_cap]: visit of an op */
    size_t ops_cap;
    uint64_t writes; /* begun so far */
    struct dp_tally tally;
};

/* One batch of traversals with its writes; tally, ledger and cache follow. */
PR_CHECKED enum pr_code walk_batch(struct walk *w, struct pr_err *err);

#endif
