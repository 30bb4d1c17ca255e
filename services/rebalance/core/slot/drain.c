#include "core/slot/drain.h"

#include <stdio.h>
#include <string.h>

/* --- types ------------------------------------------------------------------ */

static const char *const TYPE[] = {
    [REBALANCE_TYPE_OTHER] = "other",   [REBALANCE_TYPE_STRING] = "string",
    [REBALANCE_TYPE_LIST] = "list",     [REBALANCE_TYPE_SET] = "set",
    [REBALANCE_TYPE_ZSET] = "zset",     [REBALANCE_TYPE_HASH] = "hash",
    [REBALANCE_TYPE_STREAM] = "stream",
};

enum rebalance_key_type rebalance_key_type(const char *name, size_t len)
{
    for (size_t t = REBALANCE_TYPE_STRING; t < PR_COUNT(TYPE); t++)
        if (strlen(TYPE[t]) == len && memcmp(TYPE[t], name, len) == 0)
            return (enum rebalance_key_type)t;
    return REBALANCE_TYPE_OTHER;
}

const char *rebalance_key_type_name(enum rebalance_key_type t)
{
    return (size_t)t < PR_COUNT(TYPE) ? TYPE[t] : "unknown";
}

/* --- sizes ------------------------------------------------------------------ */

/* Measured on Redis 7.0, two cores, loopback: what one MIGRATE blocked its source
 * for. Between the points the time grows in a straight line. */
struct point {
    double elements, ms;
};
static const struct point SET_MS[] = { { 0, 0 }, { 1e5, 70 }, { 1e6, 780 } };
static const struct point HASH_MS[] = { { 0, 0 }, { 1e6, 2000 }, { 5e6, 6600 } };
static const double MS_PER_BYTE = 520e-3 / 50e3; /* a string of 50 MB */
static const double ELEMENT_BYTES = 88;          /* what the elements of the points weighed */
static const double MS_PER_KEY = 0.7e-3;         /* beyond its bytes, in a batch */
static const double MS_PER_CALL = 0.14;

static double along(const struct point *p, size_t n, double elements)
{
    size_t i = 1;
    while (i + 1 < n && elements > p[i].elements)
        i++;
    const double slope = (p[i].ms - p[i - 1].ms) / (p[i].elements - p[i - 1].elements);
    return p[i - 1].ms + (elements - p[i - 1].elements) * slope;
}

static double positive(double v, double otherwise)
{
    return v > 0 ? v : otherwise;
}

static double key_ms(const struct rebalance_key_size *k)
{
    const double bytes = (double)k->bytes, elements = (double)k->elements;
    const double heavy = positive(bytes - elements * ELEMENT_BYTES, 0) * MS_PER_BYTE;
    switch (k->type) {
    case REBALANCE_TYPE_SET:
    case REBALANCE_TYPE_ZSET:
        return MS_PER_KEY + along(SET_MS, PR_COUNT(SET_MS), elements) + heavy;
    case REBALANCE_TYPE_HASH:
        return MS_PER_KEY + along(HASH_MS, PR_COUNT(HASH_MS), elements) + heavy;
    case REBALANCE_TYPE_OTHER:
    case REBALANCE_TYPE_STRING:
    case REBALANCE_TYPE_LIST: /* packed nodes travel as they are, and so do a stream's */
    case REBALANCE_TYPE_STREAM:
        break;
    }
    return MS_PER_KEY + bytes * MS_PER_BYTE;
}

double rebalance_key_block_ms(const struct rebalance_key_size *k, double slowness)
{
    return (MS_PER_CALL + key_ms(k)) * positive(slowness, 1);
}

double rebalance_batch_block_ms(const struct rebalance_key_size *k, size_t n, double slowness)
{
    double ms = MS_PER_CALL;
    for (size_t i = 0; i < n; i++)
        ms += key_ms(&k[i]);
    return ms * positive(slowness, 1);
}

