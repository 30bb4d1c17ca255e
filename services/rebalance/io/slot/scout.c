/* The scout of a pair, a thread beside its worker: reads and weighs the keys of the
 * next slots, records them as in flight while the slots before are moved, so that no
 * commit holds a move up; has what was handed over verified. */
#include "io/slot/pair.h"
#include "io/slot/prints.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TURN_US = 10000, DOUBT_US = 1500000, RETRY_US = 50000 };

struct scout {
    struct rebalance_pair *p;
    struct pr_db *db;
    struct pr_redis *conn; /* to the source's primary */
    struct rebalance_printer printer;
    struct rebalance_verifier verifier;
    struct rebalance_slot_step **end; /* [cap] verified or refused, not recorded yet */
    size_t ends;
    int64_t next_verify_us, next_try_us, handed_us;
};

void rebalance_window_free(struct rebalance_window *w)
{
    for (size_t i = 0; w != NULL && i < w->n; i++)
        rebalance_keys_done(&w->piece[i].keys);
    free(w);
}

/* --- preparing ------------------------------------------------------------------------- */

static enum pr_code connect_source(struct scout *s, struct pr_err *err)
{
    struct rebalance_shard_member m;
    if (s->conn != NULL && !pr_redis_broken(s->conn))
        return PR_OK;
    pr_redis_close(s->conn);
    s->conn = NULL;
    enum pr_code rc = rebalance_pair_primary(s->p, 0, &m, err);
    return rc == PR_OK ? pr_redis_open(&s->conn, m.host, m.port, &s->p->run->mover,
                                       2 * rebalance_pair_patience_ms(s->p->run), err)
                       : rc;
}

/* max 0: only how many there are. */
static enum pr_code append_keys(struct pr_redis *conn, int slot, int max, struct pr_err *err)
{
    char number[8], most[16];
    const char *argv[] = { "CLUSTER", max == 0 ? "COUNTKEYSINSLOT" : "GETKEYSINSLOT", number,
                           most };
    snprintf(number, sizeof number, "%d", slot);
    snprintf(most, sizeof most, "%d", max);
    return pr_redis_append(conn, max == 0 ? 3 : 4, argv, NULL, err);
}

/* How many of the slots from step `from` on fit a window: as many as hold, together,
 * what it may hold, by what is there now; one at least. */
static enum pr_code count_slots(struct scout *s, size_t from, size_t *n, struct pr_err *err)
{
    const struct rebalance_pair *p = s->p;
    const size_t left = p->n_steps - from,
                 most = left < REBALANCE_WINDOW_SLOTS ? left : REBALANCE_WINDOW_SLOTS;
    long long keys = 0;
    enum pr_code rc = connect_source(s, err);
    *n = 0;
    for (size_t i = 0; i < most && rc == PR_OK; i++)
        rc = append_keys(s->conn, p->steps[from + i].slot, 0, err);
    for (size_t i = 0; i < most && rc == PR_OK; i++) {
        redisReply *got = NULL;
        rc = pr_redis_reply(s->conn, &got, err);
        PR_AUTO(redisReply) *r = got;
        if (rc == PR_OK)
            rc = pr_redis_reply_code(r, err);
        if (rc != PR_OK)
            break;
        keys += r->integer;
        *n += *n == i && (i == 0 || keys <= REBALANCE_WINDOW_KEYS);
    }
    return rc;
}

static void refuse(struct scout *s, struct rebalance_slot_step *step, const struct pr_err *why)
{
    if (step->at.state == REBALANCE_SLOT_STUCK)
        return; /* an earlier try could not be recorded: it is listed */
    step->at.state = REBALANCE_SLOT_STUCK;
    snprintf(step->error, sizeof step->error, "%.250s", why->text);
    s->end[s->ends++] = step;
}

