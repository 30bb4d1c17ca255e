/* prism.cmd.rebalance.plan and .execute. */
#include "io/fleet/propose.h"
#include "io/plan_rows.h"
#include "io/planner.h"

#include "prism/io/log.h"
#include "prism/v1/rebalance.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum { LAST_DELIVERY = 5 };

/* Writes what came of the planning: a proposal, or the reason why there is none. */
static enum pr_code propose(struct rebalance_planner *p, const struct rebalance_plan *plan,
                            const struct pr_msg *msg, enum pr_code rc, const char *summary,
                            const struct rebalance_fleet_proposal *fleet, const struct pr_err *why,
                            struct pr_err *err)
{
    if (rc == PR_EUNAVAIL && msg->deliveries < LAST_DELIVERY)
        return pr_fail(err, rc, "%s", why->text);
    if (rc != PR_OK)
        pr_warn(PR_EV("plan.refused"), PR_I("plan", plan->id), PR_E(why));
    const enum pr_code wrote = rebalance_plan_proposed(
        p->db, plan, rc == PR_OK ? summary : NULL, rc == PR_OK ? fleet : NULL,
        rc == PR_OK ? NULL : why->text, msg->id, err);
    if (wrote == PR_OK)
        pr_metrics_add(p->metrics, M_PLANS, rc == PR_OK ? "proposed" : "refused", 1);
    return wrote;
}

static enum pr_code plan_vertices(struct rebalance_planner *p, const struct rebalance_plan *plan,
                                  const struct pr_msg *msg, struct pr_err *err)
{
    struct pr_err why = { 0 };
    char *json = NULL;
    enum pr_code rc = rebalance_plan_summary(p, plan->run_id, plan->run_state, &json, &why);
    rc = propose(p, plan, msg, rc, json, NULL, &why, err);
    free(json);
    return rc;
}

static enum pr_code plan_fleet(struct rebalance_planner *p, const struct rebalance_plan *plan,
                               const struct pr_msg *msg, struct pr_err *err)
{
    struct pr_err why = { 0 };
    struct rebalance_proposal *x = calloc(1, sizeof *x);
    if (x == NULL)
        return pr_fail(err, PR_ENOMEM, "a fleet plan");
    enum pr_code rc = rebalance_propose(p, plan->id, x, &why);
    const struct rebalance_fleet_proposal fleet = { &x->facts.fleet, &x->plan,
                                                    x->facts.fingerprint };
    rc = propose(p, plan, msg, rc, x->summary, &fleet, &why, err);
    rebalance_proposal_done(x);
    free(x);
    return rc;
}

enum pr_code rebalance_plan_fleet(struct rebalance_planner *p, int64_t plan_id, struct pr_err *err)
{
    struct rebalance_plan plan;
    enum pr_code rc = rebalance_plan_load(p->db, plan_id, &plan, err);
    if (rc != PR_OK)
        return rc;
    const struct pr_msg msg = { .id = plan.plan_operation, .deliveries = LAST_DELIVERY };
    return plan_fleet(p, &plan, &msg, err);
}

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
    enum pr_code rc = rebalance_plan_load(p->db, id, &plan, err);
    if (rc != PR_OK || strcmp(plan.state, "pending") != 0)
        return rc; /* planned before */
    rc = pr_db_exec(p->db,
                    "UPDATE operations SET state = 'running', phase = $2, "
                    "updated_at = now() WHERE id = $1 AND state = 'pending'",
                    PR_ARGS(pr_text(plan.plan_operation),
                            pr_text(plan.fleet ? "looking at the fleet" : "comparing routes")),
                    NULL, err);
    if (rc == PR_OK)
        rc = plan.fleet ? plan_fleet(p, &plan, msg, err) : plan_vertices(p, &plan, msg, err);
    if (rc == PR_OK && p->executor != NULL)
        rebalance_executor_wake(p->executor); /* standing orders may approve it */
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
