#include "io/fleet/explains.h"

#include "core/fleet/explain.h"
#include "io/cluster_facts.h"
#include "io/fleet/propose.h"
#include "io/fleet/returns.h"

#include "prism/io/clock.h"
#include "prism/v1/rebalance.pb-c.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRESH_US = 5 * 1000 * 1000, DETAILS = 8 };

struct rebalance_explains {
    const struct rebalance_config *cfg;
    pthread_mutex_t mu; /* guards everything below: one explanation at a time */
    struct pr_db *db;
    struct pr_cluster *cluster;
    struct pr_arena arena; /* of facts */
    struct rebalance_fleet_facts facts;
    int64_t looked_us; /* 0: never */
};

enum pr_code rebalance_explains_open(struct rebalance_explains **out, struct pr_service *svc,
                                     const struct rebalance_config *cfg, struct pr_err *err)
{
    struct rebalance_explains *x = calloc(1, sizeof *x);
    if (x == NULL)
        return pr_fail(err, PR_ENOMEM, "explanations");
    *out = x;
    x->cfg = cfg;
    (void)pthread_mutex_init(&x->mu, NULL);
    pr_arena_init(&x->arena, 0);
    return pr_db_open(&x->db, svc->common.db_uri, "prism-rebalance-explain", err);
}

void rebalance_explains_close(struct rebalance_explains *x)
{
    if (x == NULL)
        return;
    pr_cluster_close(x->cluster);
    pr_db_close(x->db);
    pr_arena_done(&x->arena);
    (void)pthread_mutex_destroy(&x->mu);
    free(x);
}

static enum pr_code look(struct rebalance_explains *x, struct pr_err *err)
{
    const int64_t now_us = pr_mono_us();
    if (x->looked_us != 0 && now_us - x->looked_us < FRESH_US)
        return PR_OK;
    char *seeds = NULL;
    enum pr_code rc = PR_OK;
    if (x->cluster == NULL) {
        rc = rebalance_seeds(x->db, x->cfg, &seeds, err);
        if (rc == PR_OK && seeds[0] == '\0')
            rc = pr_fail(err, PR_ENOTFOUND, "no Redis node is registered");
        if (rc == PR_OK)
            rc = rebalance_cluster_open(&x->cluster, seeds, x->cfg, err);
        free(seeds);
    }
    x->looked_us = 0;
    pr_arena_reset(&x->arena);
    if (rc == PR_OK)
        rc = rebalance_fleet_load(x->db, x->cluster, x->cfg, &x->arena, &x->facts, err);
    if (rc == PR_OK)
        x->looked_us = now_us;
    else { /* learn everything anew */
        pr_cluster_close(x->cluster);
        x->cluster = NULL;
    }
    return rc;
}

/* What the plan's summary says about a slot or node, in the arena of the facts. */
static enum pr_code plan_notes(struct rebalance_explains *x, int64_t plan, const char *member,
                               const char *value, char *details[DETAILS], size_t *n,
                               struct pr_err *err)
{
    PGresult *got = NULL;
    if (plan == 0)
        return PR_OK;
    enum pr_code rc = pr_db_exec(
        x->db,
        "SELECT note->>'text' FROM plans, jsonb_array_elements(summary->'notes') AS note "
        "WHERE id = $1 AND note->>$2 = $3 LIMIT 8",
        PR_ARGS(pr_i64(plan), pr_text(member), pr_text(value)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res) && *n < DETAILS; i++)
        if ((details[*n] = pr_arena_strdup(&x->arena, pr_cell(res, i, 0))) != NULL)
            ++*n;
    return PR_OK;
}

/* One word for programs; the text has the numbers. */
static const char *code_of(const struct rebalance_fleet *f, const struct rebalance_limits *limits,
                           const struct rebalance_slot_facts *slot)
{
    if (slot->pinned || (slot->shard >= 0 && f->shard[slot->shard].pinned))
        return "pinned";
    if (slot->open)
        return "open";
    if (slot->moved_at_ms > 0 && limits->cooldown_ms > 0 &&
        f->now_ms - slot->moved_at_ms < limits->cooldown_ms)
        return "cooldown";
    return "stays";
}

static int find_node(const struct rebalance_fleet *f, const char *id)
{
    for (size_t i = 0; i < f->nodes; i++)
        if (strcmp(f->node[i].id, id) == 0)
            return (int)i;
    return REBALANCE_NONE;
}

