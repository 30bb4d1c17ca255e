#include "io/planner.h"

#include "core/policy/verdict.h"
#include "core/vertex/diff.h"
#include "io/cluster_facts.h"
#include "io/vertex/table.h"

#include "prism/dp/library.h"
#include "prism/slot.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct planning {
    struct rebalance_planner *p;
    int64_t run_id;
    uint32_t partitions;
    struct rebalance_table current, target;

    const char **node, **zone; /* names by index; from the results below */
    char (*redis_id)[PR_NODE_ID];
    size_t nodes, zones;
    uint16_t node_of_slot[PR_SLOTS], *zone_of_node;
    double *bytes_per_vertex;
    int copies;
    PGresult *sites, *slots; /* own the names */

    struct rebalance_sites view;
    struct rebalance_counts counts;
    struct rebalance_economics money;
};

static void done(struct planning *x)
{
    PQclear(x->sites);
    PQclear(x->slots);
    free(x->node);
    free(x->zone);
    free(x->redis_id);
    free(x->zone_of_node);
    free(x->bytes_per_vertex);
    free(x->counts.by_node);
    free(x->counts.by_zone);
    rebalance_table_done(&x->current);
    rebalance_table_done(&x->target);
}

/* --- where things are --------------------------------------------------------- */

static uint16_t zone_index(struct planning *x, const char *zone)
{
    size_t i = 0;
    while (i < x->zones && strcmp(x->zone[i], zone) != 0)
        i++;
    if (i == x->zones)
        x->zone[x->zones++] = zone;
    return (uint16_t)i;
}

