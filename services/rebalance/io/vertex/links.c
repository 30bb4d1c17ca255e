#include "io/vertex/links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum pr_code rebalance_links_open(struct rebalance_links *l,
                                  const struct rebalance_links_options *o, struct pr_db *db,
                                  struct pr_err *err)
{
    *l = (struct rebalance_links){ .auth = o->mover, .timeout_ms = o->timeout_ms };
    enum pr_code rc = pr_cluster_open(&l->cluster, o->seeds, &o->service, o->timeout_ms, err);
    return rc == PR_OK ? rebalance_links_refresh(l, db, err) : rc;
}

void rebalance_links_close(struct rebalance_links *l)
{
    for (size_t i = 0; i < l->n; i++)
        pr_redis_close(l->link[i].conn);
    free(l->link);
    pr_cluster_close(l->cluster);
    *l = (struct rebalance_links){ 0 };
}

static enum pr_code link_of(struct rebalance_links *l, const struct pr_node *node, int16_t *out,
                            struct pr_err *err)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->link[i].node_id, node->id) == 0) {
            if (strcmp(l->link[i].host, node->host) != 0 || l->link[i].port != node->port) {
                rebalance_link_break(&l->link[i]); /* the node moved */
                snprintf(l->link[i].host, sizeof l->link[i].host, "%s", node->host);
                l->link[i].port = node->port;
            }
            *out = (int16_t)i;
            return PR_OK;
        }
    if (l->n == l->cap) {
        const size_t cap = l->cap == 0 ? 16 : l->cap * 2;
        struct rebalance_link *more = realloc(l->link, cap * sizeof *more);
        if (more == NULL)
            return pr_fail(err, PR_ENOMEM, "links to %zu nodes", cap);
        l->link = more;
        l->cap = cap;
    }
    struct rebalance_link *link = &l->link[l->n];
    *link = (struct rebalance_link){ .port = node->port };
    snprintf(link->node_id, sizeof link->node_id, "%s", node->id);
    snprintf(link->host, sizeof link->host, "%s", node->host);
    snprintf(link->name, sizeof link->name, "%.50s:%d", node->host, node->port);
    *out = (int16_t)l->n++;
    return PR_OK;
}

/* A shard is whole with all of its registered members there: one that failed is
 * missing, and may come back with the right to be elected. */
static enum pr_code count_members(struct rebalance_links *l, struct pr_db *db, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT n.redis_id, n.id, (SELECT count(*) - 1 FROM nodes m WHERE m.shard_id = n.shard_id "
        "AND m.state IN ('up', 'failed')) FROM nodes n "
        "WHERE n.redis_id IS NOT NULL AND n.shard_id IS NOT NULL",
        NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res); i++)
        for (size_t k = 0; k < l->n; k++) {
            struct rebalance_link *link = &l->link[k];
            if (strcmp(link->node_id, pr_cell(res, i, 0)) != 0)
                continue;
            snprintf(link->name, sizeof link->name, "%s", pr_cell(res, i, 1));
            const int members = (int)pr_cell_i64(res, i, 2);
            if (members > link->replicas)
                link->replicas = members;
        }
    return PR_OK;
}

enum pr_code rebalance_links_refresh(struct rebalance_links *l, struct pr_db *db,
                                     struct pr_err *err)
{
    enum pr_code rc = pr_cluster_refresh(l->cluster, err);
    if (rc != PR_OK)
        return rc;
    const struct pr_topology *t = pr_cluster_topology(l->cluster);
    int16_t *link_of_node = malloc((t->nodes + 1) * sizeof *link_of_node);
    if (link_of_node == NULL)
        return pr_fail(err, PR_ENOMEM, "links to %zu nodes", t->nodes);
    for (size_t j = 0; j < t->nodes && rc == PR_OK; j++) {
        link_of_node[j] = -1;
        if (t->node[j].primary)
            rc = link_of(l, &t->node[j], &link_of_node[j], err);
    }
    for (size_t i = 0; i < l->n; i++)
        l->link[i].replicas = 0;
    for (size_t j = 0; j < t->nodes && rc == PR_OK; j++)
        for (size_t i = 0; !t->node[j].primary && i < l->n; i++)
            if (strcmp(l->link[i].node_id, t->node[j].primary_id) == 0)
                l->link[i].replicas++;
    for (size_t s = 0; s < PR_COUNT(l->of_slot) && rc == PR_OK; s++)
        l->of_slot[s] = t->slot_owner[s] < 0 ? (int16_t)-1 : link_of_node[t->slot_owner[s]];
    free(link_of_node);
    return rc == PR_OK ? count_members(l, db, err) : rc;
}

void rebalance_link_break(struct rebalance_link *link)
{
    pr_redis_close(link->conn);
    link->conn = NULL;
    link->number = 0;
}

enum pr_code rebalance_link_connect(struct rebalance_links *l, struct rebalance_link *link,
                                    struct pr_err *err)
{
    if (link->conn != NULL && !pr_redis_broken(link->conn))
        return PR_OK;
    rebalance_link_break(link);
    enum pr_code rc =
        pr_redis_open(&link->conn, link->host, link->port, &l->auth, l->timeout_ms, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "node %s", link->name);
    link->number = ++l->last_number;
    return PR_OK;
}

static int replicas_in_step(const char *info)
{
    int n = 0;
    for (const char *p = strstr(info, "state=online"); p != NULL; p = strstr(p + 1, "state=online"))
        n++;
    return n;
}

enum pr_code rebalance_link_whole(struct rebalance_links *l, struct rebalance_link *link,
                                  struct pr_err *err)
{
    enum pr_code rc = rebalance_link_connect(l, link, err);
    if (rc != PR_OK)
        return rc;
    redisReply *got = NULL;
    rc = pr_redis_command(link->conn, &got, err, "INFO replication");
    if (rc != PR_OK) {
        rebalance_link_break(link);
        return pr_wrap(err, rc, "node %s", link->name);
    }
    PR_AUTO(redisReply) *r = got;
    if (r->str == NULL || strstr(r->str, "role:master") == NULL)
        return pr_fail(err, PR_EUNAVAIL, "node %s is no primary", link->name);
    const int online = replicas_in_step(r->str);
    if (online < link->replicas)
        return pr_fail(err, PR_EUNAVAIL, "node %s has %d of %d replicas", link->name, online,
                       link->replicas);
    return PR_OK;
}