/* Of one that came back from a failure and serves nothing, what becomes of it is what
 * matters. */
static enum pr_code explain_return(struct rebalance_explains *x, const char *node,
                                   const char **code, const char **text, struct pr_err *err)
{
    static const char *const name[] = { [REBALANCE_RETURN_NOW] = "returns",
                                        [REBALANCE_RETURN_RESTS] = "rests",
                                        [REBALANCE_RETURN_HELD] = "held_back" };
    struct rebalance_returned *r = NULL;
    size_t n = 0;
    const enum pr_code rc =
        rebalance_returns_look(x->db, x->cfg->take_backs_a_day, node, &x->arena, &r, &n, err);
    if (rc == PR_OK && n == 1) {
        *code = name[r->may.what];
        *text = r->may.why;
    }
    return rc;
}

static enum pr_code explain(struct rebalance_explains *x,
                            const Prism__V1__RebalanceExplainRequest *r, void **reply, size_t *len,
                            struct pr_err *err)
{
    char *details[DETAILS], slot[16];
    size_t n = 0;
    const char *text = NULL, *code = "stays";
    enum pr_code rc = look(x, err);
    if (rc != PR_OK)
        return rc;
    const struct rebalance_fleet *f = &x->facts.fleet;
    const struct rebalance_limits none = { 0 }, limits = rebalance_limits_of(x->cfg, &none);
    if (r->about_case == PRISM__V1__REBALANCE_EXPLAIN_REQUEST__ABOUT_SLOT) {
        if (r->slot >= REBALANCE_SLOTS)
            return pr_fail(err, PR_EINVAL, "slot %u: the last is %d", r->slot, REBALANCE_SLOTS - 1);
        snprintf(slot, sizeof slot, "%u", r->slot);
        rc = plan_notes(x, (int64_t)r->plan_id, "slot", slot, details, &n, err);
        text = rebalance_fleet_explain_slot(f, &limits, (int)r->slot, &x->arena);
        code = code_of(f, &limits, &f->slot[r->slot]);
    } else if (r->about_case == PRISM__V1__REBALANCE_EXPLAIN_REQUEST__ABOUT_NODE) {
        const int node = find_node(f, r->node);
        if (node == REBALANCE_NONE)
            return pr_fail(err, PR_ENOTFOUND, "node %s is not registered", r->node);
        rc = plan_notes(x, (int64_t)r->plan_id, "node", r->node, details, &n, err);
        text = rebalance_fleet_explain_node(f, &limits, node, &x->arena);
        code = f->node[node].pinned ? "pinned" : "stays";
        if (rc == PR_OK)
            rc = explain_return(x, r->node, &code, &text, err);
    } else
        return pr_fail(err, PR_EINVAL, "neither a slot nor a node to explain");
    if (rc != PR_OK)
        return rc;
    Prism__V1__RebalanceExplainResponse out = PRISM__V1__REBALANCE_EXPLAIN_RESPONSE__INIT;
    char nothing[] = "";
    out.code = pr_arena_strdup(&x->arena, code);
    out.text = text == NULL ? nothing : pr_arena_strdup(&x->arena, text);
    out.details = details;
    out.n_details = n;
    *reply = out.text == NULL || out.code == NULL
                 ? NULL
                 : malloc(prism__v1__rebalance_explain_response__get_packed_size(&out) + 1);
    if (*reply == NULL)
        return pr_fail(err, PR_ENOMEM, "an explanation");
    *len = prism__v1__rebalance_explain_response__pack(&out, *reply);
    return PR_OK;
}

enum pr_code rebalance_explains_answer(void *ctx, const struct pr_msg *msg, void **reply,
                                       size_t *len, struct pr_err *err)
{
    struct rebalance_explains *x = ctx;
    Prism__V1__RebalanceExplainRequest *r =
        prism__v1__rebalance_explain_request__unpack(NULL, msg->len, msg->data);
    if (r == NULL)
        return pr_fail(err, PR_EDATA, "not a RebalanceExplainRequest (%zu bytes)", msg->len);
    (void)pthread_mutex_lock(&x->mu);
    const enum pr_code rc = explain(x, r, reply, len, err);
    (void)pthread_mutex_unlock(&x->mu);
    prism__v1__rebalance_explain_request__free_unpacked(r, NULL);
    return rc;
}
