#include "slot_world.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define S(name) REBALANCE_SLOT_##name

enum { MAX_STEPS = 400, MAX_QUIET = 600, OPTIONS = 48 };

bool slot_off[SLOT_RULES];

uint32_t slot_choose(struct world *w, uint32_t n)
{
    struct choices *c = &w->choose;

    if (n < 2 || w->quiet)
        return 0;
    if (!c->enumerate)
        return (uint32_t)pr_rng_below(&c->rng, n);
    assert(c->n < MAX_CHOICES);
    const uint32_t here = c->n++;
    c->alternatives[here] = (uint8_t)n;
    for (uint32_t i = 0; i < c->n_forced; i++)
        if (c->forced_at[i] == here)
            return c->forced[i];
    return 0;
}

bool slot_faulty(struct world *w)
{
    if (w->faults_left == 0 || w->quiet)
        return false;
    const bool yes = slot_choose(w, w->choose.enumerate ? 2 : 16) == 1;
    w->faults_left -= yes;
    return yes;
}

void slot_violation(struct world *w, const char *what)
{
    if (w->broken == NULL)
        w->broken = what;
}

void slot_trace(const struct world *w, const char *format, ...)
{
    if (!w->trace)
        return;
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "%4u ", w->c.now);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
}

/* --- what the cluster does by itself ------------------------------------------ */
static bool may_resync(const struct world *w, int node)
{
    const int opened = w->db.giver.node; /* a turn may be undone: it is not the present giver's */
    return w->cfg.slow || opened == NOBODY || shard_of(node) != shard_of(opened) ||
           scheduler_ready(w);
}

/* What a look saw alive is not voted out before the command that follows: that
 * takes a node time-out, and the command refuses itself when it is that late.
 * A fail-over by hand takes no such time: one between the look and a claim, in
 * the same millisecond, is the thing that a move does not survive. */
static bool too_soon(struct world *w, int shard, bool manual)
{
    const struct scheduler *s = &w->s;
    const bool looked = s->alive && (s->phase == ACT || (s->phase == LOOK_TARGET && shard == SRC));
    const struct rebalance_slot_side *seen = shard == SRC ? &s->view.source : &s->view.target;
    const int giver = w->db.at.back ? DST : SRC;
    const bool claims = keys_in(primary_of(&w->c, giver)) == 0 || w->db.at.back || s->full[DST];

    return looked && seen->there && (manual ? claims : RULE(DEADLINE));
}

static void settle_down(struct world *w)
{
    if (w->late.used && w->c.node[w->late.node].life == UP)
        late_run(w);
    gossip_round(&w->c);
}

static void try_promote(struct world *w, int node, bool manual)
{
    const int shard = shard_of(node);

    if (!may_promote(&w->c, node, manual) || too_soon(w, shard, manual))
        return;
    if (manual) {
        gossip_claims(&w->c);
        replicate(&w->c, node, w->c.shard[shard].head);
    } else /* that takes longer than it takes a word to get round, or a MIGRATE to time out */
        settle_down(w);
    if (!promote(&w->c, node)) {
        w->saw[SAW_VOTE_REFUSED]++;
        return;
    }
    slot_trace(w, "%d is promoted%s", node, manual ? " by hand" : "");
    w->saw[shard == SRC ? SAW_PROMOTED_SOURCE : SAW_PROMOTED_TARGET]++;
    for (int i = 0; i < CLIENTS; i++) /* ASK is followed at once, or asked for again */
        w->client[i].asking = false;
    clients_settle(w);
}

