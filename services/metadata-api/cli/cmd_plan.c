/* Plans: towards a placement run, or towards another fleet. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char plans[] = "/v1/rebalance/plans";

/* One --node of a goal that takes one, all of them of a goal that takes several. */
static int goal_nodes(const struct ctl_line *line, const char *kind, json_t *goal)
{
    if (ctl_opt(line, "node") == NULL)
        return CTL_OK;
    json_t *nodes = json_array();
    ctl_opt_all(line, "node", true, nodes);
    const bool one = strcmp(kind, "replace") == 0 || strcmp(kind, "move-replica") == 0;
    if (!one) {
        json_object_set_new(goal, "nodes", nodes);
        return CTL_OK;
    }
    const size_t n = json_array_size(nodes);
    json_object_set(goal, "node", json_array_get(nodes, 0));
    json_decref(nodes);
    return n == 1 ? CTL_OK : ctl_complain(CTL_USAGE, "goal %s takes one --node", kind);
}

static int read_goal(const struct ctl_line *line, json_t *body, json_t *params)
{
    const char *kind = ctl_opt(line, "goal");
    json_t *goal = json_pack("{s:s}", "kind", kind);
    json_object_set_new(body, "goal", goal);
    ctl_text_option(line, "with", goal, "with");
    ctl_text_option(line, "shard", goal, "shard");
    ctl_text_option(line, "role", goal, "role");
    if (ctl_opt(line, "group") != NULL) {
        json_t *groups = json_array();
        ctl_opt_all(line, "group", false, groups);
        json_object_set_new(goal, "groups", groups);
    }
    int code = goal_nodes(line, kind, goal);
    return code == CTL_OK ? ctl_fleet_params(line, params) : code;
}

static int read_run(const struct ctl_line *line, json_t *body, json_t *params)
{
    int code = ctl_number_option(line, "run", body, "runId", false);
    if (code == CTL_OK)
        code = ctl_number_option(line, "batch-vertices", params, "batchVertices", false);
    return code == CTL_OK ? ctl_number_option(line, "workers", params, "workers", false) : code;
}

int ctl_plan_create(struct ctl *ctl, const struct ctl_line *line)
{
    const bool run = ctl_opt(line, "run") != NULL, goal = ctl_opt(line, "goal") != NULL;
    if (run == goal)
        return ctl_complain(CTL_USAGE, "plan create needs --run RUN or --goal KIND");
    json_t *params = json_object();
    json_t *body = json_pack("{s:o}", "params", params);
    int code = run ? read_run(line, body, params) : read_goal(line, body, params);
    if (code != CTL_OK) {
        json_decref(body);
        return code;
    }
    return ctl_start(ctl, line, plans, body, NULL, plans, "operationId");
}

int ctl_plan_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "PLAN", "id" },      { "KIND", "kind" },   { "GOAL", "goal.kind" },
        { "RUN", "runId" },    { "STATE", "state" }, { "CREATED", "createdAt" },
        { "BY", "createdBy" }, { "ERROR", "error" },
    };
    char query[256] = "";
    ctl_query(query, sizeof query, "state", ctl_opt(line, "state"));
    ctl_query(query, sizeof query, "runId", ctl_opt(line, "run"));
    ctl_query(query, sizeof query, "kind", ctl_opt(line, "kind"));
    return ctl_show_list(ctl, line, plans, query, columns, COUNT(columns));
}

