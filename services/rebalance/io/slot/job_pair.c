/* Which of a pair's slots jobs of the server move, and when. */
#include "io/slot/job.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <string.h>

enum pr_code rebalance_pair_resume_jobs(struct rebalance_pair *p, bool *on, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    size_t at = 0;
    do {
        struct rebalance_slot_step *step[REBALANCE_JOB_SLOTS];
        struct rebalance_job_desk d = { .p = p };
        enum rebalance_job_effect last = REBALANCE_JOB_DO_FINISH;
        size_t n = 0;
        for (; at < p->begun && n < REBALANCE_JOB_SLOTS; at++)
            if (p->steps[at].atomic) /* a stuck one, too: nothing of it is open */
                step[n++] = &p->steps[at];
        if (n == 0)
            break;
        p->step = step[0];
        rebalance_job_take_up(&d, step, n, true);
        rc = rebalance_job_see_through(&d, false, &last, err);
        rebalance_job_close(&d);
        *on = *on && last != REBALANCE_JOB_DO_STOP;
        p->put_back += rc == PR_OK && last != REBALANCE_JOB_DO_FINISH; /* they are fresh now */
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
    uint64_t each[REBALANCE_JOB_SLOTS];
    const size_t left = p->n_steps - p->next_step,
                 most = left < REBALANCE_JOB_SLOTS ? left : REBALANCE_JOB_SLOTS;
    for (size_t i = 0; i < most; i++)
        each[i] = p->steps[p->next_step + i].expected_bytes;
    const size_t n = rebalance_job_batch(each, most);
    for (size_t i = 0; i < n; i++)
        step[i] = &p->steps[p->next_step + i];
    p->step = &p->steps[p->next_step];
    rebalance_job_take_up(d, step, n, false);
    const double bytes = (double)d->bytes;
    rebalance_pair_rest(p); /* a job cannot be slowed down, the next one can wait */
    if (!rebalance_pair_pay(p, bytes))
        return PR_OK;
    const bool goes = rebalance_slot_run_order(p->run) == REBALANCE_RUN_ON;
    enum pr_code rc = goes ? rebalance_pair_gives(p, rebalance_pair_giver(p), err) : PR_OK;
    if (goes && rc == PR_OK)
        rc = rebalance_job_see_through(d, true, last, err);
    if (!d->memory.ran && (!goes || *last != REBALANCE_JOB_DO_FINISH)) /* nothing was sent */
        rebalance_pair_repay(p, bytes);
    p->busy_us = d->memory.ran ? (uint64_t)(pr_mono_us() - d->memory.began_us) : 0;
    d->step = NULL;
    d->n = 0;
    if (rc != PR_OK || !goes)
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
    rebalance_job_take_up(&d, NULL, 0,
                          false); /* neither a job nor MIGRATE begins beside somebody's job */
    rc = rebalance_job_see_through(&d, false, &last, err);
    if (rc != PR_OK) {
        rebalance_slot_run_waits(p->run, NULL);
        rebalance_job_close(&d);
        p->step = NULL;
        return rc;
    }
    last = REBALANCE_JOB_DO_FINISH;
    const bool tries = d.dialect != REBALANCE_JOB_NONE && p->run->cfg->slot_atomic && !d.denied;
    tell_path(p, &d, tries ? "atomic" : "migrate");
    while (tries && rc == PR_OK && *on && last != REBALANCE_JOB_DO_HAND &&
           p->next_step < p->n_steps && rebalance_slot_run_order(p->run) == REBALANCE_RUN_ON)
        rc = one_job(p, &d, on, &last, err);
    if (tries && last == REBALANCE_JOB_DO_HAND)
        tell_path(p, &d, "migrate");
    p->busy_us = 0; /* of a batch of MIGRATE, from now on */
    if (p->slowed)
        rebalance_slot_run_slowed(p->run, NULL);
    p->slowed = false;
    rebalance_slot_run_waits(p->run, NULL);
    rebalance_job_close(&d);
    p->step = NULL;
    return rc;
}
