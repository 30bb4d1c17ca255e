/* POST /v1/rebalance/plans: towards a placement run, or towards another fleet. */
#include "api_goal.h"
#include "rest_plans.h"

#include <inttypes.h>
#include <string.h>

struct wanted_plan {
    struct api_plan_in plan;
    struct api_goal_in goal;
    struct api_fleet_params_in fleet;
    json_t *goal_json;        /* of the body; borrowed; NULL: a plan for a run */
    char *goal_text, *params; /* JSON to store */
};

/* --- in the transaction ---------------------------------------------------- */

static enum pr_code run_is_done(struct pr_db *db, struct api_change *c, int64_t run,
                                struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = pr_db_exec(db, "SELECT state FROM placement_runs WHERE id = $1",
                                 PR_ARGS(pr_i64(run)), &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return api_change_fail(c, 404, err, PR_ENOTFOUND,
                               "placement run %" PRId64 " does not exist", run);
    if (rc == PR_OK && strcmp(pr_cell(row, 0, 0), "done") != 0)
        return api_change_fail(c, 409, err, PR_ECONFLICT,
                               "placement run %" PRId64 " is %s, a plan needs one that is done",
                               run, pr_cell(row, 0, 0));
    return rc;
}

static enum pr_code node_exists(struct pr_db *db, struct api_change *c, const char *field,
                                const char *id, struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    if (id == NULL)
        return PR_OK;
    enum pr_code rc =
        pr_db_exec(db, "SELECT 1 FROM nodes WHERE id = $1", PR_ARGS(pr_text(id)), &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return api_change_fail_at(c, 404, field, err, PR_ENOTFOUND,
                                  "node %s is not registered: register it first", id);
    return rc;
}

static enum pr_code shard_exists(struct pr_db *db, struct api_change *c, const char *id,
                                 struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    if (id == NULL)
        return PR_OK;
    enum pr_code rc =
        pr_db_exec(db, "SELECT 1 FROM shards WHERE id = $1", PR_ARGS(pr_text(id)), &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return api_change_fail_at(c, 404, "goal.shard", err, PR_ENOTFOUND,
                                  "shard %s does not exist", id);
    return rc;
}

static enum pr_code names_exist(struct pr_db *db, struct api_change *c,
                                const struct api_goal_in *goal, struct pr_err *err)
{
    char field[48];
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < goal->n_nodes && rc == PR_OK; i++) {
        snprintf(field, sizeof field, "goal.nodes[%zu]", i);
        rc = node_exists(db, c, field, goal->nodes[i], err);
    }
    if (rc == PR_OK)
        rc = node_exists(db, c, "goal.node", goal->node, err);
    if (rc == PR_OK)
        rc = node_exists(db, c, "goal.with", goal->with, err);
    return rc == PR_OK ? shard_exists(db, c, goal->shard, err) : rc;
}

static enum pr_code insert(struct pr_db *db, const struct api_change *c,
                           const struct wanted_plan *in, PGresult **row, struct pr_err *err)
{
    const bool fleet = in->goal_text != NULL;
    return pr_db_exec(db,
                      "INSERT INTO plans (operation_id, kind, run_id, goal, params, created_by) "
                      "VALUES (gen_random_uuid(), $1, $2, $3::jsonb, $4::jsonb, $5) "
                      "RETURNING id, operation_id, " API_PLAN_JSON,
                      PR_ARGS(pr_text(fleet ? "fleet" : "vertices"),
                              fleet ? pr_text(NULL) : pr_i64(in->plan.run_id),
                              pr_text(in->goal_text), pr_text(in->params),
                              pr_text(api_who(c->req))),
                      row, err);
}

static enum pr_code create(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct wanted_plan *in = c->in;
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = in->goal_text == NULL ? run_is_done(db, c, in->plan.run_id, err)
                                            : names_exist(db, c, &in->goal, err);
    if (rc == PR_OK)
        rc = insert(db, c, in, &row, err);
    if (rc != PR_OK)
        return rc;
    const int64_t id = pr_cell_i64(row, 0, 0);
    snprintf(c->resource, sizeof c->resource, "rebalance/plans/%" PRId64, id);
    c->status = 202;
    rc = api_change_took(c, api_from_sql(pr_cell(row, 0, 2)), err);
    if (rc == PR_OK)
        rc = api_change_operation(db, c, pr_cell(row, 0, 1), "rebalance.plan", err);
    return rc == PR_OK ? api_plan_command(db, c, "prism.cmd.rebalance.plan", id, err) : rc;
}

/* --- the request ------------------------------------------------------------ */

/* The strings of a list; NULL for an element that is none. */
static const char *const *texts(const json_t *list, struct pr_arena *arena)
{
    const size_t n = json_array_size(list);
    const char **out = pr_arena_alloc(arena, (n + 1) * sizeof *out);
    for (size_t i = 0; out != NULL && i < n; i++)
        out[i] = json_string_value(json_array_get(list, i));
    return out;
}

static bool read_goal(const json_t *goal, struct pr_arena *arena, struct api_goal_in *in,
                      struct api_errors *errs)
{
    struct lists {
        struct api_goal_in goal;
        json_t *nodes, *groups;
    } w = { 0 };
#define TEXT(name)                                                                                 \
    {                                                                                              \
#name, API_STRING, 0, offsetof(struct lists, goal.name), 0                                 \
    }
    static const struct api_member members[] = {
        { "kind", API_STRING, API_REQUIRED, offsetof(struct lists, goal.kind), 0 },
        TEXT(role),
        TEXT(node),
        TEXT(with),
        TEXT(shard),
        { "nodes", API_ARRAY, 0, offsetof(struct lists, nodes),
          offsetof(struct lists, goal.has_nodes) },
        { "groups", API_ARRAY, 0, offsetof(struct lists, groups),
          offsetof(struct lists, goal.has_groups) },
    };
#undef TEXT
    api_members(goal, "goal.", members, PR_COUNT(members), &w, errs);
    *in = w.goal;
    in->n_nodes = json_array_size(w.nodes);
    in->n_groups = json_array_size(w.groups);
    in->nodes = texts(w.nodes, arena);
    in->groups = texts(w.groups, arena);
    return in->nodes != NULL && in->groups != NULL;
}

static void read_run_params(const json_t *params, struct api_plan_in *in, struct api_errors *errs)
{
    static const struct api_member members[] = {
        { "batchVertices", API_INTEGER, 0, offsetof(struct api_plan_in, batch_vertices),
          offsetof(struct api_plan_in, has_batch_vertices) },
        { "workers", API_INTEGER, 0, offsetof(struct api_plan_in, workers),
          offsetof(struct api_plan_in, has_workers) },
    };
    api_members(params, "params.", members, PR_COUNT(members), in, errs);
}

static void read_fleet_params(const json_t *params, struct api_fleet_params_in *in,
                              struct api_errors *errs)
{
#define MEMBER(name, kind, field)                                                                  \
    {                                                                                              \
        name, kind, 0, offsetof(struct api_fleet_params_in, field),                                \
            offsetof(struct api_fleet_params_in, has_##field)                                      \
    }
    static const struct api_member members[] = {
        MEMBER("allowBigKeys", API_BOOLEAN, allow_big_keys),
        MEMBER("allowNoReplicas", API_BOOLEAN, allow_no_replicas),
        MEMBER("maxBytes", API_NUMBER, max_bytes),
        MEMBER("maxSlots", API_INTEGER, max_slots),
        MEMBER("pairs", API_INTEGER, pairs),
    };
#undef MEMBER
    api_members(params, "params.", members, PR_COUNT(members), in, errs);
}

/* False without memory. */
static bool read_plan(const json_t *body, struct pr_arena *arena, struct wanted_plan *in,
                      struct api_errors *errs)
{
    struct top {
        int64_t run_id;
        bool has_run_id;
        json_t *goal, *params;
    } top = { 0 };
    static const struct api_member members[] = {
        { "runId", API_INTEGER, 0, offsetof(struct top, run_id), offsetof(struct top, has_run_id) },
        { "goal", API_OBJECT, 0, offsetof(struct top, goal), 0 },
        { "params", API_OBJECT, 0, offsetof(struct top, params), 0 },
    };
    bool memory = true;
    api_members(body, "", members, PR_COUNT(members), &top, errs);
    in->plan.run_id = top.run_id;
    in->plan.has_run_id = top.has_run_id;
    in->goal_json = top.goal;
    if (errs->n == 0 && !top.has_run_id && top.goal == NULL)
        api_error(errs, "runId", "give runId (moves vertices) or goal (changes the fleet)");
    if (top.has_run_id && top.goal != NULL)
        api_error(errs, "goal", "give runId or goal, not both");
    if (top.goal != NULL)
        memory = read_goal(top.goal, arena, &in->goal, errs);
    if (top.params != NULL && top.goal != NULL)
        read_fleet_params(top.params, &in->fleet, errs);
    else if (top.params != NULL)
        read_run_params(top.params, &in->plan, errs);
    if (errs->n == 0 && memory)
        api_check_plan(&in->plan, errs);
    if (errs->n == 0 && memory && top.goal != NULL) {
        api_check_goal(&in->goal, errs);
        api_check_fleet_params(&in->fleet, errs);
    }
    return memory;
}

/* Goal and params as the planner and the executor read them. */
static bool write_plan(struct wanted_plan *in)
{
    const struct api_plan_in *plan = &in->plan;
    const struct api_fleet_params_in *fleet = &in->fleet;
    PR_AUTO(json_t) *params = json_object();
    if (plan->has_batch_vertices)
        json_object_set_new(params, "batch_vertices", json_integer(plan->batch_vertices));
    if (plan->has_workers)
        json_object_set_new(params, "workers", json_integer(plan->workers));
    if (fleet->has_allow_big_keys)
        json_object_set_new(params, "allow_big_keys", json_boolean(fleet->allow_big_keys));
    if (fleet->has_allow_no_replicas)
        json_object_set_new(params, "allow_no_replicas", json_boolean(fleet->allow_no_replicas));
    if (fleet->has_max_bytes)
        json_object_set_new(params, "max_bytes", json_real(fleet->max_bytes));
    if (fleet->has_max_slots)
        json_object_set_new(params, "max_slots", json_integer(fleet->max_slots));
    if (fleet->has_pairs)
        json_object_set_new(params, "pairs", json_integer(fleet->pairs));
    in->params = json_dumps(params, JSON_COMPACT);
    in->goal_text = in->goal_json == NULL ? NULL : json_dumps(in->goal_json, JSON_COMPACT);
    return in->params != NULL && (in->goal_json == NULL || in->goal_text != NULL);
}

void api_plan_create(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct wanted_plan in = { 0 };
    struct api_errors errs = { 0 };
    struct api_change c = { .action = "rebalance.plan.create", .fn = create, .in = &in };
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return;
    const bool memory = read_plan(body, req->arena, &in, &errs);
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    else if (!memory || !write_plan(&in))
        pr_http_problem(res, 500, "Out of memory", "no memory for the request", NULL);
    else
        api_change_run(ctx, &c, req, res);
    free(in.params);
    free(in.goal_text);
}
