/* What threads do ahead is taken in order; a failure ends all of it, and nothing is left running.
 */
#include "t.h"

#include "io/ahead.h"

#include <sched.h>
#include <stdbool.h>

enum { MANY = 100, FOUR = 4, NEVER = -1 };

struct scene {
    long fails_at, waits_at; /* which i fails; which waits to be told to stop */
    atomic_int busy, most, began;
    atomic_bool done[MANY], stopped;
};

static enum pr_code work(void *ctx, size_t i, const atomic_bool *stop, struct pr_err *err)
{
    struct scene *s = ctx;
    const int busy = atomic_fetch_add(&s->busy, 1) + 1;
    atomic_fetch_add(&s->began, 1);
    for (int most = atomic_load(&s->most);
         busy > most && !atomic_compare_exchange_weak(&s->most, &most, busy);)
        ;
    while ((long)i == s->waits_at && !atomic_load(stop))
        (void)sched_yield();
    if ((long)i == s->waits_at)
        atomic_store(&s->stopped, true);
    atomic_store(&s->done[i], true);
    atomic_fetch_sub(&s->busy, 1);
    return (long)i == s->fails_at ? pr_fail(err, PR_EDATA, "%zu is damaged", i) : PR_OK;
}

static struct dr_ahead *begin(struct scene *s, size_t from, size_t to, unsigned threads,
                              const atomic_bool *cancel)
{
    struct dr_ahead *a;
    struct pr_err err = { 0 };
    assert_ok(dr_ahead_begin(&a, from, to, threads, work, s, cancel, &err), &err);
    return a;
}

static void each_is_there_when_it_is_taken(void **state)
{
    (void)state;
    static const unsigned threads[] = { 0, 1, FOUR, 1000 }; /* 0: by the caller */
    for (size_t k = 0; k < PR_COUNT(threads); k++) {
        static struct scene s;
        struct pr_err err = { 0 };
        s = (struct scene){ .fails_at = NEVER, .waits_at = NEVER };
        struct dr_ahead *a = begin(&s, 10, MANY, threads[k], NULL);
        for (size_t i = 10; i < MANY; i++) {
            assert_ok(dr_ahead_await(a, i, &err), &err);
            assert_true(atomic_load(&s.done[i]));
        }
        dr_ahead_end(a);
        assert_int_equal(atomic_load(&s.began), MANY - 10);
        assert_in_range(atomic_load(&s.most), 1, threads[k] == 0 ? 1 : threads[k]);
    }
}

static void what_failed_is_said_to_who_waits_for_another(void **state)
{
    (void)state;
    static struct scene s;
    struct pr_err err = { 0 };
    s = (struct scene){ .fails_at = 3, .waits_at = 0 };
    struct dr_ahead *a = begin(&s, 0, MANY, 2, NULL);
    assert_int_equal(dr_ahead_await(a, 0, &err), PR_EDATA);
    assert_string_equal(err.text, "3 is damaged");
    assert_int_equal(dr_ahead_await(a, 50, &err), PR_EDATA);
    dr_ahead_end(a);
    assert_true(atomic_load(&s.stopped)); /* not left behind */
    assert_in_range(atomic_load(&s.began), 4, 5);
}

static void the_end_stops_what_is_under_way(void **state)
{
    (void)state;
    static struct scene s;
    struct pr_err err = { 0 };
    s = (struct scene){ .fails_at = NEVER, .waits_at = 1 };
    struct dr_ahead *a = begin(&s, 0, MANY, 1, NULL);
    assert_ok(dr_ahead_await(a, 0, &err), &err);
    dr_ahead_end(a);
    assert_in_range(atomic_load(&s.began), 1, 2);
    assert_false(atomic_load(&s.done[2]));
}

static enum pr_code work_until_told(void *ctx, size_t i, const atomic_bool *stop,
                                    struct pr_err *err)
{
    struct scene *s = ctx;
    (void)i;
    atomic_fetch_add(&s->busy, 1);
    while (!atomic_load(stop))
        (void)sched_yield();
    atomic_fetch_sub(&s->busy, 1);
    return pr_fail(err, PR_EUNAVAIL, "it was stopped");
}

static void told_to_stop_it_stops(void **state)
{
    (void)state;
    static struct scene s;
    struct dr_ahead *a;
    struct pr_err err = { 0 };
    const atomic_bool cancel = true;
    s = (struct scene){ .fails_at = NEVER };
    assert_ok(dr_ahead_begin(&a, 0, MANY, 2, work_until_told, &s, &cancel, &err), &err);
    assert_int_equal(dr_ahead_await(a, 0, &err), PR_ECANCELED);
    dr_ahead_end(a);
    assert_int_equal(atomic_load(&s.busy), 0); /* nothing is left running */
}

static enum pr_code work_that_is_told(void *ctx, size_t i, const atomic_bool *stop,
                                      struct pr_err *err)
{
    (void)i;
    atomic_store((atomic_bool *)ctx, true); /* while it works */
    return atomic_load(stop) ? pr_fail(err, PR_ECANCELED, "told to stop") : PR_OK;
}

static void without_threads_it_is_told_as_well(void **state)
{
    (void)state;
    atomic_bool cancel = false;
    struct dr_ahead *a;
    struct pr_err err = { 0 };
    assert_ok(dr_ahead_begin(&a, 0, 2, 0, work_that_is_told, &cancel, &cancel, &err), &err);
    assert_int_equal(dr_ahead_await(a, 0, &err), PR_ECANCELED);
    dr_ahead_end(a);
}

static void nothing_is_fine(void **state)
{
    (void)state;
    static struct scene s;
    s = (struct scene){ .fails_at = NEVER, .waits_at = NEVER };
    dr_ahead_end(begin(&s, 5, 5, FOUR, NULL));
    dr_ahead_end(NULL);
    assert_int_equal(atomic_load(&s.began), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_there_when_it_is_taken),
        cmocka_unit_test(what_failed_is_said_to_who_waits_for_another),
        cmocka_unit_test(the_end_stops_what_is_under_way),
        cmocka_unit_test(told_to_stop_it_stops),
        cmocka_unit_test(without_threads_it_is_told_as_well),
        cmocka_unit_test(nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
