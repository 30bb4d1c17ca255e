/* Units: nodes in no shard, then whole shards. Of the shards that may go together those with
 * the fewest bytes go: each zone gives as many primaries as it must, so that it does not keep
 * half of them, and the rest is whatever is cheapest. */
#include "core/choose_private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEAST_PRIMARIES = 3 }; /* fewer cannot agree that one has failed */

/* Those that a drain has begun with, then broken ones; what has too many copies last. */
static int class_of(const struct choose_shard *s, int unit)
{
    if (s->free_node)
        return s->failed > 0 ? 0 : 1;
    if (s->staying > unit)
        return 5;
    return s->leaving > 0 ? 2 : s->failed > 0 ? 3 : 4;
}

struct ranked {
    struct choose_shard shard;
    int class;
};

static int cheapest_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    if (x->shard.bytes != y->shard.bytes)
        return x->shard.bytes < y->shard.bytes ? -1 : 1;
    if (x->shard.traffic < y->shard.traffic || x->shard.traffic > y->shard.traffic)
        return x->shard.traffic < y->shard.traffic ? -1 : 1;
    return (x->shard.first > y->shard.first) - (x->shard.first < y->shard.first);
}

static enum pr_code rank(struct choose *c, struct choose_table *t, struct pr_err *err)
{
    struct ranked *r = malloc(((size_t)t->shards + 1) * sizeof *r);
    if (r == NULL)
        return pr_fail(err, PR_ENOMEM, "%d shards of fleet %s", t->shards, c->fleet->name);
    for (int s = 0; s < t->shards; s++)
        r[s] = (struct ranked){ t->shard[s], class_of(&t->shard[s], c->fleet->unit) };
    qsort(r, (size_t)t->shards, sizeof *r, cheapest_first);
    for (int s = 0; s < t->shards; s++)
        t->shard[s] = r[s].shard;
    free(r);
    return PR_OK;
}

struct primaries {
    int in[AUTOSCALE_ZONES], all;
    int candidates; /* shards with a member that stays */
};

static struct primaries primaries_of(const struct choose_table *t)
{
    struct primaries p = { 0 };
    for (int s = 0; s < t->shards; s++) {
        const struct choose_shard *x = &t->shard[s];
        if (x->free_node || x->staying == 0)
            continue;
        p.candidates++;
        if (x->primary_zone >= 0) {
            p.in[x->primary_zone]++;
            p.all++;
        }
    }
    return p;
}

bool autoscale_choose_half(int zones, int in_zone, int primaries)
{
    return zones >= 3 && 2 * in_zone >= primaries;
}

/* Most primaries that a zone may keep when `all` are left. */
static int most_kept(int zones, int all)
{
    if (zones >= 3)
        return (all - 1) / 2;
    return zones == 2 ? (all + 1) / 2 : INT_MAX;
}

/* Primaries that each zone must give when n shards go; false: no choice of n will do. */
static bool must_give(const struct choose *c, const struct primaries *p, int n, int *give,
                      int *blocked_zone)
{
    const int zones = c->fleet->zones;
    int sum = 0;
    *blocked_zone = -1;
    if (zones >= 3 && p->all - n < LEAST_PRIMARIES)
        return false; /* also when nobody knows who is primary */
    for (int z = 0; z < zones; z++) {
        const int over = p->in[z] - most_kept(zones, p->all - n);
        give[z] = over > 0 ? over : 0;
        sum += give[z];
        if (give[z] > 0)
            *blocked_zone = z;
    }
    return sum <= n;
}

/* The cheapest that may still go. Of those that cost about the same one whose zone has most
 * primaries, then least traffic: in[], primaries that each zone keeps so far. -1: none. */
static int next_to_go(const struct choose *c, const struct choose_table *t, const int *in)
{
    int first = -1, best = -1;
    for (int s = 0; s < t->shards; s++) {
        const struct choose_shard *x = &t->shard[s];
        if (x->free_node || x->staying == 0 || x->taken)
            continue;
        if (first < 0) {
            first = best = s;
            if (!c->traffic_known)
                break;
            continue;
        }
        const struct choose_shard *cheapest = &t->shard[first], *b = &t->shard[best];
        if (class_of(x, c->fleet->unit) != class_of(cheapest, c->fleet->unit) ||
            x->bytes - cheapest->bytes > t->mean / 10)
            break;
        const int z = x->primary_zone, y = b->primary_zone;
        if (z >= 0 && (y < 0 || in[z] > in[y] ||
                       (in[z] == in[y] && c->in->zone_traffic[z] < c->in->zone_traffic[y])))
            best = s;
    }
    return best;
}

/* Marks n shards; returns their members. */
static int mark(const struct choose *c, struct choose_table *t, int n, const int *give)
{
    int need[AUTOSCALE_ZONES], members = 0;
    struct primaries p = primaries_of(t);
    for (int z = 0; z < AUTOSCALE_ZONES; z++) {
        need[z] = give[z];
        n -= give[z];
    }
    for (int s = 0; s < t->shards; s++) {
        struct choose_shard *x = &t->shard[s];
        x->taken = false;
        if (x->free_node || x->staying == 0)
            continue;
        if (x->primary_zone >= 0 && need[x->primary_zone] > 0) {
            x->taken = true;
            need[x->primary_zone]--;
            p.in[x->primary_zone]--;
        }
    }
    for (int s; n > 0 && (s = next_to_go(c, t, p.in)) >= 0; n--) {
        t->shard[s].taken = true;
        if (t->shard[s].primary_zone >= 0)
            p.in[t->shard[s].primary_zone]--;
    }
    for (int s = 0; s < t->shards; s++)
        members += t->shard[s].taken ? t->shard[s].staying : 0;
    return members;
}

