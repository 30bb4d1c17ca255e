#include "core/rebase.h"

#include <string.h>

enum reason { NONE, AGE, STREAM, DAMAGED };

static enum reason reason_of(const struct dr_rebase_rule *r, const struct dr_rebase_shard *s,
                             int64_t now_ms)
{
    if (!s->has_base || !s->streaming)
        return NONE;
    if (s->wanted)
        return DAMAGED;
    if (s->stream_bytes > r->stream_bytes && s->stream_bytes / r->ratio >= s->base_bytes &&
        s->stream_bytes > s->base_bytes * r->ratio)
        return STREAM;
    return r->age_ms > 0 && now_ms - s->base_ms >= r->age_ms ? AGE : NONE;
}

/* How much more a is in need of it than b: of the same reason. */
static bool before(const struct dr_rebase_shard *a, const struct dr_rebase_shard *b,
                   enum reason reason)
{
    if (reason == STREAM && a->stream_bytes != b->stream_bytes)
        return a->stream_bytes > b->stream_bytes;
    if (reason == AGE && a->base_ms != b->base_ms)
        return a->base_ms < b->base_ms;
    return strcmp(a->shard, b->shard) < 0;
}

void dr_rebase_choose(const struct dr_rebase_rule *r, const struct dr_rebase_shard *s, size_t n,
                      int64_t now_ms, struct dr_rebase *out)
{
    static const char *const name[] = { "", "age", "stream", "damaged" };
    enum reason best = NONE;
    *out = (struct dr_rebase){ .shard = SIZE_MAX, .why = name[NONE] };
    for (size_t i = 0; i < n; i++)
        if (s[i].base_now)
            return;
    for (size_t i = 0; i < n; i++) {
        const enum reason now = reason_of(r, &s[i], now_ms);
        if (now == NONE || now < best || (now == best && !before(&s[i], &s[out->shard], now)))
            continue;
        best = now;
        *out = (struct dr_rebase){ .shard = i, .why = name[now] };
    }
}