static enum pr_code read_slots(struct scout *s, struct rebalance_window *w, size_t from, size_t n,
                               struct pr_err *err)
{
    struct rebalance_pair *p = s->p;
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < n && rc == PR_OK; i++)
        rc = append_keys(s->conn, p->steps[from + i].slot, REBALANCE_SLOT_KEYS, err);
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        struct rebalance_piece *piece = &w->piece[w->n];
        redisReply *got = NULL;
        *piece = (struct rebalance_piece){ .step = &p->steps[from + i] };
        rc = pr_redis_reply(s->conn, &got, err);
        PR_AUTO(redisReply) *r = got;
        if (rc == PR_OK)
            rc = pr_redis_reply_code(r, err);
        if (rc == PR_OK) {
            w->n++;
            rc = rebalance_keys_add(&piece->keys, r, err);
        }
    }
    for (size_t i = 0; i < w->n && rc == PR_OK; i++)
        rc = rebalance_keys_size(&w->piece[i].keys, 0, s->conn, err);
    return rc;
}

/* A slot with a key that must not move is never opened. */
static void judge(struct scout *s, struct rebalance_window *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct pr_err why = { 0 };
        if (rebalance_keys_judge(&w->piece[i].keys, 0, &s->p->scout_limits,
                                 s->p->run->allow_big_keys, &why) == PR_OK) {
            const struct rebalance_piece piece = w->piece[kept];
            w->piece[kept++] = w->piece[i];
            w->piece[i] = piece;
            continue;
        }
        refuse(s, w->piece[i].step, &why);
    }
    for (size_t i = kept; i < w->n; i++)
        rebalance_keys_done(&w->piece[i].keys);
    w->n = kept;
}

static enum pr_code write_all(struct scout *s, struct rebalance_slot_step **intent, size_t intents,
                              struct pr_err *err)
{
    struct rebalance_pair *p = s->p;
    const struct rebalance_slot_write w = { .lease = &p->run->lease,
                                            .plan_id = p->run->plan_id,
                                            .src_shard = p->shard[0].id,
                                            .dst_shard = p->shard[1].id,
                                            .intent = intent,
                                            .intents = intents,
                                            .end = s->end,
                                            .ends = s->ends };
    const enum pr_code rc = rebalance_slot_steps_write(s->db, &w, err);
    for (size_t i = 0; rc == PR_OK && i < s->ends; i++)
        rebalance_pair_tally(p->run, s->end[i]);
    s->ends = rc == PR_OK ? 0 : s->ends;
    return rc;
}

/* Intended is all that the slots may be told to do; only going back, which nobody
 * foresees, is recorded by itself. */
static enum pr_code record(struct scout *s, struct rebalance_window *w, struct pr_err *err)
{
    struct rebalance_slot_step *intent[REBALANCE_WINDOW_SLOTS];
    for (size_t i = 0; i < w->n; i++) {
        const struct rebalance_keys *k = &w->piece[i].keys;
        intent[i] = w->piece[i].step;
        intent[i]->at.state = REBALANCE_SLOT_HANDOFF;
        pr_buf_reset(&intent[i]->in_flight);
        rebalance_keys_record(k, 0, k->n, &intent[i]->in_flight);
        if (intent[i]->in_flight.failed)
            return pr_fail(err, PR_ENOMEM, "%zu keys in flight", k->n);
    }
    const enum pr_code rc = write_all(s, intent, w->n, err);
    for (size_t i = 0; i < w->n; i++)
        intent[i]->at.state = REBALANCE_SLOT_PLANNED; /* what it is; intent[i]->on is recorded */
    return rc;
}

