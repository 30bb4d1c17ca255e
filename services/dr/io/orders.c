#include "io/orders.h"

#include "io/target.h"
#include "io/whole.h"

#include "prism/dp/library.h"
#include "prism/io/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 1024, DIR_BYTES = 128 };

struct order { /* a row */
    int64_t id, until_ms;
    char seeds[SEEDS];
    bool over_existing, accept_loss, routes;
    bool unsealing; /* an earlier attempt was about to unseal */
};

struct dr_work {
    const struct dr_orders *of;
    struct order order;
    struct pr_lease lease;
    struct pr_db *db; /* of the thread */
    struct dr_life_db rows;
    pthread_t thread;
    struct dr_whole_progress progress;
    atomic_bool ended;
    bool joined, canceled; /* canceled: somebody asked for it */
    /* when it has ended: */
    enum pr_code rc;
    struct pr_err err;
    bool touched; /* the target was about to be emptied */
    bool refused;
    struct pr_buf report; /* empty: none */
};

/* --- rows --------------------------------------------------------------------------------------
 */

enum pr_code dr_orders_requeue(const struct dr_life_db *l, struct pr_err *err)
{
    const enum pr_code rc =
        dr_life_run(l,
                    "UPDATE dr_cluster_restores SET state = 'done', outcome = 'failed', "
                    "finished_at = now(), reason = 'its replica ended within it, three times' "
                    "WHERE state = 'running' AND attempts >= 3",
                    NULL, 0, NULL, err);
    return rc == PR_OK ? dr_life_run(l,
                                     "UPDATE dr_cluster_restores SET state = 'queued' "
                                     "WHERE state = 'running'",
                                     NULL, 0, NULL, err)
                       : rc;
}

static enum pr_code next(const struct dr_life_db *l, struct order *out, struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    *out = (struct order){ .id = 0 };
    enum pr_code rc = dr_life_run(l,
                                  "UPDATE dr_cluster_restores SET state = 'done', outcome = "
                                  "'canceled', finished_at = now(), reason = 'by ' || canceled_by "
                                  "WHERE state = 'queued' AND canceled_by IS NOT NULL",
                                  NULL, 0, NULL, err);
    if (rc == PR_OK)
        rc = dr_life_run(l,
                         "UPDATE dr_cluster_restores SET state = 'running', holder = $1, "
                         "started_at = coalesce(started_at, now()), attempts = attempts + 1, "
                         "shards = 0, fetched = 0, keys = 0, copied = 0 "
                         "WHERE state = 'queued' RETURNING id, target, "
                         "(extract(epoch FROM until_at) * 1000)::bigint, over_existing, "
                         "accept_loss, write_routes, step = 'unseal'",
                         PR_ARGS(pr_text(l->lease->holder)), &row, err);
    if (rc != PR_OK || PQntuples(row) == 0)
        return rc;
    *out =
        (struct order){ .id = pr_cell_i64(row, 0, 0),
                        .until_ms = pr_cell(row, 0, 2) != NULL ? pr_cell_i64(row, 0, 2) : INT64_MAX,
                        .over_existing = pr_cell_bool(row, 0, 3),
                        .accept_loss = pr_cell_bool(row, 0, 4),
                        .routes = pr_cell_bool(row, 0, 5),
                        .unsealing = pr_cell_bool(row, 0, 6) };
    (void)snprintf(out->seeds, sizeof out->seeds, "%s", pr_cell(row, 0, 1));
    return PR_OK;
}

/* What is written before something is done to the target stays until more is. */
static enum pr_code save_step(const struct dr_life_db *l, int64_t id, const char *step,
                              struct pr_err *err)
{
    return dr_life_run(l,
                       "UPDATE dr_cluster_restores SET step = $2 "
                       "WHERE id = $1 AND state = 'running'",
                       PR_ARGS(pr_i64(id), pr_text(step)), NULL, err);
}

static enum pr_code save_progress(const struct dr_life_db *l, const struct dr_work *w, bool *cancel,
                                  struct pr_err *err)
{
    static const char *const step[] = { [DR_WHOLE_LIST] = "list",
                                        [DR_WHOLE_FETCH] = "fetch",
                                        [DR_WHOLE_COPY] = "copy",
                                        [DR_WHOLE_COMPARE] = "compare" };
    const struct dr_whole_progress *p = &w->progress;
    PR_AUTO(PGresult) *row = NULL;
    const enum pr_code rc = dr_life_run(
        l,
        "UPDATE dr_cluster_restores SET step = CASE WHEN step IN ('routes', 'unseal') "
        "THEN step ELSE $2 END, shards = $3, fetched = $4, keys = $5, copied = $6 "
        "WHERE id = $1 RETURNING canceled_by IS NOT NULL",
        PR_ARGS(pr_i64(w->order.id), pr_text(step[atomic_load(&p->step)]),
                pr_i64((int64_t)atomic_load(&p->shards)), pr_i64((int64_t)atomic_load(&p->fetched)),
                pr_i64((int64_t)atomic_load(&p->keys)), pr_i64((int64_t)atomic_load(&p->copied))),
        &row, err);
    *cancel = rc == PR_OK && PQntuples(row) > 0 && pr_cell_bool(row, 0, 0);
    return rc;
}