double rebalance_slowness(double slowness, double predicted_ms, double measured_ms)
{
    slowness = positive(slowness, 1);
    if (predicted_ms <= 0 || measured_ms <= 0)
        return slowness;
    const double next = 0.9 * slowness + 0.1 * measured_ms / predicted_ms;
    return next < 0.2 ? 0.2 : next > 20 ? 20 : next;
}

/* --- verdicts --------------------------------------------------------------- */

static struct rebalance_drain_limits whole(const struct rebalance_drain_limits *l)
{
    struct rebalance_drain_limits w = *l;
    if (w.max_keys == 0)
        w.max_keys = 200;
    if (w.max_keys > 1000)
        w.max_keys = 1000;
    if (w.max_bytes == 0)
        w.max_bytes = 1 << 20;
    w.batch_block_ms = positive(w.batch_block_ms, 5);
    w.block_budget_ms = positive(w.block_budget_ms, 1000);
    if (w.node_timeout_ms <= 0)
        w.node_timeout_ms = 15000;
    if (w.patience_ms <= 0)
        w.patience_ms = 1000;
    w.slowness = positive(w.slowness, 1);
    return w;
}

int rebalance_migrate_timeout_ms(double predicted_ms, const struct rebalance_drain_limits *limits)
{
    const struct rebalance_drain_limits w = whole(limits);
    const double ms = (double)w.patience_ms + positive(predicted_ms, 0),
                 most = (double)w.node_timeout_ms / 2;
    return (int)(ms < most ? ms : most > 1 ? most : 1);
}

static bool outlives_lease(double block_ms, const struct rebalance_drain_limits *w)
{
    return w->lease_ms > 0 && 2 * rebalance_migrate_timeout_ms(block_ms, w) > w->lease_ms;
}

static enum rebalance_key_verdict verdict(const struct rebalance_key_size *k, double block_ms,
                                          const struct rebalance_drain_limits *w)
{
    if (block_ms > (double)w->node_timeout_ms / 3 || outlives_lease(block_ms, w))
        return REBALANCE_KEY_REFUSED;
    if (block_ms > w->block_budget_ms)
        return REBALANCE_KEY_NEEDS_APPROVAL;
    if (block_ms > w->batch_block_ms || k->bytes > w->max_bytes)
        return REBALANCE_KEY_ALONE;
    return REBALANCE_KEY_NORMAL;
}

/* At most 60 bytes of the key, printable, and an ellipsis when there are more. */
static void name_key(char out[72], const char *key, size_t len)
{
    enum { SHOWN = 60 };
    size_t n = len < SHOWN ? len : SHOWN;
    for (size_t i = 0; i < n; i++)
        out[i] = key[i] >= ' ' && key[i] <= '~' ? key[i] : '?';
    memcpy(out + n, len > SHOWN ? "..." : "", len > SHOWN ? 4 : 1);
}

void rebalance_key_judge(const char *key, size_t len, const struct rebalance_key_size *k,
                         const struct rebalance_drain_limits *limits,
                         struct rebalance_key_judgement *out)
{
    const struct rebalance_drain_limits w = whole(limits);
    *out = (struct rebalance_key_judgement){ .block_ms = rebalance_key_block_ms(k, w.slowness) };
    out->verdict = verdict(k, out->block_ms, &w);
    if (out->verdict == REBALANCE_KEY_NORMAL)
        return;

