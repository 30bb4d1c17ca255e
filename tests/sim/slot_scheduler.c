/* The scheduler of the simulation: the machine as shipped, over the I/O that
 * its effects ask for, one command at a time. */
#include "slot_scheduler.h"

#include "core/slot/reign.h"

#include <stdio.h>
#include <string.h>

#define S(name) REBALANCE_SLOT_##name

void scheduler_spawn(struct world *w)
{
    struct scheduler *s = &w->s;

    w->epoch++;
    *s = (struct scheduler){ .alive = true, .primary = { NOBODY, NOBODY }, .giver = { NOBODY, 0 } };
    s->cred = (uint8_t)(w->epoch * 8);
    s->conflict = w->db.in_flight != 0 && RULE(FLIGHT_RECORDED);
    s->uncertain = w->db.in_flight != 0;
    if (RULE(GIVER_RECORDED))
        s->giver = w->db.giver;
    /* the users of those before are deleted before anything is done */
    if (w->late.used && w->c.node[w->late.node].life == UP) {
        w->late.used = false;
        w->saw[SAW_STALE]++;
    }
    for (int n = 0; n < NODES; n++)
        if (w->c.node[n].life == UP)
            w->c.node[n].cred = s->cred;
    s->stray = w->late.used;
}

int giver_of(const struct world *w)
{
    return w->db.at.back ? DST : SRC;
}

/* --- looking -------------------------------------------------------------------- */
static enum rebalance_slot_open open_of(const struct node *n, int other)
{
    if (n->migrating != NOBODY) /* hides the other mark */
        return n->migrating == other ? S(MIGRATES) : S(MIGRATES_STALE);
    if (n->importing != NOBODY)
        return n->importing == other ? S(IMPORTS) : S(IMPORTS_STALE);
    return S(CLOSED);
}

static enum rebalance_slot_map map_of(const struct node *n, int self, int other)
{
    if (n->map == self)
        return S(TO_SELF);
    if (n->map == other)
        return S(TO_OTHER);
    if (n->map == NOBODY)
        return S(TO_NOBODY);
    return n->map == OBSERVER ? S(TO_THIRD) : S(TO_FORMER);
}

/* Each generation of a shard is a history of its own: who is elected is in step with the last. */
static struct rebalance_reign reign_of(int node, uint32_t generation, bool open)
{
    struct rebalance_reign r = { .open = open };
    snprintf(r.node, sizeof r.node, "%040d", node);
    snprintf(r.history, sizeof r.history, "%040u", generation);
    snprintf(r.before, sizeof r.before, "%040u", generation - 1);
    return r;
}

static unsigned changes(const struct world *w, int side, int p)
{
    const struct node *n = &w->c.node[p];
    const bool open = n->migrating != NOBODY || n->importing != NOBODY;
    const struct rebalance_reign was = reign_of(w->s.primary[side], w->s.reign[side], false),
                                 is = reign_of(p, w->c.shard[side].generation, open);
    const unsigned most = RULE(REIGNS) || w->s.primary[side] == p ? 2 : 1,
                   n_changes = rebalance_reigns_between(&was, &is);
    return n_changes < most ? n_changes : most;
}

static struct rebalance_slot_side look(struct world *w, int side)
{
    struct scheduler *s = &w->s;
    const int p = w->c.shard[side].primary, other = w->c.shard[!side].primary;
    const struct node *n = &w->c.node[p];

    if (n->life != UP || !n->primary)
        return (struct rebalance_slot_side){ .there = false };
    const bool elected = RULE(GIVER_EPOCH) && s->elected[side] != n->promoted_at;
    if (s->primary[side] != NOBODY && (s->primary[side] != p || elected)) {
        if (s->since[side] == 0 || !RULE(FIRST_PROMOTED))
            s->promoted_at[side] = s->seen_at[side]; /* at the earliest */
        s->settled = false;
        if (s->batch != 0) /* it may have left copies */
            s->conflict = s->uncertain = true;
        s->batch = 0;
        s->full[side] = false;
        s->since[side] += changes(w, side, p);
        if (side == giver_of(w)) {
            s->stray = true;
            s->conflict = true;
        }
    }
    if (s->cut != 0 && side == giver_of(w) && s->primary[side] == p && !reopened(w))
        s->uncertain = true; /* it goes on */
    s->primary[side] = (int8_t)p;
    s->elected[side] = n->promoted_at;
    s->reign[side] = w->c.shard[side].generation;
    s->seen_at[side] = w->c.now;
    return (struct rebalance_slot_side){
        .there = true, .open = open_of(n, other), .map = map_of(n, p, other), .keys = keys_in(n)
    };
}

