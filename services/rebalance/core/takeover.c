#include "core/takeover.h"

#include "prism/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SURE_MS = 5000 }; /* beyond two node time-outs */

int rebalance_quorum(int primaries)
{
    return primaries / 2 + 1;
}

PR_PRINTF(3, 4)
static void say(struct rebalance_takeover *out, enum rebalance_takeover_what what, const char *fmt,
                ...)
{
    out->what = what;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out->why, sizeof out->why, fmt, ap);
    va_end(ap);
}

static bool all_answer(const struct rebalance_takeover_in *in, const char *shard)
{
    for (size_t i = 0; i < in->replicas; i++)
        if (!in->replica[i].answers && strcmp(in->replica[i].shard, shard) == 0)
            return false;
    return true;
}

/* Of shards in order of their ids, of replicas by what they have. */
static bool rather(const struct rebalance_takeover_replica *a,
                   const struct rebalance_takeover_replica *b)
{
    const int order = b == NULL ? -1 : strcmp(a->shard, b->shard);
    if (order != 0)
        return order < 0;
    return a->offset != b->offset ? a->offset > b->offset : strcmp(a->node, b->node) < 0;
}

/* One that says nothing may have more than those that do; one that had lost its primary long
 * before that died lacks what was acknowledged since. */
static const char *fault_of(const struct rebalance_takeover_in *in,
                            const struct rebalance_takeover_replica *r)
{
    if (!all_answer(in, r->shard))
        return "a replica does not answer";
    if (r->loading)
        return "its replica is in the middle of a copy";
    if (r->link_down_ms > r->silent_ms + in->node_timeout_ms)
        return "its replica had lost it before it died";
    return NULL;
}

static void choose(const struct rebalance_takeover_in *in, struct rebalance_takeover *out)
{
    const struct rebalance_takeover_replica *best = NULL;
    const char *fault = NULL, *of = "";
    for (size_t i = 0; i < in->replicas; i++) {
        const struct rebalance_takeover_replica *r = &in->replica[i];
        const char *why = fault_of(in, r);
        if (why == NULL)
            best = rather(r, best) ? r : best;
        else
            fault = why, of = r->shard;
    }
    if (best != NULL) {
        out->node = best->node;
        out->shard = best->shard;
        say(out, REBALANCE_TAKEOVER_NOW,
            "%d of %d primaries are dead, as many as are alive: none can elect", in->dead,
            in->primaries);
    } else if (fault != NULL)
        say(out, REBALANCE_TAKEOVER_WAIT, "shard %.64s: %s", of, fault);
    else
        say(out, REBALANCE_TAKEOVER_PERSON, "no shard that lost its primary has a live replica");
}

void rebalance_takeover_judge(const struct rebalance_takeover_in *in,
                              struct rebalance_takeover *out)
{
    const int live = in->primaries - in->dead;
    const int64_t wait_ms = 2 * in->node_timeout_ms + SURE_MS;
    *out = (struct rebalance_takeover){ .what = REBALANCE_TAKEOVER_NEEDLESS };
    if (in->dead == 0 || live >= rebalance_quorum(in->primaries))
        say(out, REBALANCE_TAKEOVER_NEEDLESS, "those alive can elect");
    else if (2 * in->dead > in->primaries)
        say(out, REBALANCE_TAKEOVER_PERSON,
            "%d of %d primaries are out of sight: where they are, they may go on serving without "
            "us",
            in->dead, in->primaries);
    else if (!in->agreed)
        say(out, REBALANCE_TAKEOVER_WAIT, "not every live node sees the same nodes as failed");
    else if (in->silent_ms < wait_ms)
        say(out, REBALANCE_TAKEOVER_WAIT,
            "the last sign of life is %lld s old, %lld s are wanted: until then they may serve",
            (long long)in->silent_ms / 1000, (long long)wait_ms / 1000);
    else
        choose(in, out);
}
