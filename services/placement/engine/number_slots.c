/* Which slots change zone so that every zone has numbers for its blocks. */
#include "engine/number_private.h"

#include <stdlib.h>
#include <string.h>

/* The last SPAN numbers are chosen so that they add up exactly; those before,
 * by what they lose a number. Slots above SPAN (a store has none) only so. */
enum { SPAN = 256, MAX_SUM = 2 * SPAN };

struct pick {
    uint32_t slot, size;
    int64_t loss; /* vertex weight that would stay in its zone, were it not for the move */
    bool taken;
};

struct sum { /* the best way to add up to it */
    int64_t loss;
    uint32_t slots;
    bool reached;
};

struct zones {
    struct number_plan *p;
    uint32_t *have, *need; /* [zones + 1] numbers, blocks; the last: slots without a node */
    uint32_t *leaf_have;   /* [leaves] numbers */
    uint32_t *leaf_wish;   /* [leaves] blocks */
    int64_t *loss;         /* [PLACEMENT_SLOTS] */
    struct pick *pick;     /* [PLACEMENT_SLOTS] */
    bool *took;            /* [PLACEMENT_SLOTS * (MAX_SUM + 1)] pick i is in the best way to s */
};

static int by_loss(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    const double dx = (double)x->loss / x->size, dy = (double)y->loss / y->size;
    if (dx < dy || dx > dy)
        return dx < dy ? -1 : 1;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static void count_loss(struct zones *z, uint32_t from, uint32_t to)
{
    const struct placement_number_input *in = z->p->in;
    memset(z->loss, 0, PLACEMENT_SLOTS * sizeof *z->loss);
    for (size_t i = 0; i < in->overlaps; i++) {
        const struct placement_overlap *o = &in->overlap[i];
        if (in->weight[o->block] == 0)
            continue;
        if (in->zone[o->block] == from)
            z->loss[in->slot[o->number]] += (int64_t)o->weight;
        else if (in->zone[o->block] == to)
            z->loss[in->slot[o->number]] -= (int64_t)o->weight;
    }
}

static bool better(const struct sum *a, int64_t loss, uint32_t slots)
{
    return !a->reached || loss < a->loss || (loss == a->loss && slots < a->slots);
}

/* Takes picks that add up to want, or as little above as can be and at most to
 * most, or as little below; among those ways the one that loses least. */
static void add_up(struct zones *z, uint32_t n, uint32_t want, uint32_t most)
{
    struct sum best[MAX_SUM + 1] = { [0] = { .reached = true } };
    most = most < MAX_SUM ? most : MAX_SUM;
    for (uint32_t i = 0; i < n; i++) {
        const struct pick *k = &z->pick[i];
        bool *took = z->took + (size_t)i * (MAX_SUM + 1);
        memset(took, 0, (MAX_SUM + 1) * sizeof *took);
        if (k->taken || k->size > SPAN)
            continue;
        for (uint32_t s = most; s >= k->size; s--) {
            const struct sum *from = &best[s - k->size];
            if (!from->reached || !better(&best[s], from->loss + k->loss, from->slots + 1))
                continue;
            best[s] = (struct sum){ from->loss + k->loss, from->slots + 1, true };
            took[s] = true;
        }
    }
    uint32_t s = want <= most ? want : most;
    while (s < most && !best[s].reached) /* more than want rather than too little */
        s++;
    while (!best[s].reached)
        s--;
    for (uint32_t i = n; i-- > 0;) {
        if (z->took[(size_t)i * (MAX_SUM + 1) + s]) {
            z->pick[i].taken = true;
            s -= z->pick[i].size;
        }
    }
}

/* Where in a zone a slot is needed most: where blocks wish to be and lack
 * numbers; then where numbers are few, but not in a node that was emptied. */
static uint32_t leaf_for(const struct zones *z, uint32_t zone)
{
    const struct placement_number_input *in = z->p->in;
    uint32_t best = NUMBER_NONE;
    for (uint32_t l = 0; l < in->leaves; l++) {
        if (in->zone_of_leaf[l] != zone)
            continue;
        if (best == NUMBER_NONE) {
            best = l;
            continue;
        }
        const int64_t lack = (int64_t)z->leaf_wish[l] - z->leaf_have[l];
        const int64_t best_lack = (int64_t)z->leaf_wish[best] - z->leaf_have[best];
        const bool used = z->leaf_have[l] > 0, best_used = z->leaf_have[best] > 0;
        if (in->leaf != NULL ? lack > best_lack
                             : (used != best_used ? used : z->leaf_have[l] < z->leaf_have[best]))
            best = l;
    }
    return best;
}

static void move_slot(struct zones *z, uint32_t slot, uint32_t zone)
{
    struct number_plan *p = z->p;
    const uint32_t to = leaf_for(z, zone), size = p->size[slot];
    z->have[number_zone_of_slot(p, slot)] -= size;
    if (p->leaf[slot] != PLACEMENT_FREE)
        z->leaf_have[p->leaf[slot]] -= size;
    z->have[zone] += size;
    z->leaf_have[to] += size;
    p->leaf[slot] = (uint16_t)to;
}

/* Moves slots of `from` to a zone that lacks numbers. */
static void give(struct zones *z, uint32_t from, uint32_t to)
{
    const uint32_t spare = z->have[from] - z->need[from], lack = z->need[to] - z->have[to];
    uint32_t n = 0, want = spare < lack ? spare : lack, most = spare;
    count_loss(z, from, to);
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++)
        if (z->p->size[s] > 0 && number_zone_of_slot(z->p, s) == from)
            z->pick[n++] = (struct pick){ s, z->p->size[s], z->loss[s], false };
    qsort(z->pick, n, sizeof *z->pick, by_loss);
    for (uint32_t i = 0; i < n && want > SPAN; i++) {
        struct pick *k = &z->pick[i];
        if (k->size > want)
            continue;
        k->taken = true;
        want -= k->size;
        most -= k->size;
    }
    add_up(z, n, want, most);
    for (uint32_t i = 0; i < n; i++)
        if (z->pick[i].taken)
            move_slot(z, z->pick[i].slot, to);
}

