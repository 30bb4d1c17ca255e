/* One pair from its rows to its end, and the threads that take pairs. */
#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_US = 30000 };

/* --- setting up -------------------------------------------------------------------------- */

static enum pr_code load(struct rebalance_pair *p, struct pr_err *err)
{
    struct rebalance_slot_run *run = p->run;
    enum pr_code rc = pr_db_open(&p->db, run->db_uri, "prism-rebalance-slots", err);
    if (rc == PR_OK)
        rc = rebalance_shard_load(&p->shard[0], p->db, p->name.src, err);
    if (rc == PR_OK)
        rc = rebalance_shard_load(&p->shard[1], p->db, p->name.dst, err);
    if (rc == PR_OK)
        rc = rebalance_slot_steps_load(p->db, run->plan_id, run->wave, p->name.src, p->name.dst,
                                       &p->steps, &p->n_steps, err);
    if (rc == PR_OK &&
        (p->handed = calloc(p->n_steps + 1, sizeof(struct rebalance_slot_step *))) == NULL)
        rc = pr_fail(err, PR_ENOMEM, "%zu slots", p->n_steps);
    for (int k = 0; k < 2; k++) {
        p->shard[k].auth = run->mover;
        p->shard[k].timeout_ms = 250;
    }
    while (rc == PR_OK && p->begun < p->n_steps && !p->steps[p->begun].fresh)
        p->begun++;
    return rc;
}

static void look(struct rebalance_pair *p)
{
    struct rebalance_shard *const both[2] = { &p->shard[0], &p->shard[1] };
    pthread_mutex_lock(&p->lock);
    (void)rebalance_shards_look(both, (unsigned)p->steps[0].slot);
    pthread_mutex_unlock(&p->lock);
    rebalance_pair_miss_users(p);
}

static enum pr_code node_timeout(struct rebalance_pair *p, struct pr_err *err)
{
    struct rebalance_shard_member m;
    struct pr_redis *conn = NULL;
    redisReply *got = NULL;
    enum pr_code rc = rebalance_pair_primary(p, 0, &m, err);
    if (rc == PR_OK)
        rc = pr_redis_open(&conn, m.host, m.port, &p->run->mover,
                           rebalance_pair_patience_ms(p->run), err);
    if (rc == PR_OK)
        rc = pr_redis_command(conn, &got, err, "CONFIG GET cluster-node-timeout");
    if (rc == PR_OK && got->elements == 2 && got->element[1]->str != NULL)
        p->limits.node_timeout_ms = strtoll(got->element[1]->str, NULL, 10);
    if (got != NULL)
        freeReplyObject(got);
    pr_redis_close(conn);
    return rc;
}

static enum pr_code equip(struct rebalance_pair *p, struct pr_err *err)
{
    const bool begun = !p->steps[0].fresh; /* its source may be no more */
    if ((p->shard[0].primary < 0 && !(begun && p->shard[0].gone)) || p->shard[1].primary < 0)
        return pr_fail(err, PR_EUNAVAIL, "shard %s has no primary that answers",
                       p->shard[p->shard[0].primary >= 0].id);
    enum pr_code rc = p->shard[0].gone ? PR_OK : rebalance_pair_replicas(p, err);
    if (rc == PR_OK && !p->shard[0].gone)
        rc = node_timeout(p, err);
    return rc == PR_OK ? rebalance_pair_carrier(p, p->carrier.generation == 0, err) : rc;
}

/* Until both primaries are there with replicas to wait for: before a slot is opened. */
static enum pr_code await_shards(struct rebalance_pair *p, struct pr_err *err)
{
    for (;;) {
        look(p);
        struct pr_err why = { 0 };
        const enum pr_code rc = equip(p, &why);
        if (rc == PR_OK)
            break;
        if (rc == PR_EINVAL || rc == PR_EINTERNAL || rc == PR_ENOMEM)
            return pr_fail(err, rc, "%s", why.text);
        if (rc == PR_EDENIED)
            atomic_store(&p->run->users_missing, true);
        rebalance_slot_run_waits(p->run, why.text);
        if (!rebalance_slot_run_pause(p->run, POLL_US) ||
            (p->steps[0].fresh && rebalance_slot_run_order(p->run) != REBALANCE_RUN_ON))
            return pr_fail(err, PR_ECANCELED, "no slot was begun: %.200s", why.text);
    }
    rebalance_slot_run_waits(p->run, NULL);
    for (int k = 0; k < 2; k++)
        p->seen_changes[k] = p->shard[k].changes;
    return PR_OK;
}

static void done(struct rebalance_pair *p)
{
    for (int k = 0; k < 2; k++)
        if (p->touched[k] && rebalance_slot_run_order(p->run) != REBALANCE_ABANDON)
            rebalance_pair_compression(p, k, false);
    if (rebalance_slot_run_order(p->run) != REBALANCE_ABANDON)
        rebalance_pair_carrier_remove(p);
    rebalance_pair_unlink(p);
    rebalance_window_free(p->ready);
    for (int k = 0; k < 2; k++)
        rebalance_shard_close(&p->shard[k]);
    for (int i = 0; i < REBALANCE_LANES; i++)
        pr_buf_done(&p->recent[i]);
    rebalance_keys_done(&p->late);
    rebalance_verifier_close(&p->verifier);
    rebalance_slot_steps_free(p->steps, p->n_steps);
    free(p->handed);
    pr_db_close(p->db);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->wake);
}

