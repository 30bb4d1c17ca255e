/* Whatever a fleet's history is: rules stay within limits, want no less when there is more work,
 * scale in by nothing that is missing, and say the same of the same view at any time of the
 * world. The seed is printed; argv[1] sets it. */
#include "t.h"

#include "autoscale_view.h"
#include "core/queue.h"
#include "core/rules.h"

#include "prism/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 20000, MINUTE = VIEW_MINUTE, LENGTH = 40 };

static uint64_t seed = 20261121;
static struct autoscale_rules rules;
static struct autoscale_queue queue;

static const enum autoscale_metric METRICS[] = { AUTOSCALE_CPU, AUTOSCALE_MEMORY, AUTOSCALE_NETWORK,
                                                 AUTOSCALE_BACKLOG };
static const double SCALE[] = { 100, 110, 11e9, 12000 };

static struct autoscale_vote ask(const struct test_view *t, bool of_queue)
{
    struct autoscale_vote out;
    if (of_queue)
        autoscale_queue_vote(&queue, &t->v, &out);
    else
        autoscale_rules_vote(&rules, &t->v, &out);
    return out;
}

/* A history around some levels, with changes in it. */
static void random_view(struct pr_rng *rng, struct test_view *t)
{
    view_open(t, (int64_t)pr_rng_below(rng, 1000000000), 48 + (int)pr_rng_below(rng, 953));
    t->v.serving = t->v.desired - (int)pr_rng_below(rng, 10);
    for (int i = 0; i < LENGTH; i++)
        view_minute(t, AUTOSCALE_LOAD, 1);
    for (size_t m = 0; m < PR_COUNT(METRICS); m++) {
        const bool absent = pr_rng_below(rng, 4) == 0;
        double level = pr_rng_unit(rng);
        for (int i = 0; i < LENGTH && !absent; i++) {
            if (pr_rng_below(rng, 25) == 0)
                level = pr_rng_unit(rng);
            const double v = (level + pr_rng_unit(rng) * 0.1) / 1.1;
            *view_metric(&t->sample[i], METRICS[m]) = v * SCALE[m];
        }
    }
    for (uint64_t n = pr_rng_below(rng, 4), k = n; k > 0; k--) {
        const int by = (int)pr_rng_below(rng, 21) - 10;
        view_changed(t, t->v.now_ms - (int64_t)(k * pr_rng_below(rng, 10) + k) * MINUTE,
                     t->v.desired - by, t->v.desired);
    }
    for (size_t i = 1; i < t->v.actions; i++) /* oldest first */
        for (size_t k = i; k > 0 && t->action[k].at_ms < t->action[k - 1].at_ms; k--) {
            const struct autoscale_action a = t->action[k];
            t->action[k] = t->action[k - 1];
            t->action[k - 1] = a;
        }
}

static void assert_within_limits(const struct test_view *t, const struct autoscale_vote *v,
                                 uint64_t round)
{
    const bool ok = v->move == AUTOSCALE_OUT  ? v->desired > t->v.desired && v->desired <= t->v.max
                    : v->move == AUTOSCALE_IN ? v->desired < t->v.desired && v->desired >= t->v.min
                                              : v->desired == t->v.desired;
    if (!ok || v->why[0] == '\0')
        fail_msg("seed %llu round %llu: move %d from %d to %d: %s", (unsigned long long)seed,
                 (unsigned long long)round, v->move, t->v.desired, v->desired, v->why);
}

