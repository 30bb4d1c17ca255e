/* Readings of a minute, merged: for tests. */
#ifndef PRISM_TEST_AUTOSCALE_MERGE_STAGE_H
#define PRISM_TEST_AUTOSCALE_MERGE_STAGE_H

#include "t.h"

#include "core/merge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define assert_near(got, want, by)                                                                 \
    do {                                                                                           \
        const double near_got = (got), near_want = (want);                                         \
        if (!(fabs(near_got - near_want) <= (by)))                                                 \
            fail_msg("%s is %.17g, want %.17g", #got, near_got, near_want);                        \
    } while (0)

enum { MIN = AUTOSCALE_MINUTE_MS };
static const int64_t END = 1000 * (int64_t)MIN;

static struct pr_arena scratch;

static inline struct autoscale_reading at(const char *member, int64_t at_ms, double cpu)
{
    struct autoscale_reading r = autoscale_reading_unknown();
    r.member = member;
    r.source = "redis";
    r.at_ms = r.received_ms = at_ms;
    r.value[AUTOSCALE_CPU] = cpu;
    return r;
}

static inline struct autoscale_merged merge_of(const struct autoscale_reading *r, size_t n,
                                               const char *const *expected, size_t members)
{
    struct autoscale_merge in = { .end_ms = END,
                                  .now_ms = END + 10000,
                                  .reading = r,
                                  .readings = n,
                                  .expected = expected,
                                  .members = members };
    struct autoscale_merged out;
    struct pr_err err = { 0 };
    assert_ok(autoscale_merge(&in, &scratch, &out, &err), &err);
    return out;
}

static inline size_t odd(const struct autoscale_merged *m)
{
    size_t n = 0;
    for (size_t i = 0; i < AUTOSCALE_ODDITIES; i++)
        n += m->odd[i];
    return n;
}

static inline int set_up(void **state)
{
    (void)state;
    pr_arena_init(&scratch, 0);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    pr_arena_done(&scratch);
    return 0;
}

#endif
