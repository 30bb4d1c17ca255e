/* What adaptive learns of a load: how much its signals foretell. */
#include "t.h"

#include "autoscale_view.h"
#include "core/adaptive.h"
#include "prism/rng.h"

#include <stdlib.h>
#include <string.h>

enum { TREND, DAY, WEEK, DAY_MINUTES = 24 * 60, AHEAD = 11, SEEN = 90 };
#define BEGIN (INT64_C(1000) * 7 * DAY_MINUTES) /* a week begins */

/* Members at 100 % CPU in a minute; 200 serve. */
typedef double load_fn(int64_t minute, struct pr_rng *g);

struct learner {
    struct autoscale_adaptive settings;
    struct autoscale_adaptive_memory memory;
    struct autoscale_sample sample[SEEN];
    struct pr_rng rng;
    int64_t minute;
    double load[SEEN];
};

static struct learner *learner_new(void)
{
    struct learner *l = calloc(1, sizeof *l);
    assert_non_null(l);
    autoscale_adaptive_default(&l->settings);
    pr_rng_init(&l->rng, 7);
    l->minute = BEGIN;
    return l;
}

static void live(struct learner *l, int64_t minutes, load_fn *load)
{
    while (minutes-- > 0) {
        memmove(l->sample, l->sample + 1, (SEEN - 1) * sizeof *l->sample);
        memmove(l->load, l->load + 1, (SEEN - 1) * sizeof *l->load);
        l->minute++;
        l->load[SEEN - 1] = load(l->minute, &l->rng);
        l->sample[SEEN - 1] = view_nothing(l->minute * VIEW_MINUTE, 200);
        l->sample[SEEN - 1].cpu_pct = l->load[SEEN - 1] / 2;
        const struct autoscale_view v = { .now_ms = l->minute * VIEW_MINUTE,
                                          .desired = 200,
                                          .serving = 200,
                                          .min = 48,
                                          .max = 1000,
                                          .useful_after_ms = INT64_C(10) * VIEW_MINUTE,
                                          .sample = &l->sample[SEEN - 1],
                                          .samples = 1 };
        struct autoscale_vote got;
        autoscale_adaptive_vote(&l->settings, &l->memory, &v, &got);
    }
}

static double forecast_of(const struct learner *l, int64_t minute)
{
    return l->memory.forecast[minute % AUTOSCALE_ADAPTIVE_RING];
}

/* Up and down in not quite four hours, so that no time of day knows: a straight line does. */
static double waves(int64_t minute, struct pr_rng *g)
{
    (void)g;
    const int64_t x = minute % 233;
    return 50 + (double)(x < 116 ? x : 233 - x);
}

static double noise(int64_t minute, struct pr_rng *g)
{
    (void)minute;
    return 80 + 40 * pr_rng_unit(g);
}

/* Flat, and at eight in the morning twice as much within a quarter of an hour. */
static double mornings(int64_t minute, struct pr_rng *g)
{
    const int64_t x = minute % DAY_MINUTES;
    const double rise = x < 480 ? 0 : x < 495 ? (double)(x - 480) / 15 : x < 1080 ? 1 : 0;
    return 50 * (1 + rise) * (1 + 0.02 * (pr_rng_unit(g) - 0.5));
}

static void trend_counts_where_it_foretells(void **state)
{
    (void)state;
    struct learner *l = learner_new();
    live(l, 4 * DAY_MINUTES, waves);
    assert_true(l->memory.weight[TREND] > 0.7);
    live(l, 60 - l->minute % 233 + 240, waves); /* half the way up */
    const double now = waves(l->minute, NULL), then = waves(l->minute + AHEAD, NULL);
    assert_true(forecast_of(l, l->minute) > now + 0.6 * (then - now));
    assert_true(forecast_of(l, l->minute) < now + 1.4 * (then - now));
    live(l, 116, waves); /* half the way down */
    assert_true(fabs(forecast_of(l, l->minute) - waves(l->minute, NULL)) < 1e-9);
    free(l);
}

static void day_counts_where_it_foretells(void **state)
{
    (void)state;
    struct learner *l = learner_new();
    live(l, 6 * DAY_MINUTES, mornings);
    assert_true(l->memory.weight[DAY] + l->memory.weight[WEEK] > 0.4);
    live(l, 475, mornings); /* five minutes before it rises */
    assert_true(l->load[SEEN - 1] < 52);
    assert_true(forecast_of(l, l->minute) > 65);
    free(l);
}

