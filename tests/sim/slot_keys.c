/* What the scheduler of the simulation does with keys: moves them in batches, and
 * judges those that are on both sides by the rules as shipped. */
#include "slot_scheduler.h"

#include "core/slot/drain.h"

#define S(name) REBALANCE_SLOT_##name

enum { STEP_S = 100 }; /* a step of the simulation is long beside the clock of IDLETIME */

/* Its keys are restored; then it may stop before, amid or after their deletion, which goes
 * to the replicas as one; and nobody hears of it. False: it is not that time. */
static bool cut_short(struct world *w, int g, int t)
{
    struct scheduler *s = &w->s;
    struct cluster *c = &w->c;
    uint32_t keys = 0;

    if (w->cfg.copy_first || !w->cfg.fail_overs || !may_restore(c, t) || !has_room(w, t) ||
        w->cfg.target_holds != 0 || c->node[t].cred > s->cred || !electable(w, shard_of(g)) ||
        w->faults_left == 0 || slot_choose(w, w->choose.enumerate ? 2 : 5) != 1)
        return false;
    w->faults_left--;
    for (int k = 0; k < KEYS; k++)
        if ((s->batch >> k & 1) && c->node[g].data.key[k].present) {
            if (c->node[t].data.key[k].present)
                return false;
            put_key(c, t, k, &c->node[g].data.key[k]);
            keys |= 1u << k;
        }
    for (int m = shard_of(t) * MEMBERS; m < (shard_of(t) + 1) * MEMBERS && w->cfg.prompt; m++)
        replicate(c, m, c->shard[shard_of(t)].head);
    uint32_t gone = slot_choose(w, (uint32_t)__builtin_popcount(keys) + 1);
    const bool deletes = gone > 0;
    for (int k = 0; k < KEYS && gone > 0; k++)
        if (keys >> k & 1) {
            c->node[g].data.key[k] = (struct value){ .present = false };
            gone--;
        }
    if (deletes)
        log_append(c, g);
    if (slot_choose(w, 2) == 1)
        for (int m = shard_of(g) * MEMBERS; m < (shard_of(g) + 1) * MEMBERS; m++)
            replicate(c, m, c->shard[shard_of(g)].head);
    static const enum life then[] = { PAUSED, DOWN, UP };
    c->node[g].life = (uint8_t)then[slot_choose(w, 3)];
    w->was_cut = true;
    w->saw[SAW_CUT_SHORT]++;
    slot_trace(w, "migrate %x is not answered; %d is %d", keys, g, c->node[g].life);
    s->conflict = s->stray = true;
    s->cut = s->batch;
    s->cut_at = c->now;
    s->cut_judged = false;
    s->kept = s->batch = 0;
    return true;
}

static int64_t idle_s(const struct world *w, int node, uint32_t noted, uint32_t since)
{
    if (since != 0 && w->c.node[node].child_until >= since && RULE(IDLE_NOTED))
        return -1;
    return (int64_t)(w->c.now + 1 - noted) * STEP_S;
}

/* Once, before any of them is touched: which of the promoted giver's copies are those that were
 * sent. */
static void judge_cut(struct world *w, int g, int t)
{
    struct scheduler *s = &w->s;
    const uint32_t now = w->c.now + 1, promoted = s->promoted_at[giver_of(w)];
    struct rebalance_cut_key key[KEYS];
    uint32_t keys[KEYS];
    size_t n = 0;

    if (s->cut == 0 || s->cut_judged || !s->watched || s->since[giver_of(w)] != 1 || promoted == 0)
        return;
    s->cut_judged = true;
    for (uint32_t k = 0; k < KEYS; k++) {
        const struct value *a = &w->c.node[g].data.key[k], *b = &w->c.node[t].data.key[k];
        if (!(s->cut >> k & 1))
            continue;
        const uint32_t used = RULE(CUT_UNUSED) ? b->noted : s->cut_at;
        keys[n] = k;
        key[n++] = (struct rebalance_cut_key){ .on_source = a->present,
                                               .on_target = b->present,
                                               .source_idle_s = idle_s(w, g, a->noted, promoted),
                                               .target_idle_s = idle_s(w, t, used, s->cut_at) };
    }
    const size_t first = rebalance_cut_kept(key, n, (int64_t)(now - s->cut_at) * STEP_S * 1000,
                                            (int64_t)(now - promoted) * STEP_S * 1000);
    for (size_t i = 0; i < n; i++)
        if (!RULE(CUT_KEPT) || (first < n && (i > first || !RULE(CUT_ORDER))))
            s->kept |= 1u << keys[i];
}

