/* One slot: look, step, record, act; until the machine says that it is over. */
#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { POLL_US = 30000, HOLD_US = 100000 };

static const char *name_of(struct rebalance_shard *s)
{
    const struct rebalance_shard_member *m = rebalance_shard_primary(s);
    return m == NULL ? s->id : m->name;
}

/* --- looking -------------------------------------------------------------------------- */

/* The promoted giver may know of all that left its predecessor: a fail-over by order
 * loses nothing. Then no key is in flight any more. */
static void hear_promoted(struct rebalance_pair *p)
{
    struct pr_redis *conn = NULL;
    redisReply *got = NULL;
    if (rebalance_pair_service(p, rebalance_pair_giver(p), &conn, NULL) != PR_OK ||
        pr_redis_command(conn, &got, NULL, "INFO replication") != PR_OK)
        return;
    for (unsigned i = 0; i < REBALANCE_LANES; i++)
        if (rebalance_copies_inherited(got->str == NULL ? "" : got->str, &p->deleted[i]))
            rebalance_pair_landed(p, i);
    freeReplyObject(got);
}

/* What was measured is of its predecessor. */
void rebalance_pair_succeeded(struct rebalance_pair *p, int k)
{
    p->seen_changes[k] = p->shard[k].changes;
    pthread_mutex_lock(&p->lock);
    rebalance_throttle_init(&p->throttle[k], 0);
    p->anew[k] = true;
    pthread_mutex_unlock(&p->lock);
    pr_info(PR_EV("slot.failed_over"), PR_I("slot", p->step->slot), PR_S("shard", p->shard[k].id),
            PR_S("primary", name_of(&p->shard[k])));
}

static void note_changes(struct rebalance_pair *p)
{
    const int giver = rebalance_pair_giver(p);
    for (int k = 0; k < 2; k++) {
        const unsigned changes = p->shard[k].changes - p->seen_changes[k];
        if (changes == 0)
            continue;
        rebalance_pair_succeeded(p, k);
        p->calm = p->view.settled = p->view.agreed = false;
        p->view.refused[0] = p->view.refused[1] = REBALANCE_SLOT_ACCEPTS;
        rebalance_fail_overs_saw(&p->over[k], changes, p->shard[k].promoted_us);
        if (k == giver) {
            p->giver_failed = p->step->failed_over = p->view.conflict = p->view.stray = true;
            p->reopened = p->gap_unacknowledged = false;
            p->no_compression[k] = false; /* the new one's settings are its own */
            hear_promoted(p);
        }
    }
}

/* A giver that was restarted may have keys again that it had given. Who takes over after us cannot
 * know which were answered for: to them it failed over. */
static void note_restarts(struct rebalance_pair *p)
{
    const int giver = rebalance_pair_giver(p);
    for (int k = 0; k < 2; k++) {
        if (!p->shard[k].restarted)
            continue;
        p->shard[k].restarted = false;
        p->restarted[k] = true;
        if (k != giver)
            continue;
        p->calm = p->view.settled = false;
        p->step->failed_over = p->view.conflict = true;
        pr_info(PR_EV("slot.giver_restarted"), PR_I("slot", p->step->slot),
                PR_S("shard", p->shard[k].id), PR_S("primary", name_of(&p->shard[k])));
    }
}

static void look_at_epochs(struct rebalance_pair *p)
{
    const struct rebalance_shard_member *g = rebalance_shard_primary(rebalance_giver(p)),
                                        *t = rebalance_shard_primary(rebalance_taker(p));
    p->view.outbid = p->view.low = false;
    if (g == NULL || t == NULL)
        return;
    p->view.outbid = t->peer_epoch != g->epoch;
    p->view.low = t->epoch <= g->epoch;
}

/* A mark that the giver should have and has not was lost with a primary. */
static void ask_marks(struct rebalance_pair *p)
{
    const struct rebalance_slot_side *s = &p->view.source, *t = &p->view.target,
                                     *giver = p->step->at.back ? t : s,
                                     *taker = p->step->at.back ? s : t;
    if (!p->unsure || !giver->there || !taker->there)
        return;
    p->unsure = false;
    const bool imports =
        taker->open == REBALANCE_SLOT_IMPORTS || taker->open == REBALANCE_SLOT_IMPORTS_STALE;
    const bool migrates =
        giver->open == REBALANCE_SLOT_MIGRATES || giver->open == REBALANCE_SLOT_MIGRATES_STALE;
    const bool lost =
        giver->map == REBALANCE_SLOT_TO_SELF && !migrates && (imports || taker->keys > 0);
    if (lost)
        rebalance_fail_overs_missed(&p->over[rebalance_pair_giver(p)]);
    p->giver_failed = p->giver_failed || lost;
    p->step->failed_over = p->giver_failed || p->restarted[rebalance_pair_giver(p)];
    p->view.conflict = p->view.conflict || imports || p->giver_failed;
}

