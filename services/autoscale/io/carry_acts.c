#include "io/carry_private.h"

#include "io/decisions.h"
#include "json/carry.h"
#include "json/json.h"

#include "prism/io/log.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

static const char WHO[] = "policy autoscale";

/* --- the report -------------------------------------------------------------------------- */

static const char *outcome(const struct autoscale_carry *r)
{
    return r->phase == AUTOSCALE_PHASE_DONE     ? "done"
           : r->phase == AUTOSCALE_PHASE_FAILED ? "failed"
                                                : "waiting";
}

static json_t *groups_json(const struct carry_look_io *k)
{
    const struct autoscale_setup *s = k->one->of->setup;
    json_t *list = json_array();
    for (size_t t = 0; t < s->targets; t++) {
        const struct autoscale_reported *r = &k->report.target[t];
        json_t *o =
            json_pack("{s:s, s:s, s:i}", "name", s->target[t].name, "zone",
                      s->fleet.zone[s->target[t].zone], "want", k->one->record->target[t].want);
        if (r->code == PR_OK)
            (void)json_object_set_new(o, "reported", json_integer(r->desired));
        if (r->code != PR_OK || r->problem_text[0] != '\0')
            (void)json_object_set_new(o, "problem", json_string(r->problem_text));
        (void)json_array_append_new(list, o);
    }
    return list;
}

static void add_sums(const struct carry_look_io *k, json_t *o)
{
    int wanted = 0, has = 0, coming = 0, leaving = 0;
    for (size_t t = 0; t < k->facts.targets; t++) {
        wanted += k->one->record->target[t].want;
        if (k->report.target[t].code != PR_OK)
            continue;
        coming += k->report.target[t].coming;
        has += k->facts.cluster ? 0 : k->report.target[t].in_service;
    }
    for (size_t i = 0; i < k->facts.members; i++) {
        const bool leaves = autoscale_carry_leaves(k->one->record, k->facts.member[i].id);
        has += k->facts.cluster && k->facts.member[i].useful && !leaves;
        leaving += leaves;
    }
    (void)json_object_set_new(o, "wanted", json_integer(wanted));
    (void)json_object_set_new(o, "has", json_integer(has));
    (void)json_object_set_new(o, "coming", json_integer(coming));
    (void)json_object_set_new(o, "leaving", json_integer(leaving));
    (void)json_object_set_new(o, "missing", json_integer(wanted > has ? wanted - has : 0));
}

static json_t *strays_json(const struct carry_look_io *k)
{
    int stray[20];
    json_t *list = json_array();
    const size_t n = autoscale_carry_strays(&k->facts, k->one->record, stray, PR_COUNT(stray));
    for (size_t i = 0; i < n && i < PR_COUNT(stray); i++)
        (void)json_array_append_new(list, json_string(k->facts.member[stray[i]].id));
    return list;
}

static json_t *plan_json(const struct carry_look_io *k)
{
    const struct autoscale_carry_plan *p = k->facts.plan;
    if (k->one->record->plan_id == 0 || p == NULL)
        return json_null();
    return json_pack("{s:I, s:s, s:s}", "id", (json_int_t)p->id, "goal",
                     p->drains ? "drain" : "join", "why", p->why);
}

static char *report_text(const struct carry_look_io *k)
{
    const struct autoscale_carry *r = k->one->record;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:b}", "outcome", outcome(r), "phase",
                          autoscale_phase_name(r->phase), "why", r->why, "actuator",
                          k->one->actuator->provider, "alarm", r->alarm ? 1 : 0);
    if (o == NULL)
        return NULL;
    add_sums(k, o);
    if (json_object_set_new(o, "groups", groups_json(k)) != 0 ||
        json_object_set_new(o, "strays", strays_json(k)) != 0 ||
        json_object_set_new(o, "plan", plan_json(k)) != 0 ||
        json_object_set_new(o, "carry", autoscale_json_carry_write(r)) != 0) {
        json_decref(o);
        return NULL;
    }
    return autoscale_json_text(o, false);
}

