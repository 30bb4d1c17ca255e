/* Batches that an earlier executor left unfinished, and the workers' thread. */
#include "io/plan_rows.h"
#include "io/vertex/worker.h"

#include "prism/io/log.h"

#include <stdlib.h>
#include <string.h>

static uint64_t be(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

/* The epochs of a row, as "3,7,12". */
static enum pr_code parse_epochs(struct rebalance_batch *b, const char *text, struct pr_err *err)
{
    b->epochs = 0;
    for (char *end; *text != '\0'; text = *end == ',' ? end + 1 : end) {
        const uint64_t v = strtoull(text, &end, 10);
        if (end == text)
            return pr_fail(err, PR_EDATA, "batch %lld of plan %lld: bad epochs '%.60s'",
                           (long long)b->number, (long long)b->plan_id, text);
        rebalance_batch_keep_epoch(b, v);
    }
    b->earlier = b->epochs;
    return PR_OK;
}

static enum rebalance_state parse_state(const char *name)
{
    for (int s = REBALANCE_PLANNED; s <= REBALANCE_ROLLED_BACK; s++)
        if (strcmp(rebalance_state_name((enum rebalance_state)s), name) == 0)
            return (enum rebalance_state)s;
    return REBALANCE_PLANNED;
}

static enum pr_code grow(struct rebalance_worker *w, size_t vertices, struct pr_err *err)
{
    if (vertices <= w->cap)
        return PR_OK;
    struct rebalance_vertex *v = realloc(w->vertex, vertices * sizeof *v);
    if (v != NULL)
        w->vertex = v;
    struct rebalance_mover *m = realloc(w->mover, vertices * sizeof *m);
    if (m != NULL)
        w->mover = m;
    if (v == NULL || m == NULL)
        return pr_fail(err, PR_ENOMEM, "a batch of %zu vertices", vertices);
    w->cap = vertices;
    return PR_OK;
}

static enum pr_code fail_plan(struct rebalance_worker *w, int64_t plan_id, const char *why,
                              struct pr_err *err)
{
    struct rebalance_plan plan;
    enum pr_code rc = rebalance_plan_load(w->db, plan_id, &plan, err);
    return rc == PR_OK ? rebalance_plan_end(w->db, &w->run->lease, &plan, "failed", NULL, why, err)
                       : rc;
}

static enum pr_code run_row(struct rebalance_worker *w, const PGresult *res, int i,
                            struct pr_err *err)
{
    struct rebalance_batch *b = &w->batch;
    b->plan_id = (int64_t)be((const unsigned char *)PQgetvalue(res, i, 0), 8);
    b->number = (int64_t)be((const unsigned char *)PQgetvalue(res, i, 1), 8);
    b->src = PQgetvalue(res, i, 2);
    b->dst = PQgetvalue(res, i, 3);
    b->state = parse_state(PQgetvalue(res, i, 4));
    b->ids = PQgetvalue(res, i, 6);
    b->ids_bytes = (size_t)PQgetlength(res, i, 6);
    b->canceling = strcmp(PQgetvalue(res, i, 8), "canceled") == 0;
    enum pr_code rc = parse_epochs(b, PQgetvalue(res, i, 5), err);
    if (rc == PR_OK)
        rc = grow(w, (size_t)be((const unsigned char *)PQgetvalue(res, i, 7), 4), err);
    if (rc == PR_OK)
        rc = rebalance_batch_run(w, err);
    if (rc != PR_EDATA)
        return rc;
    struct pr_err why = *err;
    pr_error(PR_EV("plan.failed"), PR_I("plan", b->plan_id), PR_E(&why));
    return fail_plan(w, b->plan_id, why.text, err);
}

enum pr_code rebalance_recover(struct rebalance_worker *w, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec_binary(
        w->db,
        "SELECT m.plan_id, m.batch, m.src_node, m.dst_node, m.state, "
        "array_to_string(m.epochs, ','), m.ids, m.vertices, p.state "
        "FROM moves m JOIN plans p ON p.id = m.plan_id "
        "WHERE m.state NOT IN ('done', 'failed', 'rolled_back') ORDER BY m.plan_id, m.batch",
        NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++) {
        if (atomic_load(&w->run->stop) != REBALANCE_RUN_ON)
            return pr_fail(err, PR_ECANCELED, "recovery is left as it is");
        rc = run_row(w, res, i, err);
    }
    return rc;
}

/* --- the thread ------------------------------------------------------------- */

static enum pr_code open_worker(struct rebalance_worker *w, struct rebalance_run *run,
                                struct pr_err *err)
{
    for (unsigned attempt = 1;; attempt++) {
        enum pr_code rc = rebalance_worker_open(w, run, run->batch_vertices, err);
        if (rc == PR_OK || !pr_retryable(rc))
            return rc;
        rebalance_worker_close(w);
        rebalance_run_waits(run, err->text);
        if (atomic_load(&run->stop) != REBALANCE_RUN_ON ||
            !rebalance_run_pause(run, (unsigned)rebalance_backoff_ms(attempt) * 1000))
            return pr_fail(err, PR_ECANCELED, "stopped before it began");
        rebalance_run_waits(run, NULL);
    }
}

static enum pr_code work(struct rebalance_worker *w, struct pr_err *err)
{
    struct rebalance_run *run = w->run;
    enum pr_code rc = PR_OK;
    if (run->recovering)
        return rebalance_recover(w, err);
    while (rc == PR_OK && atomic_load(&run->stop) == REBALANCE_RUN_ON) {
        const size_t i = atomic_fetch_add(&run->next_source, 1);
        if (i >= run->sources)
            return PR_OK;
        rc = rebalance_sweep(w, run->source[i], err);
    }
    return rc;
}

void *rebalance_worker_main(void *arg)
{
    struct rebalance_run *run = arg;
    struct rebalance_worker *w = calloc(1, sizeof *w); /* too large for a stack */
    struct pr_err err = { 0 };
    enum pr_code rc = w == NULL ? pr_fail(&err, PR_ENOMEM, "a worker") : open_worker(w, run, &err);
    if (rc == PR_OK)
        rc = work(w, &err);
    if (rc != PR_OK && rc != PR_ECANCELED)
        rebalance_run_fail(run, &err);
    if (w != NULL)
        rebalance_worker_close(w);
    free(w);
    atomic_fetch_sub(&run->workers_left, 1);
    return NULL;
}