static void look(struct rebalance_pair *p)
{
    struct rebalance_shard *const both[2] = { &p->shard[0], &p->shard[1] };
    struct rebalance_slot_view *v = &p->view;
    pthread_mutex_lock(&p->lock); /* the scout reads who the primaries are */
    const bool changed = rebalance_shards_look(both, (unsigned)p->step->slot);
    pthread_mutex_unlock(&p->lock);
    rebalance_pair_miss_users(p);
    v->source = rebalance_shard_side(&p->shard[0], &p->shard[1]);
    v->target = rebalance_shard_side(&p->shard[1], &p->shard[0]);
    if (changed) {
        rebalance_pair_unlink(p);
        note_changes(p);
    }
    note_restarts(p);
    v->third = (v->source.there && v->source.map == REBALANCE_SLOT_TO_THIRD) ||
               (v->target.there && v->target.map == REBALANCE_SLOT_TO_THIRD);
    const struct rebalance_slot_side *giver = p->step->at.back ? &v->target : &v->source;
    if (giver->keys > 0)
        v->settled = false;
    ask_marks(p);
    p->step->served_on = p->step->served_on || (v->conflict && !p->giver_failed && giver->there);
    look_at_epochs(p);
    p->known = true;
}

/* Somebody else began it, and what is recorded as in flight may be on both sides. Whether
 * its giver failed over is asked of the marks, once both sides are there. */
static void look_first(struct rebalance_pair *p)
{
    const bool begun = p->resumed && p->step->at.state > REBALANCE_SLOT_IMPORTING;
    p->unsure = begun;
    p->view.conflict = begun && p->step->in_flight.len > 0;
    p->giver_failed = begun && p->step->failed_over;
    if (p->giver_failed)
        rebalance_fail_overs_missed(&p->over[rebalance_pair_giver(p)]);
    look(p);
    p->view.conflict = p->view.conflict || p->giver_failed;
}

/* --- recording ---------------------------------------------------------------------------- */

/* A group's rows are ahead: they say the furthest step that any of its slots may be
 * told to take. Going back is said step by step. */
static bool recorded(const struct rebalance_slot_step *s, struct rebalance_slot_at at)
{
    if (at.back != s->on.back || s->failed_over != s->failed_over_on ||
        s->served_on != s->served_on_on)
        return false;
    return at.back ? at.state == s->on.state : at.state <= s->on.state;
}

enum pr_code rebalance_pair_write(struct rebalance_pair *p, const struct rebalance_slot_write *w,
                                  struct pr_err *err)
{
    for (unsigned attempt = 0;; attempt++) {
        const enum pr_code rc = rebalance_slot_steps_write(p->db, w, err);
        if (rc != PR_EUNAVAIL && rc != PR_ETIMEOUT && rc != PR_ECONFLICT && rc != PR_EFULL)
            return rc;
        char why[200];
        snprintf(why, sizeof why, "PostgreSQL: %.180s", err->text);
        rebalance_slot_run_waits(p->run, why);
        if (!rebalance_slot_run_pause(p->run, attempt < 10 ? 20000 << (attempt / 2) : 500000))
            return pr_fail(err, PR_ECANCELED, "slot %d is left as it is", p->step->slot);
        rebalance_slot_run_waits(p->run, NULL);
    }
}

enum pr_code rebalance_pair_intend(struct rebalance_pair *p, struct rebalance_slot_step *s,
                                   struct pr_err *err)
{
    struct rebalance_slot_step *one[] = { s };
    const struct rebalance_slot_write w = {
        .lease = &p->run->lease, .plan_id = p->run->plan_id, .intent = one, .intents = 1
    };
    return rebalance_pair_write(p, &w, err);
}