    char name[72], because[96];
    name_key(name, key, len);
    if (out->verdict == REBALANCE_KEY_REFUSED && out->block_ms <= (double)w.node_timeout_ms / 3)
        snprintf(because, sizeof because, "needs PRISM_REBALANCE_LEASE_TTL_MS >= %lld: refused",
                 (long long)2 * rebalance_migrate_timeout_ms(out->block_ms, &w) +
                     REBALANCE_LEASE_MARGIN_MS);
    else if (out->verdict == REBALANCE_KEY_REFUSED)
        snprintf(because, sizeof because, "over %.0f ms, a third of cluster-node-timeout: refused",
                 (double)w.node_timeout_ms / 3);
    else if (out->verdict == REBALANCE_KEY_NEEDS_APPROVAL)
        snprintf(because, sizeof because, "over the budget of %.0f ms: needs approval",
                 w.block_budget_ms);
    else
        snprintf(because, sizeof because, "moves alone");
    snprintf(out->why, sizeof out->why,
             "key \"%s\" (%s, %llu elements, %.1f MB) would block its source for %.0f ms: %s", name,
             rebalance_key_type_name(k->type), (unsigned long long)k->elements,
             (double)k->bytes / 1e6, out->block_ms, because);
}

size_t rebalance_batch_cut(const struct rebalance_key_size *k, size_t n, double factor,
                           const struct rebalance_drain_limits *limits)
{
    const struct rebalance_drain_limits w = whole(limits);
    factor = factor > 1 ? 1 : positive(factor, 0);
    const double keys = (double)w.max_keys * factor, bytes = (double)w.max_bytes * factor;
    const double block = w.batch_block_ms * factor;

    double sum_bytes = 0, sum_ms = MS_PER_CALL * w.slowness;
    for (size_t i = 0; i < n; i++) {
        const double ms = rebalance_key_block_ms(&k[i], w.slowness);
        if (verdict(&k[i], ms, &w) != REBALANCE_KEY_NORMAL)
            return i == 0 ? 1 : i;
        sum_bytes += (double)k[i].bytes;
        sum_ms += key_ms(&k[i]) * w.slowness;
        if ((double)(i + 1) > keys || sum_bytes > bytes || sum_ms > block)
            return i == 0 ? 1 : i;
    }
    return n;
}

/* --- a key on both sides ---------------------------------------------------- */

const char *rebalance_resolution_name(enum rebalance_resolution r)
{
    static const char *const name[] = {
        [REBALANCE_KEEP_SOURCE] = "keep_source", [REBALANCE_KEEP_TARGET] = "keep_target",
        [REBALANCE_EITHER] = "either",           [REBALANCE_UNION_SETS] = "union_sets",
        [REBALANCE_OVERLAY] = "overlay",         [REBALANCE_STOP] = "stop",
    };
    return (size_t)r < PR_COUNT(name) ? name[r] : "unknown";
}

struct resolution {
    enum rebalance_resolution what;
    const char *why;
};

/* IDLETIME counts whole seconds of a clock that ticks once a second: an access
 * is dated only to within a second of either side. */
enum { TICK_MS = 1000 };
enum when { NOT_SINCE, SINCE, UNKNOWN };

static enum when touched(int64_t idle_s, int64_t ago_ms)
{
    if (idle_s < 0 || ago_ms <= 0)
        return UNKNOWN;
    return idle_s * 1000 > ago_ms + TICK_MS ? NOT_SINCE : SINCE;
}

/* Whoever wrote such a string last wrote all of it. */
static bool set_as_a_whole(const struct rebalance_conflict *c)
{
    return c->strings_are_set && c->source.type == REBALANCE_TYPE_STRING &&
           c->target.type == REBALANCE_TYPE_STRING && !c->source.integer && !c->target.integer;
}

/* Who was not told what became of a MIGRATE cannot know that the source did not go on serving
 * before it failed over: what was written then counts. */
static bool gap_counts(const struct rebalance_conflict *c)
{
    return c->gap_unacknowledged && !c->served_on && !(c->in_flight && c->unanswered);
}

/* Two vertices, both with the printed state in their past. A vertex counts its writes, so who still
 * has that state was not written, and the other has all that it has: by the same count, or one of
 * them never came from there. At epoch 0 the source's may have been made anew, be it just as it was
 * printed: then it counts only if nothing of the target's can be missing. Other values may be
 * changed and changed back, or made anew alike: a print says nothing of them. False: the prints do
 * not decide. */
