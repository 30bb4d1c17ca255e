#include "core/since.h"

#include "core/minutes.h"

#include <stdlib.h>
#include <string.h>

static int by_id(const void *key, const void *one)
{
    return strcmp(key, ((const struct autoscale_since *)one)->id);
}

const struct autoscale_since *autoscale_since_find(const struct autoscale_sinces *s, const char *id)
{
    return s->n == 0 ? NULL : bsearch(id, s->one, s->n, sizeof *s->one, by_id);
}

/* What a clock that was ahead has left is no time of ours. */
static int64_t past(int64_t ms, int64_t at_ms)
{
    return ms > at_ms ? 0 : ms;
}

void autoscale_since_fold(const struct autoscale_sinces *before, int64_t at_ms,
                          struct autoscale_since *now, size_t n)
{
    const bool watched = before->at_ms != 0 && at_ms >= before->at_ms &&
                         at_ms - before->at_ms <= AUTOSCALE_MISSED_MS;
    const int64_t just_ms = watched ? at_ms : 0;
    for (size_t i = 0; i < n; i++) {
        struct autoscale_since *m = &now[i];
        const struct autoscale_since *was = autoscale_since_find(before, m->id);
        const bool began = was != NULL && was->began;
        if (m->started_ms != 0) /* the provider says it */
            continue;
        m->started_ms = began ? past(was->started_ms, at_ms) : m->began ? just_ms : 0;
        if (began ? was->ready != m->ready : m->ready)
            m->ready_since_ms = just_ms;
        else
            m->ready_since_ms = began ? past(was->ready_since_ms, at_ms) : 0;
        m->began = m->began || began;
    }
}