static enum pr_code end(struct rebalance_pair *p, struct rebalance_slot_step *s, struct pr_err *err)
{
    struct rebalance_slot_step *one[] = { s };
    const struct rebalance_slot_write w = { .lease = &p->run->lease,
                                            .plan_id = p->run->plan_id,
                                            .src_shard = p->shard[0].id,
                                            .dst_shard = p->shard[1].id,
                                            .end = one,
                                            .ends = 1 };
    const enum pr_code rc = rebalance_pair_write(p, &w, err);
    if (rc != PR_OK)
        return rc;
    rebalance_pair_tally(p->run, s);
    return PR_OK;
}

void rebalance_pair_tally(struct rebalance_slot_run *run, const struct rebalance_slot_step *s)
{
    const char *name = rebalance_slot_state_name(s->at.state);
    pr_metrics_add(run->metrics, M_SLOTS, name, 1);
    if (s->at.state == REBALANCE_SLOT_VERIFIED) {
        atomic_fetch_add(&run->verified, 1);
        pr_metrics_add(run->metrics, M_SLOTS_MOVED, s->atomic ? "atomic" : "migrate", 1);
    } else if (s->at.state == REBALANCE_SLOT_ROLLED_BACK)
        atomic_fetch_add(&run->rolled_back, 1);
    else {
        char why[400];
        snprintf(why, sizeof why, "slot %d: %.250s", s->slot, s->error);
        rebalance_slot_run_stuck(run, why);
        pr_error(PR_EV("slot.stuck"), PR_I("plan", run->plan_id), PR_I("slot", s->slot),
                 PR_S("why", s->error));
    }
}

/* --- the loop ------------------------------------------------------------------------------- */

static void begin(struct rebalance_pair *p, struct rebalance_slot_step *step,
                  struct rebalance_piece *piece)
{
    p->step = step;
    p->piece = piece;
    p->view = (struct rebalance_slot_view){ 0 };
    p->giver_failed = p->unsure = p->reopened = p->gap_unacknowledged = false;
    memset(p->over, 0, sizeof p->over);
    memset(p->restarted, 0, sizeof p->restarted);
    p->shard[0].restarted = p->shard[1].restarted = false;
    p->urgent = false;
    p->turn = 0;
    p->opened_us = pr_mono_us();
    for (unsigned i = 0; i < REBALANCE_LANES; i++)
        rebalance_pair_landed(p, i);
    p->resumed = !step->fresh;
    p->known = false;
    if (p->calm && piece != NULL && step->fresh && p->turn == 0) {
        /* Nothing has happened since the pair was looked at, and a node that thinks
         * otherwise refuses what it is told. */
        p->view.source = (struct rebalance_slot_side){ .there = true,
                                                       .map = REBALANCE_SLOT_TO_SELF,
                                                       .keys = (int64_t)piece->keys.n };
        p->view.target =
            (struct rebalance_slot_side){ .there = true, .map = REBALANCE_SLOT_TO_OTHER };
        p->known = true;
    }
    step->fresh = false;
}

static void trouble(struct rebalance_pair *p, const struct rebalance_slot_next *next,
                    const struct pr_err *err)
{
    char why[300];
    if (p->calm) {
        pr_warn(PR_EV("slot.interrupted"), PR_I("plan", p->run->plan_id),
                PR_I("slot", p->step->slot), PR_S("at", rebalance_slot_effect_name(next->effect)),
                PR_E(err));
        atomic_fetch_add(&p->run->interruptions, 1);
        pr_metrics_add(p->run->metrics, M_SLOT_INTERRUPTIONS, NULL, 1);
    }
    p->calm = p->known = false;
    snprintf(why, sizeof why, "slot %d: %.230s", p->step->slot, err->text);
    rebalance_slot_run_waits(p->run, why);
    pr_debug(PR_EV("slot.trouble"), PR_I("slot", p->step->slot), PR_E(err));
}

static bool ends_pair(enum pr_code rc)
{
    return rc == PR_ECANCELED || rc == PR_EFENCED || rc == PR_EINTERNAL || rc == PR_ENOMEM;
}

