/* Workload: k-hop traversals from Zipf roots that read and write the store as an
 * application would, count bytes per (zone of the root, zone that answered), and
 * keep a ledger of acknowledged writes that is verified at the end. */
#ifndef PRISM_DP_WORKLOAD_H
#define PRISM_DP_WORKLOAD_H

#include "prism/dp/adjacency.h"
#include "prism/dp/ledger.h"
#include "prism/dp/tool_args.h"
#include "prism/dp/zones.h"
#include "prism/stats.h"

struct dp_workload_options {
    const struct dp_store *store;
    const struct dp_zones *zones;
    int seconds;                      /* 0: until stopped */
    double zipf, write_ratio;         /* writes among all operations, [0, 1) */
    int hops, fanout, threads, batch; /* batch: traversals at once, a thread */
    uint64_t seed;
    int replicas;            /* that must acknowledge a write; -1: as many as there are */
    bool all_replicas;       /* set by the workload: more where a shard has more */
    const char *writer;      /* name of this process in "p:w<writer>.<thread>" */
    const char *ledger_path; /* NULL: in memory only */
    const void *routes;      /* packed, sorted (prism/routes.h): where vertices are known to */
    size_t routes_bytes;     /* live from the start; 0: every one is learnt from its stub */
    uint64_t first_value;    /* written values start above: grows from run to run */
    const atomic_bool *stop;
    atomic_uint
        *accessed; /* [store->partitions]: counts operations by partition; NULL: nobody asks */
};

/* Counts of one worker, or of all. Rows of bytes: zone of the root. */
struct dp_tally {
    uint64_t traversals, reads, writes_acked, writes_unknown, writes_refused;
    uint64_t failed_reads, missing; /* missing: a vertex that should be there is not */
    uint64_t redirects, stubs_followed;
    uint64_t bytes[DP_MAX_ZONES][DP_MAX_ZONES];
    uint64_t cross_random_bytes;          /* if the client were in a zone drawn per traversal */
    uint64_t unzoned_bytes;               /* answered by a node that --zones does not know */
    uint64_t dropped_bytes;               /* of traversals whose root was not read: in no row */
    struct pr_hist latency_us;            /* of one command, in its pipeline */
    char missing_id[PR_MAX_ID_BYTES + 1]; /* the first missing one */
};

struct dp_lost { /* one finding of the verification */
    char vertex[PR_MAX_ID_BYTES + 1], writer[DP_WRITER_BYTES];
    uint64_t acked, attempted, value;
    bool found; /* the vertex */
};

struct dp_workload_report {
    struct dp_tally tally;
    double seconds;
    uint64_t replication_bytes, replication_cross_bytes; /* to every replica there is */
    uint64_t verified, lost;                             /* ledger entries */
    struct dp_lost *finding;                             /* [lost], owned */
};

struct dp_workload;
/* Opens connections, checks the store and that every node has a zone. a and
 * everything in o stay borrowed. */
PR_CHECKED enum pr_code dp_workload_new(struct dp_workload **w, const struct dp_adjacency *a,
                                        const struct dp_workload_options *o, struct pr_err *err);
void dp_workload_free(struct dp_workload *w);
/* Runs and verifies. progress: once a second, from the caller's thread. */
PR_CHECKED enum pr_code
dp_workload_run(struct dp_workload *w,
                void (*progress)(void *ctx, const struct dp_tally *so_far, double seconds),
                void *ctx, struct dp_workload_report *report, struct pr_err *err);
void dp_workload_report_done(struct dp_workload_report *r);

uint64_t dp_tally_total(const struct dp_tally *t); /* bytes */
uint64_t dp_tally_cross(const struct dp_tally *t); /* bytes off the diagonal */

/* Re-reads every entry and adds what is wrong to the report. PR_EUNAVAIL: some
 * could not be read before the deadline: nothing is proven. */
PR_CHECKED enum pr_code dp_verify(struct pr_cluster *c, uint32_t partitions,
                                  const struct dp_ledger *l, struct dp_workload_report *report,
                                  struct pr_err *err);

#endif
