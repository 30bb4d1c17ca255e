/* What of a shard's stream may be taken: the shard's side of io/gate.h. */
#include "io/shard_private.h"

#include "prism/io/clock.h"

#include <string.h>

static bool is_ours(const struct dr_shard *s, const struct dr_gate_mark *m)
{
    return dr_generation_compare(&m->generation, &s->at.generation) == 0;
}

/* --- under mu -----------------------------------------------------------------------------------
 */

static struct dr_gate_mark end_of_stream(const struct dr_shard *s)
{
    return (struct dr_gate_mark){ .generation = s->at.generation,
                                  .offset = s->stream.boundary,
                                  .commands = s->stream.commands,
                                  .base = s->gate.bases,
                                  .ms = s->last_ms };
}

struct dr_gate_mark dr_shard_gate_limit(const struct dr_shard *s)
{
    struct dr_gate_mark to = end_of_stream(s);
    if (!s->gate.open && (!is_ours(s, &s->gate.passed) || s->gate.passed.offset < to.offset)) {
        to = s->gate.passed;
        if (!is_ours(s, &to) || to.offset < s->spool.from)
            to = (struct dr_gate_mark){ .offset = s->spool.from, .commands = s->commands };
    }
    to.ms = s->gate.floor_ms > to.ms ? s->gate.floor_ms : to.ms;
    return to;
}

size_t dr_shard_packable(const struct dr_shard *s)
{
    return (size_t)(dr_shard_gate_limit(s).offset - s->spool.from);
}

bool dr_shard_cuttable(const struct dr_shard *s)
{
    return s->stream.boundary > s->spool.from;
}

void dr_shard_gate_restart(struct dr_shard *s)
{
    const uint64_t base = s->gate.passed.base;
    s->gate.passed = end_of_stream(s);
    s->gate.passed.base = base;
    s->gate.since_ms = 0;
}

bool dr_shard_gate_base(const struct dr_shard *s, uint64_t base)
{
    return s->gate.open || s->gate.passed.base >= base;
}

/* One that is certain to be wanted is not asked for while it would wait at its end: as of now all
 * takers are to be durable first. That costs the source nothing; a base that is thrown away
 * cost it a fork, and us the upload. */
bool dr_shard_gate_next(struct dr_shard *s)
{
    struct dr_shard_gate *g = &s->gate;
    if (s->hold || (s->at.generation.epoch != 0 && s->status.bases_failed == 0))
        return true;
    if (!g->open && g->next == 0)
        g->next = ++g->bases;
    const bool may = dr_shard_gate_base(s, g->next);
    if (may)
        g->next = 0;
    return may;
}

/* How long something has been waiting: since the oldest mark that was seen and has not passed. */
static void note_wait(struct dr_shard *s)
{
    const bool waits =
        !s->gate.open &&
        (s->gate.passed.base < s->gate.bases ||
         (is_ours(s, &s->gate.passed) && s->gate.passed.offset < s->stream.boundary));
    if (!waits)
        s->gate.since_ms = 0;
    else if (s->gate.since_ms == 0)
        s->gate.since_ms = pr_now_ms();
}

/* --- of the gate's thread ------------------------------------------------------------------------
 */

void dr_shard_gate_open(struct dr_shard *s, int64_t floor_ms)
{
    pthread_mutex_lock(&s->mu);
    s->gate.open = true;
    s->gate.since_ms = 0;
    s->gate.by[0] = '\0';
    if (floor_ms > s->packed_ms)
        s->packed_ms = floor_ms;
    pthread_mutex_unlock(&s->mu);
    dr_shard_ring(s);
}

void dr_shard_gate_hold(struct dr_shard *s)
{
    pthread_mutex_lock(&s->mu);
    if (s->gate.open)
        s->gate.passed = end_of_stream(s);
    s->gate.open = false;
    pthread_mutex_unlock(&s->mu);
}

bool dr_shard_gate_mark(struct dr_shard *s, struct dr_gate_mark *out, int64_t *born_us)
{
    pthread_mutex_lock(&s->mu);
    note_wait(s);
    *out = end_of_stream(s);
    const bool open = s->gate.open;
    pthread_mutex_unlock(&s->mu);
    *born_us = s->born_us;
    return !open;
}

void dr_shard_gate_pass(struct dr_shard *s, const struct dr_gate_mark *mark, int64_t floor_ms)
{
    pthread_mutex_lock(&s->mu);
    struct dr_shard_gate *g = &s->gate;
    const uint64_t base = mark->base > g->passed.base ? mark->base : g->passed.base;
    if (is_ours(s, mark) && (!is_ours(s, &g->passed) || mark->offset > g->passed.offset))
        g->passed = *mark;
    g->passed.base = base;
    g->floor_ms = floor_ms > g->floor_ms ? floor_ms : g->floor_ms;
    g->since_ms = 0;
    note_wait(s);
    pthread_mutex_unlock(&s->mu);
    dr_shard_ring(s);
}

void dr_shard_gate_waits(struct dr_shard *s, const char *taker)
{
    pthread_mutex_lock(&s->mu);
    memset(s->gate.by, 0, sizeof s->gate.by);
    strncpy(s->gate.by, taker, sizeof s->gate.by - 1);
    pthread_mutex_unlock(&s->mu);
}

/* --- of the group's ------------------------------------------------------------------------------
 */

void dr_shard_gate_copy(struct dr_shard *first, struct dr_shard *twin)
{
    pthread_mutex_lock(&first->mu);
    const struct dr_shard_gate g = first->gate;
    const int64_t packed_ms = first->packed_ms;
    pthread_mutex_unlock(&first->mu);
    pthread_mutex_lock(&twin->mu);
    const struct dr_gate_mark end = end_of_stream(twin);
    if (packed_ms > twin->packed_ms)
        twin->packed_ms = packed_ms;
    twin->gate.open = g.open;
    twin->gate.floor_ms = g.floor_ms;
    twin->gate.passed = (struct dr_gate_mark){ .generation = twin->at.generation,
                                               .offset = g.passed.offset,
                                               .commands = end.commands,
                                               .ms = end.ms };
    /* Its base is in what it shipped. */
    if (twin->held && g.passed.offset >= twin->held_at.offset)
        twin->gate.passed.base = twin->gate.bases;
    pthread_mutex_unlock(&twin->mu);
}

bool dr_shard_gate_covers(struct dr_shard *s, uint64_t offset)
{
    pthread_mutex_lock(&s->mu);
    const bool covers =
        s->gate.open || (is_ours(s, &s->gate.passed) && s->gate.passed.offset >= offset);
    pthread_mutex_unlock(&s->mu);
    return covers;
}
