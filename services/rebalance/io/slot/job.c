/* Slots that the servers move themselves: asks for a job, sees it through, and judges by
 * who owns the slots. Where there is none, or it fails, MIGRATE goes on. */
#include "io/slot/job.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOW_POLL_US = 300000, STEP_US = 20000, LARGE = 100 };

/* --- recording --------------------------------------------------------------------------- */

struct pick { /* steps of a desk, for one write */
    struct rebalance_slot_step *step[REBALANCE_JOB_SLOTS];
    size_t n;
};

static enum pr_code intend(struct rebalance_job_desk *d, const struct pick *k, struct pr_err *err)
{
    const struct rebalance_slot_write w = { .lease = &d->p->run->lease,
                                            .plan_id = d->p->run->plan_id,
                                            .intent = k->step,
                                            .intents = k->n };
    return rebalance_pair_write(d->p, &w, err);
}

static enum pr_code end(struct rebalance_job_desk *d, const struct pick *k,
                        enum rebalance_slot_state state, struct pr_err *err)
{
    struct rebalance_pair *p = d->p;
    const struct rebalance_slot_write w = { .lease = &p->run->lease,
                                            .plan_id = p->run->plan_id,
                                            .src_shard = p->shard[0].id,
                                            .dst_shard = p->shard[1].id,
                                            .end = k->step,
                                            .ends = k->n };
    for (size_t i = 0; i < k->n; i++)
        k->step[i]->at = (struct rebalance_slot_at){ state, false };
    const enum pr_code rc = rebalance_pair_write(p, &w, err);
    for (size_t i = 0; i < k->n && rc == PR_OK; i++)
        rebalance_pair_tally(p->run, k->step[i]);
    return rc;
}

/* Whoever takes over knows from the rows that a job may be under way. */
static enum pr_code record_start(struct rebalance_job_desk *d, struct pr_err *err)
{
    struct pick all = { .n = 0 };
    if (d->recorded)
        return PR_OK;
    for (size_t i = 0; i < d->n; i++) {
        struct rebalance_slot_step *s = all.step[all.n++] = d->step[i];
        s->at = (struct rebalance_slot_at){ REBALANCE_SLOT_HANDOFF, false };
        s->atomic = true;
        s->fresh = false;
        pr_buf_reset(&s->in_flight);
    }
    const enum pr_code rc = intend(d, &all, err);
    d->recorded = rc == PR_OK;
    return rc;
}

/* --- what the rules ask for -------------------------------------------------------------- */

static void says(struct rebalance_job_desk *d, const char *why)
{
    char text[280];
    const char *more = d->error[0] != '\0' ? d->error : d->refusal;
    const bool runs = rebalance_job_runs(d->view.phase);
    snprintf(text, sizeof text, "a job for %zu slots: %.80s%s%.40s%s%.60s", d->n, why,
             runs ? ", it is " : "", runs ? d->state : "", more[0] != '\0' ? ": " : "", more);
    pr_utf8_mend(text, strlen(text)); /* the server's words, and cut */
    rebalance_slot_run_waits(d->p->run, text);
}

static bool taken_back(const struct rebalance_pair *p)
{
    return rebalance_slot_run_order(p->run) == REBALANCE_FINISH && atomic_load(p->run->roll_back);
}

/* Until the next look; an order ends it, and so does a pause that has waited long enough. */
static enum pr_code nap(struct rebalance_job_desk *d, int64_t us, struct pr_err *err)
{
    const int order = rebalance_slot_run_order(d->p->run);
    const bool left = rebalance_pair_leaves(d->p);
    bool goes = order != REBALANCE_ABANDON;
    for (; us > 0 && goes && rebalance_slot_run_order(d->p->run) == order &&
           rebalance_pair_leaves(d->p) == left;
         us -= STEP_US)
        goes = rebalance_slot_run_pause(d->p->run, us < STEP_US ? us : STEP_US);
    return goes ? PR_OK
                : pr_fail(err, PR_ECANCELED, "%zu slots of a job are left as they are", d->n);
}