struct opened giver_now(const struct world *w)
{
    const int8_t p = w->s.primary[giver_of(w)];
    return (struct opened){ p, p == NOBODY ? 0 : w->s.elected[giver_of(w)] };
}

/* The slot was opened on another primary than the present one; or on the other
 * side, and was never properly turned. */
bool reopened(const struct world *w)
{
    const struct opened *was = &w->s.giver, now = giver_now(w);
    return was->node != NOBODY &&
           (was->node != now.node || (was->epoch != now.epoch && RULE(GIVER_EPOCH)));
}

bool in_step(const struct world *w, int shard)
{
    for (int m = shard * MEMBERS; m < (shard + 1) * MEMBERS; m++)
        if (w->c.node[m].synced && w->c.node[m].life != DOWN)
            return true;
    return false;
}

/* The one of the two primaries that owns the slot by its own map; NOBODY: none. */
static int owner_of(const struct world *w)
{
    for (int i = 0; i < 2; i++) {
        const int p = w->c.shard[!giver_of(w) ^ i].primary; /* the taker, if both say so */
        if (w->c.node[p].map == p && w->c.node[p].primary)
            return p;
    }
    return NOBODY;
}

/* Everybody that answers, replicas too: one that has not heard claims the slot
 * once it is promoted. */
static bool agreed(const struct world *w)
{
    for (int n = 0; n < NODES; n++)
        if (w->c.node[n].life == UP && w->c.node[n].map != owner_of(w) &&
            (RULE(REPLICAS_AGREE) || w->c.node[n].primary))
            return false;
    return true;
}

static bool low(const struct world *w)
{
    const int owner = owner_of(w);
    if (owner == NOBODY)
        return false;
    const int other = w->c.shard[!shard_of(owner)].primary;
    return w->c.node[owner].knows[owner] <= w->c.node[other].knows[other];
}

static void complete_view(struct world *w)
{
    struct scheduler *s = &w->s;
    struct rebalance_slot_view *v = &s->view;
    const int g = giver_of(w);

    if (!reopened(w)) {
        s->watched = true;
        s->since[g] = 0;
    } else
        s->conflict = true; /* opened on another: it may have failed over while nobody looked */
    if ((g == SRC ? v->source : v->target).keys != 0)
        s->settled = false;
    if (!RULE(REOPEN) && w->db.at.state >= S(MIGRATING)) { /* believes what it once sent */
        (g == SRC ? &v->source : &v->target)->open = S(MIGRATES);
        (g == SRC ? &v->target : &v->source)->open = S(IMPORTS);
    }
    v->cancel = w->cancel;
    v->conflict = s->conflict && RULE(RESOLVE);
    v->diverged = s->diverged;
    v->stray = s->stray;
    v->settled = s->settled || !RULE(SETTLE);
    const int gp = s->primary[g], tp = s->primary[!g];
    v->outbid = gp != NOBODY && tp != NOBODY && RULE(OUTBID) &&
                w->c.node[tp].knows[gp] != w->c.node[gp].knows[gp];
    v->low = low(w) && RULE(EPOCH_ABOVE);
    v->agreed = agreed(w) || !RULE(AGREED);
    v->refused[0] = s->full[DST] ? S(OOM) : S(ACCEPTS);
    v->refused[1] = s->full[SRC] ? S(OOM) : S(ACCEPTS);
}

