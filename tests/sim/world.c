#include "world.h"

#include "switches.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

enum { MAX_STEPS = 300, MAX_QUIET_STEPS = 4000, OPTIONS = 40 };

uint32_t choose(struct world *w, uint32_t n)
{
    struct choices *c = &w->choose;

    if (n < 2)
        return 0;
    if (!c->enumerate)
        return (uint32_t)pr_rng_below(&c->rng, n);
    assert(c->n < MAX_CHOICES);
    uint32_t here = c->n++;
    c->alternatives[here] = (uint8_t)n;
    for (uint32_t i = 0; i < c->n_forced; i++)
        if (c->forced_at[i] == here)
            return c->forced[i];
    return 0;
}

bool faulty(struct world *w)
{
    if (w->faults_left == 0)
        return false;
    uint32_t rare = w->choose.enumerate ? 2 : 8; /* one in eight when drawn */
    bool yes = choose(w, rare) == 1;
    if (yes)
        w->faults_left--;
    return yes;
}

void violation(struct world *w, const char *what)
{
    if (w->broken == NULL)
        w->broken = what;
}

void server_run(struct world *w, uint32_t part, const struct model_call *call,
                struct model_reply *r)
{
    shard_run(&w->shard[part], call, r);
    check_copies(w);
}

void late_run(struct world *w)
{
    struct late *l = &w->late;
    struct model_reply r;

    l->used = false;
    w->saw[SAW_LATE]++;
    if (l->restore) {
        const struct row *row = &w->rows[l->row];
        (void)shard_restore(&w->shard[l->part], l->name, &l->copy, row->swept || row->done,
                            !ON(STAGING_BY_EPOCH));
    } else {
        server_run(w, l->part, &l->call, &r);
    }
}

void conn_used(struct world *w, struct conn *c, uint32_t part)
{
    c->up = true;
    c->generation = w->shard[part].generation;
    c->position = w->shard[part].head;
}

/* The connection may have broken since, by a fail-over or by itself. WAIT on the
 * one that replaces it knows of no write and is satisfied by nothing. */
bool conn_wait(struct world *w, struct conn *c, uint32_t part)
{
    bool broken = !c->up || c->generation != w->shard[part].generation || faulty(w);

    if (broken) {
        w->saw[SAW_BROKEN_WAIT]++;
        c->up = false;
        return !ON(WAIT_SAME_CONNECTION);
    }
    shard_wait(&w->shard[part], c->position);
    return true;
}

/* --- what can happen next ------------------------------------------------ */

enum what { HOLDER, CLIENT, STALE, REPLICATE, FAIL_OVER, LATE, CANCEL, STEAL };

struct option {
    uint8_t what, a, b;
    uint32_t weight;
};

static uint32_t add(struct option *o, uint32_t n, enum what what, uint32_t a, uint32_t b,
                    uint32_t weight)
{
    assert(n < OPTIONS);
    o[n] = (struct option){ (uint8_t)what, (uint8_t)a, (uint8_t)b, weight };
    return n + 1;
}

/* Whose turn it is comes first: that is the undisturbed order. */
static uint32_t actors(struct world *w, struct option *o)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i <= w->cfg.clients; i++) {
        uint32_t who = (w->turn + i) % (w->cfg.clients + 1);
        if (who == 0 && w->row < w->cfg.rows)
            n = add(o, n, HOLDER, 0, 0, 40);
        if (who > 0 && !client_idle(&w->client[who - 1]))
            n = add(o, n, CLIENT, who - 1, 0, 30);
    }
    w->turn++;
    if (w->stale.alive)
        n = add(o, n, STALE, 0, 0, 30);
    return n;
}

static uint32_t disturbances(struct world *w, struct option *o, uint32_t n)
{
    if (w->late.used)
        n = add(o, n, LATE, 0, 0, 6);
    if (w->faults_left == 0)
        return n;
    for (uint32_t p = 0; p < PARTS; p++) {
        for (uint32_t i = 0; i < w->cfg.replicas; i++) {
            n = add(o, n, FAIL_OVER, p, i, 1);
            if (!w->choose.enumerate || w->shard[p].pos[i] < w->shard[p].head)
                n = add(o, n, REPLICATE, p, i, 1);
        }
    }
    if (w->cfg.cancel && w->holder.alive && !w->rows[w->row].canceling)
        n = add(o, n, CANCEL, 0, 0, 2);
    if (w->holder.alive)
        n = add(o, n, STEAL, 0, 0, 2);
    return n;
}

static const struct option *pick(struct world *w, const struct option *o, uint32_t n)
{
    if (w->choose.enumerate)
        return &o[choose(w, n)];
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += o[i].weight;
    uint32_t x = (uint32_t)pr_rng_below(&w->choose.rng, sum);
    while (x >= o->weight)
        x -= (o++)->weight;
    return o;
}

/* Another process takes the lease; this one does not know yet. */
static void steal(struct world *w)
{
    if (!w->stale.alive) {
        w->stale = w->holder;
        w->stale.zombie = w->cfg.zombie;
    }
    w->holder.alive = false;
    w->lease++;
}

