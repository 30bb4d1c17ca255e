/* Plans that the policy wants made: what came back is taken in, and what is named automatic and is
 * needed. */
#include "io/fleet/standing_private.h"

#include "core/fleet/fleet.h"
#include "io/cluster_facts.h"

#include "prism/io/log.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct start { /* of one plan */
    const struct pr_lease *lease;
    const char *goal; /* JSON */
    bool returns;     /* its nodes came back: a try for each */
};

static enum pr_code make(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct start *s = ctx;
    enum pr_code rc = pr_lease_check(db, s->lease, err);
    if (rc != PR_OK)
        return rc;
    return pr_db_exec(db,
                      "WITH p AS (INSERT INTO plans (operation_id, kind, goal, created_by) VALUES "
                      "(gen_random_uuid(), 'fleet', $1::jsonb, $2) "
                      "RETURNING id, operation_id), "
                      "r AS (INSERT INTO node_returns (node_id, plan_id) SELECT node, p.id "
                      "FROM p, jsonb_array_elements_text($1::jsonb->'nodes') AS node WHERE $3), "
                      "old AS (DELETE FROM node_returns WHERE at < now() - interval '2 days') "
                      "INSERT INTO operations (id, kind, resource, created_by) "
                      "SELECT operation_id, 'rebalance.plan', 'rebalance/plans/' || id, $2 FROM p",
                      PR_ARGS(pr_text(s->goal), pr_text(REBALANCE_POLICY), pr_bool(s->returns)),
                      NULL, err);
}

struct need {
    const char *goal;
    bool (*is)(struct rebalance_executor *e);
};

static bool has_rows(struct rebalance_executor *e, const char *sql)
{
    PGresult *got = NULL;
    if (pr_db_exec(e->db, sql, NULL, 0, &got, NULL) != PR_OK)
        return false;
    PR_AUTO(PGresult) *res = got;
    return PQntuples(res) > 0;
}

/* Not to a zone that has only just come back, or not wholly. */
static bool primaries_are_away(struct rebalance_executor *e)
{
    PGresult *got = NULL;
    if (pr_db_exec(e->db,
                   "SELECT FROM shards s JOIN nodes p ON p.id = s.primary_id "
                   "WHERE p.zone_id <> s.home_zone AND EXISTS (SELECT FROM nodes r WHERE "
                   "r.shard_id = s.id AND r.zone_id = s.home_zone AND r.state = 'up') AND NOT "
                   "EXISTS (SELECT FROM zone_incidents i WHERE i.zone_id = s.home_zone AND "
                   "(i.ended_at IS NULL OR i.ended_at > now() - $1 * interval '1 s')) LIMIT 1",
                   PR_ARGS(pr_i64(e->o.cfg->zone_settle_s)), &got, NULL) != PR_OK)
        return false;
    PR_AUTO(PGresult) *res = got;
    return PQntuples(res) > 0;
}

static bool slots_are_open(struct rebalance_executor *e)
{
    uint8_t open[REBALANCE_SLOTS / 8];
    if (rebalance_connect(e, NULL) != PR_OK || pr_cluster_refresh(e->cluster, NULL) != PR_OK ||
        rebalance_cluster_open_slots(e->db, e->cluster, open, NULL) != PR_OK)
        return false;
    for (size_t i = 0; i < sizeof open; i++)
        if (open[i] != 0)
            return true;
    return false;
}

static bool always(struct rebalance_executor *e) /* the planner says whether it is uneven */
{
    (void)e;
    return true;
}

static bool automatic(const struct rebalance_standing *s, const char *goal)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->automatic[i], goal) == 0)
            return true;
    return false;
}