/* What a replica has of the batch before it is sent: of those that lag, the one that lags least. */
static void take_prints(struct world *w, int g)
{
    const struct cluster *c = &w->c;
    const struct node *best = NULL;
    struct db *db = &w->db;

    for (int m = shard_of(g) * MEMBERS; m < (shard_of(g) + 1) * MEMBERS; m++)
        if (c->node[m].synced && c->node[m].life == UP &&
            (best == NULL || c->node[m].pos > best->pos))
            best = &c->node[m];
    for (int k = 0; k < KEYS; k++) {
        const struct value *v = best == NULL ? NULL : &best->data.key[k];
        db->print[k] = (struct print){ 0 };
        if (v != NULL && (w->s.batch >> k & 1) && v->present && w->cfg.type[k] == TYPE_VERTEX)
            db->print[k] = (struct print){ v->version, v->epoch, v->bits };
    }
    db->printed_at = (int8_t)shard_of(g);
    db->printed_in = c->shard[shard_of(g)].generation;
    db->printed_upto = best == NULL ? 0 : best->pos;
}

/* The promoted giver inherited the printed state. */
static bool inherited(const struct world *w)
{
    const struct db *db = &w->db;
    const struct shard *s = &w->c.shard[giver_of(w)];
    return !RULE(PRINT_INHERITED) ||
           (db->printed_at == giver_of(w) && s->generation == db->printed_in + 1 &&
            s->inherited >= db->printed_upto);
}

static bool as_sent(const struct world *w, int k, const struct value *v)
{
    const struct print *p = &w->db.print[k];
    return p->version != 0 && v->present && inherited(w) && v->version == p->version &&
           v->epoch == p->epoch && (v->epoch > 0 || v->bits == p->bits);
}

void drain(struct world *w, int g, int t)
{
    struct scheduler *s = &w->s;
    struct cluster *c = &w->c;
    const struct command cmd = {
        .node = (int8_t)g, .peer = (int8_t)t, .cred = s->cred, .kind = CMD_MIGRATE, .keys = s->batch
    };

    if (c->node[g].life != UP || !c->node[g].primary)
        return;
    if (s->batch == 0) { /* the window moves on once the giver's replicas have heard of the last */
        if (w->db.in_flight != 0 && !all_have(c, shard_of(g), c->shard[shard_of(g)].head, true))
            return;
        for (int k = 0; k < KEYS && __builtin_popcount(s->batch) < 2; k++)
            if (c->node[g].data.key[k].present)
                s->batch |= 1u << k;
        w->db.in_flight = s->batch;
        w->db.in_flight_since = w->c.now;
        if (!w->cfg.copy_first)
            take_prints(w, g);
        s->uncertain = w->cfg.copy_first; /* it is served on until it is deleted */
        s->batch_pos = 0;
        return;
    }
    if (s->batch_pos == 0) {
        if (cut_short(w, g, t))
            return;
        if (send_late(w, &cmd)) {
            s->conflict = s->uncertain = true;
            s->batch = 0;
            return;
        }
        for (int k = 0; k < KEYS; k++)
            s->versions[k] = c->node[g].data.key[k].version;
        const enum migrated m = migrate(w, g, t, s->batch, s->cred, w->cfg.copy_first);
        slot_trace(w, "migrate %x: %d", s->batch, m);
        if (m != MIGRATED) {
            s->conflict = s->uncertain = true; /* part of it may be there */
            s->full[shard_of(t)] |= m == FULL;
            s->batch = 0;
            return;
        }
        s->batch_pos = c->shard[shard_of(t)].head + 1;
        return;
    }
    if (!all_have(c, shard_of(t), s->batch_pos - 1, true) && RULE(WAIT_BATCH))
        return; /* WAIT */
    for (int k = 0; k < KEYS && w->cfg.copy_first; k++) {
        const struct value *v = &c->node[g].data.key[k];
        if (!(s->batch >> k & 1) || !v->present)
            continue;
        if (v->version != s->versions[k])
            s->conflict = true; /* written meanwhile: the giver's copy is the newer one */
        else
            del_key(c, g, k);
    }
    s->batch = 0;
}

