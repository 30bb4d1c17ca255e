#include "io/nodes.h"

#include "prism/io/outbox.h"
#include "prism/v1/rebalance.pb-c.h"

#include <string.h>

static const char *keep(struct pr_arena *arena, const PGresult *r, int row, int col, bool *room)
{
    const char *s = pr_cell(r, row, col);
    const char *copy = s == NULL ? "" : pr_arena_strdup(arena, s);
    *room = *room && copy != NULL;
    return copy;
}

enum pr_code autoscale_nodes_load(struct pr_db *db, struct pr_arena *arena,
                                  struct autoscale_node_row **node, size_t *n, struct pr_err *err)
{
    PGresult *got = NULL;
    bool room = true;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT n.id, n.zone_id, n.placement_group, n.shard_id, n.role = 'primary', "
        "n.state IN ('up', 'failed'), n.state = 'up', coalesce(s.slots, 0), n.state = 'up' AND "
        "coalesce(s.slots, 0) > 0 AND (n.role = 'replica' OR n.slots > 0) "
        "FROM nodes n LEFT JOIN shards s ON s.id = n.shard_id ORDER BY n.id COLLATE \"C\"",
        NULL, 0, &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "nodes");
    PR_AUTO(PGresult) *res = got;
    const int rows = PQntuples(res);
    struct autoscale_node_row *list = pr_arena_alloc(arena, ((size_t)rows + 1) * sizeof *list);
    for (int i = 0; i < rows && list != NULL; i++)
        list[i] = (struct autoscale_node_row){
            .id = keep(arena, res, i, 0, &room),
            .zone = keep(arena, res, i, 1, &room),
            .group = keep(arena, res, i, 2, &room),
            .shard = keep(arena, res, i, 3, &room),
            .primary = pr_cell_bool(res, i, 4),
            .member = pr_cell_bool(res, i, 5),
            .up = pr_cell_bool(res, i, 6),
            .slots = (int)pr_cell_i64(res, i, 7),
            .useful = pr_cell_bool(res, i, 8),
        };
    if (list == NULL || !room)
        return pr_fail(err, PR_ENOMEM, "%d nodes", rows);
    *node = list;
    *n = (size_t)rows;
    return PR_OK;
}

struct change {
    const struct pr_lease *lease;
    const struct autoscale_registration *r;
    const char *id;
};

static enum pr_code add(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    const struct autoscale_registration *r = c->r;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, c->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "INSERT INTO nodes (id, host, port, zone_id, placement_group) VALUES ($1, "
                        "$2, $3, $4, (SELECT id FROM placement_groups WHERE id = $5)) "
                        "ON CONFLICT (id) DO NOTHING RETURNING id",
                        PR_ARGS(pr_text(r->id), pr_text(r->host), pr_i64(r->port), pr_text(r->zone),
                                pr_text(r->group)),
                        &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return PR_OK;
    return pr_db_exec(db,
                      "INSERT INTO audit (principal, action, resource) VALUES ('policy autoscale', "
                      "'node.register', 'nodes/' || $1)",
                      PR_ARGS(pr_text(r->id)), NULL, err);
}

enum pr_code autoscale_node_register(struct pr_db *db, const struct pr_lease *lease,
                                     const struct autoscale_registration *r, struct pr_err *err)
{
    struct change c = { .lease = lease, .r = r };
    const enum pr_code rc = pr_db_tx(db, add, &c, err);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "node %.60s at %.60s:%d", r->id, r->host, r->port);
}

/* Who lists nodes hears of it as of a change that the cluster reported. */
static enum pr_code tell(struct pr_db *db, struct pr_err *err)
{
    PGresult *got = NULL;
    uint8_t packed[32];
    Prism__V1__TopologyChangedEvent e = PRISM__V1__TOPOLOGY_CHANGED_EVENT__INIT;
    enum pr_code rc = pr_db_exec(db, "SELECT nextval('revisions')", NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    e.revision = (uint64_t)pr_cell_i64(got, 0, 0);
    PQclear(got);
    return pr_outbox_add(db, "prism.evt.topology.changed", packed,
                         prism__v1__topology_changed_event__pack(&e, packed), err);
}

static enum pr_code take_away(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, c->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "DELETE FROM nodes WHERE id = $1 AND state NOT IN ('up', 'failed') AND "
                        "slots = 0 RETURNING id",
                        PR_ARGS(pr_text(c->id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return PR_OK;
    rc = pr_db_exec(db,
                    "INSERT INTO audit (principal, action, resource) VALUES ('policy autoscale', "
                    "'node.delete', 'nodes/' || $1)",
                    PR_ARGS(pr_text(c->id)), NULL, err);
    return rc == PR_OK ? tell(db, err) : rc;
}

enum pr_code autoscale_node_unregister(struct pr_db *db, const struct pr_lease *lease,
                                       const char *id, struct pr_err *err)
{
    struct change c = { .lease = lease, .id = id };
    const enum pr_code rc = pr_db_tx(db, take_away, &c, err);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "node %.60s", id);
}