static enum autoscale_decision_state state_of(const struct autoscale_carry *r)
{
    return r->phase == AUTOSCALE_PHASE_DONE     ? AUTOSCALE_DECISION_DONE
           : r->phase == AUTOSCALE_PHASE_FAILED ? AUTOSCALE_DECISION_FAILED
                                                : AUTOSCALE_DECISION_ACTING;
}

enum pr_code carry_save(struct carry_look_io *k, bool always, struct pr_err *err)
{
    struct carried *one = k->one;
    char *text = report_text(k);
    if (text == NULL)
        return pr_fail(err, PR_ENOMEM, "the report of a decision");
    if (!always && one->saved != NULL && strcmp(text, one->saved) == 0) {
        free(text);
        return PR_OK;
    }
    const enum pr_code rc = autoscale_decision_advance(
        one->c->db, k->lease, one->id, state_of(one->record), text, one->record->plan_id, err);
    free(one->saved);
    one->saved = rc == PR_OK ? text : NULL;
    if (rc != PR_OK)
        free(text);
    return rc;
}

/* --- plans ------------------------------------------------------------------------------- */

struct making {
    struct carry_look_io *k;
    const char *goal;
};

/* Plan and record at once: nobody makes the same plan twice. */
static enum pr_code make_plan(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct making *m = ctx;
    struct carried *one = m->k->one;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, m->k->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "WITH p AS (INSERT INTO plans (operation_id, kind, goal, created_by) VALUES "
            "(gen_random_uuid(), 'fleet', $1::jsonb, $2) RETURNING id, operation_id), "
            "o AS (INSERT INTO operations (id, kind, resource, created_by) SELECT operation_id, "
            "'rebalance.plan', 'rebalance/plans/' || id, $2 FROM p) SELECT id FROM p",
            PR_ARGS(pr_text(m->goal), pr_text(WHO)), &got, err);
    if (rc != PR_OK)
        return rc;
    one->record->plan_id = pr_cell_i64(got, 0, 0);
    PQclear(got);
    char *text = report_text(m->k);
    rc = text == NULL
             ? pr_fail(err, PR_ENOMEM, "the report of a decision")
             : autoscale_decision_advance_in(db, m->k->lease, one->id, AUTOSCALE_DECISION_ACTING,
                                             text, one->record->plan_id, err);
    free(text);
    return rc;
}

static char *goal_text(const struct carry_look_io *k, const struct autoscale_carry_step *step,
                       const int *order)
{
    json_t *nodes = json_array();
    const bool joins = step->act == AUTOSCALE_ACT_JOIN;
    for (size_t i = 0; i < step->chosen; i++)
        (void)json_array_append_new(nodes, json_string(k->facts.member[order[i]].id));
    return autoscale_json_text(
        json_pack("{s:s, s:o, s:s, s:I, s:o}", "kind", joins ? "join" : "drain", "nodes", nodes,
                  "fleet", k->one->of->name, "decision", (json_int_t)k->one->id, "why",
                  json_sprintf("decision %lld of autoscale for fleet %s", (long long)k->one->id,
                               k->one->of->name)),
        false);
}

static enum pr_code plan(struct carry_look_io *k, const struct autoscale_carry_step *step,
                         struct pr_err *err)
{
    int order[AUTOSCALE_CHOSEN];
    memcpy(order, step->chose, step->chosen * sizeof *order);
    enum pr_code rc =
        step->act == AUTOSCALE_ACT_JOIN ? carry_order_joiners(k, step, order, err) : PR_OK;
    char *goal = rc == PR_OK ? goal_text(k, step, order) : NULL;
    struct making m = { k, goal };
    if (rc == PR_OK)
        rc = goal == NULL ? pr_fail(err, PR_ENOMEM, "a goal")
                          : pr_db_tx(k->one->c->db, make_plan, &m, err);
    if (rc == PR_OK)
        pr_info(PR_EV("carry.plan_made"), PR_S("fleet", k->one->of->name),
                PR_I("decision", k->one->id), PR_I("plan", k->one->record->plan_id),
                PR_S("goal", goal));
    else
        k->one->record->plan_id = 0;
    free(goal);
    return rc;
}

