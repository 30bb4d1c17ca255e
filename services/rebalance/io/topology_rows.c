#include "io/topology_rows.h"

#include "prism/buf.h"
#include "prism/io/outbox.h"
#include "prism/v1/rebalance.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* --- reading --------------------------------------------------------------- */

static const char *keep(struct pr_arena *arena, const PGresult *res, int row, int col)
{
    const char *s = pr_cell(res, row, col);
    return s == NULL ? "" : pr_arena_strdup(arena, s);
}

static enum pr_code load_nodes(struct pr_db *db, struct pr_arena *arena,
                               struct rebalance_registered *out, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT id, host, port, zone_id, redis_id, role, shard_id, state, slots FROM nodes "
        "ORDER BY id",
        NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    const int n = PQntuples(res);
    out->node = pr_arena_alloc(arena, ((size_t)n + 1) * sizeof *out->node);
    if (out->node == NULL)
        return pr_fail(err, PR_ENOMEM, "%d nodes", n);
    for (int i = 0; i < n; i++) {
        out->node[i] =
            (struct rebalance_node){ .id = keep(arena, res, i, 0),
                                     .host = keep(arena, res, i, 1),
                                     .port = (int)pr_cell_i64(res, i, 2),
                                     .zone = keep(arena, res, i, 3),
                                     .redis_id = keep(arena, res, i, 4),
                                     .role = rebalance_role_parse(pr_cell(res, i, 5)),
                                     .shard = keep(arena, res, i, 6),
                                     .state = rebalance_node_state_parse(pr_cell(res, i, 7)),
                                     .slots = (int)pr_cell_i64(res, i, 8) };
        const struct rebalance_node *r = &out->node[i];
        if (r->id == NULL || r->host == NULL || r->zone == NULL || r->redis_id == NULL ||
            r->shard == NULL)
            return pr_fail(err, PR_ENOMEM, "%d nodes", n);
    }
    out->nodes = (size_t)n;
    return PR_OK;
}