static enum pr_code save_end(const struct dr_life_db *l, const struct dr_work *w,
                             const char *outcome, const char *reason, struct pr_err *err)
{
    const char *report = w->report.len > 0 && !w->report.failed ? w->report.data : NULL;
    return dr_life_run(
        l,
        "UPDATE dr_cluster_restores SET state = 'done', outcome = $2, reason = $3, "
        "report = $4::jsonb, finished_at = now() WHERE id = $1",
        PR_ARGS(pr_i64(w->order.id), pr_text(outcome), pr_text(reason), pr_text(report)), NULL,
        err);
}

/* --- the work ----------------------------------------------------------------------------------
 */

static struct pr_redis_auth auth_of(const struct dr_work *w)
{
    return (struct pr_redis_auth){ w->of->cfg->restore_user, w->of->cfg->restore_password };
}

static enum pr_code may(void *ctx, enum dr_whole_act act, struct pr_err *err)
{
    static const char *const step[] = {
        [DR_WHOLE_EMPTY] = "copy", [DR_WHOLE_ROUTES] = "routes", [DR_WHOLE_UNSEAL] = "unseal"
    };
    struct dr_work *w = ctx;
    const enum pr_code rc = save_step(&w->rows, w->order.id, step[act], err);
    w->touched |= rc == PR_OK;
    return rc;
}

/* Whether the attempt before got to its end. A target that is neither sealed nor in service may
 * have been written to: a person has to look. */
static enum pr_code look_at_unsealed(struct dr_work *w, bool *done, struct pr_err *err)
{
    const struct pr_redis_auth auth = auth_of(w);
    struct dr_target t = { .cluster = NULL };
    struct pr_err why = { 0 };
    enum pr_code rc = dr_target_open(&t, w->order.seeds, &auth, err);
    if (rc == PR_OK)
        *done = pr_cluster_check(t.cluster, PR_LIBRARY_VERSION, &why) == PR_OK;
    if (rc == PR_OK && !*done && !t.sealed)
        rc = pr_fail(err, PR_ECONFLICT, "it was to be unsealed when its replica ended: %.200s",
                     why.text);
    dr_target_close(&t);
    return rc;
}

/* Hours before it matters. */
static enum pr_code routes_may_be_written(struct dr_work *w, struct pr_err *err)
{
    char holder[DR_EXECUTOR] = "";
    const enum pr_code rc = w->order.routes ? dr_routes_executor(w->db, holder, err) : PR_OK;
    return rc == PR_OK && holder[0] != '\0'
               ? pr_fail(err, PR_ECONFLICT, "%.100s may execute plans: stop the rebalance service",
                         holder)
               : rc;
}

static enum pr_code restore(struct dr_work *w, struct pr_err *err)
{
    const struct dr_orders *o = w->of;
    char dir[DIR_BYTES];
    struct dr_whole what = { .store = &o->store->s3,
                             .codec = &o->store->codec,
                             .cluster = o->cfg->cluster,
                             .until_ms = w->order.until_ms,
                             .dir = dir,
                             .seeds = w->order.seeds,
                             .auth = auth_of(w),
                             .over_existing = w->order.over_existing,
                             .accept_loss = w->order.accept_loss,
                             .db_uri = w->order.routes ? o->db_uri : NULL,
                             .may = may,
                             .ctx = w,
                             .progress = &w->progress,
                             .cancel = &o->cancel };
    struct dr_whole_done done;
    (void)snprintf(dir, sizeof dir, "%s/prism-dr-cluster", o->cfg->scratch_dir);
    enum pr_code rc = routes_may_be_written(w, err);
    if (rc != PR_OK)
        return rc;
    rc = dr_routes_partitions(w->db, &what.partitions, err);
    if (rc != PR_OK && (rc != PR_ENOTFOUND || w->order.routes)) /* without a store: no vertices */
        return rc;
    rc = dr_whole_restore(&what, &done, err);
    w->refused = done.refused;
    if (rc == PR_OK || done.refused)
        dr_whole_report(&what, &done, &w->report);
    dr_whole_done_free(&done);
    return rc;
}