struct stopping {
    const struct pr_lease *lease;
    int64_t id;
    bool running;
};

static enum pr_code stop_plan(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct stopping *s = ctx;
    enum pr_code rc = pr_lease_check(db, s->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "UPDATE plans SET state = 'canceled' WHERE id = $1 AND created_by = $2 "
                        "AND execute_operation_id IS NULL AND state IN ('proposed', 'approved')",
                        PR_ARGS(pr_i64(s->id), pr_text(WHO)), NULL, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "UPDATE operations SET cancel_requested = true, updated_at = now() WHERE "
                        "id IN (SELECT unnest(ARRAY[operation_id, execute_operation_id]) FROM "
                        "plans WHERE id = $1 AND created_by = $2 AND ($3::boolean OR "
                        "execute_operation_id IS NULL)) AND state IN ('pending', 'running')",
                        PR_ARGS(pr_i64(s->id), pr_text(WHO), pr_bool(s->running)), NULL, err);
    return rc;
}

enum pr_code carry_stop_plan(struct carried *one, const struct pr_lease *lease, int64_t plan_id,
                             bool running, struct pr_err *err)
{
    struct stopping s = { lease, plan_id, running };
    return plan_id == 0 ? PR_OK : pr_db_tx(one->c->db, stop_plan, &s, err);
}

/* --- members ----------------------------------------------------------------------------- */

/* The cluster speaks of numeric addresses: the row must have the one that it will report. */
static enum pr_code resolve(const char *address, char host[64], int *port, struct pr_err *err)
{
    const char *colon = strrchr(address, ':');
    char name[256];
    struct addrinfo *found = NULL;
    const struct addrinfo how = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
    *port = colon == NULL ? 0 : (int)strtol(colon + 1, NULL, 10);
    if (colon == NULL || *port < 1 || *port > 65535 ||
        (size_t)snprintf(name, sizeof name, "%.*s", (int)(colon - address), address) >= sizeof name)
        return pr_fail(err, PR_EINVAL, "\"%.80s\" is no host:port", address);
    const int rc = getaddrinfo(name, NULL, &how, &found);
    if (rc != 0)
        return pr_fail(err, PR_EUNAVAIL, "%.80s: %s", name, gai_strerror(rc));
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)found->ai_addr;
    (void)inet_ntop(AF_INET, &in->sin_addr, host, 64);
    freeaddrinfo(found);
    return PR_OK;
}

static enum pr_code register_one(struct carry_look_io *k, int member, struct pr_err *err)
{
    const struct autoscale_carry_member *m = &k->facts.member[member];
    const struct autoscale_setup *s = k->one->of->setup;
    const int group = s->target[m->target].group;
    char host[64];
    struct autoscale_registration r = {
        .id = m->id,
        .host = host,
        .zone = s->fleet.zone[s->target[m->target].zone],
        .group = group < 0 ? "" : s->fleet.group[group].name,
    };
    enum pr_code rc = resolve(k->address[member], host, &r.port, err);
    if (rc == PR_OK)
        rc = autoscale_node_register(k->one->c->db, k->lease, &r, err);
    if (rc == PR_OK)
        pr_info(PR_EV("carry.registered"), PR_S("fleet", k->one->of->name), PR_S("node", m->id),
                PR_S("zone", r.zone));
    return rc;
}

static enum pr_code terminate(struct carry_look_io *k, const struct autoscale_carry_step *step,
                              struct pr_err *err)
{
    struct autoscale_actuator *a = k->one->actuator;
    enum pr_code rc = PR_OK;
    int counted = 0;
    for (size_t i = 0; i < step->chosen; i++)
        counted += k->facts.member[step->chose[i]].presence != AUTOSCALE_ASIDE;
    for (size_t i = 0; i < step->chosen && rc == PR_OK; i++) {
        const struct autoscale_carry_member *m = &k->facts.member[step->chose[i]];
        bool sent = false;
        counted -= m->presence != AUTOSCALE_ASIDE;
        if (!carry_may_call(k, err))
            return PR_EUNAVAIL;
        rc = a->terminate(a, step->target, m->id, step->n + counted, &sent, err);
        pr_metrics_add(k->one->c->o.svc->metrics, M_ORDERS, "terminate", sent);
        pr_info(PR_EV("carry.terminate"), PR_S("fleet", k->one->of->name), PR_S("member", m->id),
                PR_S("sent", sent ? "yes" : "no"), PR_S("code", pr_code_name(rc)));
    }
    return rc;
}