static void votes_are_bounded_monotone_and_patient(void **state)
{
    (void)state;
    static struct test_view t, more, less, later;
    struct pr_rng rng;
    unsigned outs = 0, ins = 0, unknown = 0;
    pr_rng_init(&rng, seed);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        const bool of_queue = round % 4 == 3;
        random_view(&rng, &t);
        const struct autoscale_vote v = ask(&t, of_queue);
        outs += v.move == AUTOSCALE_OUT;
        ins += v.move == AUTOSCALE_IN;
        unknown += v.move == AUTOSCALE_UNKNOWN;
        assert_within_limits(&t, &v, round);

        /* More work of every kind never wants fewer. */
        more = t;
        more.v.sample = more.sample;
        more.v.action = more.action;
        for (int i = 0; i < LENGTH; i++)
            for (size_t m = 0; m < PR_COUNT(METRICS); m++)
                *view_metric(&more.sample[i], METRICS[m]) *= 1 + pr_rng_unit(&rng);
        const struct autoscale_vote w = ask(&more, of_queue);
        assert_within_limits(&more, &w, round);
        if (w.desired < v.desired)
            fail_msg("seed %llu round %llu: more work wants %d, less %d", (unsigned long long)seed,
                     (unsigned long long)round, w.desired, v.desired);

        /* What is missing never wants more of what it wanted, and never to scale in. */
        less = t;
        less.v.sample = less.sample;
        less.v.action = less.action;
        for (int i = 1; i < LENGTH; i++) /* the oldest stays: the metric exists */
            for (size_t m = 0; m < PR_COUNT(METRICS); m++)
                if (pr_rng_below(&rng, 12) == 0)
                    *view_metric(&less.sample[i], METRICS[m]) = NAN;
        const struct autoscale_vote h = ask(&less, of_queue);
        assert_within_limits(&less, &h, round);
        const bool newest =
            of_queue && v.move == AUTOSCALE_OUT; /* its figure is the newest minute's */
        if (h.move == AUTOSCALE_IN ? v.move != AUTOSCALE_IN || (!of_queue && h.desired != v.desired)
                                   : h.desired > v.desired && v.move != AUTOSCALE_IN && !newest)
            fail_msg("seed %llu round %llu: with holes %d, without %d: %s",
                     (unsigned long long)seed, (unsigned long long)round, h.desired, v.desired,
                     h.why);

        /* Later in the world, to the byte. */
        later = t;
        later.v.sample = later.sample;
        later.v.action = later.action;
        const int64_t by = (int64_t)pr_rng_below(&rng, UINT64_C(1) << 40);
        later.v.now_ms += by;
        for (int i = 0; i < LENGTH; i++)
            later.sample[i].at_ms += by;
        for (size_t i = 0; i < later.v.actions; i++)
            later.action[i].at_ms += by;
        const struct autoscale_vote l = ask(&later, of_queue);
        assert_int_equal(l.move, v.move);
        assert_int_equal(l.desired, v.desired);
        assert_int_equal(l.wanted, v.wanted);
        assert_string_equal(l.rule, v.rule);
        assert_memory_equal(&l.observed, &v.observed, sizeof l.observed);
        const struct autoscale_vote again = ask(&t, of_queue);
        assert_string_equal(again.why, v.why);
        assert_string_equal(again.limited, v.limited);
        assert_int_equal(again.cooldown_until_ms, v.cooldown_until_ms);
    }
    printf("seed %llu: %u out, %u in, %u unknown of %d\n", (unsigned long long)seed, outs, ins,
           unknown, ROUNDS);
    assert_true(outs > ROUNDS / 50 && ins > ROUNDS / 200);
}

static void change_inward_never_blocks_outward(void **state)
{
    (void)state;
    static struct test_view t;
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 1);
    for (int round = 0; round < ROUNDS; round++) {
        random_view(&rng, &t);
        const struct autoscale_vote v = ask(&t, false);
        if (v.move != AUTOSCALE_OUT)
            continue;
        view_changed(&t, t.v.now_ms - (int64_t)pr_rng_below(&rng, 2) * MINUTE, t.v.desired + 5,
                     t.v.desired);
        const struct autoscale_vote w = ask(&t, false);
        assert_int_equal(w.move, AUTOSCALE_OUT);
        assert_int_equal(w.desired, v.desired);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    autoscale_rules_default(&rules);
    autoscale_queue_default(&queue);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(votes_are_bounded_monotone_and_patient),
        cmocka_unit_test(change_inward_never_blocks_outward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