/* What every node says of a large fleet is long. */
static enum pr_code until_next(struct rebalance_job_desk *d, struct pr_err *err)
{
    const int64_t us = rebalance_job_poll_us(d->unchanged);
    return nap(d, d->nodes > LARGE && us < SLOW_POLL_US ? SLOW_POLL_US : us, err);
}

static enum pr_code wait(struct rebalance_job_desk *d, const struct rebalance_job_row *row,
                         struct pr_err *err)
{
    const bool well =
        row->event == REBALANCE_JOB_EV_HANDING ||
        (row->event == REBALANCE_JOB_EV_RUNNING && d->view.phase != REBALANCE_JOB_RETRYING);
    if (!d->recorded && row->effect == REBALANCE_JOB_DO_WAIT &&
        rebalance_slot_run_order(d->p->run) != REBALANCE_RUN_ON)
        return pr_fail(err, PR_ECANCELED, "no job was begun: %s", row->why);
    if (well)
        rebalance_slot_run_waits(d->p->run, NULL);
    else
        says(d, row->why);
    return until_next(d, err);
}

/* Paused while something is under way that ends by itself, or must be waited for: the rows
 * say so, and whoever leaves them would be back at once. Nothing is begun meanwhile. */
static void hold(struct rebalance_job_desk *d, bool on)
{
    if (on && !d->holding)
        atomic_fetch_add(&d->p->run->holding, 1);
    if (!on && d->holding)
        atomic_fetch_sub(&d->p->run->holding, 1);
    d->holding = on;
}

static void count(struct rebalance_job_desk *d, const char *event)
{
    pr_metrics_add(d->p->run->metrics, M_SLOT_JOBS, event, 1);
}

static enum pr_code start(struct rebalance_job_desk *d, struct pr_err *err)
{
    struct rebalance_pair *p = d->p;
    struct pr_err why = { 0 };
    enum pr_code rc = record_start(d, err);
    if (rc != PR_OK)
        return rc;
    rc = rebalance_pair_may_send(p, rebalance_pair_patience_ms(p->run), err);
    if (rc != PR_OK)
        return rc;
    rebalance_job_started(&d->memory, d->seen, pr_mono_us());
    rc = rebalance_job_start(d, &why);
    snprintf(d->refusal, sizeof d->refusal, "%.190s", rc == PR_OK ? "" : why.text);
    count(d, rc == PR_OK ? "started" : "refused");
    if (rc == PR_OK)
        pr_info(PR_EV("slot.job_started"), PR_I("plan", p->run->plan_id), PR_S("from", p->name.src),
                PR_S("to", p->name.dst), PR_S("server", rebalance_job_dialect_name(d->dialect)),
                PR_I("first_slot", d->step[0]->slot), PR_I("slots", d->n));
    else
        pr_warn(PR_EV("slot.job_refused"), PR_I("plan", p->run->plan_id),
                PR_I("first_slot", d->step[0]->slot), PR_I("slots", d->n), PR_E(&why));
    return PR_OK;
}

static enum pr_code cancel(struct rebalance_job_desk *d, const char *reason, struct pr_err *err)
{
    struct pr_err why = { 0 };
    enum pr_code rc = rebalance_pair_may_send(d->p, rebalance_pair_patience_ms(d->p->run), err);
    if (rc != PR_OK)
        return rc;
    rc = rebalance_job_cancel(d, &why);
    rebalance_job_told(&d->memory, d->seen, rc == PR_EINVAL || rc == PR_EDENIED, pr_mono_us());
    if (rc == PR_OK)
        count(d, "canceled");
    pr_warn(PR_EV("slot.job_canceled"), PR_I("plan", d->p->run->plan_id),
            PR_I("first_slot", d->step[0]->slot),
            PR_S("job", d->seen[0].id[0] != '\0' ? d->seen[0].id : d->seen[1].id),
            PR_S("why", reason), PR_S("answer", why.text), PR_S("error", d->error));
    return PR_OK;
}

