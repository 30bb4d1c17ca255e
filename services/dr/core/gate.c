#include "core/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- which may begin ------------------------------------------------------------------------ */

/* Does a way of gives lead from one shard to the other? seen: [n], all false. */
static bool leads(const struct dr_give *known, size_t n, const char *from, const char *to,
                  bool *seen)
{
    bool more = strcmp(from, to) != 0, found = !more;
    for (size_t i = 0; i < n; i++) /* the first steps */
        seen[i] = strcmp(known[i].giver, from) == 0;
    while (more && !found) {
        more = false;
        for (size_t i = 0; i < n && !found; i++) {
            if (!seen[i])
                continue;
            found = strcmp(known[i].taker, to) == 0;
            for (size_t k = 0; k < n; k++)
                if (!seen[k] && strcmp(known[k].giver, known[i].taker) == 0)
                    seen[k] = more = true;
        }
    }
    return found;
}

static bool share_slots(const struct dr_give *a, const struct dr_give *b)
{
    for (size_t i = 0; i < sizeof a->slots; i++)
        if ((a->slots[i] & b->slots[i]) != 0)
            return true;
    return false;
}

bool dr_gate_admits(const struct dr_give *known, size_t n, const struct dr_give *more)
{
    size_t takers = 0; /* others than more's */
    for (size_t i = 0; i < n; i++) {
        if (strcmp(known[i].giver, more->taker) == 0 && share_slots(&known[i], more))
            return false;
        if (strcmp(known[i].giver, more->giver) != 0)
            continue;
        size_t before = 0; /* of the same taker */
        while (strcmp(known[before].giver, more->giver) != 0 ||
               strcmp(known[before].taker, known[i].taker) != 0)
            before++;
        takers += before == i && strcmp(known[i].taker, more->taker) != 0;
    }
    bool *seen = calloc(n + 1, sizeof *seen);
    const bool circle = seen == NULL || leads(known, n, more->taker, more->giver, seen);
    free(seen);
    return takers < DR_GATE_TAKERS && !circle;
}

/* --- rounds ----------------------------------------------------------------------------------- */

static bool same(const struct dr_gate_mark *a, const struct dr_gate_mark *b)
{
    return dr_generation_compare(&a->generation, &b->generation) == 0 && a->offset == b->offset &&
           a->base == b->base;
}

struct dr_gate_round *dr_gate_begin(struct dr_gate *g, const struct dr_gate_mark *mark)
{
    const struct dr_gate_mark *last = g->rounds > 0 ? &g->round[g->rounds - 1].mark : &g->passed;
    if (same(last, mark))
        return NULL;
    if (g->rounds == DR_GATE_ROUNDS)
        g->rounds--;
    struct dr_gate_round *r = &g->round[g->rounds++];
    *r = (struct dr_gate_round){ .mark = *mark };
    return r;
}

static void drop(struct dr_gate *g, size_t i)
{
    memmove(&g->round[i], &g->round[i + 1], (--g->rounds - i) * sizeof g->round[0]);
}

static bool waits_elsewhere(const struct dr_gate_round *r, const char *taker, const char *replid)
{
    for (size_t i = 0; i < r->needs; i++)
        if (!r->need[i].reached && strcmp(r->need[i].taker, taker) == 0 &&
            strcmp(r->need[i].replid, replid) != 0)
            return true;
    return false;
}

bool dr_gate_ask(struct dr_gate *g, const char *taker, const char *replid, uint64_t offset)
{
    for (size_t i = g->rounds - 1; i-- > 0;)
        if (waits_elsewhere(&g->round[i], taker, replid))
            drop(g, i);
    struct dr_gate_round *r = &g->round[g->rounds - 1];
    if (r->needs == DR_GATE_TAKERS)
        return false;
    struct dr_gate_need *need = &r->need[r->needs++];
    *need = (struct dr_gate_need){ .offset = offset };
    (void)snprintf(need->taker, sizeof need->taker, "%s", taker);
    (void)snprintf(need->replid, sizeof need->replid, "%s", replid);
    return true;
}

void dr_gate_closed(struct dr_gate *g, const char *taker)
{
    for (size_t i = 0; i < g->rounds; i++)
        for (size_t k = 0; k < g->round[i].needs; k++) {
            struct dr_gate_need *need = &g->round[i].need[k];
            need->reached = need->reached || strcmp(need->taker, taker) == 0;
        }
}

void dr_gate_drop_newest(struct dr_gate *g)
{
    g->rounds -= g->rounds > 0;
}

bool dr_gate_pass(struct dr_gate *g, struct dr_gate_mark *mark)
{
    for (size_t i = g->rounds; i-- > 0;) {
        const struct dr_gate_round *r = &g->round[i];
        size_t reached = 0;
        while (reached < r->needs && r->need[reached].reached)
            reached++;
        if (reached < r->needs)
            continue;
        *mark = g->passed = r->mark;
        g->rounds -= i + 1;
        memmove(&g->round[0], &g->round[i + 1], g->rounds * sizeof g->round[0]);
        return true;
    }
    return false;
}