/* --- commands -------------------------------------------------------------------- */
/* Runs at the node as one: SETSLOTs of an effect. giver, taker: as who sent it knew. */
static void setslot(struct world *w, enum rebalance_slot_effect effect, int node, int other)
{
    struct cluster *c = &w->c;

    if (!c->node[node].primary)
        return;
    if (!takes_for_primary(c, node, other) && effect != S(DO_CLOSE_G) && effect != S(DO_CLOSE_T))
        return; /* "Target node is not a master": later, and nothing of the script is done */
    switch (effect) {
    case S(DO_IMPORT):
        set_stable(c, node);
        set_importing(c, node, other);
        break;
    case S(DO_CURE):
        if (c->node[node].map == node)
            break;
        set_stable(c, node);
        if (RULE(CURE))
            set_owner(c, node, other);
        set_importing(c, node, other);
        break;
    case S(DO_MIGRATE):
        if (c->node[node].map == node)
            set_stable(c, node);
        set_migrating(c, node, other);
        break;
    case S(DO_CLAIM):
        set_stable(c, node);
        if (RULE(CLAIM_BUMPS))
            set_importing(c, node, other);
        set_owner(c, node, node);
        break;
    case S(DO_RELEASE):
        set_owner(c, node, other);
        break;
    case S(DO_TURN):
        set_stable(c, node);
        if (del_slot(c, node)) {
            set_owner(c, node, other);
            set_importing(c, node, other);
        }
        break;
    case S(DO_RECLAIM):
        set_stable(c, node);
        set_importing(c, node, other);
        set_owner(c, node, node);
        set_migrating(c, node, other);
        break;
    case S(DO_CLOSE_G):
    case S(DO_CLOSE_T):
        set_stable(c, node);
        break;
    default:
        break;
    }
}

/* The command goes out; now and then its reply is not waited for, and it runs
 * whenever its node comes to it. Returns whether it ran. */
bool send_late(struct world *w, const struct command *cmd)
{
    const bool paused = w->c.node[cmd->node].life == PAUSED;

    if (w->late.used || (!paused && !slot_faulty(w)))
        return false;
    w->late = *cmd;
    w->late.used = true;
    w->s.stray = true;
    slot_trace(w, "the command goes astray");
    return true;
}

static void send_setslot(struct world *w, enum rebalance_slot_effect effect, int node, int other)
{
    const struct command cmd = {
        .node = (int8_t)node, .peer = (int8_t)other, .kind = CMD_SETSLOT, .effect = effect
    };
    if (!send_late(w, &cmd) && w->c.node[node].life == UP)
        setslot(w, effect, node, other);
}

bool has_room(const struct world *w, int node)
{
    if (shard_of(node) == SRC)
        return !w->cfg.source_full;
    return w->cfg.target_holds == 0 || keys_in(&w->c.node[node]) < (int)w->cfg.target_holds;
}

/* MIGRATE at its source, key after key: RESTORE there, DEL here. */
enum migrated migrate(struct world *w, int from, int to, uint32_t keys, uint8_t cred, bool copy)
{
    struct cluster *c = &w->c;

    for (int k = 0; k < KEYS; k++) {
        const struct value *v = &c->node[from].data.key[k];
        if (!(keys >> k & 1) || !v->present)
            continue;
        if (!may_restore(c, to) || c->node[to].cred > cred)
            return IOERR;
        if (c->node[to].data.key[k].present)
            return BUSYKEY;
        if (!has_room(w, to))
            return FULL;
        put_key(c, to, k, v);
        if (w->cfg.prompt)
            for (int m = shard_of(to) * MEMBERS; m < (shard_of(to) + 1) * MEMBERS; m++)
                replicate(c, m, c->shard[shard_of(to)].head);
        if (copy)
            continue;
        if (slot_faulty(w)) { /* cut here: the key is on both sides */
            w->saw[SAW_CUT_MIGRATE]++;
            return IOERR;
        }
        del_key(c, from, k);
    }
    return MIGRATED;
}

