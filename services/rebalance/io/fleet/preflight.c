#include "io/fleet/preflight.h"

#include "io/fleet/facts_ask.h"
#include "io/fleet/preflight_checks.h"

#include "prism/dp/library.h"

#include <string.h>

/* --- a node that is to join ---------------------------------------------------------- */

static enum pr_code model_member(struct pr_cluster *c, struct pr_redis **conn, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(c);
    enum pr_code rc = pr_fail(err, PR_EUNAVAIL, "no primary is alive");
    for (size_t i = 0; i < t->nodes && rc != PR_OK; i++)
        if (t->node[i].primary && !t->node[i].failed)
            rc = pr_cluster_conn(c, t->node[i].id, conn, err);
    return rc;
}

enum pr_code rebalance_preflight_join(struct pr_db *db, struct pr_cluster *c,
                                      const struct rebalance_config *cfg, const char *node,
                                      struct pr_err *err)
{
    struct duty_node n;
    struct pr_redis *model = NULL;
    PR_AUTO(duty_conn) *conn = NULL;
    enum pr_code rc = duty_node(db, c, node, &n, err);
    if (rc != PR_OK)
        return rc;
    if (n.member && !n.failed)
        return preflight_answers(c, &n, err);
    if ((rc = preflight_zone(db, node, err)) != PR_OK)
        return rc;
    if ((rc = duty_look(cfg, n.host, n.port, &conn, err)) != PR_OK)
        return pr_wrap(err, rc, "node %s", node);
    if ((rc = model_member(c, &model, err)) != PR_OK)
        return rc;
    rc = preflight_server(conn, err);
    if (rc == PR_OK)
        rc = preflight_empty(c, conn, &n, err);
    if (rc == PR_OK)
        rc = preflight_settings(conn, model, err);
    if (rc == PR_OK)
        rc = preflight_users(conn, model, err);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "node %s", node);
}

/* --- a plan's steps ---------------------------------------------------------------------- */

struct steps {
    struct pr_db *db;
    struct pr_cluster *c;
    const struct rebalance_config *cfg;
    const PGresult *res; /* kind, node, leaves, joins, forgotten */
    struct pr_err *err;
};

/* One row of NODES_SQL. */
static enum pr_code check_node(const struct steps *s, int row)
{
    const char *id = pr_cell(s->res, row, 0);
    const bool joins = pr_cell_bool(s->res, row, 1), only_forgotten = pr_cell_bool(s->res, row, 2);
    struct duty_node n;
    enum pr_code rc = duty_node(s->db, s->c, id, &n, s->err);
    if (rc != PR_OK)
        return rc;
    if (joins)
        return rebalance_preflight_join(s->db, s->c, s->cfg, id, s->err);
    if (only_forgotten)
        return PR_OK; /* may be dead, or gone already */
    if (!n.member)
        return pr_fail(s->err, PR_ECONFLICT,
                       "node %s is not in the cluster, and the plan does not take it in", id);
    if (n.failed)
        return pr_fail(s->err, PR_EUNAVAIL, "node %s is down", id);
    rc = preflight_zone(s->db, id, s->err);
    return rc == PR_OK ? preflight_answers(s->c, &n, s->err) : rc;
}

/* Every node of the plan; does it join; is it named as the target of forget, and as
 * the dead node that something takes over from, only. */
static const char NODES_SQL[] =
    "WITH named AS (SELECT dst_node AS node, kind, false AS source FROM steps WHERE plan_id = $1 "
    "AND state NOT IN ('verified', 'rolled_back') "
    "UNION ALL SELECT src_node, kind, true FROM steps WHERE plan_id = $1 AND src_node <> '' "
    "AND state NOT IN ('verified', 'rolled_back')) "
    "SELECT node, bool_or(kind = 'meet'), "
    "bool_and(kind = 'forget' OR (source AND kind IN ('replicate', 'failover'))) "
    "FROM named GROUP BY node ORDER BY node";

enum pr_code rebalance_preflight_plan(struct pr_db *db, struct pr_cluster *c,
                                      const struct rebalance_config *cfg, int64_t plan_id,
                                      struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_cluster_refresh(c, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, NODES_SQL, PR_ARGS(pr_i64(plan_id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    const struct steps s = { db, c, cfg, res, err };
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++)
        rc = check_node(&s, i);
    return rc == PR_OK && PQntuples(res) > 0 ? pr_cluster_check(c, PR_LIBRARY_VERSION, err) : rc;
}