/* --- slots ----------------------------------------------------------------------------------- */

/* *on: whether the pair may go on with its next slot. */
static enum pr_code one_slot(struct rebalance_pair *p, struct rebalance_slot_step *step,
                             struct rebalance_piece *piece, bool *on, struct pr_err *err)
{
    enum pr_code rc = rebalance_pair_slot(p, step, piece, err);
    *on = rc == PR_OK && step->at.state != REBALANCE_SLOT_STUCK;
    if (rc == PR_OK && step->at.state == REBALANCE_SLOT_ROLLED_BACK && step->error[0] != '\0') {
        *on = false; /* what was refused for one slot would be for the next */
        rc = pr_fail(err, PR_EFULL, "slot %d was taken back: %.200s", step->slot, step->error);
    }
    return rc;
}

/* What was begun before, by whomever, is brought to an end first. Rows that only say
 * so, because they were written ahead, are planned again. */
static enum pr_code finish_begun(struct rebalance_pair *p, bool *on, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    struct rebalance_slot_step **back =
        calloc(p->n_steps + 1, sizeof(struct rebalance_slot_step *));
    if (back == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu slots", p->n_steps);
    p->calm = false;
    p->next_step = p->begun;
    for (size_t i = 0; i < p->begun && rc == PR_OK; i++) {
        bool goes = true;
        if (!*on && !atomic_load(p->run->roll_back))
            break; /* a plan that is canceled has no later try: all is closed that can be */
        if (p->steps[i].atomic)
            continue; /* nothing of it is open, and its job goes on by itself */
        rc = one_slot(p, &p->steps[i], NULL, &goes, err);
        *on = *on && goes;
        if ((rc != PR_OK && rc != PR_ECANCELED) || !p->steps[i].fresh)
            continue;
        rc = PR_OK;
        pr_buf_reset(&p->steps[i].in_flight);
        p->steps[i].at = (struct rebalance_slot_at){ REBALANCE_SLOT_PLANNED, false };
        back[p->put_back++] = &p->steps[i];
    }
    const struct rebalance_slot_write write = {
        .lease = &p->run->lease, .plan_id = p->run->plan_id, .intent = back, .intents = p->put_back
    };
    if (rc == PR_OK)
        rc = rebalance_slot_steps_write(p->db, &write, err);
    free(back);
    return rc;
}

/* Slots that were handed over, while something then happened: the machine judges them. */
static enum pr_code finish_handed(struct rebalance_pair *p, bool *on, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    rebalance_scout_stop(p);
    p->calm = false;
    while (p->n_handed > 0 && rc == PR_OK && *on)
        rc = one_slot(p, p->handed[--p->n_handed], NULL, on, err);
    return rc;
}

static enum pr_code again(struct rebalance_pair *p, bool *on, struct pr_err *err)
{
    enum pr_code rc = finish_handed(p, on, err);
    if (rc == PR_OK && *on)
        rc = await_shards(p, err);
    if (rc == PR_OK && *on && (rc = rebalance_scout_start(p, err)) == PR_OK)
        p->calm = true;
    return rc;
}

static enum pr_code run_window(struct rebalance_pair *p, struct rebalance_window *w, size_t *next,
                               bool *on, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    while (*next < w->n && *on && rc == PR_OK &&
           rebalance_slot_run_order(p->run) == REBALANCE_RUN_ON) {
        struct rebalance_piece *piece = &w->piece[(*next)++];
        rc = one_slot(p, piece->step, piece, on, err);
        if (rc != PR_OK || !*on)
            break;
        if (!rebalance_slot_final(piece->step->at.state))
            rebalance_scout_hand(p, piece->step);
        else if (!p->calm) /* it was seen through by the machine: something had happened */
            rc = again(p, on, err);
    }
    return rc;
}

/* Rows that say more than was done: their slots were never opened. */
static enum pr_code take_back(struct rebalance_pair *p, const struct rebalance_window *w,
                              size_t from, struct pr_err *err)
{
    struct rebalance_slot_step *step[REBALANCE_WINDOW_SLOTS];
    size_t n = 0;
    for (size_t i = from; w != NULL && i < w->n; i++) {
        step[n] = w->piece[i].step;
        pr_buf_reset(&step[n]->in_flight);
        step[n++]->at = (struct rebalance_slot_at){ REBALANCE_SLOT_PLANNED, false };
    }
    const struct rebalance_slot_write write = {
        .lease = &p->run->lease, .plan_id = p->run->plan_id, .intent = step, .intents = n
    };
    return rebalance_slot_steps_write(p->db, &write, err);
}

static enum pr_code move_fresh(struct rebalance_pair *p, bool *on, struct pr_err *err)
{
    enum pr_code rc = again(p, on, err);
    while (rc == PR_OK && *on && rebalance_slot_run_order(p->run) == REBALANCE_RUN_ON) {
        size_t next = 0;
        struct rebalance_window *w = rebalance_scout_take(p);
        if (w == NULL && !rebalance_scout_doubts(p))
            break;
        if (w != NULL)
            rc = run_window(p, w, &next, on, err);
        else
            rc = again(p, on, err);
        if (w != NULL && next < w->n && rc != PR_EFENCED &&
            rebalance_slot_run_order(p->run) != REBALANCE_ABANDON) {
            const enum pr_code back = take_back(p, w, next, rc == PR_OK ? err : NULL);
            rc = rc == PR_OK ? back : rc;
        }
        rebalance_window_free(w);
    }
    return rc;
}

static enum pr_code move_all(struct rebalance_pair *p, struct pr_err *err)
{
    bool on = true;
    enum pr_code rc = await_shards(p, err);
    if (rc == PR_OK)
        rc = rebalance_pair_gives(p, p->begun > 0 && p->steps[0].at.back, err);
    if (rc == PR_OK)
        rc = rebalance_probes_start(p, p->steps[0].fresh, err);
    if (rc == PR_OK) /* first: an open slot dies with a primary, so it waits for no job */
        rc = finish_begun(p, &on, err);
    if (rc == PR_OK && on)
        rc = rebalance_pair_resume_jobs(p, &on, err);
    if (rc == PR_OK && on && p->put_back == 0 && p->next_step < p->n_steps)
        rc = rebalance_pair_jobs(p, &on, err);
    if (rc == PR_OK && on && p->put_back == 0 && p->next_step < p->n_steps)
        rc = move_fresh(p, &on, err);
    rebalance_scout_stop(p); /* verifies what it can */
    rebalance_probes_stop(p);
    if (p->ready != NULL && rebalance_slot_run_order(p->run) != REBALANCE_ABANDON) {
        const enum pr_code back = take_back(p, p->ready, 0, rc == PR_OK ? err : NULL);
        rc = rc == PR_OK ? back : rc;
    }
    if (rc == PR_OK && on)
        rc = finish_handed(p, &on, err);
    return rc;
}

enum pr_code rebalance_pair_run(struct rebalance_slot_run *run, size_t number, struct pr_err *err)
{
    struct rebalance_pair *p = calloc(1, sizeof *p);
    if (p == NULL)
        return pr_fail(err, PR_ENOMEM, "a pair");
    p->run = run;
    p->name = run->pair[number];
    p->number = number;
    p->limits = (struct rebalance_drain_limits){
        .max_keys = (uint32_t)run->cfg->slot_batch_keys,
        .max_bytes = (uint64_t)run->cfg->slot_batch_bytes,
        .batch_block_ms = run->cfg->slot_batch_block_ms,
        .block_budget_ms = run->cfg->slot_block_budget_ms,
        .patience_ms = rebalance_pair_patience_ms(run),
        .lease_ms = rebalance_pair_lease_ms(run),
        .slowness = 1,
    };
    /* A batch of several keys must fit a short lease too. */
    const double fits_ms = (double)p->limits.lease_ms / 2 - (double)p->limits.patience_ms;
    if (p->limits.lease_ms > 0 && p->limits.batch_block_ms > fits_ms)
        p->limits.batch_block_ms = fits_ms;
    pthread_mutex_init(&p->lock, NULL);
    pr_cond_init(&p->wake);
    rebalance_pair_pace_init(p, pr_mono_us());
    enum pr_code rc = load(p, err);
    if (rc == PR_OK && p->n_steps > 0) {
        pr_info(PR_EV("slot.pair_begins"), PR_I("plan", run->plan_id), PR_S("from", p->name.src),
                PR_S("to", p->name.dst), PR_I("slots", p->n_steps));
        rc = move_all(p, err);
        rebalance_pair_gave(p);
    }
    const bool again =
        rc == PR_OK && p->put_back > 0 && rebalance_slot_run_order(run) == REBALANCE_RUN_ON;
    done(p);
    free(p);
    return again ? rebalance_pair_run(run, number, err) : rc; /* now they are fresh */
}

/* --- the threads ------------------------------------------------------------------------------ */

void *rebalance_slot_worker_main(void *arg)
{
    struct rebalance_slot_run *run = arg;
    for (;;) {
        struct pr_err err = { 0 };
        const size_t number = atomic_fetch_add(&run->next_pair, 1);
        if (number >= run->pairs || rebalance_slot_run_order(run) == REBALANCE_ABANDON)
            break;
        const enum pr_code rc = rebalance_pair_run(run, number, &err);
        if (rc != PR_OK && rc != PR_ECANCELED)
            rebalance_slot_run_fail(run, &err);
    }
    if (atomic_load(&run->workers_left) == 1) /* nothing is slowed down any more */
        pr_metrics_set(run->metrics, M_SLOT_RATE, NULL, 1);
    atomic_fetch_sub(&run->workers_left, 1);
    return NULL;
}
