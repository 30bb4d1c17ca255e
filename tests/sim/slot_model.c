#include "slot_model.h"

#include "slot_switches.h"

#include <string.h>

void cluster_init(struct cluster *c)
{
    memset(c, 0, sizeof *c);
    c->epoch = 3;
    for (int i = 0; i < NODES; i++) {
        struct node *n = &c->node[i];
        n->primary = i % MEMBERS == 0;
        n->synced = !n->primary;
        n->map = 0;
        n->migrating = n->importing = NOBODY;
        n->cred = 1;
        n->knows[0] = 1;
        n->knows[3] = 2;
        n->knows[OBSERVER] = n->current = 3;
    }
    c->shard[SRC].primary = 0;
    c->shard[DST].primary = MEMBERS;
}

struct node *primary_of(struct cluster *c, int shard)
{
    return &c->node[c->shard[shard].primary];
}

int keys_in(const struct node *n)
{
    int keys = 0;
    for (int k = 0; k < KEYS; k++)
        keys += n->data.key[k].present;
    return keys;
}

/* --- replication ----------------------------------------------------------------- */
void log_append(struct cluster *c, int node)
{
    struct shard *s = &c->shard[shard_of(node)];

    if (node == OBSERVER || s->primary != node)
        return; /* a primary that was voted out: nobody replicates it any more */
    s->head++;
    for (int i = 0; i < MEMBERS; i++) {
        const int m = shard_of(node) * MEMBERS + i;
        if (m != node && c->node[m].synced && s->head - c->node[m].pos >= LOG)
            c->node[m].pos = s->head - LOG + 1; /* the log is a ring */
    }
    s->log[s->head % LOG] = c->node[node].data;
}

void replicate(struct cluster *c, int node, uint32_t upto)
{
    struct node *n = &c->node[node];
    const struct shard *s = &c->shard[shard_of(node)];

    if (upto > s->head)
        upto = s->head;
    if (!n->synced || n->life != UP || n->pos >= upto)
        return;
    n->pos = upto;
    n->data = s->log[upto % LOG];
}

void resync(struct cluster *c, int node)
{
    struct shard *s = &c->shard[shard_of(node)];
    struct node *n = &c->node[node];

    if (n->life != UP || n->primary || c->node[s->primary].life != UP)
        return;
    gossip(c, s->primary, node); /* it asks whom it has heard of */
    n->synced = true;
    n->pos = s->head;
    n->data = c->node[s->primary].data;
}

bool all_have(const struct cluster *c, int shard, uint32_t pos, bool none_will_do)
{
    int have = 0;

    for (int m = shard * MEMBERS; m < (shard + 1) * MEMBERS; m++) {
        const struct node *n = &c->node[m];
        if (m == c->shard[shard].primary || n->life == DOWN)
            continue;
        if (!n->synced || n->pos < pos) {
            if (none_will_do && !n->synced)
                continue; /* not live, for who counts live replicas */
            return false;
        }
        have++;
    }
    return have > 0 || none_will_do;
}

bool takes_for_primary(const struct cluster *c, int node, int other)
{
    return node == other || c->node[node].knows[other] >= c->node[other].promoted_at;
}

/* --- SETSLOT --------------------------------------------------------------------- */
bool set_importing(struct cluster *c, int node, int from)
{
    if (!c->node[node].primary || c->node[node].map == node)
        return false;
    c->node[node].importing = (int8_t)from;
    return true;
}

bool set_migrating(struct cluster *c, int node, int to)
{
    if (!c->node[node].primary || c->node[node].map != node)
        return false;
    c->node[node].migrating = (int8_t)to;
    return true;
}

/* Takes a new epoch unless it already has the newest it knows of. */
void bump_epoch(struct cluster *c, int node)
{
    struct node *n = &c->node[node];
    uint8_t newest = n->current;

    for (int i = 0; i < NODES; i++)
        newest = n->knows[i] > newest ? n->knows[i] : newest;
    if (n->knows[node] == newest)
        return;
    n->knows[node] = n->current = (uint8_t)(newest + 1); /* without asking: two may take one */
    if (c->epoch < newest + 1)
        c->epoch = (uint8_t)(newest + 1);
}

bool set_owner(struct cluster *c, int node, int owner)
{
    struct node *n = &c->node[node];

    if (!n->primary)
        return false;
    if (n->map == node && owner != node && keys_in(n) > 0)
        return false;
    if (keys_in(n) == 0)
        n->migrating = NOBODY;
    n->map = (int8_t)owner;
    if (owner == node && n->importing != NOBODY) {
        bump_epoch(c, node);
        n->claimed = true;
        n->importing = NOBODY;
    }
    return true;
}

bool del_slot(struct cluster *c, int node)
{
    if (!c->node[node].primary || c->node[node].map != node)
        return false;
    c->node[node].map = NOBODY;
    return true;
}

void set_stable(struct cluster *c, int node)
{
    c->node[node].migrating = c->node[node].importing = NOBODY;
}

/* --- the bus ---------------------------------------------------------------------- */
/* The one with the smaller name keeps a shared epoch; the other takes a new one. */
static void settle_collision(struct cluster *c, int from, int to)
{
    struct node *n = &c->node[to];

    if (n->primary && n->knows[to] == n->knows[from] && to > from)
        n->knows[to] = n->current = ++c->epoch;
}

/* A primary tells what it owns, and with which epoch. Who imports the slot does
 * not listen; who owned it and still holds keys deletes them. */
