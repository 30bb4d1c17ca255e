/* prism.cmd.rebalance.plan and .execute. */
#include "io/plan_rows.h"
#include "io/planner.h"

#include "prism/io/log.h"
#include "prism/v1/rebalance.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum { LAST_DELIVERY = 5 };

static enum pr_code on_plan(struct rebalance_planner *p, const struct pr_msg *msg,
                            struct pr_err *err)
{
    Prism__V1__RebalancePlanRequest *req =
        prism__v1__rebalance_plan_request__unpack(NULL, msg->len, msg->data);
    if (req == NULL)
        return pr_fail(err, PR_EDATA, "%s: not a RebalancePlanRequest", msg->subject);
    const int64_t id = (int64_t)req->plan_id;
    prism__v1__rebalance_plan_request__free_unpacked(req, NULL);

    struct rebalance_plan plan;
    struct pr_err why = { 0 };
    char *json = NULL;
    enum pr_code rc = rebalance_plan_load(p->db, id, &plan, err);
    if (rc != PR_OK || strcmp(plan.state, "pending") != 0)
        return rc; /* planned before */
    rc = pr_db_exec(p->db,
                    "UPDATE operations SET state = 'running', phase = 'comparing routes', "
                    "updated_at = now() WHERE id = $1 AND state = 'pending'",
                    PR_ARGS(pr_text(plan.plan_operation)), NULL, err);
    if (rc != PR_OK)
        return rc;
    rc = rebalance_plan_summary(p, plan.run_id, plan.run_state, &json, &why);
    if (rc == PR_EUNAVAIL && msg->deliveries < LAST_DELIVERY)
        return pr_fail(err, rc, "%s", why.text);
    if (rc != PR_OK)
        pr_warn(PR_EV("plan.refused"), PR_I("plan", id), PR_E(&why));
    rc = rebalance_plan_proposed(p->db, &plan, rc == PR_OK ? json : NULL,
                                 rc == PR_OK ? NULL : why.text, msg->id, err);
    if (rc == PR_OK)
        pr_metrics_add(p->metrics, M_PLANS, json != NULL ? "proposed" : "refused", 1);
    free(json);
    return rc;
}

/* The plan's row is what the executor goes by; the command makes it look now. */
static enum pr_code on_execute(struct rebalance_planner *p, const struct pr_msg *msg,
                               struct pr_err *err)
{
    Prism__V1__RebalanceExecuteRequest *req =
        prism__v1__rebalance_execute_request__unpack(NULL, msg->len, msg->data);
    if (req == NULL)
        return pr_fail(err, PR_EDATA, "%s: not a RebalanceExecuteRequest", msg->subject);
    const int64_t id = (int64_t)req->plan_id;
    prism__v1__rebalance_execute_request__free_unpacked(req, NULL);

    struct rebalance_plan plan;
    enum pr_code rc = rebalance_plan_load(p->db, id, &plan, err);
    if (rc == PR_OK)
        rebalance_executor_wake(p->executor);
    return rc;
}

enum pr_code rebalance_on_command(void *ctx, const struct pr_msg *msg, struct pr_err *err)
{
    struct rebalance_planner *p = ctx;
    if (strcmp(msg->subject, "prism.cmd.rebalance.plan") == 0)
        return on_plan(p, msg, err);
    if (strcmp(msg->subject, "prism.cmd.rebalance.execute") == 0)
        return on_execute(p, msg, err);
    return pr_fail(err, PR_EDATA, "unknown command %s", msg->subject);
}