static void noise_foretells_little(void **state)
{
    (void)state;
    struct learner *l = learner_new(), *w = learner_new();
    live(l, 9 * DAY_MINUTES, noise);
    live(w, 9 * DAY_MINUTES, waves);
    assert_true(l->memory.weight[TREND] < 0.35);
    assert_true(l->memory.weight[TREND] < w->memory.weight[TREND] / 2);
    free(w);
    free(l);
}

static void weights_follow_what_changes(void **state)
{
    (void)state;
    struct learner *l = learner_new();
    live(l, 4 * DAY_MINUTES, waves);
    const double before = l->memory.weight[TREND];
    live(l, 8 * DAY_MINUTES, noise);
    assert_true(l->memory.weight[TREND] < before / 2);
    live(l, 16 * DAY_MINUTES, waves);
    assert_true(l->memory.weight[TREND] > 0.7 * before);
    free(l);
}

static void minutes_may_come_one_by_one_or_together(void **state)
{
    (void)state;
    enum { N = 3000 };
    struct autoscale_sample *s = calloc(N, sizeof *s);
    struct pr_rng g;
    assert_non_null(s);
    pr_rng_init(&g, 3);
    for (int i = 0; i < N; i++) {
        s[i] = view_nothing((BEGIN + i) * VIEW_MINUTE, 200 + i / 100);
        s[i].cpu_pct = i % 97 == 0 ? NAN : 40 + 20 * pr_rng_unit(&g);
    }
    static struct autoscale_adaptive_memory one, all;
    struct autoscale_adaptive p;
    struct autoscale_vote a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    autoscale_adaptive_default(&p);
    struct autoscale_view v = {
        .desired = 200, .serving = 200, .min = 48, .max = 1000, .sample = s
    };
    for (size_t n = 1; n <= N; n += n % 5 == 0 ? 3 : 1) {
        v.samples = n;
        v.now_ms = s[n - 1].at_ms;
        autoscale_adaptive_vote(&p, &one, &v, &a);
    }
    v.samples = N;
    v.now_ms = s[N - 1].at_ms;
    autoscale_adaptive_vote(&p, &one, &v, &a);
    autoscale_adaptive_vote(&p, &all, &v, &b);
    assert_memory_equal(&one, &all, sizeof one);
    assert_memory_equal(&a, &b, sizeof a);
    autoscale_adaptive_vote(&p, &one, &v, &a); /* the same minute again: nothing new */
    assert_memory_equal(&one, &all, sizeof one);
    free(s);
}

static void a_gap_longer_than_its_ring_is_forgotten(void **state)
{
    (void)state;
    struct learner *l = learner_new();
    live(l, 2 * DAY_MINUTES, waves);
    double day[AUTOSCALE_ADAPTIVE_DAY];
    memcpy(day, l->memory.day, sizeof day);
    l->minute += 5 * DAY_MINUTES;
    live(l, 1, noise);
    int known = 0;
    for (int i = 0; i < AUTOSCALE_ADAPTIVE_RING; i++)
        known += l->memory.load[i] >= 0;
    assert_int_equal(known, 1);
    int changed = 0; /* the slot in which it stopped has its mean now, and no other */
    for (int i = 0; i < AUTOSCALE_ADAPTIVE_DAY; i++)
        changed += fabs(day[i] - l->memory.day[i]) > 1e-12;
    assert_true(changed <= 1);
    free(l);
}

static void memory_is_small_and_without_padding(void **state)
{
    (void)state;
    assert_true(sizeof(struct autoscale_adaptive_memory) <= 16384);
    assert_int_equal(sizeof(struct autoscale_adaptive_memory) % 8, 0);
    const size_t members = 8 + 8 * (2 + AUTOSCALE_ADAPTIVE_SIGNALS) * AUTOSCALE_ADAPTIVE_RING +
                           8 * (3 * AUTOSCALE_ADAPTIVE_SIGNALS + 1 + AUTOSCALE_ADAPTIVE_PAIRS) +
                           8 * (AUTOSCALE_ADAPTIVE_DAY + AUTOSCALE_ADAPTIVE_WEEK) + 16 +
                           8 +                                  /* sums, counts */
                           8 * 2 * AUTOSCALE_ADAPTIVE_DAY + 8 + /* held */
                           8 + 8 + 8 + 8 + 8 + 8 + 8 + 8;
    assert_int_equal(sizeof(struct autoscale_adaptive_memory), members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trend_counts_where_it_foretells),
        cmocka_unit_test(day_counts_where_it_foretells),
        cmocka_unit_test(noise_foretells_little),
        cmocka_unit_test(weights_follow_what_changes),
        cmocka_unit_test(minutes_may_come_one_by_one_or_together),
        cmocka_unit_test(a_gap_longer_than_its_ring_is_forgotten),
        cmocka_unit_test(memory_is_small_and_without_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