static enum pr_code prepare(struct scout *s, struct pr_err *err)
{
    struct rebalance_pair *p = s->p;
    const size_t from = p->next_step;
    size_t n = 0;
    struct rebalance_window *w = calloc(1, sizeof *w);
    if (w == NULL)
        return pr_fail(err, PR_ENOMEM, "a window of slots");
    enum pr_code rc = count_slots(s, from, &n, err);
    if (rc == PR_OK)
        rc = read_slots(s, w, from, n, err);
    if (rc != PR_OK) { /* answers may be outstanding */
        pr_redis_close(s->conn);
        s->conn = NULL;
    } else {
        judge(s, w);
        rebalance_prints_take(p, &s->printer, w->piece, w->n);
        rc = record(s, w, err);
    }
    if (rc != PR_OK) {
        rebalance_window_free(w);
        return rc;
    }
    const bool any = w->n > 0; /* once it is handed over, the worker may free it */
    pthread_mutex_lock(&p->lock);
    p->next_step = from + n;
    p->scout_idle = p->next_step == p->n_steps;
    if (any)
        p->ready = w;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    if (!any)
        rebalance_window_free(w);
    return PR_OK;
}

/* --- verifying ------------------------------------------------------------------------------ */

static size_t take_handed(struct scout *s, struct rebalance_slot_step **steps)
{
    struct rebalance_pair *p = s->p;
    pthread_mutex_lock(&p->lock);
    const size_t n = p->n_handed;
    memcpy(steps, p->handed, n * sizeof(struct rebalance_slot_step *));
    p->n_handed = 0;
    pthread_mutex_unlock(&p->lock);
    return n;
}

static void give_back(struct scout *s, struct rebalance_slot_step *const *steps, size_t n)
{
    struct rebalance_pair *p = s->p;
    pthread_mutex_lock(&p->lock);
    memcpy(p->handed + p->n_handed, steps, n * sizeof(struct rebalance_slot_step *));
    p->n_handed += n;
    if (n > 0 &&
        pr_mono_us() - s->handed_us > DOUBT_US + 2 * rebalance_verify_every_us(&s->verifier))
        p->doubt = true;
    pthread_mutex_unlock(&p->lock);
}

static void verify(struct scout *s, struct rebalance_slot_step **steps, bool *ok)
{
    struct rebalance_pair *p = s->p;
    struct rebalance_shard_member owner, other;
    struct pr_err err = { 0 };
    size_t left = 0;
    const size_t n = take_handed(s, steps);
    if (n == 0) {
        s->handed_us = pr_mono_us();
        return;
    }
    if (rebalance_pair_primary(p, 1, &owner, &err) == PR_OK &&
        rebalance_pair_primary(p, 0, &other, &err) == PR_OK &&
        rebalance_verify(&s->verifier, p->run, steps, n, owner.id, other.id, ok, &err) == PR_OK) {
        for (size_t i = 0; i < n; i++) {
            if (!ok[i]) {
                steps[left++] = steps[i];
                continue;
            }
            steps[i]->at.state = REBALANCE_SLOT_VERIFIED;
            s->end[s->ends++] = steps[i];
        }
    } else
        left = n;
    if (left < n)
        s->handed_us = pr_mono_us();
    give_back(s, steps, left);
}

/* --- the thread ------------------------------------------------------------------------------- */

static bool wants_window(struct scout *s, bool *ends)
{
    struct rebalance_pair *p = s->p;
    pthread_mutex_lock(&p->lock);
    const bool wants = !p->scout_ends && p->ready == NULL && p->next_step < p->n_steps &&
                       rebalance_slot_run_order(p->run) == REBALANCE_RUN_ON;
    *ends = p->scout_ends;
    pthread_mutex_unlock(&p->lock);
    return wants;
}

static void nap(struct rebalance_pair *p)
{
    const int64_t until_us = pr_mono_us() + TURN_US;
    pthread_mutex_lock(&p->lock);
    (void)pr_cond_until(&p->wake, &p->lock, until_us);
    pthread_mutex_unlock(&p->lock);
}

