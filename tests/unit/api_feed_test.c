#include "t.h"

#include "api_feed.h"
#include "prism/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct api_cursor at(uint64_t xid, uint64_t id)
{
    return (struct api_cursor){ 1, xid, id };
}

static struct api_change_row row_at(uint64_t xid, uint64_t id, const char *resource)
{
    struct api_change_row r = { .at = at(xid, id), .type = "updated", .revision = id };
    (void)snprintf(r.resource, sizeof r.resource, "%s", resource);
    (void)snprintf(r.when, sizeof r.when, "2026-11-21T10:00:00+00:00");
    return r;
}

static void a_cursor_comes_back_as_it_went(void **state)
{
    (void)state;
    const struct api_cursor rows[] = { { 1, 0, 0 },
                                       { 1, 743, 12 },
                                       { UINT32_MAX, INT64_MAX, INT64_MAX } };
    for (size_t i = 0; i < PR_COUNT(rows); i++) {
        char text[API_CURSOR_MAX];
        struct api_cursor back;
        api_cursor_text(&rows[i], text);
        assert_int_equal(api_cursor_read(text, &back, NULL), PR_OK);
        assert_memory_equal(&back, &rows[i], sizeof back);
    }
}

static void what_is_no_cursor_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "0.2.3",
        ".2.3",
        "1..3",
        "1.2.",
        "-1.2.3",
        "1.2.3 ",
        " 1.2.3",
        "1.2.x",
        "1,2,3",
        "0x1.2.3",
        "+1.2.3",
        "1.2.9223372036854775808",
        "1.99999999999999999999999.3",
    };
    for (size_t i = 0; i < PR_COUNT(rows); i++) {
        struct api_cursor c = { 7, 7, 7 };
        struct pr_err err;
        assert_int_equal(api_cursor_read(rows[i], &c, &err), PR_EINVAL);
        assert_int_equal(c.xid, 7);
    }
}

static void a_watch_resumes_where_nothing_is_missing(void **state)
{
    (void)state;
    static const struct {
        struct api_cursor at, floor, now;
        enum api_resume want;
    } rows[] = {
        { { 1, 10, 5 }, { 1, 0, 0 }, { 1, 20, 0 }, API_RESUME_OK },
        { { 1, 10, 5 }, { 1, 10, 5 }, { 1, 20, 0 }, API_RESUME_OK }, /* itself was thrown away */
        { { 1, 10, 5 }, { 1, 10, 6 }, { 1, 20, 0 }, API_RESUME_GONE },
        { { 1, 10, 5 }, { 1, 11, 0 }, { 1, 20, 0 }, API_RESUME_GONE },
        { { 1, 20, 0 }, { 1, 0, 0 }, { 1, 20, 0 }, API_RESUME_OK },   /* a bookmark */
        { { 1, 21, 0 }, { 1, 0, 0 }, { 1, 20, 0 }, API_RESUME_GONE }, /* not given out yet */
        { { 1, 10, 5 }, { 2, 0, 0 }, { 2, 20, 0 }, API_RESUME_GONE }, /* restored meanwhile */
    };
    for (size_t i = 0; i < PR_COUNT(rows); i++)
        if (api_cursor_resume(&rows[i].at, &rows[i].floor, &rows[i].now) != rows[i].want)
            fail_msg("row %zu", i);
}

static void a_prefix_names_a_resource_or_what_is_inside(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *resource;
        bool want;
    } rows[] = {
        { NULL, "nodes/n1", true },          { "nodes", "nodes/n1", true },
        { "nodes/n1", "nodes/n1", true },    { "nodes/n1", "nodes/n10", false },
        { "node", "nodes/n1", false },       { "nodes/", "nodes/n1", false },
        { "nodes/n1/x", "nodes/n1", false }, { "routes", "routes", true },
    };
    for (size_t i = 0; i < PR_COUNT(rows); i++)
        if (api_feed_wants(rows[i].prefix, rows[i].resource) != rows[i].want)
            fail_msg("row %zu", i);
}

