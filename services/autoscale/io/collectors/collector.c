#include "io/collectors/collector.h"

#include <math.h>
#include <string.h>

enum pr_code autoscale_readings_add(struct autoscale_readings *r,
                                    const struct autoscale_reading *one, struct pr_err *err)
{
    if (r->n == r->cap) {
        const size_t cap = r->cap == 0 ? 64 : r->cap * 2;
        struct autoscale_reading *grown = pr_arena_alloc(r->arena, cap * sizeof *grown);
        if (grown == NULL)
            return pr_fail(err, PR_ENOMEM, "no memory for %zu readings", cap);
        if (r->n > 0)
            memcpy(grown, r->reading, r->n * sizeof *grown);
        r->reading = grown;
        r->cap = cap;
    }
    struct autoscale_reading *to = &r->reading[r->n];
    *to = *one;
    to->member = pr_arena_strdup(r->arena, one->member);
    to->zone = pr_arena_strdup(r->arena, one->zone);
    to->source = pr_arena_strdup(r->arena, one->source);
    to->why = pr_arena_strdup(r->arena, one->why);
    if (to->member == NULL || to->zone == NULL || to->source == NULL || to->why == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu readings", r->n + 1);
    r->n++;
    return PR_OK;
}

int64_t autoscale_seconds_to_ms(double s)
{
    return s > 0 && s < 1e11 ? llround(s * 1000) : -1;
}

void autoscale_printable(char *out, size_t n, const char *text)
{
    size_t i = 0;
    for (; i + 1 < n && text[i] != '\0'; i++)
        out[i] = text[i];
    out[i] = '\0';
    for (i = 0; out[i] != '\0'; i++)
        if ((unsigned char)out[i] < ' ' || (unsigned char)out[i] > '~')
            out[i] = '?';
}