enum pr_code rebalance_registered_load(struct pr_db *db, struct pr_arena *arena,
                                       struct rebalance_registered *out, struct pr_err *err)
{
    PGresult *got = NULL;
    *out = (struct rebalance_registered){ 0 };
    enum pr_code rc = load_nodes(db, arena, out, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "SELECT id, subnet FROM zones WHERE subnet IS NOT NULL ORDER BY id",
                        NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    const int n = PQntuples(res);
    out->subnet = pr_arena_alloc(arena, ((size_t)n + 1) * sizeof *out->subnet);
    if (out->subnet == NULL)
        return pr_fail(err, PR_ENOMEM, "%d zones", n);
    for (int i = 0; i < n; i++) {
        out->subnet[i] =
            (struct rebalance_subnet){ keep(arena, res, i, 0), keep(arena, res, i, 1) };
        if (out->subnet[i].zone == NULL || out->subnet[i].cidr == NULL)
            return pr_fail(err, PR_ENOMEM, "%d zones", n);
    }
    out->subnets = (size_t)n;
    return PR_OK;
}

enum pr_code rebalance_cluster_image(const struct rebalance_registered *registered,
                                     const struct pr_topology *t, struct pr_arena *arena,
                                     struct rebalance_image *out, struct pr_err *err)
{
    struct rebalance_reported *node = pr_arena_alloc(arena, (t->nodes + 1) * sizeof *node);
    if (node == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", t->nodes);
    for (size_t i = 0; i < t->nodes; i++) {
        const struct pr_node *n = &t->node[i];
        node[i] =
            (struct rebalance_reported){ .redis_id = pr_arena_strdup(arena, n->id),
                                         .host = pr_arena_strdup(arena, n->host),
                                         .port = n->port,
                                         .primary = n->primary,
                                         .failed = n->failed,
                                         .dead = n->dead,
                                         .config_epoch = n->config_epoch,
                                         .primary_id = pr_arena_strdup(arena, n->primary_id) };
        if (node[i].redis_id == NULL || node[i].host == NULL || node[i].primary_id == NULL)
            return pr_fail(err, PR_ENOMEM, "%zu nodes", t->nodes);
    }
    const struct rebalance_cluster c = {
        .node = node, .nodes = t->nodes, .slot_owner = t->slot_owner, .imports = t->imports
    };
    return rebalance_image(registered->node, registered->nodes, registered->subnet,
                           registered->subnets, &c, arena, out, err);
}

/* --- writing --------------------------------------------------------------- */

struct change {
    const struct pr_lease *lease;
    const struct rebalance_registered *before;
    const struct rebalance_image *image;
    int rows; /* out */
};

static int affected(const PGresult *r)
{
    return (int)strtol(PQcmdTuples((PGresult *)(uintptr_t)r), NULL, 10);
}

static enum pr_code run(struct pr_db *db, struct change *c, const char *sql,
                        const struct pr_arg *args, size_t n, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(db, sql, args, n, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    c->rows += affected(res);
    return PR_OK;
}

static enum pr_code write_nodes(struct pr_db *db, struct change *c, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < c->image->nodes && rc == PR_OK; i++) {
        const struct rebalance_node *n = &c->image->node[i];
        if (rebalance_node_same(n, &c->before->node[i]))
            continue;
        rc =
            run(db, c,
                "UPDATE nodes SET redis_id = nullif($2, ''), role = $3, "
                "shard_id = nullif($4, ''), state = $5, slots = $6, seen_at = now(), "
                "zone_id = coalesce(zone_id, nullif($7, '')) WHERE id = $1",
                PR_ARGS(pr_text(n->id), pr_text(n->redis_id), pr_text(rebalance_role_name(n->role)),
                        pr_text(n->shard), pr_text(rebalance_node_state_name(n->state)),
                        pr_i64(n->slots), pr_text(n->zone)),
                err);
    }
    return rc;
}

/* Node, shard and zone ids hold no quote and no backslash. */
static void add_item(struct pr_buf *b, const char *s)
{
    pr_buf_printf(b, "%s\"%s\"", b->len == 1 ? "" : ",", s);
}

/* home_zone is where the primary was when the shard was first seen with a known
 * zone; a fail-over does not change it. */
static enum pr_code write_shards(struct pr_db *db, struct change *c, struct pr_err *err)
{
    struct pr_buf ids, replicas;
    enum pr_code rc = PR_OK;
    pr_buf_init(&ids, 0);
    pr_buf_init(&replicas, 0);
    pr_buf_str(&ids, "{");
    for (size_t i = 0; i < c->image->shards && rc == PR_OK; i++) {
        const struct rebalance_shard *s = &c->image->shard[i];
        add_item(&ids, s->id);
        pr_buf_reset(&replicas);
        pr_buf_str(&replicas, "{");
        for (size_t k = 0; k < s->replicas; k++)
            add_item(&replicas, s->replica[k]);
        pr_buf_str(&replicas, "}");
        if (replicas.failed)
            rc = pr_fail(err, PR_ENOMEM, "shards");
        else
            rc = run(db, c,
                     "INSERT INTO shards AS s (id, primary_id, replicas, slots, home_zone) "
                     "VALUES ($1, $2, $3::text[], $4, nullif($5, '')) "
                     "ON CONFLICT (id) DO UPDATE SET primary_id = excluded.primary_id, "
                     "replicas = excluded.replicas, slots = excluded.slots, "
                     "home_zone = coalesce(s.home_zone, excluded.home_zone) "
                     "WHERE (s.primary_id, s.replicas, s.slots, "
                     "coalesce(s.home_zone, excluded.home_zone)) IS DISTINCT FROM "
                     "(excluded.primary_id, excluded.replicas, excluded.slots, s.home_zone)",
                     PR_ARGS(pr_text(s->id), pr_text(s->primary), pr_text(replicas.data),
                             pr_i64(s->slots), pr_text(s->zone)),
                     err);
    }
    pr_buf_str(&ids, "}");
    if (rc == PR_OK && ids.failed)
        rc = pr_fail(err, PR_ENOMEM, "shards");
    if (rc == PR_OK)
        rc = run(db, c, "DELETE FROM shards WHERE id <> ALL($1::text[])",
                 PR_ARGS(pr_text(ids.data)), err);
    pr_buf_done(&ids);
    pr_buf_done(&replicas);
    return rc;
}

static const char SLOTS_SQL[] =
    "WITH want AS (SELECT g AS slot, r.shard, r.node, nullif(r.zone, '') AS zone FROM "
    "unnest($1::int[], $2::int[], $3::text[], $4::text[], $5::text[]) "
    "AS r(first, last, shard, node, zone), generate_series(r.first, r.last) AS g), "
    "gone AS (DELETE FROM slots WHERE slot NOT IN (SELECT slot FROM want) RETURNING 1), "
    "put AS (INSERT INTO slots AS s (slot, shard_id, node_id, zone_id) "
    "SELECT slot, shard, node, zone FROM want ON CONFLICT (slot) DO UPDATE SET "
    "shard_id = excluded.shard_id, node_id = excluded.node_id, zone_id = excluded.zone_id "
    "WHERE (s.shard_id, s.node_id, s.zone_id) IS DISTINCT FROM "
    "(excluded.shard_id, excluded.node_id, excluded.zone_id) RETURNING 1) "
    "SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM put)";

static enum pr_code write_slots(struct pr_db *db, struct change *c, struct pr_err *err)
{
    struct pr_buf col[5];
    PGresult *got = NULL;
    bool failed = false;
    for (size_t k = 0; k < PR_COUNT(col); k++) {
        pr_buf_init(&col[k], 0);
        pr_buf_str(&col[k], "{");
    }
    for (size_t i = 0; i < c->image->runs; i++) {
        const struct rebalance_slot_span *r = &c->image->run[i];
        pr_buf_printf(&col[0], "%s%d", i == 0 ? "" : ",", r->first);
        pr_buf_printf(&col[1], "%s%d", i == 0 ? "" : ",", r->last);
        add_item(&col[2], r->shard);
        add_item(&col[3], r->node);
        add_item(&col[4], r->zone);
    }
    for (size_t k = 0; k < PR_COUNT(col); k++) {
        pr_buf_str(&col[k], "}");
        failed = failed || col[k].failed;
    }
    enum pr_code rc =
        failed
            ? pr_fail(err, PR_ENOMEM, "slots")
            : pr_db_exec(db, SLOTS_SQL,
                         PR_ARGS(pr_text(col[0].data), pr_text(col[1].data), pr_text(col[2].data),
                                 pr_text(col[3].data), pr_text(col[4].data)),
                         &got, err);
    for (size_t k = 0; k < PR_COUNT(col); k++)
        pr_buf_done(&col[k]);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    c->rows += (int)pr_cell_i64(res, 0, 0);
    return PR_OK;
}

static enum pr_code tell(struct pr_db *db, const struct rebalance_image *image, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(db, "SELECT nextval('revisions')", NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    Prism__V1__TopologyChangedEvent event = PRISM__V1__TOPOLOGY_CHANGED_EVENT__INIT;
    event.revision = (uint64_t)pr_cell_i64(res, 0, 0);
    event.nodes = (uint32_t)image->nodes;
    event.failed_node_ids = calloc(image->nodes + 1, sizeof(char *));
    if (event.failed_node_ids == NULL)
        return pr_fail(err, PR_ENOMEM, "an event");
    for (size_t i = 0; i < image->nodes; i++) {
        if (image->node[i].role == REBALANCE_PRIMARY && image->node[i].slots > 0)
            event.primaries++;
        if (image->node[i].state == REBALANCE_NODE_FAILED)
            event.failed_node_ids[event.n_failed_node_ids++] = (char *)(uintptr_t)image->node[i].id;
    }
    const size_t n = prism__v1__topology_changed_event__get_packed_size(&event);
    uint8_t *packed = malloc(n + 1);
    if (packed != NULL)
        (void)prism__v1__topology_changed_event__pack(&event, packed);
    rc = packed == NULL ? pr_fail(err, PR_ENOMEM, "an event")
                        : pr_outbox_add(db, "prism.evt.topology.changed", packed, n, err);
    free(packed);
    free(event.failed_node_ids);
    return rc;
}

static enum pr_code write_all(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct change *c = ctx;
    c->rows = 0;
    enum pr_code rc = pr_lease_check(db, c->lease, err);
    if (rc == PR_OK)
        rc = write_nodes(db, c, err);
    if (rc == PR_OK)
        rc = write_shards(db, c, err);
    if (rc == PR_OK)
        rc = write_slots(db, c, err);
    return rc == PR_OK && c->rows > 0 ? tell(db, c->image, err) : rc;
}

enum pr_code rebalance_topology_write(struct pr_db *db, const struct pr_lease *lease,
                                      const struct rebalance_registered *before,
                                      const struct rebalance_image *image, int *rows_changed,
                                      struct pr_err *err)
{
    struct change c = { .lease = lease, .before = before, .image = image };
    enum pr_code rc = pr_db_tx(db, write_all, &c, err);
    *rows_changed = c.rows;
    return rc;
}
