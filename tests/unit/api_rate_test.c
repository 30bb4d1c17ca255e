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

static void who_was_quiet_gives_his_place_up(void **state)
{
    (void)state;
    static struct api_rates all;
    const int64_t now = 1000000;
    /* Every place that this key may have is somebody's who is at his limit. */
    for (uint64_t i = 0; i < API_RATE_PROBES; i++)
        for (int k = 0; k < 4; k++)
            assert_int_equal(api_rates_take(&all, &ten, 5 + i + API_RATE_SLOTS, now), 0);
    assert_true(api_rates_wait(&all, &ten, 5, now) > 0); /* shares, for want of room */
    assert_true(api_rates_take(&all, &ten, 5, now) > 0);
    /* They have waited their time: nothing is held against them, and the places are free. */
    assert_int_equal(api_rates_wait(&all, &ten, 5, now + 400000), 0);
    for (int k = 0; k < 4; k++)
        assert_int_equal(api_rates_take(&all, &ten, 5, now + 400000), 0);
    assert_true(api_rates_take(&all, &ten, 5, now + 400000) > 0);
    assert_int_equal(api_rates_take(&all, &ten, 5 + API_RATE_SLOTS, now + 400000), 0);
}

static void asking_takes_nothing(void **state)
{
    (void)state;
    static struct api_rates all;
    for (int i = 0; i < 100; i++)
        assert_int_equal(api_rates_wait(&all, &ten, 9, 1000000), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(api_rates_take(&all, &ten, 9, 1000000), 0);
    assert_int_equal(api_rates_wait(&all, &ten, 9, 1000000), 100000);
    assert_int_equal(api_rates_wait(&all, &ten, 9, 1000000), 100000);
    assert_int_equal(api_rates_wait(&all, &ten, 10, 1000000), 0); /* a neighbour */
}

static void addresses_are_told_apart_as_networks_are(void **state)
{
    (void)state;
    static const unsigned char a[16] = { 0x20, 1, 13, 0xb8, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8 },
                               same_net[16] = { 0x20, 1, 13, 0xb8, 0, 0, 0, 1, 9, 9 },
                               other_net[16] = { 0x20, 1, 13, 0xb8, 0, 0, 0, 2, 1, 2 },
                               v4[4] = { 192, 0, 2, 1 }, other_v4[4] = { 192, 0, 2, 2 },
                               zero[16] = { 0 };
    assert_true(api_rate_address(a, 16) == api_rate_address(same_net, 16));
    assert_true(api_rate_address(a, 16) != api_rate_address(other_net, 16));
    assert_true(api_rate_address(v4, 4) != api_rate_address(other_v4, 4));
    assert_true(api_rate_address(zero, 4) != 0);
    assert_true(api_rate_address(zero, 16) != 0);
    assert_true(api_rate_address(NULL, 0) != 0);
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
        cmocka_unit_test(who_was_quiet_gives_his_place_up),
        cmocka_unit_test(asking_takes_nothing),
        cmocka_unit_test(addresses_are_told_apart_as_networks_are),
        cmocka_unit_test(threads_together_get_what_one_gets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
