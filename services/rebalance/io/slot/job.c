/* Slots that the servers move themselves: asks for a job, sees it through, and judges by
 * who owns the slots. Where there is none, or it fails, MIGRATE goes on. */
#include "io/slot/job.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_US = 50000, SLOW_POLL_US = 300000, REST_US = 1000000, LARGE = 100 };

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
    rebalance_slot_run_waits(d->p->run, text);
}

static bool taken_back(const struct rebalance_pair *p)
{
    return rebalance_slot_run_order(p->run) == REBALANCE_FINISH && atomic_load(p->run->roll_back);
}

/* What every node says of a large fleet is long. */
static int64_t poll_us(const struct rebalance_job_desk *d)
{
    return d->nodes > LARGE ? SLOW_POLL_US : POLL_US;
}

/* A pause need not wait for what only waits: the rows say what is under way. */
static enum pr_code wait(struct rebalance_job_desk *d, const struct rebalance_job_row *row,
                         struct pr_err *err)
{
    says(d, row->why);
    const bool pauses = row->effect == REBALANCE_JOB_DO_WAIT && rebalance_pair_leaves(d->p);
    if (pauses || !rebalance_slot_run_pause(d->p->run, poll_us(d)))
        return pr_fail(err, PR_ECANCELED, "%zu slots of a job are left as they are", d->n);
    return PR_OK;
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
    rc = rebalance_job_start(d, &why);
    d->tried_us = pr_mono_us();
    d->began_us = d->began_us == 0 ? d->tried_us : d->began_us;
    d->view.starts++;
    d->view.canceled = false;
    d->denied = d->denied || rc == PR_EDENIED;
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
    d->view.canceled = rc == PR_OK;
    count(d, "canceled");
    pr_warn(PR_EV("slot.job_canceled"), PR_I("plan", d->p->run->plan_id),
            PR_I("first_slot", d->step[0]->slot), PR_S("job", d->id), PR_S("why", reason),
            PR_S("answer", why.text), PR_S("error", d->error));
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
    if (!d->view.agreed && !rebalance_pair_pause(p, rebalance_verify_every_us(&p->verifier) / 3))
        return pr_fail(err, PR_ECANCELED, "%zu slots are left before all know of them", d->n);
    return PR_OK;
}

/* Ownership passes without a word of the target's replicas: nothing else is begun, and
 * nothing called done, before they have it. */
