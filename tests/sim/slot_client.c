/* Clients of the simulation, and what must hold at the end. */
#include "slot_world.h"

#define S(name) REBALANCE_SLOT_##name

enum { MAX_TRIES = 12 };

bool client_idle(const struct client *cl)
{
    return !cl->waiting && !cl->sent && cl->ops_left == 0;
}

static void begin_write(struct world *w, struct client *cl)
{
    if (w->n_writes == MAX_WRITES) {
        cl->ops_left = 0;
        return;
    }
    cl->ops_left--;
    cl->key = (uint8_t)slot_choose(w, KEYS);
    if (w->choose.enumerate || w->quiet)
        cl->key = (uint8_t)(w->n_writes % KEYS);
    cl->write = w->n_writes++;
    w->write[cl->write] = (struct write){ PENDING, cl->key };
    cl->sent = true;
    cl->tries = 0;
}

static void finish(struct world *w, struct client *cl, enum write_status status)
{
    w->write[cl->write].status = (uint8_t)status;
    cl->sent = cl->waiting = cl->asking = false;
    if (status == ACKED)
        w->saw[SAW_ACKED]++;
    if (status == UNKNOWN)
        w->saw[SAW_UNKNOWN]++;
    slot_trace(w, "write %u of key %d %s", cl->write, cl->key,
               status == ACKED     ? "acknowledged"
               : status == UNKNOWN ? "unknown"
                                   : "failed");
}

static void executed(struct world *w, struct client *cl, int node)
{
    const struct shard *s = &w->c.shard[shard_of(node)];

    run_write(&w->c, node, cl->key, cl->write);
    slot_trace(w, "write %u of key %d at %d", cl->write, cl->key, node);
    cl->asking = false;
    if (s->primary != node) { /* voted out, and does not know yet: no replica follows it */
        finish(w, cl, UNKNOWN);
        return;
    }
    cl->waiting = true;
    cl->at = (int8_t)node;
    cl->generation = s->generation;
    cl->pos = s->head;
}

void client_step(struct world *w, struct client *cl)
{
    if (cl->waiting)
        return;
    if (!cl->sent)
        begin_write(w, cl);
    if (!cl->sent)
        return;
    const struct reply r = route_write(&w->c, cl->node, cl->key, cl->asking);
    if (r.route == RUNS) {
        executed(w, cl, cl->node);
        return;
    }
    if (++cl->tries > MAX_TRIES) {
        finish(w, cl, FAILED);
        return;
    }
    cl->asking = r.route == ASKS;
    w->saw[SAW_ASK] += cl->asking;
    cl->node = (int8_t)(r.route == NOWHERE ? (cl->node + 1) % OBSERVER : r.node);
    if (cl->node == OBSERVER)
        cl->node = 0;
}

void clients_settle(struct world *w)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct client *cl = &w->client[i];
        if (!cl->waiting)
            continue;
        const struct shard *s = &w->c.shard[shard_of(cl->at)];
        const struct node *n = &w->c.node[cl->at];
        if (s->primary != cl->at || s->generation != cl->generation || n->life == DOWN)
            finish(w, cl, UNKNOWN);
        else if (n->life == UP && all_have(&w->c, shard_of(cl->at), cl->pos, false))
            finish(w, cl, ACKED);
    }
}

void clients_cut(struct world *w, int node)
{
    for (int i = 0; i < CLIENTS; i++)
        if (w->client[i].waiting && w->client[i].at == node)
            finish(w, &w->client[i], UNKNOWN);
}

/* --- the end ------------------------------------------------------------------- */
static uint32_t acknowledged(const struct world *w, int key)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < w->n_writes; i++)
        if (w->write[i].status == ACKED && w->write[i].key == key)
            bits |= 1u << i;
    return bits;
}

static uint32_t held(const struct world *w, int node, int key)
{
    const struct value *v = &w->c.node[node].data.key[key];
    return v->present ? v->bits : 0;
}

/* A person finds every acknowledged write on one side or the other. */
static void check_stuck(struct world *w)
{
    const int a = w->c.shard[SRC].primary, b = w->c.shard[DST].primary;

    w->saw[SAW_STUCK]++;
    if (!w->s.diverged && !w->cfg.source_full)
        slot_violation(w, "stuck without need");
    if (w->s.diverged && !w->allowed)
        slot_violation(w, "diverged, although it was reopened in time");
    for (int k = 0; k < KEYS; k++)
        if ((acknowledged(w, k) & ~(held(w, a, k) | held(w, b, k))) != 0)
            slot_violation(w, "an acknowledged write is lost");
}

void slot_check_known(struct world *w)
{
    const int owner = w->c.shard[w->db.at.state == S(VERIFIED) ? DST : SRC].primary;

    for (int n = 0; n < NODES; n++)
        if (w->c.node[n].life == UP && w->c.node[n].map != owner)
            slot_violation(w, "done, and not everybody knows");
}

void slot_check_end(struct world *w)
{
    if (w->broken != NULL)
        return;
    if (!rebalance_slot_final(w->db.at.state)) {
        slot_violation(w, "the move does not end");
        return;
    }
    if (w->db.at.state == S(STUCK)) {
        check_stuck(w);
        return;
    }
    const int to = w->db.at.state == S(VERIFIED) ? DST : SRC, owner = w->c.shard[to].primary;
    w->saw[to == DST ? SAW_VERIFIED : SAW_ROLLED_BACK]++;
    for (int n = 0; n < NODES; n++) {
        const struct node *m = &w->c.node[n];
        if (m->map != owner)
            slot_violation(w, "the slot has not one owner everywhere");
        if (m->primary && (m->migrating != NOBODY || m->importing != NOBODY))
            slot_violation(w, "the slot is left open");
        if (m->primary && n != owner && keys_in(m) > 0)
            slot_violation(w, "keys where nobody finds them");
    }
    for (int k = 0; k < KEYS; k++)
        if ((acknowledged(w, k) & ~held(w, owner, k)) != 0)
            slot_violation(w, "an acknowledged write is lost");
}
