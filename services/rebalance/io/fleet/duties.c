/* A step's row, and what is tried again. */
#include "io/fleet/duties_private.h"

#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>

struct change {
    const struct rebalance_duty_ctx *ctx;
    int step;
    const char *state, *error;
};

static enum pr_code apply(struct pr_db *db, void *arg, struct pr_err *err)
{
    const struct change *c = arg;
    enum pr_code rc = pr_lease_check(db, c->ctx->lease, err);
    return rc == PR_OK
               ? pr_db_exec(db,
                            "UPDATE steps SET state = $3, error = $4, lease_epoch = $5, "
                            "updated_at = now() WHERE plan_id = $1 AND step = $2",
                            PR_ARGS(pr_i64(c->ctx->plan_id), pr_i64(c->step), pr_text(c->state),
                                    pr_text(c->error), pr_i64((int64_t)c->ctx->lease->epoch)),
                            NULL, err)
               : rc;
}

static enum pr_code write_row(const struct rebalance_duty_ctx *ctx, int step, const char *state,
                              const char *error, struct pr_err *err)
{
    struct change c = { ctx, step, state, error };
    return pr_db_tx(ctx->db, apply, &c, err);
}

static enum pr_code act(const struct rebalance_duty_ctx *ctx, const struct rebalance_duty_step *s,
                        struct pr_err *err)
{
    if (strcmp(s->kind, "meet") == 0)
        return duty_meet(ctx, s->dst, err);
    if (strcmp(s->kind, "replicate") == 0)
        return duty_replicate(ctx, s->dst, s->shard, s->src, err);
    if (strcmp(s->kind, "failover") == 0)
        return duty_failover(ctx, s->dst, s->shard, err);
    if (strcmp(s->kind, "forget") == 0)
        return duty_forget(ctx, s->dst, err);
    return pr_fail(err, PR_EINVAL, "a step of kind %s", s->kind);
}

static bool comes_again(enum pr_code rc)
{
    return rc == PR_EUNAVAIL || rc == PR_ETIMEOUT;
}

enum pr_code rebalance_duty(const struct rebalance_duty_ctx *ctx, struct rebalance_duty_step *step,
                            struct pr_err *err)
{
    struct pr_err own = { .text = "" };
    if (err == NULL)
        err = &own; /* the row wants words */
    step->stuck = false;
    enum pr_code rc = write_row(ctx, step->step, "acting", NULL, err);
    if (rc == PR_OK)
        rc = pr_cluster_refresh(ctx->cluster, err);
    if (rc == PR_OK)
        rc = act(ctx, step, err);
    if (rc == PR_OK) {
        pr_info(PR_EV("duty.done"), PR_I("plan", ctx->plan_id), PR_I("step", step->step),
                PR_S("kind", step->kind), PR_S("node", step->dst));
        return write_row(ctx, step->step, "verified", NULL, err);
    }
    if (rc == PR_EFENCED || rc == PR_ECANCELED)
        return rc;
    char why[sizeof err->text];
    struct pr_err lost;
    snprintf(why, sizeof why, "%s", err->text);
    step->stuck = !comes_again(rc);
    pr_warn(PR_EV(step->stuck ? "duty.stuck" : "duty.waits"), PR_I("plan", ctx->plan_id),
            PR_I("step", step->step), PR_S("kind", step->kind), PR_S("node", step->dst),
            PR_S("error", why));
    const enum pr_code told =
        write_row(ctx, step->step, step->stuck ? "stuck" : "acting", why, &lost);
    if (told == PR_OK)
        return step->stuck ? PR_OK : rc;
    *err = lost;
    return told;
}

enum pr_code rebalance_duty_follow(const struct rebalance_duty_ctx *ctx, const char *node,
                                   const char *shard, struct pr_err *err)
{
    return duty_replicate(ctx, node, shard, "", err);
}
