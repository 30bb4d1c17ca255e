#include "t.h"

#include "api_rate.h"

#include <pthread.h>

static const struct api_rate ten = { .per_s = 10, .burst_us = 300000 }; /* and 3 more at once */

static void a_steady_pace_is_let_in(void **state)
{
    (void)state;
    int64_t tat = 0;
    for (int64_t now = 1000000; now < 20000000; now += 100000)
        assert_int_equal(api_rate_take(&ten, now, &tat), 0);
}

static void a_burst_ends_and_says_how_long_to_wait(void **state)
{
    (void)state;
    int64_t tat = 0;
    const int64_t now = 5000000;
    for (int i = 0; i < 4; i++)
        assert_int_equal(api_rate_take(&ten, now, &tat), 0);
    const int64_t before = tat;
    assert_int_equal(api_rate_take(&ten, now, &tat), 100000);
    assert_int_equal(tat, before); /* who is refused pays nothing */
    assert_int_equal(api_rate_take(&ten, now + 99999, &tat), 1);
    assert_int_equal(api_rate_take(&ten, now + 100000, &tat), 0);
    assert_int_equal(api_rate_take(&ten, now + 100000, &tat), 100000);
}

static void idling_saves_no_more_than_the_burst(void **state)
{
    (void)state;
    int64_t tat = 0, let_in = 0;
    assert_int_equal(api_rate_take(&ten, 0, &tat), 0);
    for (int i = 0; i < 100; i++)
        let_in += api_rate_take(&ten, 3600000000, &tat) == 0;
    assert_int_equal(let_in, 4);
}

static void principals_have_rates_of_their_own(void **state)
{
    (void)state;
    static struct api_rates all;
    for (uint64_t key = 1; key <= 2; key++) {
        for (int i = 0; i < 4; i++)
            assert_int_equal(api_rates_take(&all, &ten, key, 1000000), 0);
        assert_true(api_rates_take(&all, &ten, key, 1000000) > 0);
    }
    /* The same place in the table is not the same principal. */
    assert_int_equal(api_rates_take(&all, &ten, 1 + API_RATE_SLOTS, 1000000), 0);
}

static void a_full_table_still_answers(void **state)
{
    (void)state;
    static struct api_rates all;
    for (uint64_t key = 1; key <= 4 * API_RATE_SLOTS; key++)
        (void)api_rates_take(&all, &ten, key, 1000000);
    assert_int_equal(api_rates_take(&all, &ten, 99999, 100000000), 0);
}

static struct api_rates shared;
static void *hammer(void *arg)
{
    int *let_in = arg;
    for (int i = 0; i < 20000; i++)
        *let_in += api_rates_take(&shared, &ten, 7, 1000000) == 0;
    return NULL;
}

static void threads_together_get_what_one_gets(void **state)
{
    (void)state;
    pthread_t thread[4];
    int let_in[4] = { 0 }, sum = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, hammer, &let_in[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
        sum += let_in[i];
    }
    assert_int_equal(sum, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_pace_is_let_in),
        cmocka_unit_test(a_burst_ends_and_says_how_long_to_wait),
        cmocka_unit_test(idling_saves_no_more_than_the_burst),
        cmocka_unit_test(principals_have_rates_of_their_own),
        cmocka_unit_test(a_full_table_still_answers),
        cmocka_unit_test(threads_together_get_what_one_gets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
