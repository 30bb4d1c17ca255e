/* explain: why a vertex is where an assignment puts it. */
#include "cli/cli.h"

#include "core/capacity.h"
#include "core/explain.h"
#include "io/vertex_edges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option options[] = {
    CLI_OPTION("--graph", "FILE", CLI_TEXT, graph, 0, 0, true,
               "read through once, not kept in memory"),
    CLI_OPTION("--format", "NAME", CLI_TEXT, format, 0, 0, false,
               "auto, snap, metis, bin32 or bin64 (default auto: by name)"),
    CLI_OPTION("--assignment", "FILE", CLI_TEXT, assignment, 0, 0, true,
               "\"vertex partition zone\" lines"),
    CLI_OPTION("--zones", "K", CLI_WHOLE, zones, 1, PLACEMENT_MAX_ZONES, false,
               "zones (default: as --capacity or the assignment names)"),
    CLI_OPTION("--capacity", "LIST", CLI_TEXT, capacity, 0, 0, false,
               "a=1,b=1,c=0.5: as the run had it (default: equal)"),
    CLI_OPTION("--imbalance", "R", CLI_REAL, imbalance, 0.001, 1, false,
               "as the run had it (default 0.05)"),
    CLI_OPTION("-o", "FORMAT", CLI_TEXT, output, 0, 0, false, "table or json (table)"),
    CLI_OPTION("--progress", NULL, CLI_FLAG, progress, 0, 0, false,
               "on standard error even when it is no terminal"),
    CLI_OPTION("--quiet", NULL, CLI_FLAG, quiet, 0, 0, false, "no progress"),
};

struct explain {
    struct cli_work w;
    uint64_t id;
    struct graph_assigns rows;
    struct placement_vertex_edges edges;
    struct cli_fleet fleet;
    double share[PLACEMENT_MAX_ZONES];
    uint64_t capacity[PLACEMENT_MAX_ZONES], load[PLACEMENT_MAX_ZONES], tie[PLACEMENT_MAX_ZONES];
    uint64_t vertices[PLACEMENT_MAX_ZONES];
    uint64_t weight;   /* of all vertices that the assignment names */
    uint64_t unplaced; /* neighbours that the assignment does not name */
    const struct graph_assign *self;
    struct placement_explanation why;
};

static enum pr_code check(const struct cli_args *args, struct pr_err *err)
{
    struct cli_fleet fleet;
    enum graph_format format;
    char *end = NULL;
    errno = 0;
    (void)strtoull(args->operand, &end, 10);
    if (args->operand[0] < '0' || args->operand[0] > '9' || *end != '\0' || errno != 0)
        return pr_fail(err, PR_EINVAL, "VERTEX is a number up to 2^64-1, not %.40s", args->operand);
    enum pr_code rc = cli_format(args->format, &format, err);
    return rc == PR_OK && args->capacity != NULL ? cli_fleet(args, &fleet, err) : rc;
}