static enum pr_code order(struct carry_look_io *k, const struct autoscale_carry_step *step,
                          struct pr_err *err)
{
    struct autoscale_actuator *a = k->one->actuator;
    bool sent = false;
    if (!carry_may_call(k, err))
        return PR_EUNAVAIL;
    const enum pr_code rc = a->set_desired(a, step->target, step->n, &sent, err);
    pr_metrics_add(k->one->c->o.svc->metrics, M_ORDERS, "set_desired", sent);
    pr_info(PR_EV("carry.order"), PR_S("fleet", k->one->of->name),
            PR_S("group", a->target[step->target].name), PR_I("n", step->n),
            PR_S("sent", sent ? "yes" : "no"), PR_S("code", pr_code_name(rc)));
    return rc;
}

static enum pr_code each(struct carry_look_io *k, const struct autoscale_carry_step *step,
                         struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < step->chosen && rc == PR_OK; i++)
        rc = step->act == AUTOSCALE_ACT_REGISTER
                 ? register_one(k, step->chose[i], err)
                 : autoscale_node_unregister(k->one->c->db, k->lease,
                                             k->facts.member[step->chose[i]].id, err);
    return rc;
}

/* As it is reported, not as it is remembered: of a decision that was given up, too. What fails is
 * seen and tried again at the next look. */
void carry_keep_marked(struct carry_look_io *k)
{
    struct carried *one = k->one;
    struct autoscale_actuator *a = one->actuator;
    const struct autoscale_carry *r = one->id != 0 ? one->record : one->last;
    for (size_t i = 0; a->keep != NULL && i < k->report.instances; i++) {
        const struct autoscale_instance *m = &k->report.instance[i];
        struct pr_err err = { 0 };
        if (!m->marked || m->life == AUTOSCALE_LEAVING ||
            (r != NULL && autoscale_carry_leaves(r, m->id)))
            continue;
        if (!carry_may_call(k, &err))
            return;
        const enum pr_code rc = a->keep(a, m->target, m->id, &err);
        pr_info(PR_EV("carry.keep"), PR_S("fleet", one->of->name), PR_S("member", m->id),
                PR_S("code", pr_code_name(rc)));
    }
}

enum pr_code carry_do(struct carry_look_io *k, const struct autoscale_carry_step *step,
                      struct pr_err *err)
{
    struct pr_metrics *metrics = k->one->c->o.svc->metrics;
    enum pr_code rc = PR_OK;
    switch (step->act) {
    case AUTOSCALE_ACT_ORDER:
        rc = order(k, step, err);
        break;
    case AUTOSCALE_ACT_TERMINATE:
        rc = terminate(k, step, err);
        break;
    case AUTOSCALE_ACT_REGISTER:
    case AUTOSCALE_ACT_UNREGISTER:
        rc = each(k, step, err);
        break;
    case AUTOSCALE_ACT_JOIN:
    case AUTOSCALE_ACT_DRAIN:
        rc = plan(k, step, err);
        pr_metrics_add(metrics, M_ORDERS, autoscale_act_name(step->act), rc == PR_OK);
        break;
    case AUTOSCALE_ACT_CANCEL:
        rc = carry_stop_plan(k->one, k->lease, k->one->record->plan_id, true, err);
        pr_metrics_add(metrics, M_ORDERS, "cancel", rc == PR_OK);
        break;
    case AUTOSCALE_ACT_WAIT:
    case AUTOSCALE_ACT_END:
    case AUTOSCALE_ACTS:
        break;
    }
    if (rc != PR_OK && (step->act == AUTOSCALE_ACT_ORDER || step->act == AUTOSCALE_ACT_TERMINATE))
        pr_metrics_add(metrics, M_ORDER_ERRORS, k->one->actuator->provider, 1);
    return rc;
}
