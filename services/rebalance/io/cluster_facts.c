#include "io/cluster_facts.h"

#include "core/topology.h"

#include <stdlib.h>
#include <string.h>

enum pr_code rebalance_seeds(struct pr_db *db, const struct rebalance_config *cfg, char **out,
                             struct pr_err *err)
{
    const char *seeds = cfg->redis_seeds;
    PGresult *got = NULL;
    if (seeds[0] == '\0') {
        enum pr_code rc = pr_db_exec(
            db,
            "SELECT coalesce(string_agg(host || ':' || port, ',' ORDER BY id), '') FROM nodes "
            "WHERE state IN ('up', 'failed') "
            "OR NOT EXISTS (SELECT FROM nodes WHERE state IN ('up', 'failed'))",
            NULL, 0, &got, err);
        if (rc != PR_OK)
            return rc;
        seeds = pr_cell(got, 0, 0);
    }
    PR_AUTO(PGresult) *res = got;
    (void)res;
    *out = strdup(seeds);
    return *out != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "seeds");
}

enum pr_code rebalance_cluster_open(struct pr_cluster **c, const char *seeds,
                                    const struct rebalance_config *cfg, struct pr_err *err)
{
    const struct pr_redis_auth auth = { .user = cfg->redis_user[0] == '\0' ? NULL : cfg->redis_user,
                                        .password = cfg->redis_password };
    return pr_cluster_open(c, seeds, &auth, (int)cfg->redis_timeout_ms, err);
}

/* One command to one node; a connection that broke is dropped. */
static enum pr_code ask(struct pr_cluster *c, const char *node_id, const char *command,
                        redisReply **reply, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    enum pr_code rc = pr_cluster_conn(c, node_id, &conn, err);
    if (rc == PR_OK)
        rc = pr_redis_command(conn, reply, err, command);
    if (rc == PR_OK && (*reply)->str == NULL) {
        freeReplyObject(*reply);
        *reply = NULL;
        rc = pr_fail(err, PR_EDATA, "node %.8s: %s answered no text", node_id, command);
    }
    if (rc != PR_OK)
        pr_cluster_drop(c, node_id);
    return rc;
}

static bool listed(const PGresult *ids, const char *id)
{
    for (int i = 0; i < PQntuples(ids); i++)
        if (strcmp(pr_cell(ids, i, 0), id) == 0)
            return true;
    return false;
}

/* A node's CLUSTER NODES shows its own open slots only, so each is asked. One that came
 * back from a failure and leads nothing may still show what was open when it died. */
enum pr_code rebalance_cluster_open_slots(struct pr_db *db, struct pr_cluster *c,
                                          uint8_t open[2048], struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(c);
    PGresult *rows = NULL;
    memset(open, 0, 2048);
    enum pr_code back =
        pr_db_exec(db,
                   "SELECT n.redis_id FROM nodes n JOIN shards s ON s.id = n.shard_id "
                   "WHERE n.role = 'primary' AND n.slots = 0 AND s.primary_id <> n.id",
                   NULL, 0, &rows, err);
    if (back != PR_OK)
        return back;
    PR_AUTO(PGresult) *came_back = rows;
    for (size_t i = 0; i < t->nodes; i++) {
        redisReply *got = NULL;
        if (!t->node[i].primary || t->node[i].failed || listed(came_back, t->node[i].id))
            continue;
        enum pr_code rc = ask(c, t->node[i].id, "CLUSTER NODES", &got, err);
        if (rc != PR_OK)
            return rc;
        PR_AUTO(redisReply) *r = got;
        rebalance_open_slots(r->str, open);
    }
    return PR_OK;
}

static double field(const char *info, const char *name)
{
    const char *p = strstr(info, name);
    return p == NULL ? 0 : strtod(p + strlen(name), NULL);
}

enum pr_code rebalance_key_bytes(struct pr_cluster *c, const char *node_id, double *out,
                                 struct pr_err *err)
{
    redisReply *memory = NULL, *keyspace = NULL;
    enum pr_code rc = ask(c, node_id, "INFO memory", &memory, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(redisReply) *m = memory;
    rc = ask(c, node_id, "INFO keyspace", &keyspace, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(redisReply) *k = keyspace;
    const double keys = field(k->str, "db0:keys=");
    *out = keys > 0 ? field(m->str, "used_memory_dataset:") / keys : 0;
    return PR_OK;
}