static enum pr_code verify(struct rebalance_job_desk *d, struct pr_err *err)
{
    struct rebalance_pair *p = d->p;
    bool ok[REBALANCE_JOB_SLOTS];
    d->view.agreed = rebalance_verify(&p->verifier, p->run, d->step, d->n, d->node[1], d->node[0],
                                      ok, NULL) == PR_OK;
    for (size_t i = 0; i < d->n; i++)
        d->view.agreed = d->view.agreed && ok[i];
    return d->view.agreed ? PR_OK : nap(d, rebalance_verify_every_us(&p->verifier) / 3, err);
}

/* Ownership passes without a word of the target's replicas: nothing else is begun, and
 * nothing called done, before they have it. */
static enum pr_code settle(struct rebalance_job_desk *d, struct pr_err *err)
{
    struct pr_err why = { 0 };
    const enum pr_code rc = rebalance_pair_catch_up(d->p, 1, &why);
    d->view.settled = rc == PR_OK;
    if (rc == PR_OK)
        return PR_OK;
    if (rc != PR_ECANCELED) /* else the text is there, and a pause is what ended it */
        says(d, why.text);
    return until_next(d, err);
}

/* --- the end ------------------------------------------------------------------------------- */

static void tally_keys(struct rebalance_job_desk *d, struct rebalance_slot_step *s)
{
    struct rebalance_slot_run *run = d->p->run;
    redisReply *got = NULL;
    s->keys = s->expected_keys;
    s->bytes = s->expected_bytes;
    if (pr_redis_command(d->conn[1], &got, NULL, "CLUSTER COUNTKEYSINSLOT %d", s->slot) == PR_OK)
        s->keys = (uint64_t)got->integer;
    if (got != NULL)
        freeReplyObject(got);
    atomic_fetch_add(&run->keys, s->keys);
    atomic_fetch_add(&run->bytes, s->bytes);
    pr_metrics_add(run->metrics, M_SLOT_KEYS, NULL, (double)s->keys);
    pr_metrics_add(run->metrics, M_SLOT_BYTES, NULL, (double)s->bytes);
}

static enum pr_code finish(struct rebalance_job_desk *d, struct pr_err *err)
{
    struct pick all = { .n = d->n };
    for (size_t i = 0; i < d->n; i++) {
        all.step[i] = d->step[i];
        tally_keys(d, d->step[i]);
    }
    if (d->memory.began_us > 0)
        pr_metrics_observe(d->p->run->metrics, M_SLOT_JOB_SECONDS, NULL,
                           (double)(pr_mono_us() - d->memory.began_us) / 1e6);
    if (d->n > 0)
        count(d, "done");
    return end(d, &all, REBALANCE_SLOT_VERIFIED, err);
}

/* Of what did not land: planned again, taken back, or stuck with a reason. */
static enum pr_code give_up(struct rebalance_job_desk *d, const struct rebalance_job_row *row,
                            struct pr_err *err)
{
    struct pick rest = { .n = 0 };
    size_t kept = 0;
    for (size_t i = 0; i < d->n; i++)
        if (d->place[i] == REBALANCE_JOB_LANDED && row->event != REBALANCE_JOB_EV_GONE)
            d->step[kept++] = d->step[i];
        else
            rest.step[rest.n++] = d->step[i];
    d->n = kept;
    d->recorded = true; /* what is left has landed */
    if (row->effect == REBALANCE_JOB_DO_STOP) {
        for (size_t i = 0; i < rest.n; i++)
            snprintf(rest.step[i]->error, sizeof rest.step[i]->error, "%.200s", row->why);
        return end(d, &rest, REBALANCE_SLOT_STUCK, err);
    }
    if (row->effect == REBALANCE_JOB_DO_LEAVE && taken_back(d->p))
        return end(d, &rest, REBALANCE_SLOT_ROLLED_BACK, err);
    for (size_t i = 0; i < rest.n; i++) {
        rest.step[i]->at = (struct rebalance_slot_at){ REBALANCE_SLOT_PLANNED, false };
        rest.step[i]->atomic = false;
        rest.step[i]->fresh = true;
    }
    return intend(d, &rest, err);
}

/* --- a job --------------------------------------------------------------------------------- */

