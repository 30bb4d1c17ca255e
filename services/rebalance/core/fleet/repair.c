#include "core/fleet/repair.h"

#include <string.h>

const char *rebalance_mend_name(enum rebalance_mend_kind k)
{
    static const char *const name[] = { "nothing", "close", "forward", "bring", "own", "wait" };
    return k <= REBALANCE_MEND_WAIT ? name[k] : "wait";
}

/* --- one slot ---------------------------------------------------------------- */

static bool is_open(const struct rebalance_side *s)
{
    return s->migrating_to != REBALANCE_NONE || s->importing_from != REBALANCE_NONE;
}

static void decide(struct rebalance_mend *m, enum rebalance_mend_kind kind, int16_t owner,
                   int16_t other, const char *why)
{
    *m = (struct rebalance_mend){ kind, owner, other, why };
}

/* The side whom most others name; NONE when nobody names one. */
static int16_t most_named(const struct rebalance_side *side, size_t n)
{
    int16_t best = REBALANCE_NONE;
    size_t most = 0;
    for (size_t i = 0; i < n; i++) {
        size_t votes = 0;
        for (size_t k = 0; k < n; k++)
            votes += side[k].owner == (int16_t)i;
        if (votes > most) {
            most = votes;
            best = (int16_t)i;
        }
    }
    return best;
}

/* Nobody serves the slot. Its keys say whose it is; then who was about to take it;
 * then what the others believe. */
static void without_owner(const struct rebalance_side *side, size_t n, struct rebalance_mend *m)
{
    int16_t best = REBALANCE_NONE;
    for (size_t i = 0; i < n; i++) {
        if (side[i].owner == REBALANCE_DOWN) {
            decide(m, REBALANCE_MEND_WAIT, REBALANCE_NONE, REBALANCE_NONE,
                   "the node that serves it is down, and no replica has taken over yet");
            return;
        }
        if (side[i].keys > 0 && (best < 0 || side[i].keys > side[best].keys))
            best = (int16_t)i;
    }
    for (size_t i = 0; i < n && best < 0; i++)
        if (side[i].importing_from != REBALANCE_NONE)
            best = (int16_t)i;
    if (best < 0)
        best = most_named(side, n);
    if (best < 0)
        decide(m, REBALANCE_MEND_WAIT, REBALANCE_NONE, REBALANCE_NONE,
               "nobody serves it, holds a key of it or was to take it: its keys may be on a node "
               "that was forgotten");
    else
        decide(m, REBALANCE_MEND_OWN, best, REBALANCE_NONE,
               side[best].keys > 0 ? "nobody serves it, and its keys are here"
                                   : "nobody serves it, and it was to come here");
}

/* The owner gives the slot away. Moved keys are reached through its redirections
 * only, and it takes none back while it redirects: so it is finished, unless
 * nothing has moved. */
static void given_away(const struct rebalance_side *side, size_t n, int16_t owner,
                       struct rebalance_mend *m)
{
    const int16_t to = side[owner].migrating_to;
    int16_t keyed = REBALANCE_NONE;
    for (size_t i = 0; i < n; i++)
        if ((int16_t)i != owner && side[i].keys > 0 &&
            (keyed < 0 || side[i].keys > side[keyed].keys))
            keyed = (int16_t)i;
    if (to >= 0 && to != owner && side[to].keys > 0)
        decide(m, REBALANCE_MEND_FORWARD, owner, to, "a move was left half way");
    else if (to >= 0 && to != owner)
        decide(m, REBALANCE_MEND_CLOSE, owner, to, "opened, and nothing has moved");
    else if (keyed >= 0)
        decide(m, REBALANCE_MEND_FORWARD, owner, keyed,
               "the node it was moving to is gone, and another holds what has moved");
    else if (to == REBALANCE_DOWN)
        decide(
            m, REBALANCE_MEND_WAIT, owner, REBALANCE_NONE,
            "the node it was moving to is down and may hold keys: it must come back, its replica "
            "take over, or be forgotten");
    else
        decide(m, REBALANCE_MEND_CLOSE, owner, owner, "it was moving to a node that is not here");
}