/* Members that are left when the fullest zone is lost, once those that are marked have gone. */
static int rest_after(const struct choose *c, const struct choose_table *t)
{
    int stay[AUTOSCALE_ZONES], all = 0, most = 0;
    for (int z = 0; z < c->fleet->zones; z++)
        stay[z] = c->zone[z].stay;
    for (int s = 0; s < t->shards; s++)
        for (int i = t->shard[s].first; i < t->shard[s].first + t->shard[s].count; i++)
            if (t->shard[s].taken && !c->in->node[t->node[i]].leaving)
                stay[c->in->node[t->node[i]].zone]--;
    for (int z = 0; z < c->fleet->zones; z++) {
        all += stay[z];
        most = stay[z] > most ? stay[z] : most;
    }
    return all - most;
}

/* Replicas before their primary: a replica that stops is missed by nobody. */
static int send_off(struct choose *c, const struct choose_table *t, const struct choose_shard *x)
{
    int gone = 0;
    for (int primary = 0; primary < 2; primary++)
        for (int i = x->first; i < x->first + x->count; i++) {
            const struct autoscale_node *n = &c->in->node[t->node[i]];
            if (!n->leaving && n->primary == (primary == 1)) {
                choose_leave(c, t->node[i]);
                gone++;
            }
        }
    return gone;
}

/* Marks as many whole shards as may go, members at most. */
static void mark_most(struct choose *c, struct choose_table *t, int members)
{
    const struct primaries p = primaries_of(t);
    const int zones = c->fleet->zones;
    const int before = rest_after(c, t); /* nothing is marked */
    int blocked = -1, n = members < p.candidates ? members : p.candidates;
    for (; n > 0; n--) {
        int give[AUTOSCALE_ZONES] = { 0 }, zone;
        if (!must_give(c, &p, n, give, &zone)) {
            blocked = n == members / c->fleet->unit ? zone : blocked;
            continue;
        }
        if (mark(c, t, n, give) > members)
            continue;
        const int rest = rest_after(c, t);
        if (rest >= c->in->rest || rest >= before)
            break;
    }
    if (n == 0)
        (void)mark(c, t, 0, (const int[AUTOSCALE_ZONES]){ 0 });
    if (n >= members / c->fleet->unit || members < c->fleet->unit)
        return;
    if (p.all == 0)
        (void)snprintf(c->limited, c->limited_bytes, "no shard leaves: no primary is known");
    else if (blocked >= 0)
        (void)snprintf(c->limited, c->limited_bytes,
                       "%d of %d shards leave: with more of them gone zone %s would keep half "
                       "of the primaries or more",
                       n, members / c->fleet->unit, c->fleet->zone[blocked]);
    else
        (void)snprintf(c->limited, c->limited_bytes,
                       "%d of %d shards leave: whole shards only, at least %d stay%s", n,
                       members / c->fleet->unit, zones >= 3 ? LEAST_PRIMARIES : 1,
                       c->in->rest > 0 ? ", and a zone may be lost" : "");
}

static void say_leavers(struct choose *c, const struct choose_table *t)
{
    char text[256] = "";
    size_t n = 0;
    int shards = 0;
    for (int s = 0; s < t->shards; s++) {
        const struct choose_shard *x = &t->shard[s];
        if (!x->taken)
            continue;
        if (shards++ < 3 && n < sizeof text) /* leaves names all */
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%.30s (%llu %s%s%s)",
                                  n > 0 ? ", " : "", c->in->node[t->node[x->first]].shard,
                                  (unsigned long long)x->bytes, t->by_slots ? "slots" : "bytes",
                                  x->primary_zone < 0 ? "" : ", ",
                                  x->primary_zone < 0 ? "" : c->fleet->zone[x->primary_zone]);
    }
    if (shards == 0)
        return;
    choose_say(c, "%d of %d shards leave: %s%s", shards, primaries_of(t).candidates, text,
               shards > 3 ? ", ..." : "");
    if (t->by_slots)
        choose_say(c, "nobody knows their bytes: by slots");
    else if (t->unsized > 0)
        choose_say(c, "bytes of %d are not known: by their slots and the others' mean", t->unsized);
    if (c->traffic_known)
        choose_say_traffic(c, "of shards that cost about the same one of the zone with most "
                              "primaries, then least traffic");
}

enum pr_code choose_shards(struct choose *c, int members, int *gone, struct pr_err *err)
{
    struct choose_table t;
    *gone = 0;
    enum pr_code rc = choose_table(c, &t, err);
    if (rc == PR_OK)
        rc = rank(c, &t, err);
    for (int s = 0; rc == PR_OK && s < t.shards && *gone < members; s++)
        if (t.shard[s].free_node && t.shard[s].staying > 0) {
            choose_leave(c, t.node[t.shard[s].first]);
            ++*gone;
        }
    if (rc == PR_OK && members > *gone)
        mark_most(c, &t, members - *gone);
    for (int s = 0; rc == PR_OK && s < t.shards; s++)
        if (t.shard[s].taken)
            *gone += send_off(c, &t, &t.shard[s]);
    if (rc == PR_OK && *gone > 0)
        say_leavers(c, &t);
    choose_table_done(&t);
    return rc;
}
