/* Since when members are there, and ready, as one minute after another has seen them. */
#include "t.h"

#include "core/since.h"
#include "json/json.h"
#include "json/since.h"

#include <stdlib.h>
#include <string.h>

enum { NOW = 1000000000, MINUTE = AUTOSCALE_MINUTE_MS };

struct row {
    const char *name;
    int64_t looked_ms; /* when it was seen before; 0: nobody looked */
    bool was_there;
    struct autoscale_since was, is;
    int64_t started_ms, ready_since_ms;
};

/* In the order id, began, ready, started_ms, ready_since_ms. */
static const struct row ROW[] = {
    { "the first look tells nothing", 0, false, { 0 }, { "a", true, true, 0, 0 }, 0, 0 },
    { "who is new began now", NOW - MINUTE, false, { 0 }, { "a", true, true, 0, 0 }, NOW, NOW },
    { "and was never ready", NOW - MINUTE, false, { 0 }, { "a", true, false, 0, 0 }, NOW, 0 },
    { "who has not begun has no time",
      NOW - MINUTE,
      false,
      { 0 },
      { "a", false, false, 0, 0 },
      0,
      0 },
    { "who was awaited began now",
      NOW - MINUTE,
      true,
      { "a", false, false, 0, 0 },
      { "a", true, true, 0, 0 },
      NOW,
      NOW },
    { "and the next minute changes nothing",
      NOW - MINUTE,
      true,
      { "a", true, true, 70, 80 },
      { "a", true, true, 0, 0 },
      70,
      80 },
    { "who is ready now",
      NOW - MINUTE,
      true,
      { "a", true, false, 70, 0 },
      { "a", true, true, 0, 0 },
      70,
      NOW },
    { "who no longer is",
      NOW - MINUTE,
      true,
      { "a", true, true, 70, 80 },
      { "a", true, false, 0, 0 },
      70,
      NOW },
    { "who is down for a while began when it did",
      NOW - MINUTE,
      true,
      { "a", true, true, 70, 80 },
      { "a", false, false, 0, 0 },
      70,
      NOW },
    { "a minute late is in time", NOW - 90000, false, { 0 }, { "a", true, true, 0, 0 }, NOW, NOW },
    { "a millisecond more is not", NOW - 90001, false, { 0 }, { "a", true, true, 0, 0 }, 0, 0 },
    { "what was known stays",
      NOW - 90001,
      true,
      { "a", true, true, 70, 80 },
      { "a", true, true, 0, 0 },
      70,
      80 },
    { "a change that nobody saw has no time",
      NOW - 90001,
      true,
      { "a", true, true, 70, 80 },
      { "a", true, false, 0, 0 },
      70,
      0 },
    { "who was seen in the future was not",
      NOW + 1,
      true,
      { "a", true, true, NOW + 1, NOW + 1 },
      { "a", true, true, 0, 0 },
      0,
      0 },
    { "what the provider says counts",
      NOW - MINUTE,
      true,
      { "a", true, true, 70, 80 },
      { "a", true, true, 5, 6 },
      5,
      6 },
    { "also that it was never ready", 0, false, { 0 }, { "a", true, false, 5, 0 }, 5, 0 },
};

static void times_are_those_of_the_first_sight(void **state)
{
    (void)state;
    for (size_t i = 0; i < PR_COUNT(ROW); i++) {
        const struct row *r = &ROW[i];
        const struct autoscale_sinces before = { r->looked_ms, &r->was, r->was_there };
        struct autoscale_since now = r->is;
        autoscale_since_fold(&before, NOW, &now, 1);
        if (now.started_ms != r->started_ms || now.ready_since_ms != r->ready_since_ms)
            fail_msg("%s: started %lld, ready since %lld", r->name, (long long)now.started_ms,
                     (long long)now.ready_since_ms);
        assert_int_equal(now.ready, r->is.ready);
        assert_int_equal(now.began, r->is.began || (r->was_there && r->was.began));
    }
}

static void each_member_has_its_own(void **state)
{
    (void)state;
    const struct autoscale_since was[] = { { "a", true, true, 1, 2 }, { "c", true, true, 3, 4 } };
    const struct autoscale_sinces before = { NOW - MINUTE, was, 2 };
    struct autoscale_since now[] = { { "b", true, true, 0, 0 },
                                     { "c", true, true, 0, 0 },
                                     { "d", true, true, 0, 0 } };
    autoscale_since_fold(&before, NOW, now, 3);
    assert_int_equal(now[0].started_ms, NOW);
    assert_int_equal(now[1].started_ms, 3);
    assert_int_equal(now[2].started_ms, NOW);
    const struct autoscale_sinces after = { NOW, now, 3 };
    assert_null(autoscale_since_find(&after, "a"));
    assert_ptr_equal(autoscale_since_find(&after, "d"), &now[2]);
}

static enum pr_code read_text(const char *text, struct pr_arena *arena,
                              struct autoscale_sinces *out, struct pr_err *err)
{
    json_t *o = NULL;
    enum pr_code rc = autoscale_json_parse(text, strlen(text), &o, err);
    if (rc == PR_OK)
        rc = autoscale_json_sinces_read(o, arena, out, err);
    json_decref(o);
    return rc;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    const struct autoscale_since one[] = { { "a", true, false, 70, 0 },
                                           { "b", false, false, 0, 0 } };
    const struct autoscale_sinces s = { NOW, one, 2 };
    struct autoscale_sinces got;
    struct pr_arena arena;
    struct pr_err err = { .text = "" };
    char *text = autoscale_json_text(autoscale_json_sinces_write(&s), false);
    assert_string_equal(text, "{\"at_ms\":1000000000,\"members\":[{\"id\":\"a\",\"began\":true,"
                              "\"started_ms\":70},{\"id\":\"b\"}]}");
    pr_arena_init(&arena, 0);
    assert_ok(read_text(text, &arena, &got, &err), &err);
    assert_int_equal(got.at_ms, NOW);
    assert_int_equal(got.n, 2);
    assert_true(got.one[0].began && !got.one[0].ready && got.one[0].started_ms == 70);
    assert_string_equal(got.one[1].id, "b");
    free(text);
    static const char *const wrong[] = {
        "{\"at_ms\":1,\"members\":[{\"id\":\"b\"},{\"id\":\"a\"}]}",
        "{\"at_ms\":1,\"members\":[{\"id\":\"a\"},{\"id\":\"a\"}]}",
        "{\"at_ms\":1,\"members\":[{\"id\":\"a\",\"age\":1}]}",
        "{\"members\":[]}",
        "[]",
    };
    for (size_t i = 0; i < PR_COUNT(wrong); i++)
        assert_int_equal(read_text(wrong[i], &arena, &got, &err), PR_EINVAL);
    pr_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(times_are_those_of_the_first_sight),
        cmocka_unit_test(each_member_has_its_own),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
