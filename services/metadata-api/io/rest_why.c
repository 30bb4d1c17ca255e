/* /v1/rebalance/explain: why is a slot or a node moved, or why is it not? From
 * the plan's own step when it has one; else the rebalance service says. */
#include "api_goal.h"
#include "prism/slot.h"
#include "prism/v1/rebalance.pb-c.h"
#include "rest_plans.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 30000 };

struct question {
    int64_t plan; /* 0: none, the cluster as it is now */
    int slot;     /* API_NONE: about node */
    const char *node;
};

static bool read_question(const struct pr_http_req *req, struct question *q,
                          struct pr_http_res *res)
{
    const char *plan = pr_http_query(req, "plan"), *slot = pr_http_query(req, "slot");
    uint64_t number = 0;
    struct api_errors errs = { 0 };
    *q = (struct question){ .slot = API_NONE, .node = pr_http_query(req, "node") };
    if (plan != NULL && (!api_number_parse(plan, INT64_MAX, &number) || number == 0))
        api_error(&errs, "plan", "a plan's number");
    q->plan = (int64_t)number;
    if ((slot == NULL) == (q->node == NULL))
        api_error(&errs, "slot", "give slot or node");
    else if (slot != NULL && !api_number_parse(slot, PR_SLOTS - 1, &number))
        api_error(&errs, "slot", "a number from 0 to %d", (int)PR_SLOTS - 1);
    else if (slot != NULL)
        q->slot = (int)number;
    else if (!api_node_id_valid(q->node))
        api_error(&errs, "node", "a node's id");
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    return errs.n == 0;
}

static json_t *answer_json(const struct question *q, const char *code, const char *text,
                           json_t *details, json_t *step)
{
    return json_pack("{s:o,s:o,s:o,s:s,s:s,s:o,s:o}", "planId",
                     q->plan == 0 ? json_null() : json_integer(q->plan), "slot",
                     q->slot == API_NONE ? json_null() : json_integer(q->slot), "node",
                     q->node == NULL ? json_null() : json_string(q->node), "code", code, "text",
                     text, "details", details, "step", step);
}

/* *out stays NULL when the plan has no step for the slot. */
static enum pr_code from_plan(struct api *api, const struct question *q, json_t **out,
                              struct pr_err *err)
{
    static const struct {
        const char *state, *code;
    } row_code[] = { { "verified", "moved" },
                     { "rolled_back", "rolled-back" },
                     { "stuck", "stuck" } };
    struct pr_db *db = NULL;
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = api_pool_take(api->pool, &db, err);
    if (rc != PR_OK)
        return rc;
    rc = pr_db_exec(db,
                    "SELECT s.state, s.why, s.json FROM plans p LEFT JOIN LATERAL (SELECT state, "
                    "why, " API_STEP_JSON " AS json FROM steps WHERE plan_id = $1 AND slot = $2 "
                    "ORDER BY step DESC LIMIT 1) s ON true WHERE p.id = $1",
                    PR_ARGS(pr_i64(q->plan), pr_i64(q->slot)), &row, err);
    api_pool_give(api->pool, db);
    if (rc == PR_OK && PQntuples(row) == 0)
        return pr_fail(err, PR_ENOTFOUND, "plan %" PRId64 " does not exist", q->plan);
    if (rc != PR_OK || pr_cell(row, 0, 0) == NULL)
        return rc;
    const char *code = "moves";
    for (size_t i = 0; i < PR_COUNT(row_code); i++)
        if (strcmp(pr_cell(row, 0, 0), row_code[i].state) == 0)
            code = row_code[i].code;
    *out = answer_json(q, code, pr_cell(row, 0, 1), json_array(), api_from_sql(pr_cell(row, 0, 2)));
    return *out == NULL ? pr_fail(err, PR_ENOMEM, "an explanation") : PR_OK;
}

static enum pr_code ask(struct api *api, const struct question *q, json_t **out, struct pr_err *err)
{
    char node[API_NAME];
    uint8_t packed[API_NAME + 32];
    void *reply = NULL;
    size_t len = 0;
    Prism__V1__RebalanceExplainRequest m = PRISM__V1__REBALANCE_EXPLAIN_REQUEST__INIT;
    m.plan_id = (uint64_t)q->plan;
    if (q->slot != API_NONE) {
        m.about_case = PRISM__V1__REBALANCE_EXPLAIN_REQUEST__ABOUT_SLOT;
        m.slot = (uint32_t)q->slot;
    } else {
        snprintf(node, sizeof node, "%s", q->node);
        m.about_case = PRISM__V1__REBALANCE_EXPLAIN_REQUEST__ABOUT_NODE;
        m.node = node;
    }
    enum pr_code rc = pr_bus_request(api->svc->bus, "prism.rpc.rebalance.explain", packed,
                                     prism__v1__rebalance_explain_request__pack(&m, packed),
                                     TIMEOUT_MS, &reply, &len, err);
    if (rc != PR_OK)
        return rc;
    Prism__V1__RebalanceExplainResponse *e =
        prism__v1__rebalance_explain_response__unpack(NULL, len, reply);
    free(reply);
    if (e == NULL)
        return pr_fail(err, PR_EUNAVAIL, "rebalance sent something else than an explanation");
    json_t *details = json_array();
    for (size_t i = 0; i < e->n_details; i++)
        json_array_append_new(details, json_string(e->details[i]));
    *out = answer_json(q, e->code, e->text, details, json_null());
    prism__v1__rebalance_explain_response__free_unpacked(e, NULL);
    return *out == NULL ? pr_fail(err, PR_ENOMEM, "an explanation") : PR_OK;
}

void api_rebalance_explain(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct question q;
    struct pr_err err = { 0 };
    json_t *body = NULL;
    if (!read_question(req, &q, res))
        return;
    enum pr_code rc = PR_OK;
    if (q.plan != 0 && q.slot != API_NONE)
        rc = from_plan(ctx, &q, &body, &err);
    if (rc == PR_OK && body == NULL)
        rc = ask(ctx, &q, &body, &err);
    if (rc != PR_OK)
        pr_http_fail(res, rc, &err);
    else
        api_reply(res, 200, body);
}