static enum pr_code act(struct rebalance_pair *p, const struct rebalance_slot_next *next,
                        unsigned *failures, struct pr_err *err)
{
    enum pr_code rc = rebalance_pair_effect(p, next, err);
    if (rc == PR_OK) {
        *failures = 0;
        return PR_OK;
    }
    if (rc == PR_ECANCELED && rebalance_slot_run_order(p->run) != REBALANCE_ABANDON &&
        rebalance_pair_leaves(p)) { /* told to pause: the slot is held open, see below */
        rebalance_pair_unlink(p);
        p->known = p->calm = false;
        return PR_OK;
    }
    if (ends_pair(rc))
        return rc;
    trouble(p, next, err);
    if (++*failures > 1 && !rebalance_slot_run_pause(p->run, POLL_US))
        return pr_fail(err, PR_ECANCELED, "slot %d is left as it is", p->step->slot);
    return PR_OK;
}

/* So do connections, and what was heard of replicas. The source owns the slot again when it
 * never heard that it should give it away, or when it failed over before its replicas had:
 * then what has moved was made anew there. */
static void change_roles(struct rebalance_pair *p)
{
    struct rebalance_slot_step *s = p->step;
    rebalance_pair_unlink(p);
    p->view.settled = p->calm = s->served_on = false;
    p->reopened = p->gap_unacknowledged = false; /* they were of the former giver */
    memset(p->cut, 0, sizeof p->cut);
    memset(p->restarted, 0, sizeof p->restarted);
    if (s->at.back)
        memset(p->over, 0, sizeof p->over);
    p->giver_failed = s->failed_over = p->over[rebalance_pair_giver(p)].n > 0;
    p->view.conflict = p->view.conflict || p->giver_failed;
    p->unsure = p->resumed && !s->at.back; /* who was there before us may have seen it */
}

static enum pr_code stop_here(struct rebalance_pair *p, const struct rebalance_slot_next *next,
                              struct pr_err *err)
{
    struct rebalance_slot_step *s = p->step;
    if (s->at.state == REBALANCE_SLOT_STUCK && s->error[0] == '\0')
        snprintf(s->error, sizeof s->error, "%s", next->why);
    rebalance_slot_run_waits(p->run, NULL);
    pr_metrics_observe(p->run->metrics, M_SLOT_SECONDS, NULL,
                       (double)(pr_mono_us() - p->opened_us) / 1e6);
    return end(p, s, err);
}

/* A pause must take effect within a second: a slot that takes longer is held open and
 * served from both sides. One that is canceled, or whose shards changed while it was
 * held, is brought to an end. Who takes one over first compares what may be on both sides, if
 * both are there: later nobody knows what was in flight when the giver fails over. */
bool rebalance_pair_leaves(struct rebalance_pair *p)
{
    enum { PATIENCE_US = 600000 };
    const int order = rebalance_slot_run_order(p->run);
    const bool compares =
        p->resumed && p->view.conflict && p->view.source.there && p->view.target.there;
    if (order != REBALANCE_FINISH || p->urgent || compares || atomic_load(&p->run->to_the_end) ||
        atomic_load(p->run->roll_back)) {
        p->told_us = 0;
        return order == REBALANCE_ABANDON;
    }
    const int64_t now_us = pr_mono_us();
    if (p->told_us == 0)
        p->told_us = now_us;
    return now_us - p->told_us > PATIENCE_US;
}

bool rebalance_pair_pause(struct rebalance_pair *p, int64_t us)
{
    enum { STEP_US = 20000 };
    while (us > 0 && !rebalance_pair_leaves(p)) {
        (void)rebalance_slot_run_pause(p->run, us > STEP_US ? STEP_US : us);
        us -= STEP_US;
    }
    return !rebalance_pair_leaves(p);
}

/* What holds a slot open is gone at one side, whoever saw it go: who took the slot over
 * after the fail-over never saw the primary before. */
static bool is_damaged(const struct rebalance_pair *p)
{
    const struct rebalance_slot_side *s = &p->view.source, *t = &p->view.target,
                                     *giver = p->step->at.back ? t : s,
                                     *taker = p->step->at.back ? s : t;
    return p->step->at.state > REBALANCE_SLOT_IMPORTING && giver->there && taker->there &&
           giver->map == REBALANCE_SLOT_TO_SELF &&
           (giver->open != REBALANCE_SLOT_MIGRATES || taker->open != REBALANCE_SLOT_IMPORTS);
}