void late_run(struct world *w)
{
    struct command *l = &w->late;
    const struct node *n = &w->c.node[l->node];

    l->used = false;
    w->saw[SAW_LATE]++;
    slot_trace(w, "late: %s at %d",
               l->kind == CMD_MIGRATE ? "MIGRATE" : rebalance_slot_effect_name(l->effect), l->node);
    if (l->stale && n->cred > l->cred) {
        w->saw[SAW_LATE_REFUSED]++;
        return;
    }
    if (l->kind == CMD_SETSLOT && RULE(DEADLINE)) {
        w->saw[SAW_LATE_REFUSED]++;
        return;
    }
    if (l->kind == CMD_SETSLOT)
        setslot(w, l->effect, l->node, l->peer);
    else if (n->primary)
        (void)migrate(w, l->node, l->peer, l->keys, l->cred, w->cfg.copy_first);
}

/* Kills our former connections where that can be done, and withdraws what a
 * MIGRATE on a node that we cannot reach would need at the taker. */
static void fence(struct world *w)
{
    struct scheduler *s = &w->s;

    s->cred++;
    for (int i = 0; i < 2; i++) {
        const int p = s->primary[i];
        if (w->c.node[p].life != UP)
            return;
        w->c.node[p].cred = s->cred;
        if (w->late.used && w->late.node == p)
            w->late.used = false;
    }
    s->stray = false;
}

bool scheduler_ready(const struct world *w)
{
    const struct opened *was = &w->db.giver;
    if (w->quiet || rebalance_slot_final(w->db.at.state) || was->node == NOBODY)
        return true;
    const int p = w->c.shard[shard_of(was->node)].primary;
    return (was->node == p && was->epoch == w->c.node[p].promoted_at) || w->c.node[p].map != p;
}

/* --- acting ---------------------------------------------------------------------- */
static void act(struct world *w, enum rebalance_slot_effect effect)
{
    struct scheduler *s = &w->s;
    struct cluster *c = &w->c;
    const int side = giver_of(w), g = s->primary[side], t = s->primary[!side];

    switch (effect) {
    case S(DO_NOTHING):
    case S(DO_LOOK):
    case S(DO_WAIT):
    case S(DO_STOP):
    case S(EFFECTS):
        break;
    case S(DO_FENCE):
        fence(w);
        break;
    case S(DO_RESOLVE):
        resolve(w, g, t);
        break;
    case S(DO_DRAIN):
        drain(w, g, t);
        break;
    case S(DO_SETTLE):
        s->settled = all_have(c, SRC, c->shard[SRC].head, true) &&
                     all_have(c, DST, c->shard[DST].head, true);
        break;
    case S(DO_VERIFY):
        if (++s->dissent % 4 == 0 && owner_of(w) != NOBODY && RULE(DISSENT_BUMPS) &&
            c->node[owner_of(w)].life == UP)
            bump_epoch(c, owner_of(w));
        break;
    case S(DO_BUMP):
        if (c->node[t].life == UP && c->node[t].primary)
            bump_epoch(c, t);
        break;
    case S(DO_MIGRATE):
    case S(DO_RECLAIM):
        s->gap_at_open = !in_step(w, side);
        send_setslot(w, effect, g, t);
        break;
    case S(DO_RELEASE):
    case S(DO_CLOSE_G):
        send_setslot(w, effect, g, t);
        break;
    case S(DO_TURN):
        w->saw[SAW_TURN]++;
        /* fall through */
    case S(DO_IMPORT):
    case S(DO_CURE):
    case S(DO_CLAIM):
    case S(DO_CLOSE_T):
        send_setslot(w, effect, t, g);
        break;
    }
}

/* What a scheduler without the rule would do. */
static enum rebalance_slot_effect twisted(struct world *w, const struct rebalance_slot_next *n)
{
    const bool untaken = n->event == S(EV_LOADED) || n->event == S(EV_UNSETTLED);