static bool printed(const struct rebalance_conflict *c, struct resolution *out)
{
    const struct rebalance_copy *s = &c->source, *t = &c->target;
    if (!s->vertex || !t->vertex || s->epoch != t->epoch)
        return false;
    if (c->source_as_sent && s->epoch > 0 && t->version > s->version)
        *out = (struct resolution){ REBALANCE_KEEP_TARGET,
                                    "in flight, and the source's copy is as it was sent" };
    else if (c->target_as_sent && (s->epoch > 0 || c->covers) && s->version > t->version)
        *out = (struct resolution){ REBALANCE_KEEP_SOURCE,
                                    "in flight, and the target's copy is as it was sent" };
    else
        return false;
    return true;
}

/* Both copies come from one: the source's was to be deleted, and that was lost
 * with the old primary. The target's has what was written through ASK since. */
static struct resolution in_flight(const struct rebalance_conflict *c)
{
    const struct rebalance_copy *s = &c->source, *t = &c->target;
    const enum when since = touched(s->idle_s, c->source_promoted_ms);
    const bool sets = s->type == t->type && s->type == REBALANCE_TYPE_SET;
    struct resolution by_print;
    if (printed(c, &by_print))
        return by_print;
    if (c->served_on && !sets)
        return (struct resolution){ REBALANCE_STOP,
                                    "its MIGRATE broke off, and both copies may have been written "
                                    "before the source failed over" };
    if (c->served_on)
        return (struct resolution){ REBALANCE_UNION_SETS, "a set in flight: the union of both" };
    if (since == NOT_SINCE)
        return (struct resolution){ REBALANCE_KEEP_TARGET,
                                    "in flight, and nobody used the source's copy since its "
                                    "fail-over" };
    if (c->kept && !sets)
        return (struct resolution){ REBALANCE_KEEP_SOURCE,
                                    "its MIGRATE was cut short before anybody was sent to the "
                                    "target for it" };
    if (gap_counts(c) && !c->kept)
        return (struct resolution){ REBALANCE_KEEP_TARGET,
                                    "in flight: the target has all that was acknowledged" };
    if (sets)
        return (struct resolution){ REBALANCE_UNION_SETS, "a set in flight: the union of both" };
    if (since == SINCE && s->idle_s * 1000 + TICK_MS < c->source_promoted_ms && set_as_a_whole(c) &&
        touched(t->idle_s, c->source_promoted_ms) == NOT_SINCE)
        return (struct resolution){ REBALANCE_KEEP_SOURCE,
                                    "a string in flight, set since at the promoted source alone" };
    return (struct resolution){ REBALANCE_STOP,
                                since == UNKNOWN
                                    ? "in flight, and nobody knows whether the source's copy was "
                                      "used since its fail-over"
                                    : "in flight, and the source's copy was used since its "
                                      "fail-over" };
}

/* The key was gone from the source and its replicas: who wrote it on the promoted
 * node found nothing there and made it anew, without what the target holds. */
static struct resolution made_anew(const struct rebalance_conflict *c)
{
    const struct rebalance_copy *s = &c->source, *t = &c->target;
    if (touched(s->idle_s, c->source_promoted_ms) == NOT_SINCE)
        return (struct resolution){ REBALANCE_KEEP_TARGET,
                                    "the source's copy is older than its fail-over: a left-over" };
    if (s->type != t->type)
        return (struct resolution){ REBALANCE_STOP, "the copies have different types" };
    if (s->type == REBALANCE_TYPE_SET)
        return (struct resolution){ REBALANCE_UNION_SETS, "a set split by the fail-over" };
    if (set_as_a_whole(c))
        return (struct resolution){ REBALANCE_KEEP_SOURCE,
                                    "a string set anew on the promoted source" };
    if (s->type != REBALANCE_TYPE_HASH)
        return (struct resolution){ REBALANCE_STOP,
                                    "written on both sides of the fail-over, and neither copy is "
                                    "whole" };
    if (s->odd_vertex || t->odd_vertex || s->vertex != t->vertex)
        return (struct resolution){ REBALANCE_STOP, "a stub or tombstone of a vertex on one side" };
    if (s->vertex && s->epoch > 0) /* a new vertex begins at epoch 0: this one is not new */
        return (struct resolution){ REBALANCE_STOP,
                                    "both copies of the vertex have moved before, and differ" };
    return (struct resolution){ REBALANCE_OVERLAY,
                                "a hash made anew on the promoted source: its fields over the "
                                "target's" };
}

