#include "core/reconcile.h"

static bool kept(const struct dr_copy *c)
{
    return c->fate == DR_FATE_KEEP;
}

static bool kept_stub(const struct dr_copy *c)
{
    return kept(c) && c->kind == DR_COPY_STUB;
}

/* --- one key on two shards ---------------------------------------------------------------------
 */

static bool same_key(const struct dr_copy *a, const struct dr_copy *b)
{
    const bool staged = a->kind == DR_COPY_STAGED;
    return a->partition == b->partition && staged == (b->kind == DR_COPY_STAGED) &&
           (!staged || a->name == b->name);
}

/* Did the key show a after it had shown b? What a key shows has a rising epoch; under one epoch it
 * is LIVE until it is fenced. A claim (epoch 0) is made only where nothing is. */
static bool later(const struct dr_copy *a, const struct dr_copy *b)
{
    const bool a_stub = a->kind == DR_COPY_STUB, b_stub = b->kind == DR_COPY_STUB;
    if (a->e != b->e)
        return a->e > b->e;
    if (a_stub != b_stub)
        return a_stub == (a->e > 0);
    if (a->v != b->v)
        return a->v > b->v;
    return a->owner && !b->owner;
}

static void drop_doubles(struct dr_copy *copy, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n && kept(&copy[i]); j++)
            if (kept(&copy[j]) && same_key(&copy[i], &copy[j])) {
                struct dr_copy *loser = later(&copy[j], &copy[i]) ? &copy[i] : &copy[j];
                loser->fate = DR_FATE_DROP;
            }
}

/* --- the copy that is the vertex ----------------------------------------------------------------
 */

static size_t newest_stub(const struct dr_copy *copy, size_t n)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < n; i++)
        if (kept_stub(&copy[i]) && copy[i].e > 0 && (best == SIZE_MAX || copy[i].e > copy[best].e))
            best = i;
    return best;
}

/* Of the newest stub that leads to the partition; 0: none does. */
static uint64_t led_to(const struct dr_copy *copy, size_t n, uint32_t partition)
{
    uint64_t e = 0;
    for (size_t i = 0; i < n; i++)
        if (kept_stub(&copy[i]) && copy[i].to == partition && copy[i].e > e)
            e = copy[i].e;
    return e;
}

static bool better(const struct dr_copy *copy, size_t n, const struct dr_copy *a,
                   const struct dr_copy *b)
{
    if (a->e != b->e)
        return a->e > b->e;
    if (a->v != b->v)
        return a->v > b->v;
    if (a->kind != b->kind)
        return a->kind == DR_COPY_LIVE;
    return led_to(copy, n, a->partition) > led_to(copy, n, b->partition);
}

/* Highest epoch, then version; with `staged` also of the staged copies. */
static size_t best_copy(const struct dr_copy *copy, size_t n, bool staged)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        const bool may = kept(&copy[i]) && (copy[i].kind == DR_COPY_LIVE ||
                                            (staged && copy[i].kind == DR_COPY_STAGED));
        if (may && (best == SIZE_MAX || better(copy, n, &copy[i], &copy[best])))
            best = i;
    }
    return best;
}

/* The staged copy that prism_promote would take for this stub. */
static size_t staged_for(const struct dr_copy *copy, size_t n, const struct dr_copy *stub)
{
    for (size_t i = 0; i < n; i++)
        if (kept(&copy[i]) && copy[i].kind == DR_COPY_STAGED && copy[i].partition == stub->to &&
            copy[i].name == stub->e && copy[i].e == stub->e)
            return i;
    return SIZE_MAX;
}

static enum dr_verdict_kind nothing_lives(const struct dr_copy *copy, size_t n, uint32_t home)
{
    for (size_t i = 0; i < n; i++)
        if (kept_stub(&copy[i]) && copy[i].partition == home) /* newest_stub found none: epoch 0 */
            return DR_VERDICT_CLAIM;
    return DR_VERDICT_NOTHING;
}