static void happen(struct world *w, const struct option *o)
{
    struct shard *s = &w->shard[o->a];

    switch ((enum what)o->what) {
    case HOLDER:
        if (w->holder.alive)
            mover_step(w, &w->holder);
        else
            mover_spawn(w);
        break;
    case CLIENT:
        client_step(w, &w->client[o->a]);
        break;
    case STALE:
        mover_step(w, &w->stale);
        break;
    case REPLICATE:
        shard_replicate(s, o->b, s->pos[o->b] + 1 + choose(w, 4));
        break;
    case FAIL_OVER:
        w->faults_left--;
        w->saw[SAW_FAIL_OVER]++;
        w->saw[SAW_LOST_EFFECTS] += s->head - s->pos[o->b];
        shard_fail_over(s, o->b);
        check_copies(w);
        break;
    case LATE:
        late_run(w);
        break;
    case CANCEL:
        w->faults_left--;
        mover_cancel(w);
        break;
    case STEAL:
        w->faults_left--;
        w->saw[SAW_STOLEN_LEASE]++;
        steal(w);
        break;
    }
}

static void begin(struct world *w, const struct sim_config *cfg)
{
    static const struct model_key absent = { .kind = MODEL_ABSENT };
    static const struct model_key live = { .kind = MODEL_LIVE, .v = 1, .e = 1, .field = { 1 } };
    static const struct model_key stub = { .kind = MODEL_STUB, .stub_p = 0, .stub_e = 1 };

    memset(w, 0, offsetof(struct world, choose));
    w->cfg = *cfg;
    w->faults_left = cfg->faults;
    w->epoch = 100;
    for (uint32_t p = 0; p < PARTS; p++) {
        const struct model_key *k = &absent;
        if (!cfg->absent && p == 0)
            k = &live;
        else if (!cfg->absent && p == cfg->home)
            k = &stub; /* moved from home to 0 before */
        shard_init(&w->shard[p], cfg->replicas, k);
    }
    if (!cfg->absent)
        w->record[w->n_records++] =
            (struct record){ .op = CLIENT_CREATE, .status = ACKED }; /* before step 1 */
    w->now = 1;
    for (uint32_t i = 0; i < cfg->clients; i++)
        w->client[i] = (struct client_actor){ .ops_left = cfg->ops, .cache = cfg->home };
}

static bool all_done(const struct world *w)
{
    bool done = w->row == w->cfg.rows;

    for (uint32_t i = 0; i < w->cfg.clients; i++)
        done = done && client_idle(&w->client[i]);
    return done;
}

/* Faults stop; what is on its way arrives; the mover and the clients go on
 * until they have nothing left to do. */
static void settle(struct world *w)
{
    w->faults_left = 0;
    w->stale.alive = false;
    if (w->late.used)
        late_run(w);
    for (uint32_t i = 0; w->row < w->cfg.rows && w->broken == NULL; i++) {
        if (w->holder.alive)
            mover_step(w, &w->holder);
        else
            mover_spawn(w);
        if (i > MAX_QUIET_STEPS)
            violation(w, "the mover does not come to an end");
    }
    w->quiet = true;
    for (uint32_t i = 0; !all_done(w) && w->broken == NULL; i++) {
        w->now++;
        for (uint32_t k = 0; k < w->cfg.clients; k++)
            if (!client_idle(&w->client[k]))
                client_step(w, &w->client[k]);
        if (i > MAX_QUIET_STEPS)
            violation(w, "a client does not come to an end");
    }
}

static const char *run(struct world *w, const struct sim_config *cfg)
{
    begin(w, cfg);
    for (uint32_t i = 0; i < MAX_STEPS && !all_done(w) && w->broken == NULL; i++) {
        struct option o[OPTIONS];
        w->now++;
        uint32_t n = actors(w, o);
        happen(w, pick(w, o, disturbances(w, o, n)));
    }
    if (w->broken == NULL)
        settle(w);
    if (w->broken == NULL)
        check_end(w);
    return w->broken;
}

const char *sim_run(struct world *w, const struct sim_config *cfg, uint64_t seed)
{
    w->choose.enumerate = false;
    w->choose.n = w->choose.n_forced = 0;
    pr_rng_init(&w->choose.rng, seed);
    return run(w, cfg);
}

static const char *explore(struct world *w, const struct sim_config *cfg, uint32_t first,
                           uint32_t depth, uint64_t *runs)
{
    struct choices *c = &w->choose;
    uint8_t alternatives[MAX_CHOICES];
    uint32_t slot = c->n_forced;

    c->n = 0;
    (*runs)++;
    const char *bad = run(w, cfg);
    if (bad != NULL || depth == 0)
        return bad;
    uint32_t n = c->n;
    memcpy(alternatives, c->alternatives, n);
    c->n_forced = slot + 1;
    for (uint32_t at = first; at < n && bad == NULL; at++) {
        for (uint32_t k = 1; k < alternatives[at] && bad == NULL; k++) {
            c->forced_at[slot] = at;
            c->forced[slot] = (uint8_t)k;
            bad = explore(w, cfg, at + 1, depth - 1, runs);
        }
    }
    if (bad == NULL)
        c->n_forced = slot;
    return bad;
}

const char *sim_explore(struct world *w, const struct sim_config *cfg, uint32_t depth,
                        uint64_t *runs)
{
    w->choose.enumerate = true;
    w->choose.n_forced = 0;
    return explore(w, cfg, 0, depth, runs);
}