static enum pr_code count(struct zones *z, struct pr_err *err)
{
    const struct placement_number_input *in = z->p->in;
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++) {
        z->have[number_zone_of_slot(z->p, s)] += z->p->size[s];
        if (z->p->leaf[s] != PLACEMENT_FREE)
            z->leaf_have[z->p->leaf[s]] += z->p->size[s];
    }
    for (uint32_t b = 0; b < in->partitions; b++) {
        if (in->weight[b] == 0)
            continue;
        z->need[in->zone[b]]++;
        if (in->leaf != NULL && in->leaf[b] != PLACEMENT_FREE)
            z->leaf_wish[in->leaf[b]]++;
    }
    for (uint32_t zone = 0; zone < in->zones; zone++)
        if (z->need[zone] > 0 && leaf_for(z, zone) == NUMBER_NONE)
            return pr_fail(err, PR_EINVAL, "zone %u has %u blocks and no node", zone,
                           z->need[zone]);
    return PR_OK;
}

/* What no zone lacks still needs a node: one in the zone with the fewest
 * numbers for its blocks. */
static void place_unowned(struct zones *z)
{
    const struct number_plan *p = z->p;
    for (uint32_t s = 0; s < PLACEMENT_SLOTS; s++) {
        if (p->size[s] == 0 || p->leaf[s] != PLACEMENT_FREE)
            continue;
        uint32_t to = NUMBER_NONE;
        for (uint32_t zone = 0; zone < p->in->zones; zone++)
            if (z->need[zone] > 0 && (to == NUMBER_NONE || (int64_t)z->have[zone] - z->need[zone] <
                                                               (int64_t)z->have[to] - z->need[to]))
                to = zone;
        if (to == NUMBER_NONE) /* no block weighs anything */
            to = p->in->zone_of_leaf[0];
        move_slot(z, s, to);
    }
}

static void even_out(struct zones *z)
{
    const uint32_t none = z->p->in->zones; /* what has no node is given first: it must move */
    for (uint32_t to = 0; to < none; to++) {
        if (z->have[to] < z->need[to] && z->have[none] > 0)
            give(z, none, to);
        for (uint32_t from = 0; from < none && z->have[to] < z->need[to]; from++)
            if (z->have[from] > z->need[from])
                give(z, from, to);
    }
    place_unowned(z);
}

enum pr_code number_plan_slots(struct number_plan *p, struct placement_number_result *out,
                               struct pr_err *err)
{
    const size_t zones = (size_t)p->in->zones + 1, leaves = p->in->leaves;
    struct zones z = { .p = p,
                       .have = calloc(zones, sizeof *z.have),
                       .need = calloc(zones, sizeof *z.need),
                       .leaf_have = calloc(leaves, sizeof *z.leaf_have),
                       .leaf_wish = calloc(leaves, sizeof *z.leaf_wish),
                       .loss = malloc(PLACEMENT_SLOTS * sizeof *z.loss),
                       .pick = malloc(PLACEMENT_SLOTS * sizeof *z.pick),
                       .took = malloc((size_t)PLACEMENT_SLOTS * (MAX_SUM + 1) * sizeof *z.took) };
    enum pr_code rc = PR_OK;
    if (z.have == NULL || z.need == NULL || z.leaf_have == NULL || z.leaf_wish == NULL ||
        z.loss == NULL || z.pick == NULL || z.took == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory for the slots of %u partitions",
                     p->in->partitions);
    if (rc == PR_OK)
        rc = count(&z, err);
    if (rc == PR_OK)
        even_out(&z);
    for (uint32_t s = 0; s < PLACEMENT_SLOTS && rc == PR_OK; s++) {
        const bool moved = p->leaf[s] != p->in->leaf_of_slot[s];
        out->slots_moved += moved;
        out->numbers_moved += moved ? p->size[s] : 0;
    }
    free(z.have);
    free(z.need);
    free(z.leaf_have);
    free(z.leaf_wish);
    free(z.loss);
    free(z.pick);
    free(z.took);
    return rc;
}