static void *run(void *arg)
{
    struct dr_work *w = arg;
    bool done = false;
    w->rc = w->of->cfg->restore_user[0] != '\0'
                ? pr_db_open(&w->db, w->of->db_uri, "prism-dr-restore", &w->err)
                : pr_fail(&w->err, PR_EINVAL, "PRISM_DR_RESTORE_USER is not set");
    w->rows = (struct dr_life_db){ w->db, &w->lease, w->of->cfg->cluster };
    if (w->rc == PR_OK && w->order.unsealing)
        w->rc = look_at_unsealed(w, &done, &w->err);
    if (w->rc == PR_OK && !done)
        w->rc = restore(w, &w->err);
    pr_db_close(w->db);
    atomic_store(&w->ended, true);
    return NULL;
}

/* --- turns -------------------------------------------------------------------------------------
 */

static void discard(struct dr_orders *o)
{
    pr_buf_done(&o->work->report);
    free(o->work);
    o->work = NULL;
}

static enum pr_code begin(struct dr_orders *o, const struct dr_life_db *l, struct pr_err *err)
{
    struct dr_work *w = calloc(1, sizeof *w);
    if (w == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for a restore");
    w->of = o;
    w->lease = *l->lease;
    pr_buf_init(&w->report, 0);
    enum pr_code rc = next(l, &w->order, err);
    o->work = w;
    if (rc != PR_OK || w->order.id == 0) {
        discard(o);
        return rc;
    }
    atomic_store(&o->cancel, false);
    pr_info(PR_EV("dr.restore_begun"), PR_I("id", w->order.id), PR_S("target", w->order.seeds),
            PR_I("over_existing", w->order.over_existing));
    if (pthread_create(&w->thread, NULL, run, w) == 0)
        return PR_OK;
    w->rc = pr_fail(&w->err, PR_ENOMEM, "no thread for a restore");
    w->joined = true;
    atomic_store(&w->ended, true);
    return PR_OK;
}

static const char *outcome_of(const struct dr_work *w)
{
    if (w->rc == PR_OK)
        return "good";
    if (w->rc == PR_ECANCELED)
        return "canceled";
    const bool unfit = w->rc == PR_EEXISTS || w->rc == PR_ECONFLICT || w->rc == PR_EFULL ||
                       w->rc == PR_EINVAL || w->rc == PR_ENOTFOUND;
    return w->refused || (unfit && !w->touched) ? "refused" : "failed";
}

static void join(struct dr_work *w)
{
    if (!w->joined)
        pthread_join(w->thread, NULL);
    w->joined = true;
}

static enum pr_code finish(struct dr_orders *o, const struct dr_life_db *l, struct pr_err *err)
{
    struct dr_work *w = o->work;
    const char *outcome = outcome_of(w);
    join(w);
    if (w->rc == PR_EFENCED || (w->rc == PR_ECANCELED && !w->canceled)) { /* the lease was lost */
        const enum pr_code why = w->rc;
        discard(o);
        return why == PR_EFENCED ? pr_fail(err, why, "a restore: dr-life is not held")
                                 : dr_orders_requeue(l, err);
    }
    const enum pr_code rc = save_end(l, w, outcome, w->rc == PR_OK ? "" : w->err.text, err);
    if (rc != PR_OK) /* again, next turn */
        return rc;
    if (w->rc == PR_OK)
        pr_info(PR_EV("dr.restore_good"), PR_I("id", w->order.id), PR_S("target", w->order.seeds));
    else
        pr_error(PR_EV("dr.restore_bad"), PR_I("id", w->order.id), PR_S("outcome", outcome),
                 PR_S("reason", w->err.text));
    discard(o);
    return PR_OK;
}

enum pr_code dr_orders_turn(struct dr_orders *o, const struct dr_life_db *l, bool *busy,
                            struct pr_err *err)
{
    bool cancel = false;
    enum pr_code rc = o->work == NULL ? begin(o, l, err) : PR_OK;
    *busy = o->work != NULL;
    if (rc != PR_OK || o->work == NULL)
        return rc;
    if (atomic_load(&o->work->ended))
        return finish(o, l, err);
    rc = save_progress(l, o->work, &cancel, err);
    o->work->canceled |= cancel;
    if (cancel)
        atomic_store(&o->cancel, true);
    return rc;
}

void dr_orders_let_go(struct dr_orders *o)
{
    if (o->work == NULL)
        return;
    atomic_store(&o->cancel, true);
    join(o->work);
    discard(o);
}