/* MIGRATE had said that it deleted the key, so clients were sent to the target for it; the source
 * had not written that to its disk when it was restarted, and serves the old copy since. (Of a
 * batch that was not answered no client was told either, but in the instant between.) */
static struct resolution given_again(const struct rebalance_conflict *c)
{
    struct resolution by_print;
    if (c->in_flight && printed(c, &by_print))
        return by_print;
    if (c->source.type == REBALANCE_TYPE_SET && c->target.type == REBALANCE_TYPE_SET)
        return (struct resolution){ REBALANCE_UNION_SETS,
                                    "a set that the restarted source has again" };
    return (struct resolution){ REBALANCE_STOP,
                                "it was given, the restarted source has it again, and both copies "
                                "may have been written" };
}

enum rebalance_resolution rebalance_conflict_resolve(const struct rebalance_conflict *c,
                                                     const char **why)
{
    struct resolution r;
    if (c->equal)
        r = (struct resolution){ REBALANCE_EITHER, "both copies are equal" };
    else if (!c->source_failed_over && c->source_restarted && !c->unanswered)
        r = given_again(c);
    else if (!c->source_failed_over)
        r = (struct resolution){ REBALANCE_KEEP_SOURCE,
                                 "clients were served at the source all the time" };
    else
        r = c->in_flight ? in_flight(c) : made_anew(c);
    if (r.what == REBALANCE_STOP && gap_counts(c))
        r = (struct resolution){ REBALANCE_KEEP_TARGET,
                                 "the copies cannot be united, and the target has all that was "
                                 "acknowledged" };
    *why = r.why;
    return r.what;
}

/* --- a MIGRATE without a good answer ---------------------------------------- */

/* The target's copy was used when it was restored. Later than that counts from where it
 * cannot be the clock's tick at either end, or the time that MIGRATE took. */
static bool used_later(int64_t idle_s, int64_t sent_ms)
{
    return idle_s < 0 || idle_s * 1000 + 2 * TICK_MS < sent_ms;
}

size_t rebalance_cut_kept(const struct rebalance_cut_key *k, size_t n, int64_t sent_ms,
                          int64_t promoted_ms)
{
    size_t first = n;
    for (size_t i = 0; i < n; i++) {
        if (k[i].on_target && (!k[i].on_source || used_later(k[i].target_idle_s, sent_ms)))
            return n;
        if (first == n && k[i].on_source && k[i].on_target &&
            touched(k[i].source_idle_s, promoted_ms) == NOT_SINCE)
            first = i;
    }
    return sent_ms > 0 ? first : n;
}

/* --- replicas to wait for --------------------------------------------------- */

struct rebalance_wait rebalance_wait_policy(const char *shard, int live, int wanted,
                                            bool allow_no_replicas)
{
    struct rebalance_wait w = { .replicas = live > 0 ? live : 0 };
    if (live > 0 && live >= wanted)
        snprintf(w.why, sizeof w.why, "shard %s: waits for its %d replicas", shard, live);
    else if (live > 0)
        snprintf(w.why, sizeof w.why, "shard %s: waits for %d of %d replicas, the others are down",
                 shard, live, wanted);
    else {
        w.needs_approval = !allow_no_replicas;
        snprintf(w.why, sizeof w.why,
                 "shard %s has no live replica of %d: what moves is on one node alone (%s)", shard,
                 wanted > 0 ? wanted : 0,
                 allow_no_replicas ? "allowed" : "needs approval: allow_no_replicas");
    }
    return w;
}