void rebalance_job_take_up(struct rebalance_job_desk *d, struct rebalance_slot_step **step,
                           size_t n, bool recorded)
{
    int slot[REBALANCE_JOB_SLOTS] = { 0 };
    d->step = step;
    d->n = n;
    d->bytes = 0;
    for (size_t i = 0; i < n; i++) {
        slot[i] = step[i]->slot;
        d->bytes += step[i]->expected_bytes;
    }
    rebalance_job_set(&d->slots, slot, n);
    d->recorded = recorded;
    d->unchanged = 0;
    d->memory = (struct rebalance_job_memory){ .starts = 0 };
    d->view = (struct rebalance_job_view){ .starts = 0 };
    d->refusal[0] = '\0';
}

static void note(struct rebalance_job_desk *d, bool may_start)
{
    struct rebalance_job_view *v = &d->view;
    v->may_start = may_start;
    v->refused = d->dialect == REBALANCE_JOB_NONE || d->denied || !d->p->run->cfg->slot_atomic;
    v->leave = rebalance_pair_leaves(d->p) || taken_back(d->p);
    v->alone = rebalance_pair_replicas(d->p, NULL) != PR_OK;
}

static enum pr_code act(struct rebalance_job_desk *d, const struct rebalance_job_row *row,
                        struct pr_err *err)
{
    switch (row->effect) {
    case REBALANCE_JOB_DO_START:
        return start(d, err);
    case REBALANCE_JOB_DO_CANCEL:
        return cancel(d, row->why, err);
    case REBALANCE_JOB_DO_SETTLE:
        return settle(d, err);
    case REBALANCE_JOB_DO_VERIFY:
        return verify(d, err);
    default:
        return wait(d, row, err);
    }
}

static enum pr_code turns(struct rebalance_job_desk *d, bool may_start,
                          enum rebalance_job_effect *last, struct pr_err *err)
{
    enum rebalance_job_event before = REBALANCE_JOB_EVENTS;
    char state[sizeof d->state] = "";
    *last = REBALANCE_JOB_DO_FINISH;
    for (;;) {
        if (rebalance_slot_run_order(d->p->run) == REBALANCE_ABANDON)
            return pr_fail(err, PR_ECANCELED, "%zu slots of a job are left as they are", d->n);
        rebalance_job_look(d);
        note(d, may_start);
        const struct rebalance_job_row row = rebalance_job_step(&d->view);
        d->unchanged = row.event == before && strcmp(state, d->state) == 0 ? d->unchanged + 1 : 0;
        memcpy(state, d->state, sizeof state);
        hold(d, d->recorded && rebalance_pair_leaves(d->p) &&
                    (row.effect == REBALANCE_JOB_DO_WAIT || row.effect == REBALANCE_JOB_DO_SETTLE ||
                     row.effect == REBALANCE_JOB_DO_VERIFY || row.event == REBALANCE_JOB_EV_BOUND));
        if (row.event != before)
            pr_debug(PR_EV("slot.job"), PR_S("event", rebalance_job_event_name(row.event)),
                     PR_S("effect", rebalance_job_effect_name(row.effect)),
                     PR_S("phase", rebalance_job_phase_name(d->view.phase)),
                     PR_S("state", d->state), PR_S("error", d->error));
        if (row.event == REBALANCE_JOB_EV_TIRED && before != row.event)
            count(d, "vain");
        before = row.event;
        enum pr_code rc = PR_OK;
        if (row.effect == REBALANCE_JOB_DO_FINISH) {
            rebalance_slot_run_waits(d->p->run, NULL);
            return finish(d, err);
        }
        if (row.effect < REBALANCE_JOB_DO_FINISH)
            rc = act(d, &row, err);
        else {
            *last = row.effect;
            rc = give_up(d, &row, err);
            if (rc == PR_OK && d->n == 0)
                return PR_OK;
            may_start = false;
        }
        if (rc != PR_OK)
            return rc;
    }
}

enum pr_code rebalance_job_see_through(struct rebalance_job_desk *d, bool may_start,
                                       enum rebalance_job_effect *last, struct pr_err *err)
{
    const enum pr_code rc = turns(d, may_start, last, err);
    hold(d, false);
    return rc;
}