    if (!RULE(CLAIM_EMPTY) && untaken)
        return S(DO_CLAIM);
    if (!RULE(TARGET_CLOSED_FIRST) && n->event == S(EV_CANCELED) &&
        w->s.view.source.open != S(CLOSED))
        return S(DO_CLOSE_G);
    if (!RULE(TURN) && n->effect == S(DO_TURN)) {
        if (w->s.view.source.open != S(CLOSED))
            return S(DO_CLOSE_T);
        return w->s.conflict ? S(DO_RESOLVE) : S(DO_DRAIN);
    }
    return n->effect;
}

/* The process stops between record and command, and goes on when another has
 * long taken over: its command reaches the server then. */
static void outlived(struct world *w, enum rebalance_slot_effect effect)
{
    struct scheduler *s = &w->s;
    const int side = giver_of(w), g = s->primary[side], t = s->primary[!side];
    const bool at_giver = effect == S(DO_MIGRATE) || effect == S(DO_RECLAIM) ||
                          effect == S(DO_RELEASE) || effect == S(DO_CLOSE_G) ||
                          effect == S(DO_DRAIN);
    const bool none = effect == S(DO_NOTHING) || effect == S(DO_LOOK) || effect == S(DO_WAIT) ||
                      effect == S(DO_STOP) || effect == S(DO_FENCE) || effect == S(DO_RESOLVE) ||
                      effect == S(DO_SETTLE) || effect == S(DO_VERIFY);

    if (none || w->late.used || (effect == S(DO_DRAIN) && (s->batch == 0 || s->batch_pos != 0)))
        return;
    w->late = (struct command){ .used = true,
                                .stale = true,
                                .node = (int8_t)(at_giver ? g : t),
                                .peer = (int8_t)(at_giver ? t : g),
                                .cred = s->cred,
                                .kind = effect == S(DO_DRAIN) ? CMD_MIGRATE : CMD_SETSLOT,
                                .effect = effect,
                                .keys = s->batch };
}

static void record(struct world *w, const struct rebalance_slot_next *next)
{
    struct scheduler *s = &w->s;

    if (next->at.back != w->db.at.back) { /* others' turn to give */
        w->db.in_flight = s->batch = s->cut = 0;
        s->settled = false;
        if (!next->at.back && !RULE(UNTURNED)) {
            s->giver = w->db.giver = (struct opened){ w->c.shard[SRC].primary, s->elected[SRC] };
            s->conflict = false;
        }
    }
    w->db.at = next->at;
    if (next->event == S(EV_KNOWN) || next->event == S(EV_UNDONE))
        slot_check_known(w);
    if ((next->effect == S(DO_MIGRATE) && s->giver.node == NOBODY) ||
        next->effect == S(DO_RECLAIM)) {
        s->giver = w->db.giver = giver_now(w);
        s->since[giver_of(w)] = 0;
    }
    if (next->at.state == S(STUCK))
        w->stuck_why = next->why;
}

void scheduler_step(struct world *w)
{
    struct scheduler *s = &w->s;

    if (s->phase != ACT) {
        const int side = s->phase == LOOK_SOURCE ? SRC : DST;
        const struct rebalance_slot_side seen = look(w, side);
        *(side == SRC ? &s->view.source : &s->view.target) = seen;
        s->phase++;
        return;
    }
    s->phase = LOOK_SOURCE;
    complete_view(w);
    const struct rebalance_slot_next next = rebalance_slot_step(w->db.at, &s->view);
    const enum rebalance_slot_effect effect = twisted(w, &next);
    w->events[next.event]++;
    w->effects[next.effect]++;
    slot_trace(w, "%s%s: %s -> %s", rebalance_slot_state_name(w->db.at.state),
               w->db.at.back ? " back" : "", rebalance_slot_event_name(next.event),
               rebalance_slot_effect_name(effect));
    record(w, &next);
    if (slot_faulty(w)) { /* dies, or stops, between the record and the effect */
        w->saw[SAW_CRASH]++;
        s->alive = false;
        if (slot_choose(w, 2) == 1)
            outlived(w, effect);
        return;
    }
    act(w, effect);
    if (slot_faulty(w)) {
        w->saw[SAW_CRASH]++;
        s->alive = false;
    }
}