static void an_event_is_one_frame(void **state)
{
    (void)state;
    struct pr_buf out = { 0 };
    const struct api_change_row row = row_at(9, 3, "nodes/a\"b\n");
    api_feed_event(&out, &row);
    assert_string_equal(out.data,
                        "id: 1.9.3\nevent: change\ndata: {\"id\":\"1.9.3\","
                        "\"at\":\"2026-11-21T10:00:00+00:00\",\"resource\":\"nodes/a\\\"b\\u000a\","
                        "\"type\":\"updated\",\"revision\":3,\"state\":\"\"}\n\n");
    pr_buf_done(&out);
}

/* Ring against the plain list of all rows, from every place, with any prefix. */
static void the_ring_tells_what_the_list_tells(void **state)
{
    (void)state;
    enum { ALL = 400, CAP = 64 };
    static struct api_change_row all[ALL];
    const uint64_t seed = (uint64_t)time(NULL);
    struct pr_rng rng;
    struct api_ring ring;
    print_message("seed %" PRIu64 "\n", seed);
    pr_rng_init(&rng, seed);
    assert_int_equal(api_ring_init(&ring, CAP, NULL), PR_OK);
    const struct api_cursor start = at(1, 0);
    assert_false(api_ring_covers(&ring, &start));
    api_ring_begin(&ring, &start);
    uint64_t xid = 1;
    for (uint64_t i = 0; i < ALL; i++) {
        xid += pr_rng_below(&rng, 3);
        all[i] = row_at(xid, i + 1, pr_rng_below(&rng, 2) == 0 ? "nodes/n1" : "zones/a");
    }
    for (size_t told = 0; told < ALL;) {
        size_t n = 1 + pr_rng_below(&rng, 20);
        n = n > ALL - told ? ALL - told : n;
        const struct api_cursor until = all[told + n - 1].at;
        api_ring_add(&ring, &all[told], n, &until);
        told += n;
        for (size_t from = 0; from < told; from++) {
            struct api_cursor c = all[from].at;
            assert_int_equal(api_ring_covers(&ring, &c), told - from - 1 <= CAP);
            if (!api_ring_covers(&ring, &c))
                continue;
            struct pr_buf got = { 0 }, want = { 0 };
            for (size_t i = from + 1; i < told; i++)
                if (api_feed_wants("nodes", all[i].resource))
                    api_feed_event(&want, &all[i]);
            for (int turn = 0; turn < ALL && api_cursor_order(&c, &until) < 0; turn++)
                api_ring_read(&ring, "nodes", got.len + 200, &c, &got); /* in small pieces */
            assert_int_equal(got.len, want.len);
            if (want.len > 0)
                assert_memory_equal(got.data, want.data, want.len);
            assert_memory_equal(&c, &until, sizeof c);
            pr_buf_done(&got);
            pr_buf_done(&want);
        }
    }
    api_ring_done(&ring);
}

static void a_quiet_stretch_moves_a_watcher_on(void **state)
{
    (void)state;
    struct api_ring ring;
    struct pr_buf out = { 0 };
    const struct api_cursor start = at(5, 0), later = at(50, 0);
    struct api_cursor c = start;
    assert_int_equal(api_ring_init(&ring, 4, NULL), PR_OK);
    api_ring_begin(&ring, &start);
    api_ring_add(&ring, NULL, 0, &later);
    api_ring_read(&ring, NULL, 100, &c, &out);
    assert_int_equal(out.len, 0);
    assert_memory_equal(&c, &later, sizeof c);
    api_ring_done(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_comes_back_as_it_went),
        cmocka_unit_test(what_is_no_cursor_is_refused),
        cmocka_unit_test(a_watch_resumes_where_nothing_is_missing),
        cmocka_unit_test(a_prefix_names_a_resource_or_what_is_inside),
        cmocka_unit_test(an_event_is_one_frame),
        cmocka_unit_test(the_ring_tells_what_the_list_tells),
        cmocka_unit_test(a_quiet_stretch_moves_a_watcher_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