/* One try: whoever holds a slot has no time to wait for PostgreSQL, and comes again. */
static void keep_served_on(struct rebalance_pair *p)
{
    struct pr_err err = { 0 };
    const struct rebalance_slot_write w = {
        .lease = &p->run->lease, .plan_id = p->run->plan_id, .intent = &p->step, .intents = 1
    };
    if (p->step->served_on != p->step->served_on_on &&
        rebalance_slot_steps_write(p->db, &w, &err) != PR_OK)
        pr_debug(PR_EV("slot.not_recorded"), PR_I("slot", p->step->slot), PR_E(&err));
}

/* Paused in mid-slot: nothing moves, but the slot's open state dies with a primary, so
 * the worker watches both shards; a change brings the slot to its end at once. False:
 * it must be left as it is. */
static bool hold(struct rebalance_pair *p)
{
    const unsigned before = p->shard[0].changes + p->shard[1].changes;
    char why[80];
    snprintf(why, sizeof why, "slot %d is held open", p->step->slot);
    rebalance_slot_run_waits(p->run, why);
    atomic_fetch_add(&p->run->holding, 1);
    while (rebalance_slot_run_order(p->run) == REBALANCE_FINISH &&
           !atomic_load(&p->run->to_the_end) && !atomic_load(p->run->roll_back) && !p->urgent) {
        const struct timespec ts = { 0, HOLD_US * 1000 };
        (void)nanosleep(&ts, NULL);
        look(p);
        keep_served_on(p);
        p->urgent = p->shard[0].changes + p->shard[1].changes != before || is_damaged(p);
    }
    atomic_fetch_sub(&p->run->holding, 1);
    rebalance_slot_run_waits(p->run, NULL);
    p->told_us = 0;
    p->known = p->calm = false;
    return rebalance_slot_run_order(p->run) != REBALANCE_ABANDON;
}

/* Its row was written ahead, or it was refused before it was opened: no key has moved. */
static bool never_opened(const struct rebalance_pair *p)
{
    const struct rebalance_slot_side *s = &p->view.source, *t = &p->view.target;
    return !p->step->at.back && !p->step->failed_over && s->there && t->there &&
           s->map == REBALANCE_SLOT_TO_SELF && s->open == REBALANCE_SLOT_CLOSED &&
           t->open == REBALANCE_SLOT_CLOSED && t->keys == 0;
}

enum pr_code rebalance_pair_slot(struct rebalance_pair *p, struct rebalance_slot_step *step,
                                 struct rebalance_piece *piece, struct pr_err *err)
{
    unsigned failures = 0;
    enum rebalance_slot_event last = REBALANCE_SLOT_EVENTS;
    begin(p, step, piece);
    if (!p->known)
        look_first(p);
    if (p->resumed && never_opened(p)) {
        step->fresh = true;
        return pr_fail(err, PR_ECANCELED, "slot %d was not opened", step->slot);
    }
    for (;;) {
        if (rebalance_pair_leaves(p) && !hold(p))
            return pr_fail(err, PR_ECANCELED, "slot %d is left as it is", step->slot);
        p->view.cancel = atomic_load(p->run->roll_back);
        if (!p->known || (p->view.cancel && p->turn > 0)) /* has a key moved? */
            look(p);
        const struct rebalance_slot_next next = rebalance_slot_step(step->at, &p->view);
        if (!p->calm && (next.event != last || next.at.state != step->at.state))
            pr_debug(PR_EV("slot.step"), PR_I("slot", step->slot),
                     PR_S("event", rebalance_slot_event_name(next.event)),
                     PR_S("state", rebalance_slot_state_name(next.at.state)),
                     PR_S("effect", rebalance_slot_effect_name(next.effect)));
        last = next.event;
        const bool turns = next.at.back != step->at.back;
        step->at = next.at;
        if (rebalance_slot_final(step->at.state))
            return stop_here(p, &next, err);
        /* The scout sees that a slot has moved; that one was undone, which is rare, we do. */
        if (p->calm && piece != NULL && next.effect == REBALANCE_SLOT_DO_VERIFY &&
            step->at.state == REBALANCE_SLOT_HANDOFF)
            return PR_OK;
        if (turns)
            change_roles(p);
        enum pr_code rc = recorded(step, next.at) ? PR_OK : rebalance_pair_intend(p, step, err);
        if (rc == PR_OK)
            rc = act(p, &next, &failures, err);
        if (rc != PR_OK)
            return rc;
    }
}
