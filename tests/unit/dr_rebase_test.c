/* Which shard of a group gets a new base. */
#include "t.h"

#include "core/rebase.h"

#include <string.h>

enum { MOST = 3, H = 3600000 };

static const struct dr_rebase_rule rule = { .age_ms = 24 * H, .ratio = 2, .stream_bytes = 64 };

#define SHARD(name) .shard = name, .has_base = true, .streaming = true

static void one_at_a_time_the_neediest_first(void **state)
{
    (void)state;
    const int64_t now = INT64_C(100) * H;
    const struct {
        const char *what;
        struct dr_rebase_shard s[MOST];
        int want;
        const char *why;
    } row[] = {
        { "nobody", { { .shard = "" } }, -1, "" },
        { "young and short", { { SHARD("a"), .base_ms = now, .base_bytes = 9 } }, -1, "" },
        { "a day less 1 ms", { { SHARD("a"), .base_ms = now - 24 * H + 1 } }, -1, "" },
        { "a day", { { SHARD("a"), .base_ms = now - 24 * H } }, 0, "age" },
        { "the oldest",
          { { SHARD("a"), .base_ms = now - 25 * H }, { SHARD("b"), .base_ms = now - 26 * H } },
          1,
          "age" },
        { "as old: by name",
          { { SHARD("b"), .base_ms = now - 25 * H }, { SHARD("a"), .base_ms = now - 25 * H } },
          1,
          "age" },
        { "twice the base",
          { { SHARD("a"), .base_ms = now, .base_bytes = 50, .stream_bytes = 100 } },
          -1,
          "" },
        { "more than that",
          { { SHARD("a"), .base_ms = now, .base_bytes = 50, .stream_bytes = 101 } },
          0,
          "stream" },
        { "much more than a base that is small, but not much",
          { { SHARD("a"), .base_ms = now, .base_bytes = 1, .stream_bytes = 64 } },
          -1,
          "" },
        { "a base of any size", /* twice of it is no number */
          { { SHARD("a"), .base_ms = now, .base_bytes = UINT64_MAX, .stream_bytes = 1000 } },
          -1,
          "" },
        { "the longest stream, before any age",
          { { SHARD("a"), .base_ms = 0, .base_bytes = 500, .stream_bytes = 7 },
            { SHARD("b"), .base_ms = now, .base_bytes = 10, .stream_bytes = 100 },
            { SHARD("c"), .base_ms = now, .base_bytes = 10, .stream_bytes = 101 } },
          2,
          "stream" },
        { "damaged, before all",
          { { SHARD("a"), .base_ms = 0, .base_bytes = 1, .stream_bytes = 1000 },
            { SHARD("b"), .base_ms = now, .wanted = true } },
          1,
          "damaged" },
        { "one is under way, of somebody else",
          { { SHARD("a"), .base_ms = now, .wanted = true }, { SHARD("b"), .base_now = true } },
          -1,
          "" },
        { "its first one is to come",
          { { .shard = "a", .streaming = true, .wanted = true } },
          -1,
          "" },
        { "nobody to ask", { { .shard = "a", .has_base = true, .wanted = true } }, -1, "" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_rebase got;
        size_t n = 0;
        while (n < MOST && row[i].s[n].shard[0] != '\0')
            n++;
        dr_rebase_choose(&rule, row[i].s, n, now, &got);
        const size_t want = row[i].want < 0 ? SIZE_MAX : (size_t)row[i].want;
        if (got.shard != want || strcmp(got.why, row[i].why) != 0)
            fail_msg("%s: shard %zu, \"%s\"", row[i].what, got.shard, got.why);
    }
}

static void age_may_not_matter(void **state)
{
    (void)state;
    const struct dr_rebase_rule none = { .age_ms = 0, .ratio = 2, .stream_bytes = 64 };
    const struct dr_rebase_shard s = { SHARD("a"), .base_ms = 0, .base_bytes = 1 };
    struct dr_rebase got;
    dr_rebase_choose(&none, &s, 1, INT64_MAX, &got);
    assert_true(got.shard == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time_the_neediest_first),
        cmocka_unit_test(age_may_not_matter),
    };
    return cmocka_run_group_tests_name("dr rebase", tests, NULL, NULL);
}
