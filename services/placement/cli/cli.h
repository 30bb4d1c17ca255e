/* Inside of the offline commands: what each of them does first and last. */
#ifndef PLACEMENT_CLI_H
#define PLACEMENT_CLI_H

#include "cli/args.h"
#include "core/graph.h"
#include "core/store.h"
#include "core/watch.h"
#include "prism/graph_assign.h"
#include "prism/graph_out.h"
#include "prism/graph_read.h"

#include <jansson.h>

/* prism-placement COMMAND ...; the exit status. */
int placement_cli(int argc, char **argv);

extern const struct cli_command cli_run, cli_communities, cli_evaluate, cli_convert, cli_explain;

/* --- work under way: phases, progress, interruption ------------------------- */
enum cli_phase { CLI_LOAD, CLI_BUILD, CLI_PARTITION, CLI_PARTS, CLI_REPORT, CLI_WRITE, CLI_PHASES };

struct cli_work {
    const struct cli_args *args;
    struct pr_pool *pool;                  /* owned */
    unsigned threads;                      /* of it */
    uint64_t budget_bytes, estimate_bytes; /* 0: unknown */
    enum cli_phase phase;
    double seconds[CLI_PHASES];
    int64_t phase_us, shown_us; /* monotonic */
    bool show, shown;
};

/* From here on SIGINT and SIGTERM only ask to stop; one a second later kills. */
PR_CHECKED enum pr_code cli_begin(struct cli_work *w, const struct cli_args *args,
                                  struct pr_err *err);
void cli_end(struct cli_work *w);
void cli_enter(struct cli_work *w, enum cli_phase phase);
/* Shows progress (0..1 of the phase); false when interrupted. */
bool cli_go_on(void *work, double done);
PR_CHECKED enum pr_code cli_check(struct cli_work *w, double done, struct pr_err *err);
bool cli_interrupted(void);
static inline struct placement_watch cli_watch(struct cli_work *w)
{
    return (struct placement_watch){ cli_go_on, w };
}

/* --- reading ---------------------------------------------------------------- */
PR_CHECKED enum pr_code cli_format(const char *name, enum graph_format *out, struct pr_err *err);
/* Reads and builds args->graph (phases load and build). */
PR_CHECKED enum pr_code cli_load(struct cli_work *w, struct placement_graph *out,
                                 struct pr_err *err);
/* Refuses, naming estimate and budget, when graph and more bytes do not fit. */
PR_CHECKED enum pr_code cli_afford(struct cli_work *w, const struct placement_graph *g,
                                   uint64_t more_bytes, struct pr_err *err);

/* Zones by name and capacity. */
struct cli_fleet {
    uint32_t zones;
    char name[PLACEMENT_MAX_ZONES][PLACEMENT_ZONE_BYTES];
    double ratio[PLACEMENT_MAX_ZONES];
};
PR_CHECKED enum pr_code cli_fleet(const struct cli_args *args, struct cli_fleet *out,
                                  struct pr_err *err);

/* Where an assignment file puts the graph's vertices. */
struct cli_places {
    uint32_t *partition, *zone; /* [n] GRAPH_NONE: not given; owned */
    uint32_t partitions, zones; /* largest named, plus one */
    uint64_t absent;            /* vertices of the graph that the file does not name */
    uint64_t first_absent;      /* its id */
    uint64_t strange;           /* lines of vertices that the graph does not have */
};
PR_CHECKED enum pr_code cli_places_read(const char *path, const struct placement_graph *g,
                                        struct cli_places *out, struct pr_err *err);
void cli_places_done(struct cli_places *p);

/* "vertex zone" lines; zone by name or number. fixed[n]: zone or PLACEMENT_FREE. */
PR_CHECKED enum pr_code cli_fixed_read(const char *path, const struct cli_fleet *fleet,
                                       const struct placement_graph *g, uint16_t *fixed,
                                       struct pr_err *err);

/* "partition zone" lines: every free vertex that is in such a partition today is
 * fixed to the zone. PR_EINVAL: a partition that no vertex is in, or in two zones. */
PR_CHECKED enum pr_code cli_fixed_parts_read(const char *path, const struct cli_fleet *fleet,
                                             const struct cli_places *today, uint32_t n,
                                             uint16_t *fixed, struct pr_err *err);

/* --- writing ---------------------------------------------------------------- */
/* A line a vertex (phase write); out is used up. partition NULL: the zone's number;
 * zone NULL: "-". */
PR_CHECKED enum pr_code cli_assign_write(struct cli_work *w, struct graph_out *out,
                                         const struct placement_graph *g, const uint32_t *partition,
                                         const uint16_t *zone, struct pr_err *err);
json_t *cli_seconds(const struct cli_work *w);
/* -o json: as it is; else a line a member. Takes over report; NULL: out of memory. */
PR_CHECKED enum pr_code cli_print(const struct cli_args *args, json_t *report, struct pr_err *err);

#endif