static const struct graph_assign *place_of(const struct explain *x, uint64_t id)
{
    size_t lo = 0, hi = x->rows.n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (x->rows.row[mid].vertex < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < x->rows.n && x->rows.row[lo].vertex == id ? &x->rows.row[lo] : NULL;
}

static enum pr_code count_zones(struct explain *x, struct pr_err *err)
{
    struct cli_args args = *x->w.args;
    uint32_t zones = 0;
    for (size_t i = 0; i < x->rows.n; i++) {
        const uint32_t z = x->rows.row[i].zone;
        if (z == GRAPH_NONE)
            continue;
        if (z >= PLACEMENT_MAX_ZONES)
            return pr_fail(err, PR_EINVAL, "%.160s names zone %u, at most %d zones are explained",
                           args.assignment, z, PLACEMENT_MAX_ZONES);
        x->vertices[z]++;
        zones = z >= zones ? z + 1 : zones;
    }
    if (args.zones == 0 && args.capacity == NULL)
        args.zones = zones > 0 ? zones : 1;
    enum pr_code rc = cli_fleet(&args, &x->fleet, err);
    if (rc == PR_OK && x->fleet.zones < zones)
        rc = pr_fail(err, PR_EINVAL, "%.160s names zone %u, there are %u", args.assignment,
                     zones - 1, x->fleet.zones);
    memcpy(x->load, x->vertices, sizeof x->load); /* of weight 1 until the graph says other */
    x->weight = x->rows.n;
    return rc;
}

static void weigh(void *explain, uint64_t id, uint64_t weight)
{
    struct explain *x = explain;
    const struct graph_assign *row = place_of(x, id);
    if (row == NULL)
        return;
    x->weight += weight - 1; /* of 0: one less */
    if (row->zone != GRAPH_NONE)
        x->load[row->zone] += weight - 1;
}

static enum pr_code explain(struct explain *x, struct pr_err *err)
{
    x->self = place_of(x, x->id);
    if (x->self == NULL || x->self->zone == GRAPH_NONE)
        return pr_fail(err, PR_ENOTFOUND, "%.120s gives vertex %llu no zone", x->w.args->assignment,
                       (unsigned long long)x->id);
    if (!x->edges.found)
        return pr_fail(err, PR_ENOTFOUND, "vertex %llu is not in %.120s", (unsigned long long)x->id,
                       x->w.args->graph);
    for (size_t i = 0; i < x->edges.n; i++) {
        const struct graph_assign *to = place_of(x, x->edges.tie[i].neighbor);
        if (to == NULL || to->zone == GRAPH_NONE)
            x->unplaced++;
        else
            x->tie[to->zone] += x->edges.tie[i].weight;
    }
    const struct placement_explain_input in = {
        .zones = x->fleet.zones,
        .tie = x->tie,
        .load = x->load,
        .capacity = x->capacity,
        .weight = x->edges.weight,
        .zone = (uint16_t)x->self->zone,
    };
    placement_explain(&in, &x->why);
    return PR_OK;
}

static enum pr_code carry_out(struct explain *x, struct pr_err *err)
{
    const struct cli_args *args = x->w.args;
    const struct placement_watch watch = cli_watch(&x->w);
    const struct placement_vertex_seen seen = { weigh, x };
    enum graph_format format;
    x->id = strtoull(args->operand, NULL, 10); /* checked */
    enum pr_code rc = cli_format(args->format, &format, err);
    if (rc == PR_OK)
        rc = graph_assign_read(args->assignment, NULL, &x->rows, err);
    if (rc == PR_OK)
        rc = count_zones(x, err);
    if (rc == PR_OK)
        rc = placement_vertex_edges_read(args->graph, format, x->id, &watch, &seen, &x->edges, err);
    if (rc == PR_OK)
        rc = placement_capacities(x->fleet.ratio, x->fleet.zones, x->weight, args->imbalance,
                                  x->share, x->capacity, err);
    return rc == PR_OK ? explain(x, err) : rc;
}

static json_t *report(const struct explain *x)
{
    json_t *zones = json_array();
    for (uint32_t z = 0; z < x->fleet.zones; z++)
        (void)json_array_append_new(
            zones,
            json_pack("{s:i, s:s, s:I, s:I, s:I, s:I}", "zone", (int)z, "name", x->fleet.name[z],
                      "edge_weight", (json_int_t)x->tie[z], "vertices", (json_int_t)x->vertices[z],
                      "weight", (json_int_t)x->load[z], "capacity", (json_int_t)x->capacity[z]));
    json_t *partition = x->self->partition == GRAPH_NONE
                            ? json_null()
                            : json_integer((json_int_t)x->self->partition);
    return json_pack("{s:s, s:o, s:i, s:s, s:I, s:I, s:I, s:i, s:s, s:I, s:s, s:o}", "vertex",
                     x->w.args->operand, "partition", partition, "zone", (int)x->why.zone,
                     "zone_name", x->fleet.name[x->why.zone], "weight", (json_int_t)x->edges.weight,
                     "neighbors", (json_int_t)x->edges.n, "unplaced_neighbors",
                     (json_int_t)x->unplaced, "preferred_zone", (int)x->why.preferred,
                     "preferred_name", x->fleet.name[x->why.preferred], "gain",
                     (json_int_t)x->why.gain, "why", x->why.why, "zones", zones);
}

static enum pr_code run(const struct cli_args *args, struct pr_err *err)
{
    struct explain x = { .id = 0 };
    enum pr_code rc = cli_begin(&x.w, args, err);
    if (rc == PR_OK)
        rc = carry_out(&x, err);
    cli_end(&x.w);
    if (rc == PR_OK)
        rc = cli_print(args, report(&x), err);
    placement_vertex_edges_done(&x.edges);
    graph_assigns_done(&x.rows);
    return rc;
}

const struct cli_command cli_explain = {
    .name = "explain",
    .operand = "VERTEX",
    .about = "Tells why a vertex is where an assignment has it.\n"
             "Its edge weight into each zone, what moving it would gain, what held it back.",
    .option = options,
    .options = PR_COUNT(options),
    .check = check,
    .run = run,
};