static void heal(struct world *w, int node)
{
    struct node *n = &w->c.node[node];
    const bool replaced =
        n->primary && node != OBSERVER && w->c.shard[shard_of(node)].primary != node;

    if (n->life == DOWN && n->primary && !replaced)
        return; /* nobody was elected yet */
    if (n->life == DOWN && n->primary)
        demote(&w->c, node);
    if (n->life == UP)
        return;
    slot_trace(w, "%d is back", node);
    n->life = UP;
    if (!replaced || !n->primary)
        return;
    /* It runs what is in its sockets, then hears that it was voted out. What it may
     * tell a client in that moment (ASK, for a key that its successor has made
     * anew) is left out. */
    if (w->late.used && w->late.node == node)
        late_run(w);
    demote(&w->c, node);
}

/* Everything that is pending happens. */
static void environment(struct world *w)
{
    for (int i = 0; i < OBSERVER; i++)
        try_promote(w, i, false);
    for (int i = 0; i < OBSERVER; i++)
        heal(w, i);
    if (w->late.used && w->c.node[w->late.node].life == UP)
        late_run(w);
    gossip_round(&w->c);
    for (int i = 0; i < OBSERVER; i++) {
        if (!w->c.node[i].synced && may_resync(w, i))
            resync(&w->c, i);
        replicate(&w->c, i, w->c.shard[shard_of(i)].head);
    }
}

/* --- what can happen next ------------------------------------------------------ */
enum what {
    SCHEDULER,
    CLIENT,
    ENVIRONMENT,
    KILL,
    PAUSE,
    KILL_REPLICA,
    MANUAL,
    PROMOTE,
    HEAL,
    REPLICATE,
    RESYNC,
    GOSSIP,
    LATE,
    CANCEL,
    FORK
};

struct option {
    uint8_t what, a, b;
    uint32_t weight;
};

struct options {
    struct option o[OPTIONS];
    uint32_t n;
};

static void add(struct options *l, enum what what, int a, int b, uint32_t weight)
{
    assert(l->n < OPTIONS);
    l->o[l->n++] = (struct option){ (uint8_t)what, (uint8_t)a, (uint8_t)b, weight };
}

/* Whose turn it is comes first: that is the undisturbed order. */
static void actors(struct world *w, struct options *l)
{
    enum { PERIOD = 3 + CLIENTS };
    static const int order[PERIOD] = { SCHEDULER, CLIENT, SCHEDULER, CLIENT, ENVIRONMENT };

    for (uint32_t i = 0; i < PERIOD; i++) {
        const uint32_t at = (w->turn + i) % PERIOD;
        const int client = at / 2 % CLIENTS;
        if (order[at] == CLIENT && !client_idle(&w->client[client]))
            add(l, CLIENT, client, 0, 30);
        else if (order[at] == SCHEDULER && (i < 2 || l->n == 0) &&
                 !rebalance_slot_final(w->db.at.state))
            add(l, SCHEDULER, 0, 0, 60);
        else if (order[at] == ENVIRONMENT)
            add(l, ENVIRONMENT, 0, 0, 4);
    }
    w->turn++;
}

bool electable(const struct world *w, int shard)
{
    for (int m = shard * MEMBERS; m < (shard + 1) * MEMBERS; m++)
        if (may_promote(&w->c, m, true))
            return true;
    return false;
}

static void fail_overs(struct world *w, struct options *l)
{
    for (int s = SRC; s <= DST; s++) {
        if (!electable(w, s))
            continue;
        add(l, KILL, s, 0, 1);
        add(l, PAUSE, s, 0, 2);
        for (int m = s * MEMBERS; m < (s + 1) * MEMBERS; m++)
            if (may_promote(&w->c, m, true))
                add(l, MANUAL, m, 0, 1);
    }
}

static void lose_replicas(struct world *w, struct options *l)
{
    for (int s = SRC; s <= DST; s++) {
        int electable_ones[MEMBERS], n = 0;
        for (int m = s * MEMBERS; m < (s + 1) * MEMBERS; m++)
            if (may_promote(&w->c, m, true))
                electable_ones[n++] = m;
        for (int i = 0; n == MEMBERS - 1 && i < n; i++)
            add(l, KILL_REPLICA, electable_ones[i], 0, 1);
    }
}