/* "307 kB of 3.3 MB at 640 kB/s; 2 steps running, 1 stuck; slowed down: ..." */
static void show_numbers(const json_t *progress)
{
    char done[32], all[32], speed[32];
    const double per_s = json_number_value(json_object_get(progress, "bytesPerS"));
    const json_int_t stuck = json_integer_value(json_object_get(progress, "stepsStuck"));
    const char *reason = json_string_value(json_object_get(progress, "reason"));
    ctl_bytes_text(done, sizeof done, json_number_value(json_object_get(progress, "bytesDone")));
    ctl_bytes_text(all, sizeof all, json_number_value(json_object_get(progress, "bytes")));
    ctl_bytes_text(speed, sizeof speed, per_s);
    printf("moving       %s of %s%s%s%s; %" JSON_INTEGER_FORMAT " steps running", done, all,
           per_s > 0 ? " at " : "", per_s > 0 ? speed : "", per_s > 0 ? "/s" : "",
           json_integer_value(json_object_get(progress, "stepsRunning")));
    if (stuck > 0)
        printf(", %" JSON_INTEGER_FORMAT " stuck", stuck);
    printf("\n");
    if (reason != NULL && reason[0] != '\0')
        ctl_print_line("reason", reason);
}

/* How far a plan is that is being carried out: its operation knows. */
static void show_progress(struct ctl *ctl, const json_t *plan)
{
    const char *id = json_string_value(json_object_get(plan, "executeOperationId"));
    char path[256], eta[32];
    struct ctl_reply r;
    if (ctl->json || id == NULL || json_is_string(json_object_get(plan, "finishedAt")))
        return;
    ctl_path(path, sizeof path, "/v1/operations", id, "");
    if (ctl_call(ctl, "GET", path, NULL, NULL, &r) == CTL_OK) {
        const char *phase = json_string_value(json_object_get(r.body, "phase"));
        const json_t *left = json_object_get(r.body, "etaS");
        ctl_duration_text(eta, sizeof eta, json_number_value(left));
        printf("progress     %.0f %%%s%s%s%s\n",
               100 * json_number_value(json_object_get(r.body, "progressRatio")),
               phase == NULL || *phase == '\0' ? "" : ", ", phase == NULL ? "" : phase,
               json_is_number(left) ? ", ETA " : "", json_is_number(left) ? eta : "");
        if (json_is_object(json_object_get(r.body, "progress")))
            show_numbers(json_object_get(r.body, "progress"));
    }
    ctl_reply_done(&r);
}

int ctl_plan_show(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600];
    struct ctl_reply r;
    ctl_path(path, sizeof path, plans, line->arg[0], "");
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK) {
        ctl_print_plan(ctl, r.body);
        show_progress(ctl, r.body);
    }
    ctl_reply_done(&r);
    return code;
}

int ctl_plan_watch(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600], operation[64] = "";
    struct ctl_reply r;
    ctl_path(path, sizeof path, plans, line->arg[0], "");
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK) {
        const char *id = json_string_value(json_object_get(r.body, "executeOperationId"));
        snprintf(operation, sizeof operation, "%s", id == NULL ? "" : id);
    }
    ctl_reply_done(&r);
    if (code != CTL_OK)
        return code;
    if (operation[0] == '\0')
        return ctl_complain(CTL_CONFLICT, "plan %s is not carried out: prismctl plan execute %s",
                            line->arg[0], line->arg[0]);
    code = ctl_wait(ctl, operation);
    if (code != CTL_OK && code != CTL_FAILED)
        return code;
    const int shown = ctl_plan_show(ctl, line);
    return code == CTL_OK ? shown : code;
}

int ctl_plan_steps(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "STEP", "step" }, { "WAVE", "wave" },   { "KIND", "kind" },   { "SLOT", "slot" },
        { "FROM", "from" }, { "TO", "to" },       { "SHARD", "shard" }, { "BYTES", "bytes" },
        { "KEYS", "keys" }, { "STATE", "state" }, { "WHY", "why" },     { "ERROR", "error" },
    };
    static const char *const filters[] = { "wave", "state", "kind", "slot", "node" };
    char path[600], query[512] = "";
    for (size_t i = 0; i < COUNT(filters); i++)
        ctl_query(query, sizeof query, filters[i], ctl_opt(line, filters[i]));
    ctl_path(path, sizeof path, plans, line->arg[0], "/steps");
    return ctl_show_list(ctl, line, path, query, columns, COUNT(columns));
}