/* What fails is tried again, unless it cannot come right. */
static void heed(struct scout *s, enum pr_code rc, const struct pr_err *err)
{
    if (rc == PR_OK)
        return;
    if (rc == PR_EFENCED || rc == PR_ENOMEM || rc == PR_EINTERNAL)
        rebalance_slot_run_fail(s->p->run, err);
    if (rc == PR_EDENIED)
        atomic_store(&s->p->run->users_missing, true);
    if (pr_mono_us() - s->handed_us > DOUBT_US)
        rebalance_slot_run_waits(s->p->run, err->text);
    s->next_try_us = pr_mono_us() + RETRY_US;
}

static void *scout_main(void *arg)
{
    struct rebalance_pair *p = arg;
    struct scout s = { .p = p, .handed_us = pr_mono_us() };
    struct pr_err err = { 0 };
    struct rebalance_slot_step **steps =
        calloc(p->n_steps + 1, sizeof(struct rebalance_slot_step *));
    bool *ok = calloc(p->n_steps + 1, sizeof *ok), ends = false;
    s.end = calloc(p->n_steps + 1, sizeof(struct rebalance_slot_step *));
    enum pr_code rc = steps == NULL || ok == NULL || s.end == NULL
                          ? pr_fail(&err, PR_ENOMEM, "a scout of %zu slots", p->n_steps)
                          : pr_db_open(&s.db, p->run->db_uri, "prism-rebalance-scout", &err);
    if (rc != PR_OK)
        rebalance_slot_run_fail(p->run, &err);
    while (rc == PR_OK) {
        const int64_t now_us = pr_mono_us();
        const bool wants = wants_window(&s, &ends) && now_us >= s.next_try_us;
        if (rebalance_slot_run_order(p->run) == REBALANCE_ABANDON)
            break;
        if (ends || now_us >= s.next_verify_us) {
            verify(&s, steps, ok);
            s.next_verify_us = now_us + rebalance_verify_every_us(&s.verifier);
        }
        if (wants)
            heed(&s, prepare(&s, &err), &err);
        else if (s.ends > 0 && (ends || now_us >= s.next_try_us))
            heed(&s, write_all(&s, NULL, 0, &err), &err);
        if (ends && s.ends == 0)
            break;
        if (!wants)
            nap(p);
    }
    pr_redis_close(s.conn);
    rebalance_printer_close(&s.printer);
    rebalance_verifier_close(&s.verifier);
    pr_db_close(s.db);
    free(s.end);
    free(steps);
    free(ok);
    return NULL;
}

/* --- for the worker --------------------------------------------------------------------------- */

enum pr_code rebalance_scout_start(struct rebalance_pair *p, struct pr_err *err)
{
    p->scout_ends = p->doubt = false;
    p->scout_limits = p->limits; /* the worker goes on learning how fast its machine is */
    if (pthread_create(&p->scout, NULL, scout_main, p) != 0)
        return pr_fail(err, PR_ENOMEM, "no thread for a scout");
    p->scout_runs = true;
    return PR_OK;
}

struct rebalance_window *rebalance_scout_take(struct rebalance_pair *p)
{
    struct rebalance_window *w = NULL;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        w = p->ready;
        p->ready = NULL;
        const bool over = w == NULL && p->scout_idle, doubt = p->doubt;
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
        if (w != NULL || over || doubt || rebalance_slot_run_order(p->run) != REBALANCE_RUN_ON)
            return w;
        nap(p);
    }
}

bool rebalance_scout_doubts(struct rebalance_pair *p)
{
    pthread_mutex_lock(&p->lock);
    const bool doubt = p->doubt;
    pthread_mutex_unlock(&p->lock);
    return doubt;
}

void rebalance_scout_hand(struct rebalance_pair *p, struct rebalance_slot_step *step)
{
    pthread_mutex_lock(&p->lock);
    p->handed[p->n_handed++] = step;
    pthread_mutex_unlock(&p->lock);
}

void rebalance_scout_stop(struct rebalance_pair *p)
{
    if (!p->scout_runs)
        return;
    pthread_mutex_lock(&p->lock);
    p->scout_ends = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->scout, NULL);
    p->scout_runs = false;
}