static void disturbances(struct world *w, struct options *l)
{
    if (w->cfg.cancel && !w->cancel)
        add(l, CANCEL, 0, 0, 1);
    if (w->late.used && w->c.node[w->late.node].life == UP)
        add(l, LATE, 0, 0, 10);
    if (w->cfg.fail_overs && w->faults_left > 0 && (!w->cfg.cut_first || w->was_cut))
        fail_overs(w, l);
    if (w->cfg.replicas && w->faults_left > 0)
        lose_replicas(w, l);
    for (int i = 0; i < OBSERVER; i++) {
        if (may_promote(&w->c, i, false))
            add(l, PROMOTE, i, 0, 12);
        if (w->c.node[i].life != UP)
            add(l, HEAL, i, 0, 8);
        const bool lags = w->c.node[i].synced && w->c.node[i].pos < w->c.shard[shard_of(i)].head;
        if (!w->choose.enumerate || lags)
            add(l, REPLICATE, i, 0, 5);
        if (!w->choose.enumerate && !w->c.node[i].synced && may_resync(w, i))
            add(l, RESYNC, i, 0, 4);
    }
    if (w->cfg.forks)
        add(l, FORK, SRC, DST, 8);
    add(l, GOSSIP, w->c.shard[SRC].primary, w->c.shard[DST].primary, 3);
    add(l, GOSSIP, w->c.shard[DST].primary, w->c.shard[SRC].primary, 3);
    if (!w->choose.enumerate)
        add(l, GOSSIP, NODES, NODES, 20);
}

static const struct option *pick(struct world *w, const struct options *l)
{
    if (w->choose.enumerate)
        return &l->o[slot_choose(w, l->n)];
    uint32_t sum = 0;
    const struct option *o = l->o;
    for (uint32_t i = 0; i < l->n; i++)
        sum += o[i].weight;
    uint32_t x = (uint32_t)pr_rng_below(&w->choose.rng, sum);
    while (x >= o->weight)
        x -= (o++)->weight;
    return o;
}

static void strike(struct world *w, const struct option *o)
{
    struct node *p = &w->c.node[w->c.shard[o->a].primary];

    w->faults_left--;
    p->life = o->what == KILL ? DOWN : PAUSED;
    w->saw[o->what == KILL ? SAW_KILL : SAW_PAUSE]++;
    slot_trace(w, "%s %d", o->what == KILL ? "kill" : "pause", w->c.shard[o->a].primary);
    if (o->what == KILL && w->late.used && w->late.node == w->c.shard[o->a].primary)
        w->late.used = false;
}

static void happen(struct world *w, const struct option *o)
{
    switch ((enum what)o->what) {
    case SCHEDULER:
        if (w->s.alive)
            scheduler_step(w);
        else
            scheduler_spawn(w);
        break;
    case CLIENT:
        client_step(w, &w->client[o->a]);
        break;
    case ENVIRONMENT:
        environment(w);
        break;
    case KILL:
    case PAUSE:
        if (w->c.node[w->c.shard[o->a].primary].life == UP)
            strike(w, o);
        break;
    case KILL_REPLICA:
        w->faults_left--;
        w->c.node[o->a].life = DOWN;
        w->c.node[o->a].synced = false;
        slot_trace(w, "kill replica %d", o->a);
        break;
    case MANUAL:
        w->faults_left--;
        w->saw[SAW_MANUAL]++;
        try_promote(w, o->a, true);
        break;
    case PROMOTE:
        try_promote(w, o->a, false);
        break;
    case HEAL:
        heal(w, o->a);
        break;
    case REPLICATE:
        replicate(&w->c, o->a, w->c.node[o->a].pos + 1 + slot_choose(w, 3));
        break;
    case RESYNC:
        resync(&w->c, o->a);
        break;
    case GOSSIP:
        if (o->a == NODES)
            gossip(&w->c, (int)slot_choose(w, NODES), (int)slot_choose(w, NODES));
        else
            gossip(&w->c, o->a, o->b);
        break;
    case LATE:
        late_run(w);
        break;
    case FORK:
        w->c.node[w->c.shard[slot_choose(w, 2)].primary].child_until =
            w->c.now + slot_choose(w, 60);
        break;
    case CANCEL:
        slot_trace(w, "cancel");
        w->cancel = true;
        break;
    }
    clients_settle(w);
}