static enum dr_verdict_kind elect(const struct dr_copy *copy, size_t n, uint32_t home,
                                  size_t *winner)
{
    const size_t live = best_copy(copy, n, false), stub = newest_stub(copy, n);
    *winner = live;
    if (stub == SIZE_MAX)
        return live != SIZE_MAX ? DR_VERDICT_VERTEX : nothing_lives(copy, n, home);
    const struct dr_copy *s = &copy[stub];
    if (live != SIZE_MAX &&
        (copy[live].e > s->e || (copy[live].e == s->e && copy[live].partition == s->to)))
        return DR_VERDICT_VERTEX;
    *winner = staged_for(copy, n, s);
    if (*winner != SIZE_MAX)
        return DR_VERDICT_FORWARD;
    *winner = best_copy(copy, n, true);
    return *winner != SIZE_MAX ? DR_VERDICT_ROLLED_BACK : DR_VERDICT_LOST;
}

/* --- the ways to it -----------------------------------------------------------------------------
 */

static const struct dr_copy *stub_at(const struct dr_copy *copy, size_t n, uint32_t partition)
{
    for (size_t i = 0; i < n; i++)
        if (kept_stub(&copy[i]) && copy[i].partition == partition)
            return &copy[i];
    return NULL;
}

/* Home leads there at once, and by an epoch that no other stub exceeds: one of those could else
 * be taken for newer news by a mover that goes on with an old plan. */
static bool home_knows(const struct dr_copy *copy, size_t n, uint32_t home,
                       const struct dr_verdict *v)
{
    const struct dr_copy *h = stub_at(copy, n, home);
    if (home == v->at)
        return true;
    if (h == NULL || h->to != v->at)
        return false;
    const size_t newest = newest_stub(copy, n);
    return newest == SIZE_MAX || h->e >= copy[newest].e;
}

/* Does a client that follows this stub come to the vertex? It takes an older stub at its end
 * for a vertex on its way. */
static bool leads(const struct dr_copy *copy, size_t n, uint32_t home, const struct dr_verdict *v,
                  const struct dr_copy *from)
{
    for (size_t hops = 0; hops <= n; hops++) {
        if (from->to == v->at)
            return true;
        if (from->to == home) /* its stub is the newest, and leads there */
            return true;
        const struct dr_copy *next = stub_at(copy, n, from->to);
        if (next == NULL || next->e <= from->e)
            return false;
        from = next;
    }
    return false;
}

static void judge_ways(struct dr_copy *copy, size_t n, uint32_t home, uint64_t fresh,
                       struct dr_verdict *v)
{
    v->put_home = !home_knows(copy, n, home, v);
    v->raise = v->put_home || v->kind == DR_VERDICT_ROLLED_BACK;
    v->epoch = fresh;
    for (size_t i = 0; i < n; i++)
        if (i != v->winner && copy[i].kind != DR_COPY_STUB)
            copy[i].fate = DR_FATE_DROP;
    for (size_t i = 0; i < n; i++) {
        struct dr_copy *c = &copy[i];
        if (!kept_stub(c))
            continue;
        if (c->partition == v->at || (c->partition == home && v->put_home))
            c->fate = DR_FATE_DROP; /* replaced */
    }
    for (size_t i = 0; i < n; i++)
        if (kept_stub(&copy[i]) && copy[i].partition != home && !leads(copy, n, home, v, &copy[i]))
            copy[i].fate = DR_FATE_DROP; /* and so is every stub that led there only by this one */
}

void dr_reconcile(struct dr_copy *copy, size_t n, uint32_t home, uint64_t fresh,
                  struct dr_verdict *out)
{
    for (size_t i = 0; i < n; i++)
        copy[i].fate = DR_FATE_KEEP;
    drop_doubles(copy, n);
    *out = (struct dr_verdict){ .winner = SIZE_MAX };
    out->kind = elect(copy, n, home, &out->winner);
    if (out->winner != SIZE_MAX) {
        out->at = copy[out->winner].partition;
        judge_ways(copy, n, home, fresh, out);
        if (copy[out->winner].kind == DR_COPY_STAGED)
            copy[out->winner].fate = DR_FATE_PROMOTE;
    } else {
        for (size_t i = 0; i < n; i++)
            if (out->kind != DR_VERDICT_CLAIM || copy[i].kind != DR_COPY_STUB ||
                copy[i].partition != home)
                copy[i].fate = DR_FATE_DROP;
    }
    for (size_t i = 0; i < n; i++)
        out->changes += copy[i].fate != DR_FATE_KEEP;
    out->changes += (size_t)out->put_home + out->raise;
}