void gossip(struct cluster *c, int from, int to)
{
    const struct node *s = &c->node[from];
    struct node *n = &c->node[to];

    if (from == to || (s->life != UP && !s->claimed) || n->life != UP || !s->primary)
        return;
    const bool former =
        s->life == UP && from != OBSERVER && c->shard[shard_of(from)].primary != from;
    if (former) { /* everybody knows better by now; it is told so */
        demote(c, from);
        return;
    }
    if (to != OBSERVER && n->primary && c->shard[shard_of(to)].primary != to)
        demote(c, to);
    n->knows[from] = s->knows[from];
    n->current = s->current > n->current ? s->current : n->current;
    settle_collision(c, from, to);
    if (s->map != from || n->map == from || n->importing != NOBODY)
        return;
    if (n->map != NOBODY && n->knows[n->map] >= s->knows[from])
        return;
    const bool dirty = n->map == to && n->primary && keys_in(n) > 0;
    n->map = (int8_t)from;
    if (dirty) {
        memset(&n->data, 0, sizeof n->data);
        log_append(c, to);
    }
}

void gossip_round(struct cluster *c)
{
    for (int i = 0; i < NODES * NODES; i++)
        gossip(c, i / NODES, i % NODES);
}

/* That one went to everybody at once, and a vote takes two round trips. */
void gossip_claims(struct cluster *c)
{
    for (int i = 0; i < NODES * NODES; i++)
        if (c->node[i / NODES].claimed)
            gossip(c, i / NODES, i % NODES);
}

bool may_promote(const struct cluster *c, int node, bool manual)
{
    const struct node *n = &c->node[node];
    const struct shard *s = &c->shard[shard_of(node)];

    if (node == OBSERVER || n->primary || n->life != UP || !n->synced)
        return false;
    return manual ? c->node[s->primary].life == UP : c->node[s->primary].life != UP;
}

/* It takes over what its map gives to the one before it. A voter refuses when it
 * knows a newer owner of that. */
bool promote(struct cluster *c, int node)
{
    struct shard *s = &c->shard[shard_of(node)];
    struct node *n = &c->node[node], *old = &c->node[s->primary];
    const int voter[] = { OBSERVER, c->shard[!shard_of(node)].primary };
    const int former = s->primary;

    for (int i = 0; i < 2 && n->map == former; i++) {
        const struct node *v = &c->node[voter[i]];
        if (v->life == UP && v->map != former && v->map != NOBODY &&
            v->knows[v->map] > n->knows[former]) {
            n->map = v->map;
            n->knows[v->map] = v->knows[v->map];
            return false;
        }
    }
    n->primary = true;
    n->synced = false;
    n->knows[node] = n->promoted_at = ++c->epoch;
    for (int i = 0; i < NODES; i++) /* all are asked for their vote */
        if (c->node[i].life == UP)
            c->node[i].current = c->epoch;
    n->migrating = n->importing = NOBODY;
    for (int k = 0; k < KEYS; k++) /* it ran the writes itself */
        n->data.key[k].noted = n->data.key[k].touched;
    if (n->map == former)
        n->map = (int8_t)node;
    s->primary = (int8_t)node;
    s->generation++;
    s->inherited = n->pos;
    s->head = 0;
    s->log[0] = n->data;
    for (int m = shard_of(node) * MEMBERS; m < (shard_of(node) + 1) * MEMBERS; m++)
        c->node[m].synced = false; /* all have to ask the new one first */
    if (old->life == UP)
        demote(c, former);
    return true;
}

/* It is a replica from when it knows that none of its slots is its own any more. */
void demote(struct cluster *c, int node)
{
    struct node *n = &c->node[node];
    const int now = c->shard[shard_of(node)].primary;

    n->primary = n->synced = n->claimed = false;
    set_stable(c, node);
    if (now == node)
        return;
    n->map = c->node[now].map;
    for (int i = 0; i < NODES; i++)
        n->knows[i] = c->node[now].knows[i] > n->knows[i] ? c->node[now].knows[i] : n->knows[i];
}

/* --- keys -------------------------------------------------------------------------- */
struct reply route_write(const struct cluster *c, int node, int key, bool asking)
{
    const struct node *n = &c->node[node];

    if (n->life != UP)
        return (struct reply){ NOWHERE, NOBODY };
    if (n->primary && n->map == node) {
        if (n->migrating != NOBODY && !n->data.key[key].present)
            return (struct reply){ ASKS, n->migrating };
        return (struct reply){ RUNS, node };
    }
    if (n->primary && n->importing != NOBODY && asking)
        return (struct reply){ RUNS, node };
    if (n->map == NOBODY || n->map == node)
        return (struct reply){ NOWHERE, NOBODY };
    return (struct reply){ GOES_TO, n->map };
}

void run_write(struct cluster *c, int node, int key, uint32_t write)
{
    struct value *v = &c->node[node].data.key[key];

    if (!v->present)
        *v = (struct value){ .present = true };
    v->bits |= 1u << write;
    v->version++;
    v->touched = c->now;
    if (v->version == 1 || c->now > c->node[node].child_until)
        v->noted = c->now;
    log_append(c, node);
}

bool may_restore(const struct cluster *c, int node)
{
    const struct node *n = &c->node[node];
    return n->life == UP && n->primary &&
           (n->importing != NOBODY || (n->map == node && n->migrating == NOBODY));
}

void put_key(struct cluster *c, int node, int key, const struct value *v)
{
    struct value *to = &c->node[node].data.key[key];

    *to = *v;
    to->touched = to->noted = c->now;
    log_append(c, node);
}

void del_key(struct cluster *c, int node, int key)
{
    c->node[node].data.key[key] = (struct value){ .present = false };
    log_append(c, node);
}