/* A plan that takes nodes in as replicas; returns: they came back from a failure. */
static enum pr_code take_in(struct rebalance_executor *e, const char *const *node, size_t n,
                            bool returns, struct pr_err *err)
{
    json_t *nodes = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(nodes, json_string(node[i]));
    json_t *goal = json_pack("{s:s, s:s, s:o}", "kind", "join", "role", "replica", "nodes", nodes);
    char *text = goal == NULL ? NULL : json_dumps(goal, JSON_COMPACT);
    json_decref(goal);
    if (text == NULL)
        return pr_fail(err, PR_ENOMEM, "a plan for %zu nodes", n);
    struct start start = { .lease = &e->lease, .goal = text, .returns = returns };
    pr_info(PR_EV("plan.made_by_policy"), PR_S("goal", start.goal));
    const enum pr_code rc = pr_db_tx(e->db, make, &start, err);
    free(text);
    return rc;
}

/* Nodes that came back from a failure as primaries without slots: their shards lack
 * them. And those that stand in for what was lost with a zone. Taking one in only adds a
 * replica, so nobody is asked. */
static enum pr_code take_back(struct rebalance_executor *e, const struct rebalance_back *back,
                              bool *made, struct pr_arena *arena, struct pr_err *err)
{
    const char **node = pr_arena_alloc(arena, (back->n + 1) * sizeof *node);
    size_t n = 0;
    if (node == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes that came back", back->n);
    for (size_t i = 0; i < back->n; i++)
        if (back->node[i].may.what == REBALANCE_RETURN_NOW)
            node[n++] = back->node[i].node;
    const bool returns = n > 0;
    enum pr_code rc = returns ? PR_OK : rebalance_spares(e, arena, &node, &n, err);
    *made = rc == PR_OK && n > 0;
    return *made ? take_in(e, node, n, returns, err) : rc;
}

/* What keeps coming back is not made again before it has cooled down, whatever
 * became of it; and never while another plan is in hand. */
enum pr_code rebalance_make_needed(struct rebalance_executor *e, const struct rebalance_standing *s,
                                   const struct rebalance_back *back, struct pr_arena *arena,
                                   struct pr_err *err)
{
    static const struct need need[] = { { "repair", slots_are_open },
                                        { "failback", primaries_are_away },
                                        { "balance", always } };
    if (has_rows(e, "SELECT FROM plans WHERE state IN ('pending', 'approved', 'running', 'paused') "
                    "OR (state = 'proposed' AND created_by IN ('policy rebalance', 'policy "
                    "autoscale')) LIMIT 1"))
        return PR_OK;
    bool made = false;
    enum pr_code rc = take_back(e, back, &made, arena, err);
    if (rc != PR_OK || made)
        return rc;
    for (size_t i = 0; i < PR_COUNT(need); i++) {
        if (!automatic(s, need[i].goal))
            continue;
        PGresult *got = NULL;
        rc = pr_db_exec(
            e->db,
            "SELECT count(*) FILTER (WHERE created_at > now() - interval '1 day'), "
            "coalesce(extract(epoch FROM now() - max(created_at)) * 1000, -1) FROM plans "
            "WHERE created_by = $1 AND goal->>'kind' = $2",
            PR_ARGS(pr_text(REBALANCE_POLICY), pr_text(need[i].goal)), &got, err);
        if (rc != PR_OK)
            return rc;
        PR_AUTO(PGresult) *res = got;
        const double ago_ms = pr_cell_real(res, 0, 1);
        const int64_t rest_ms =
            rebalance_cooldown_ms(s->cooldown_ms, (unsigned)pr_cell_i64(res, 0, 0));
        if ((ago_ms >= 0 && ago_ms < (double)rest_ms) || !need[i].is(e))
            continue;
        char goal[64];
        struct start start = { .lease = &e->lease, .goal = goal };
        snprintf(goal, sizeof goal, "{\"kind\": \"%s\"}", need[i].goal);
        pr_info(PR_EV("plan.made_by_policy"), PR_S("goal", need[i].goal));
        return pr_db_tx(e->db, make, &start, err);
    }
    return PR_OK;
}