void rebalance_mend_slot(const struct rebalance_side *side, size_t n, struct rebalance_mend *out)
{
    int16_t owner = REBALANCE_NONE;
    size_t owners = 0;
    decide(out, REBALANCE_MEND_NOTHING, REBALANCE_NONE, REBALANCE_NONE, "");
    for (size_t i = 0; i < n; i++)
        if (side[i].owner == (int16_t)i) {
            owner = (int16_t)i;
            owners++;
        }
    if (owners == 0) {
        without_owner(side, n, out);
        return;
    }
    if (owners > 1) {
        decide(out, REBALANCE_MEND_WAIT, owner, REBALANCE_NONE,
               "two nodes claim it: the one with the higher epoch will win by itself");
        return;
    }
    out->owner = owner;
    if (side[owner].migrating_to != REBALANCE_NONE) {
        given_away(side, n, owner, out);
        return;
    }
    if (side[owner].importing_from != REBALANCE_NONE) {
        decide(out, REBALANCE_MEND_CLOSE, owner, owner, "it is here already");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if ((int16_t)i == owner)
            continue;
        if (side[i].keys > 0) {
            decide(out, REBALANCE_MEND_BRING, owner, (int16_t)i, "keys lie where nobody looks");
            return;
        }
        if (is_open(&side[i])) {
            decide(out, REBALANCE_MEND_CLOSE, owner, (int16_t)i,
                   "open on a node that holds none of it");
            return;
        }
    }
}

/* --- from views --------------------------------------------------------------- */

static void mark(uint8_t *set, int slot)
{
    set[slot / 8] = (uint8_t)(set[slot / 8] | 1u << (slot % 8));
}

void rebalance_repair_suspects(const struct rebalance_witness *w, size_t n, uint8_t suspect[2048])
{
    memset(suspect, 0, 2048);
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        size_t owners = 0;
        for (size_t i = 0; i < n; i++) {
            const bool mine = w[i].view->owner[s] == w[i].view->me;
            owners += mine;
            if (!mine && w[i].keys != NULL && w[i].keys[s] > 0)
                mark(suspect, s);
        }
        if (owners != 1)
            mark(suspect, s);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < w[i].view->opens; k++)
            mark(suspect, w[i].view->open[k].slot);
}

/* The side that id stands for. Witnesses are asked in turn: one of them may not have
 * heard of a fail-over yet. */
static int16_t stands_for(const struct rebalance_witness *w, size_t n, const char *id)
{
    bool known = false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(w[i].view->node[w[i].view->me].id, id) == 0)
            return (int16_t)i;
    for (size_t i = 0; i < n; i++) {
        const struct rebalance_seen *s = rebalance_view_find(w[i].view, id);
        known = known || s != NULL;
        if (s == NULL || s->primary || s->failed)
            continue;
        for (size_t k = 0; k < n; k++)
            if (strcmp(w[k].view->node[w[k].view->me].id, s->primary_id) == 0)
                return (int16_t)k;
    }
    return known ? REBALANCE_DOWN : REBALANCE_STRANGER;
}

void rebalance_repair_sides(const struct rebalance_witness *w, size_t n, int slot,
                            struct rebalance_side *side)
{
    for (size_t i = 0; i < n; i++) {
        const struct rebalance_view *v = w[i].view;
        side[i] = (struct rebalance_side){ .owner = REBALANCE_NONE,
                                           .migrating_to = REBALANCE_NONE,
                                           .importing_from = REBALANCE_NONE,
                                           .keys = w[i].keys == NULL ? 0 : w[i].keys[slot] };
        if (v->owner[slot] == v->me)
            side[i].owner = (int16_t)i;
        else if (v->owner[slot] >= 0)
            side[i].owner = stands_for(w, n, v->node[v->owner[slot]].id);
        for (size_t k = 0; k < v->opens; k++) {
            if (v->open[k].slot != slot)
                continue;
            const int16_t other = stands_for(w, n, v->open[k].other);
            if (v->open[k].importing)
                side[i].importing_from = other;
            else
                side[i].migrating_to = other;
        }
    }
}