/* --- a run --------------------------------------------------------------------- */
static void begin(struct world *w, const struct slot_config *cfg)
{
    const bool trace = w->trace;

    memset(w, 0, offsetof(struct world, choose));
    w->trace = trace;
    w->cfg = *cfg;
    w->faults_left = cfg->faults;
    cluster_init(&w->c);
    for (uint32_t k = 0; k < cfg->keys; k++) {
        for (int n = 0; n < MEMBERS; n++)
            w->c.node[n].data.key[k] =
                (struct value){ .present = true, .bits = 1u << k, .version = 1, .epoch = 1 };
        w->write[w->n_writes++] = (struct write){ ACKED, (uint8_t)k };
    }
    w->c.shard[SRC].log[0] = w->c.node[0].data;
    w->db.giver.node = NOBODY;
    for (int i = 0; i < CLIENTS; i++)
        w->client[i] = (struct client){ .ops_left = cfg->ops };
}

static bool busy(const struct world *w)
{
    for (int i = 0; i < CLIENTS; i++)
        if (!client_idle(&w->client[i]))
            return true;
    return !rebalance_slot_final(w->db.at.state) || w->late.used;
}

static void run(struct world *w)
{
    struct options l;

    for (uint32_t i = 0; i < MAX_STEPS && w->broken == NULL && busy(w); i++) {
        w->c.now++;
        l.n = 0;
        actors(w, &l);
        disturbances(w, &l);
        happen(w, pick(w, &l));
    }
    w->quiet = true; /* faults have stopped: from here on everything happens in its turn */
    for (uint32_t i = 0; i < MAX_QUIET && w->broken == NULL && busy(w); i++) {
        w->c.now++;
        l.n = 0;
        actors(w, &l);
        happen(w, &l.o[0]);
    }
    environment(w);
    environment(w);
    clients_settle(w);
    slot_check_end(w);
}

const char *slot_run(struct world *w, const struct slot_config *cfg, uint64_t seed)
{
    begin(w, cfg);
    w->choose.enumerate = false;
    w->choose.n = 0;
    pr_rng_init(&w->choose.rng, seed);
    run(w);
    return w->broken;
}

static const char *explore(struct world *w, const struct slot_config *cfg, uint32_t depth,
                           uint64_t *runs)
{
    struct choices *c = &w->choose;
    uint8_t alternatives[MAX_CHOICES];
    const uint32_t forced = c->n_forced, from = forced > 0 ? c->forced_at[forced - 1] + 1 : 0;

    begin(w, cfg);
    c->enumerate = true;
    c->n = 0;
    run(w);
    ++*runs;
    if (w->broken != NULL || depth == 0)
        return w->broken;
    const uint32_t n = c->n;
    memcpy(alternatives, c->alternatives, n);
    c->n_forced = forced + 1;
    for (uint32_t at = from; at < n; at++) {
        for (uint8_t a = 1; a < alternatives[at]; a++) {
            c->forced_at[forced] = at;
            c->forced[forced] = a;
            c->n_forced = forced + 1;
            const char *bad = explore(w, cfg, depth - 1, runs);
            if (bad != NULL)
                return bad;
        }
    }
    c->n_forced = forced;
    return NULL;
}

const char *slot_explore(struct world *w, const struct slot_config *cfg, uint32_t depth,
                         uint64_t *runs)
{
    w->choose.n_forced = 0;
    return explore(w, cfg, depth, runs);
}