int ctl_plan_moves(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "BATCH", "batch" }, { "FROM", "from" },   { "TO", "to" },
        { "STATE", "state" }, { "MOVED", "moved" }, { "OF VERTICES", "vertices" },
        { "BYTES", "bytes" }, { "TRY", "attempt" }, { "AT", "updatedAt" },
        { "ERROR", "error" },
    };
    char path[600], query[256] = "";
    ctl_query(query, sizeof query, "state", ctl_opt(line, "state"));
    ctl_query(query, sizeof query, "node", ctl_opt(line, "node"));
    ctl_path(path, sizeof path, plans, line->arg[0], "/moves");
    return ctl_show_list(ctl, line, path, query, columns, COUNT(columns));
}

/* Of the cluster as it is now, or as a plan has it. */
int ctl_plan_explain(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600] = "/v1/rebalance/explain?";
    struct ctl_reply r;
    const json_t *detail;
    size_t i;
    if ((ctl_opt(line, "slot") == NULL) == (ctl_opt(line, "node") == NULL))
        return ctl_complain(CTL_USAGE, "plan explain needs --slot SLOT or --node ID");
    ctl_query(path, sizeof path, "plan", line->n_args > 0 ? line->arg[0] : NULL);
    ctl_query(path, sizeof path, "slot", ctl_opt(line, "slot"));
    ctl_query(path, sizeof path, "node", ctl_opt(line, "node"));
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &r);
    if (code == CTL_OK && ctl->json)
        ctl_print(ctl, r.body);
    if (code == CTL_OK && !ctl->json) {
        printf("%s: %s\n", json_string_value(json_object_get(r.body, "code")),
               json_string_value(json_object_get(r.body, "text")));
        json_array_foreach(json_object_get(r.body, "details"), i, detail)
            printf("  %s\n", json_string_value(detail));
    }
    if (code == CTL_OK && !ctl->json && json_is_object(json_object_get(r.body, "step")))
        ctl_print(ctl, json_object_get(r.body, "step"));
    ctl_reply_done(&r);
    return code;
}

/* What is acted on is the plan as it was when it was asked about. */
static int plan_verb(struct ctl *ctl, const struct ctl_line *line, const char *verb,
                     const char *ask)
{
    char path[600];
    struct ctl_reply now;
    ctl_path(path, sizeof path, plans, line->arg[0], "");
    int code = ctl_must(ctl, "GET", path, NULL, NULL, &now);
    const char *state = json_string_value(json_object_get(now.body, "state"));
    if (code != CTL_OK ||
        !ctl_consent(ctl, line, &code, "%s plan %s, which is %s", ask, line->arg[0], state)) {
        ctl_reply_done(&now);
        return code;
    }
    ctl_reply_done(&now);
    json_t *body = json_object();
    ctl_flag_option(line, "allow-big-keys", body, "allowBigKeys");
    ctl_flag_option(line, "allow-no-replicas", body, "allowNoReplicas");
    if (json_object_size(body) == 0) {
        json_decref(body);
        body = NULL;
    }
    ctl_path(path, sizeof path, plans, line->arg[0], verb);
    return ctl_start(ctl, line, path, body, now.etag, plans, "executeOperationId");
}

int ctl_plan_execute(struct ctl *ctl, const struct ctl_line *line)
{
    return plan_verb(ctl, line, ":execute", "Carry out");
}

int ctl_plan_approve(struct ctl *ctl, const struct ctl_line *line)
{
    return plan_verb(ctl, line, ":approve", "Approve");
}

/* A brake asks nobody, and works whatever the plan has become meanwhile. */
int ctl_plan_pause(struct ctl *ctl, const struct ctl_line *line)
{
    char path[600];
    ctl_path(path, sizeof path, plans, line->arg[0], ":pause");
    return ctl_submit(ctl, "POST", path, NULL, NULL);
}

int ctl_plan_resume(struct ctl *ctl, const struct ctl_line *line)
{
    return plan_verb(ctl, line, ":resume", "Go on with");
}

int ctl_plan_cancel(struct ctl *ctl, const struct ctl_line *line)
{
    return plan_verb(ctl, line, ":cancel", "Cancel");
}