static enum rebalance_resolution judge(struct world *w, int k, int g, int t)
{
    const struct scheduler *s = &w->s;
    const struct value *a = &w->c.node[g].data.key[k], *b = &w->c.node[t].data.key[k];
    static const enum rebalance_key_type type[] = { REBALANCE_TYPE_SET, REBALANCE_TYPE_HASH,
                                                    REBALANCE_TYPE_STRING, REBALANCE_TYPE_HASH };
    const bool vertex = w->cfg.type[k] == TYPE_VERTEX, open = w->c.node[t].map != t;
    const enum rebalance_key_type ty = type[w->cfg.type[k]];
    const char *why;
    const uint32_t now = w->c.now + 1;
    const bool watched = (s->watched && s->since[giver_of(w)] == 1) || !RULE(GAP_WATCHED);
    const bool gap = watched && (RULE(GAP_AT_DECISION) ? !in_step(w, shard_of(g)) : s->gap_at_open);
    /* Since when the giver's copy may have been written without the taker's. */
    uint32_t promoted = s->promoted_at[giver_of(w)];
    const bool flying = w->db.in_flight >> k & 1, uncertain = flying && s->uncertain;
    if ((uncertain || (flying && !s->watched)) && RULE(UNCERTAIN))
        promoted = w->db.in_flight_since;
    else if (!s->watched && RULE(GAP_WATCHED))
        promoted = 0; /* there may have been one before that we know of */
    const bool failed_over = reopened(w);
    struct rebalance_conflict c = {
        .in_flight = flying,
        .source_failed_over = failed_over,
        .gap_unacknowledged = gap && !(uncertain && RULE(UNCERTAIN)),
        .unanswered = (s->cut >> k & 1) && RULE(UNCERTAIN),
        .kept = (s->kept >> k & 1) && s->watched && s->since[giver_of(w)] == 1,
        .source_as_sent = open && as_sent(w, k, a),
        .target_as_sent = open && as_sent(w, k, b),
        .covers = (b->bits & ~a->bits) == 0 || !RULE(PRINT_COVERS),
        .equal = a->bits == b->bits && a->version == b->version,
        .strings_are_set = w->cfg.strings_are_set,
        .source_promoted_ms = promoted == 0 ? 0 : (int64_t)(now - promoted) * STEP_S * 1000,
        .source = { ty, vertex, false, false, a->epoch, a->version,
                    idle_s(w, g, a->noted, promoted) },
        .target = { ty, vertex, false, false, b->epoch, b->version,
                    idle_s(w, t, b->noted, promoted) },
    };
    const enum rebalance_resolution r = rebalance_conflict_resolve(&c, &why);
    if (flying && failed_over && !c.equal) {
        w->saw[SAW_PRINT_SOURCE] += c.source_as_sent && r == REBALANCE_KEEP_TARGET;
        w->saw[SAW_PRINT_TARGET] += c.target_as_sent && r == REBALANCE_KEEP_SOURCE;
    }
    w->saw[SAW_CUT_KEPT] += c.kept && flying && failed_over && r == REBALANCE_KEEP_SOURCE;
    slot_trace(w, "key %d (%x v%u | %x v%u)%s%s%s: %s", k, a->bits, a->version, b->bits, b->version,
               flying ? ", in flight" : "", failed_over ? ", failed over" : "",
               c.gap_unacknowledged ? ", gap" : "", why);
    return r;
}

/* One key; false: the taker's replicas have to hear first. */
static bool resolve_key(struct world *w, int k, int g, int t)
{
    struct cluster *c = &w->c;
    struct value *a = &c->node[g].data.key[k], *b = &c->node[t].data.key[k];
    const enum rebalance_resolution r =
        b->present ? judge(w, k, g, t) : REBALANCE_UNION_SETS /* only there: it moves */;

    w->saw[SAW_CONFLICT]++;
    if (r == REBALANCE_STOP) {
        w->s.diverged = true;
        w->allowed = w->cfg.slow || w->s.uncertain || (w->s.cut >> k & 1) || !w->s.watched ||
                     w->s.since[giver_of(w)] != 1 || w->cfg.forks ||
                     w->quiet; /* then replicas do not wait for us any more */
        return true;
    }
    if (RULE(CUT_FRESH))
        w->s.cut_judged = true; /* a key that goes tells nothing of its batch any more */
    if (r == REBALANCE_KEEP_SOURCE && c->node[g].map == g) {
        del_key(c, t, k); /* the giver serves it; it moves later */
        return true;
    }
    if (r == REBALANCE_KEEP_SOURCE || !b->present) {
        put_key(c, t, k, a);
    } else if (r == REBALANCE_UNION_SETS || r == REBALANCE_OVERLAY) {
        if ((a->bits & ~b->bits) != 0) {
            b->bits |= a->bits;
            b->version++;
            log_append(c, t);
        }
    }
    if (RULE(WAIT_UNION) && !all_have(c, shard_of(t), c->shard[shard_of(t)].head, true))
        return false;
    del_key(c, g, k);
    if (RULE(CLIENTS_CUT))
        clients_cut(w, g);
    return true;
}

void resolve(struct world *w, int g, int t)
{
    struct scheduler *s = &w->s;
    const bool leftovers = w->c.node[t].map == t;

    if (w->c.node[g].life != UP || w->c.node[t].life != UP || !w->c.node[g].primary ||
        !w->c.node[t].primary || w->c.node[g].promoted_at != w->s.elected[giver_of(w)])
        return; /* neither reads nor writes: READONLY */
    if (!leftovers)
        judge_cut(w, g, t);
    for (int i = 0; i < KEYS; i++) { /* in whatever order a node lists them */
        const int k = (int)((w->c.now + (uint32_t)i) % KEYS);
        const bool there = w->c.node[g].data.key[k].present;
        if (there && (leftovers || w->c.node[t].data.key[k].present)) {
            (void)resolve_key(w, k, g, t);
            return;
        }
    }
    for (int i = 0; i < 2; i++) /* or a promoted replica brings back what was dropped */
        if (RULE(WAIT_RESOLVED) && !all_have(&w->c, i, w->c.shard[i].head, true))
            return;
    s->conflict = s->uncertain = false;
    s->cut = s->kept = 0;
    s->giver = w->db.giver = giver_now(w);
    w->db.in_flight = 0;
}