static enum pr_code settle(struct rebalance_job_desk *d, struct pr_err *err)
{
    struct pr_err why = { 0 };
    const enum pr_code rc = rebalance_pair_catch_up(d->p, 1, &why);
    if (rc == PR_ECANCELED)
        return pr_fail(err, rc, "%s", why.text);
    d->view.settled = rc == PR_OK;
    return rc == PR_OK || rebalance_slot_run_pause(d->p->run, POLL_US)
               ? PR_OK
               : pr_fail(err, PR_ECANCELED, "%s", why.text);
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
    if (d->began_us > 0)
        pr_metrics_observe(d->p->run->metrics, M_SLOT_JOB_SECONDS, NULL,
                           (double)(pr_mono_us() - d->began_us) / 1e6);
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

static void note(struct rebalance_job_desk *d, uint64_t bytes, bool may_start)
{
    struct rebalance_job_view *v = &d->view;
    const bool runs = rebalance_job_runs(v->phase);
    const int64_t now_us = pr_mono_us();
    if (runs) {
        d->began_us = d->began_us == 0 ? now_us : d->began_us;
        d->tried_us = now_us;
    }
    v->may_start = may_start;
    v->refused = d->dialect == REBALANCE_JOB_NONE || d->denied || !d->p->run->cfg->slot_atomic;
    v->leave = rebalance_pair_leaves(d->p) || taken_back(d->p);
    v->late = runs && now_us - d->began_us > rebalance_job_patience_ms(bytes) * 1000;
    v->alone = rebalance_pair_replicas(d->p, NULL) != PR_OK;
    v->rested = now_us - d->tried_us >= REST_US;
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

/* Sees the steps of the desk through. *last: how it ended for those that did not land. */
static enum pr_code see_through(struct rebalance_job_desk *d, bool may_start,
                                enum rebalance_job_effect *last, struct pr_err *err)
{
    enum rebalance_job_event before = REBALANCE_JOB_EVENTS;
    uint64_t bytes = 0;
    *last = REBALANCE_JOB_DO_FINISH;
    for (size_t i = 0; i < d->n; i++)
        bytes += d->step[i]->expected_bytes;
    for (;;) {
        if (rebalance_slot_run_order(d->p->run) == REBALANCE_ABANDON)
            return pr_fail(err, PR_ECANCELED, "%zu slots of a job are left as they are", d->n);
        rebalance_job_look(d);
        note(d, bytes, may_start);
        const struct rebalance_job_row row = rebalance_job_step(&d->view);
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

/* --- for the pair --------------------------------------------------------------------------- */

enum pr_code rebalance_pair_resume_jobs(struct rebalance_pair *p, bool *on, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    size_t at = 0;
    do {
        struct rebalance_slot_step *step[REBALANCE_JOB_SLOTS];
        struct rebalance_job_desk d = { .p = p, .step = step, .recorded = true };
        enum rebalance_job_effect last = REBALANCE_JOB_DO_FINISH;
        for (; at < p->begun && d.n < REBALANCE_JOB_SLOTS; at++)
            if (p->steps[at].atomic) /* a stuck one, too: nothing of it is open */
                step[d.n++] = &p->steps[at];
        p->step = d.n > 0 ? step[0] : &p->steps[0];
        if (d.n == 0) /* somebody else's job must not meet MIGRATE; open slots wait for no more */
            rebalance_job_look(&d);
        if (d.n > 0 || d.view.foreign)
            rc = see_through(&d, false, &last, err);
        rebalance_job_close(&d);
        *on = *on && last != REBALANCE_JOB_DO_STOP;
    } while (at < p->begun && rc == PR_OK && *on);
    p->step = NULL;
    return rc;
}

/* Which path the pair's slots take, and why. */
static void tell_path(const struct rebalance_pair *p, const struct rebalance_job_desk *d,
                      const char *path)
{
    const char *why;
    (void)rebalance_job_agree(d->offered[0], d->offered[1], &why);
    if (d->dialect != REBALANCE_JOB_NONE && !p->run->cfg->slot_atomic)
        why = "offered, and PRISM_REBALANCE_SLOT_ATOMIC is false";
    else if (d->denied)
        why = "atomic slot migration is not allowed to our user";
    else if (d->dialect != REBALANCE_JOB_NONE && strcmp(path, "migrate") == 0)
        why = d->refusal[0] != '\0' ? d->refusal
              : d->error[0] != '\0' ? d->error
                                    : "atomic slot migration failed too often";
    pr_info(PR_EV("slot.path"), PR_I("plan", p->run->plan_id), PR_S("from", p->name.src),
            PR_S("to", p->name.dst), PR_S("path", path),
            PR_S("server", rebalance_job_dialect_name(d->dialect)), PR_S("why", why));
}

/* Those that are through first: what follows begins at the next step. */
static void order(struct rebalance_pair *p, size_t n)
{
    size_t at = p->next_step;
    for (size_t i = at; i < p->next_step + n; i++) {
        const struct rebalance_slot_step s = p->steps[i];
        if (!rebalance_slot_final(s.at.state))
            continue;
        memmove(&p->steps[at + 1], &p->steps[at], (i - at) * sizeof s);
        p->steps[at++] = s;
    }
    p->next_step = at;
}

static enum pr_code one_job(struct rebalance_pair *p, struct rebalance_job_desk *d, bool *on,
                            enum rebalance_job_effect *last, struct pr_err *err)
{
    struct rebalance_slot_step *step[REBALANCE_JOB_SLOTS];
    uint64_t each[REBALANCE_JOB_SLOTS], bytes = 0;
    const size_t left = p->n_steps - p->next_step,
                 most = left < REBALANCE_JOB_SLOTS ? left : REBALANCE_JOB_SLOTS;
    for (size_t i = 0; i < most; i++)
        each[i] = p->steps[p->next_step + i].expected_bytes;
    const size_t n = rebalance_job_batch(each, most);
    for (size_t i = 0; i < n; i++) {
        step[i] = &p->steps[p->next_step + i];
        bytes += each[i];
    }
    p->step = step[0];
    (void)rebalance_pair_pace(p); /* a job cannot be slowed down, the next one can wait */
    if (!rebalance_pair_pay(p, (double)bytes))
        return PR_OK;
    d->step = step;
    d->n = n;
    d->recorded = false;
    d->began_us = d->tried_us = 0;
    d->view = (struct rebalance_job_view){ .starts = 0 };
    const enum pr_code rc = see_through(d, true, last, err);
    d->step = NULL;
    d->n = 0;
    if (rc != PR_OK)
        return rc;
    order(p, n);
    *on = *last != REBALANCE_JOB_DO_STOP;
    return PR_OK;
}

enum pr_code rebalance_pair_jobs(struct rebalance_pair *p, bool *on, struct pr_err *err)
{
    struct rebalance_job_desk d = { .p = p };
    enum rebalance_job_effect last = REBALANCE_JOB_DO_FINISH;
    enum pr_code rc = PR_OK;
    p->step = &p->steps[p->next_step];
    rebalance_job_look(&d);
    const bool tries = d.dialect != REBALANCE_JOB_NONE && p->run->cfg->slot_atomic && !d.denied;
    tell_path(p, &d, tries ? "atomic" : "migrate");
    while (tries && rc == PR_OK && *on && last == REBALANCE_JOB_DO_FINISH &&
           p->next_step < p->n_steps && rebalance_slot_run_order(p->run) == REBALANCE_RUN_ON)
        rc = one_job(p, &d, on, &last, err);
    if (tries && last == REBALANCE_JOB_DO_HAND)
        tell_path(p, &d, "migrate");
    rebalance_slot_run_waits(p->run, NULL);
    rebalance_job_close(&d);
    p->step = NULL;
    return rc;
}