static enum pr_code load_sites(struct planning *x, struct pr_err *err)
{
    enum pr_code rc =
        pr_db_exec(x->p->db,
                   "SELECT s.node_id, min(s.zone_id), coalesce(min(n.redis_id), ''), min(s.slot), "
                   "count(*) FILTER (WHERE s.zone_id IS NULL), "
                   "coalesce(max(cardinality(h.replicas)), 0) FROM slots s "
                   "LEFT JOIN nodes n ON n.id = s.node_id LEFT JOIN shards h ON h.id = s.shard_id "
                   "GROUP BY s.node_id ORDER BY s.node_id",
                   NULL, 0, &x->sites, err);
    if (rc != PR_OK)
        return rc;
    const size_t n = (size_t)PQntuples(x->sites);
    x->node = calloc(n + 1, sizeof *x->node);
    x->zone = calloc(n + 1, sizeof *x->zone);
    x->redis_id = calloc(n + 1, sizeof *x->redis_id);
    x->zone_of_node = calloc(n + 1, sizeof *x->zone_of_node);
    x->bytes_per_vertex = calloc(n + 1, sizeof *x->bytes_per_vertex);
    if (x->node == NULL || x->zone == NULL || x->redis_id == NULL || x->zone_of_node == NULL ||
        x->bytes_per_vertex == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", n);
    for (size_t i = 0; i < n; i++) {
        const char *zone = pr_cell(x->sites, (int)i, 1);
        if (zone == NULL || pr_cell_i64(x->sites, (int)i, 4) > 0)
            return pr_fail(err, PR_ECONFLICT, "the zone of node %s (slot %s) is unknown",
                           pr_cell(x->sites, (int)i, 0), pr_cell(x->sites, (int)i, 3));
        x->node[i] = pr_cell(x->sites, (int)i, 0);
        x->zone_of_node[i] = zone_index(x, zone);
        strncpy(x->redis_id[i], pr_cell(x->sites, (int)i, 2), PR_NODE_ID - 1);
        const int replicas = (int)pr_cell_i64(x->sites, (int)i, 5);
        if (replicas + 1 > x->copies)
            x->copies = replicas + 1;
    }
    x->nodes = n;
    return PR_OK;
}

static int find_node(const struct planning *x, const char *name)
{
    size_t lo = 0, hi = x->nodes;
    while (lo < hi) { /* sorted by PostgreSQL; its order need not be strcmp's */
        if (strcmp(x->node[lo], name) == 0)
            return (int)lo;
        lo++;
    }
    return -1;
}

static enum pr_code load_slots(struct planning *x, struct pr_err *err)
{
    enum pr_code rc = pr_db_exec(x->p->db, "SELECT slot, node_id FROM slots ORDER BY slot", NULL, 0,
                                 &x->slots, err);
    if (rc != PR_OK)
        return rc;
    const int n = PQntuples(x->slots);
    int last = -1;
    for (int i = 0; i < n; i++) {
        const int64_t slot = pr_cell_i64(x->slots, i, 0);
        const char *name = pr_cell(x->slots, i, 1);
        if (slot != i)
            return pr_fail(err, PR_ECONFLICT, "slot %d has no owner", i);
        if (last < 0 || strcmp(x->node[last], name) != 0)
            last = find_node(x, name);
        if (last < 0)
            return pr_fail(err, PR_ECONFLICT, "slot %d changed its owner just now", i);
        x->node_of_slot[i] = (uint16_t)last;
    }
    return n == PR_SLOTS ? PR_OK : pr_fail(err, PR_ECONFLICT, "slot %d has no owner", n);
}

static enum pr_code refuse_failed_nodes(struct planning *x, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        x->p->db, "SELECT string_agg(id, ', ' ORDER BY id) FROM nodes WHERE state = 'failed'", NULL,
        0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (pr_cell(res, 0, 0) != NULL)
        return pr_fail(err, PR_ECONFLICT, "failed nodes: %.200s", pr_cell(res, 0, 0));
    return PR_OK;
}

/* The live cluster: fit, no open slot, how large a vertex is where. */
static enum pr_code ask_cluster(struct planning *x, struct pr_err *err)
{
    char *seeds = NULL;
    struct pr_cluster *c = NULL;
    uint8_t open[2048];
    enum pr_code rc = rebalance_seeds(x->p->db, x->p->cfg, &seeds, err);
    if (rc == PR_OK && seeds[0] == '\0')
        rc = pr_fail(err, PR_ECONFLICT, "no Redis node is registered");
    if (rc == PR_OK)
        rc = rebalance_cluster_open(&c, seeds, x->p->cfg, err);
    if (rc == PR_OK)
        rc = pr_cluster_check(c, PR_LIBRARY_VERSION, err);
    if (rc == PR_OK)
        rc = rebalance_cluster_open_slots(x->p->db, c, open, err);
    for (unsigned s = 0; rc == PR_OK && s < PR_SLOTS; s++)
        if ((open[s / 8] >> (s % 8) & 1) != 0)
            rc = pr_fail(err, PR_ECONFLICT, "slot %u is open (migrating or importing)", s);
    for (size_t i = 0; rc == PR_OK && i < x->nodes; i++)
        if (x->redis_id[i][0] != '\0')
            rc = rebalance_key_bytes(c, x->redis_id[i], &x->bytes_per_vertex[i], err);
    pr_cluster_close(c);
    free(seeds);
    return rc;
}

/* --- what to move ---------------------------------------------------------------- */

static enum pr_code load_tables(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct planning *x = ctx;
    rebalance_table_done(&x->current);
    rebalance_table_done(&x->target);
    enum pr_code rc =
        pr_db_exec(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", NULL, 0, NULL, err);
    if (rc == PR_OK)
        rc = rebalance_table_target(db, x->run_id, x->partitions, &x->target, err);
    return rc == PR_OK ? rebalance_table_current(db, x->partitions, &x->current, err) : rc;
}

static enum pr_code count(struct planning *x, struct pr_err *err)
{
    x->view = (struct rebalance_sites){ .node_of_slot = x->node_of_slot,
                                        .zone_of_node = x->zone_of_node,
                                        .bytes_per_vertex = x->bytes_per_vertex,
                                        .nodes = x->nodes,
                                        .zones = x->zones,
                                        .partitions = x->partitions };
    x->counts =
        (struct rebalance_counts){ .sites = &x->view,
                                   .by_node = calloc(x->nodes * x->nodes + 1, sizeof(uint64_t)),
                                   .by_zone = calloc(x->zones * x->zones + 1, sizeof(uint64_t)) };
    if (x->counts.by_node == NULL || x->counts.by_zone == NULL)
        return pr_fail(err, PR_ENOMEM, "moves between %zu nodes", x->nodes);
    for (uint32_t p = 0; p < x->partitions; p++) {
        const struct pr_buf *c = &x->current.home[p], *t = &x->target.home[p];
        rebalance_diff((struct rebalance_blob){ c->data, c->len },
                       (struct rebalance_blob){ t->data, t->len }, p, rebalance_count, &x->counts);
    }
    return PR_OK;
}

/* --- what it gains --------------------------------------------------------------- */

static double report_number(const json_t *report, const char *when, const char *name)
{
    const json_t *v = json_object_get(json_object_get(report, when), name);
    return json_is_number(v) ? json_number_value(v) : -1;
}

static enum pr_code load_money(struct planning *x, struct pr_err *err)
{
    const struct rebalance_config *cfg = x->p->cfg;
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(x->p->db,
                   "SELECT coalesce(report::text, '{}'), "
                   "(SELECT (result->>'vertices_per_s')::float8 FROM plans WHERE state = 'done' "
                   "AND (result->>'moved')::float8 >= 10000 ORDER BY finished_at DESC LIMIT 1) "
                   "FROM placement_runs WHERE id = $1",
                   PR_ARGS(pr_i64(x->run_id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    json_t *report = PQntuples(res) == 0 ? NULL : json_loads(pr_cell(res, 0, 0), 0, NULL);
    const double measured =
        PQntuples(res) == 0 || pr_cell(res, 0, 1) == NULL ? 0 : pr_cell_real(res, 0, 1);
    x->money = (struct rebalance_economics){
        .cross_before_ratio = report_number(report, "before", "cross_share"),
        .cross_after_ratio = report_number(report, "after", "cross_share"),
        .usd_before_per_month = report_number(report, "before", "usd_per_month"),
        .usd_after_per_month = report_number(report, "after", "usd_per_month"),
        .bytes = x->counts.bytes,
        .cross_zone_bytes = x->counts.cross_zone_bytes,
        .price_usd_per_gb = cfg->price_usd_per_gb,
        .billed_sides = (int)cfg->billed_sides,
        .horizon_days = cfg->horizon_days,
        .copies = x->copies,
        .vertices = x->counts.vertices,
        .vertices_per_s = measured > 0 ? measured : cfg->vertices_per_s
    };
    json_decref(report);
    return PR_OK;
}

/* --- the summary ------------------------------------------------------------------- */

static json_t *real_or_null(double v)
{
    return v < 0 ? json_null() : json_real(v);
}

static json_t *reasons_json(const struct planning *x)
{
    json_t *o = json_object();
    for (int r = 0; r < REBALANCE_REASONS; r++)
        (void)json_object_set_new(o, rebalance_reason_name((enum rebalance_reason)r),
                                  json_integer((json_int_t)x->counts.by_reason[r]));
    return o;
}

static json_t *zones_json(const struct planning *x)
{
    json_t *o = json_object();
    for (size_t a = 0; a < x->zones; a++) {
        json_t *row = json_object();
        for (size_t b = 0; b < x->zones; b++)
            (void)json_object_set_new(
                row, x->zone[b], json_integer((json_int_t)x->counts.by_zone[a * x->zones + b]));
        (void)json_object_set_new(o, x->zone[a], row);
    }
    return o;
}

/* Node pairs that exchange vertices; a list, as most pairs of a large fleet do not. */
static json_t *nodes_json(const struct planning *x)
{
    json_t *list = json_array();
    for (size_t a = 0; a < x->nodes; a++)
        for (size_t b = 0; b < x->nodes; b++) {
            const uint64_t n = x->counts.by_node[a * x->nodes + b];
            if (n > 0)
                (void)json_array_append_new(list,
                                            json_pack("{s:s, s:s, s:I}", "from", x->node[a], "to",
                                                      x->node[b], "vertices", (json_int_t)n));
        }
    return list;
}

static char *summary_json(const struct planning *x)
{
    struct rebalance_verdict v;
    rebalance_judge(&x->money, &v);
    json_t *gain = json_pack("{s:o, s:o, s:o, s:o, s:f}", "cross_share_before",
                             real_or_null(x->money.cross_before_ratio), "cross_share_after",
                             real_or_null(x->money.cross_after_ratio), "usd_per_month_before",
                             real_or_null(x->money.usd_before_per_month), "usd_per_month_after",
                             real_or_null(x->money.usd_after_per_month), "saved_usd", v.saved_usd);
    json_t *verdict = json_pack("{s:b, s:s, s:f, s:f}", "worth_it", v.worth ? 1 : 0, "why", v.why,
                                "move_usd", v.move_usd, "horizon_days", x->money.horizon_days);
    json_t *o = json_pack("{s:I, s:I, s:I, s:f, s:f, s:i, s:o, s:o, s:o, s:o, s:o}", "moves",
                          (json_int_t)x->counts.vertices, "bytes", (json_int_t)x->counts.bytes,
                          "cross_zone_bytes", (json_int_t)x->counts.cross_zone_bytes, "duration_s",
                          v.duration_s, "vertices_per_s", x->money.vertices_per_s, "copies",
                          x->copies, "reasons", reasons_json(x), "zones", zones_json(x), "nodes",
                          nodes_json(x), "gain", gain, "verdict", verdict);
    char *text = o == NULL ? NULL : json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(o);
    return text;
}

/* Without its targets a run reads as "everyone goes home". */
static enum pr_code refuse_pruned_run(struct pr_db *db, int64_t run_id, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc = pr_db_exec(db,
                                 "SELECT 1 FROM placement_runs WHERE id = $1 "
                                 "AND report ->> 'targets_kept' = 'false'",
                                 PR_ARGS(pr_i64(run_id)), &res, err);
    if (rc != PR_OK || PQntuples(res) == 0)
        return rc;
    return pr_fail(err, PR_ECONFLICT,
                   "the targets of placement run %lld were deleted (only the newest runs keep "
                   "theirs): run the placement again",
                   (long long)run_id);
}

enum pr_code rebalance_plan_summary(struct rebalance_planner *p, int64_t run_id,
                                    const char *run_state, char **json, struct pr_err *err)
{
    if (strcmp(run_state, "done") != 0)
        return pr_fail(err, PR_ECONFLICT, "placement run %lld is %s, not done", (long long)run_id,
                       run_state);
    struct planning *x = calloc(1, sizeof *x);
    if (x == NULL)
        return pr_fail(err, PR_ENOMEM, "a plan");
    x->p = p;
    x->run_id = run_id;
    x->copies = 1;
    enum pr_code rc = rebalance_partitions(p->db, &x->partitions, err);
    if (rc == PR_OK)
        rc = refuse_pruned_run(p->db, run_id, err);
    if (rc == PR_OK)
        rc = refuse_failed_nodes(x, err);
    if (rc == PR_OK)
        rc = load_sites(x, err);
    if (rc == PR_OK)
        rc = load_slots(x, err);
    if (rc == PR_OK)
        rc = ask_cluster(x, err);
    if (rc == PR_OK)
        rc = pr_db_tx(p->db, load_tables, x, err);
    if (rc == PR_OK)
        rc = count(x, err);
    if (rc == PR_OK)
        rc = load_money(x, err);
    if (rc == PR_OK && (*json = summary_json(x)) == NULL)
        rc = pr_fail(err, PR_ENOMEM, "the summary of a plan");
    done(x);
    free(x);
    return rc;
}
