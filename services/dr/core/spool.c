#include "core/spool.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST = 64 << 10, KEEP = 1 << 20 }; /* an idle shard should not keep what a burst took */

void dr_spool_init(struct dr_spool *s, size_t max_bytes)
{
    *s = (struct dr_spool){ .max_bytes = max_bytes };
}

void dr_spool_done(struct dr_spool *s)
{
    free(s->data);
    *s = (struct dr_spool){ .max_bytes = s->max_bytes };
}

void dr_spool_reset(struct dr_spool *s, uint64_t from)
{
    s->first = s->len = 0;
    s->from = from;
}

size_t dr_spool_room(const struct dr_spool *s)
{
    return s->max_bytes - s->len;
}

static bool make_room(struct dr_spool *s, size_t n)
{
    if (s->first + s->len + n <= s->cap)
        return true;
    if (s->len + n <= s->cap / 2) { /* at least as much is free in front */
        memmove(s->data, s->data + s->first, s->len);
        s->first = 0;
        return true;
    }
    size_t cap = s->cap < LEAST ? LEAST : s->cap;
    while (cap < s->len + n)
        cap *= 2;
    char *data = malloc(cap);
    if (data == NULL)
        return false;
    if (s->len > 0)
        memcpy(data, s->data + s->first, s->len);
    free(s->data);
    s->data = data;
    s->cap = cap;
    s->first = 0;
    return true;
}

bool dr_spool_add(struct dr_spool *s, const void *data, size_t n)
{
    if (n > dr_spool_room(s) || !make_room(s, n))
        return false;
    memcpy(s->data + s->first + s->len, data, n);
    s->len += n;
    return true;
}

const char *dr_spool_peek(const struct dr_spool *s)
{
    return s->len > 0 ? s->data + s->first : "";
}

void dr_spool_drop(struct dr_spool *s, size_t n)
{
    s->first += n;
    s->len -= n;
    s->from += n;
    if (s->len > 0)
        return;
    s->first = 0;
    if (s->cap > KEEP) {
        free(s->data);
        s->data = NULL;
        s->cap = 0;
    }
}
