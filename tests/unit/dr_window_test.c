/* Which containers can hold pieces of a generation, by name and date. Times are in hours. */
#include "t.h"

#include "core/window.h"

#include <string.h>

#define H INT64_C(3600000)

static void tells_by_epoch_and_date(void **state)
{
    (void)state;
    /* Begun at 100 under epoch 5; the next one, of epoch 8, has its manifest since 200. */
    const struct dr_generation g = { .id = { 5, 1 }, .begun_ms = 100 * H };
    const struct dr_generation_id next = { 8, 1 };
    static const struct {
        const char *what;
        uint64_t epoch;
        int64_t ms;
        bool newest, followed; /* may hold some: without a next one, and with it */
        bool over;             /* with it: nothing later of that epoch can */
    } row[] = {
        { "an older epoch", 4, 150 * H, false, false, true },
        { "an hour too old by the clock", 5, 99 * H - 1, false, false, false },
        { "within what clocks may differ", 5, 99 * H, true, true, false },
        { "its own epoch", 5, 150 * H, true, true, false },
        { "a newer one", 7, 150 * H, true, true, false },
        { "an upload that comes very late", 7, 900 * H, true, true, false },
        { "the next one's, before it was there", 8, 199 * H, true, true, false },
        { "the next one's, by the clock", 8, 201 * H, true, true, false },
        { "the next one's, after it", 8, 201 * H + 1, true, false, true },
        { "a newer one's, after it", 9, 300 * H, true, false, true },
        { "no date is known", 9, 0, true, true, false },
        { "no date is known, an older epoch", 4, 0, false, false, true },
    };
    struct dr_window newest, followed;
    dr_window_of(&g, NULL, 0, &newest);
    dr_window_of(&g, &next, 200 * H, &followed);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        if (dr_window_may(&newest, row[i].epoch, row[i].ms) != row[i].newest ||
            dr_window_may(&followed, row[i].epoch, row[i].ms) != row[i].followed ||
            dr_window_over(&followed, row[i].epoch, row[i].ms) != row[i].over)
            fail_msg("%s", row[i].what);
    }
}

/* A new base of the same shipper has its epoch. */
static void a_successor_of_the_same_epoch_ends_it_too(void **state)
{
    (void)state;
    const struct dr_generation g = { .id = { 5, 1 }, .begun_ms = 100 * H };
    const struct dr_generation_id next = { 5, 2 };
    struct dr_window w;
    dr_window_of(&g, &next, 200 * H, &w);
    assert_true(dr_window_may(&w, 5, 201 * H));
    assert_false(dr_window_may(&w, 5, 201 * H + 1));
    dr_window_of(&g, &next, 0, &w); /* when it was written is not known */
    assert_true(dr_window_may(&w, 5, 900 * H));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_by_epoch_and_date),
        cmocka_unit_test(a_successor_of_the_same_epoch_ends_it_too),
    };
    return cmocka_run_group_tests_name("dr window", tests, NULL, NULL);
}
