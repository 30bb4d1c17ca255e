/* Step scaling, target tracking and what groups do around them, on random fleets. The seed is
 * printed; argv[1] sets it. */
#include "t.h"

#include "autoscale_view.h"
#include "core/aws.h"
#include "core/aws_group.h"

#include "prism/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 20000, MINUTE = VIEW_MINUTE, LENGTH = 40 };

static uint64_t seed = 20261121;

static int below(struct pr_rng *rng, int n)
{
    return (int)pr_rng_below(rng, (uint64_t)n);
}

/* --- votes -------------------------------------------------------------------------------- */

static void random_view(struct pr_rng *rng, struct test_view *t)
{
    view_open(t, 1000000, 48 + below(rng, 953));
    double level = pr_rng_unit(rng);
    for (int i = 0; i < LENGTH; i++) {
        if (below(rng, 25) == 0)
            level = pr_rng_unit(rng);
        view_minute(t, AUTOSCALE_CPU, (level + pr_rng_unit(rng) * 0.1) / 1.1 * 100);
    }
    t->v.serving = t->v.desired;
    if (below(rng, 2) == 0) {
        const int by = below(rng, 20);
        view_changed(t, t->v.now_ms - (int64_t)below(rng, 40) * MINUTE, t->v.desired - by,
                     t->v.desired);
        t->v.serving -= below(rng, by + 1);
    }
}

static struct autoscale_vote ask(const struct test_view *t, bool steps)
{
    struct autoscale_vote out;
    if (steps) {
        struct autoscale_step_policy p;
        autoscale_step_default(&p);
        autoscale_step_vote(&p, &t->v, &out);
    } else {
        struct autoscale_target_policy p;
        struct autoscale_target_memory memory = { 0 };
        autoscale_target_default(&p);
        autoscale_target_vote(&p, &memory, &t->v, &out);
    }
    return out;
}

static void votes_are_bounded_and_monotone(void **state)
{
    (void)state;
    static struct test_view t, more;
    struct pr_rng rng;
    unsigned outs = 0, ins = 0;
    pr_rng_init(&rng, seed);
    for (int round = 0; round < ROUNDS; round++) {
        const bool steps = round % 2 == 0;
        random_view(&rng, &t);
        const struct autoscale_vote v = ask(&t, steps);
        const bool ok = v.move == AUTOSCALE_OUT  ? v.desired > t.v.desired && v.desired <= t.v.max
                        : v.move == AUTOSCALE_IN ? v.desired < t.v.desired && v.desired >= t.v.min
                                                 : v.desired == t.v.desired;
        outs += v.move == AUTOSCALE_OUT;
        ins += v.move == AUTOSCALE_IN;
        if (!ok || v.why[0] == '\0')
            fail_msg("seed %llu round %d: %s", (unsigned long long)seed, round, v.why);
        /* Nobody leaves while others warm up. */
        if (autoscale_warming(&t.v, INT64_C(5) * MINUTE) > 0)
            assert_int_not_equal(v.move, AUTOSCALE_IN);
        const struct autoscale_vote again = ask(&t, steps);
        assert_string_equal(again.why, v.why);
        assert_int_equal(again.desired, v.desired);

        more = t;
        more.v.sample = more.sample;
        more.v.action = more.action;
        for (int i = 0; i < LENGTH; i++)
            more.sample[i].cpu_pct = fmin(100, more.sample[i].cpu_pct * (1 + pr_rng_unit(&rng)));
        const struct autoscale_vote w = ask(&more, steps);
        if (w.desired < v.desired)
            fail_msg("seed %llu round %d: more work wants %d, less %d", (unsigned long long)seed,
                     round, w.desired, v.desired);
    }
    printf("seed %llu: %u out, %u in of %d\n", (unsigned long long)seed, outs, ins, ROUNDS);
    assert_true(outs > ROUNDS / 50 && ins > ROUNDS / 50);
}

/* --- arithmetic ------------------------------------------------------------------------------ */

static void tracked_capacity_is_the_smallest_that_meets_the_target(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 1);
    for (int round = 0; round < 10 * ROUNDS; round++) {
        const int capacity = 1 + below(&rng, 1000);
        const double target = 0.1 + pr_rng_unit(&rng) * 100;
        const double metric =
            below(&rng, 3) == 0 ? target * below(&rng, 300) / 100 : pr_rng_unit(&rng) * 200;
        const int n = autoscale_track(capacity, metric, target);
        const double work = capacity * metric;
        if (n * target < work * (1 - 1e-9) || (n > 0 && (n - 1) * target >= work * (1 + 1e-9)))
            fail_msg("seed %llu: %d at %.17g for %.17g: %d", (unsigned long long)seed, capacity,
                     metric, target, n);
    }
}

/* A valid set of steps over all values: one step for each, two at most where both sides of the
 * threshold meet. */
static void steps_without_gaps_hold_everywhere_once(void **state)
{
    (void)state;
    struct pr_rng rng;
    unsigned valid = 0;
    pr_rng_init(&rng, seed + 2);
    for (int round = 0; round < ROUNDS; round++) {
        struct autoscale_step step[6];
        const size_t n = 1 + (size_t)below(&rng, 6);
        double bound[7] = { -INFINITY };
        for (size_t i = 1; i < n; i++)
            bound[i] = (i == 1 ? -40 : bound[i - 1]) + below(&rng, 20); /* some alike: refused */
        bound[n] = INFINITY;
        for (size_t i = 0; i < n; i++)
            step[i] = (struct autoscale_step){ bound[i], bound[i + 1], 1 };
        for (size_t i = n; i > 1; i--) { /* in any order */
            const size_t k = (size_t)below(&rng, (int)i);
            const struct autoscale_step s = step[i - 1];
            step[i - 1] = step[k];
            step[k] = s;
        }
        if (autoscale_steps_check(step, n, NULL) != PR_OK)
            continue;
        valid++;
        const double threshold = 50;
        for (int i = 0; i < 20; i++) {
            const double metric = i < 10 ? below(&rng, 120) : pr_rng_unit(&rng) * 120;
            size_t holds = 0;
            for (size_t k = 0; k < n; k++)
                holds += autoscale_step_holds(threshold, step[k].lower, step[k].upper, metric);
            if (holds != 1 && !(metric == threshold && holds == 2))
                fail_msg("seed %llu round %d: %zu steps at %g", (unsigned long long)seed, round,
                         holds, metric);
        }
    }
    assert_true(valid > ROUNDS / 10);
}

static void zones_end_as_even_as_they_can(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 3);
    for (int round = 0; round < ROUNDS; round++) {
        int count[5], before[5], most = 0;
        const size_t n = 1 + (size_t)below(&rng, 5);
        for (size_t i = 0; i < n; i++) {
            before[i] = count[i] = below(&rng, 20);
            most = count[i] > most ? count[i] : most;
        }
        const int add = below(&rng, 60);
        assert_int_equal(autoscale_zones_launch(count, n, NULL, add), add);
        int sum = 0;
        for (size_t i = 0; i < n; i++) {
            sum += count[i] - before[i];
            for (size_t k = 0; k < n; k++)
                assert_true(count[i] == before[i] || count[i] <= count[k] + 1);
        }
        assert_int_equal(sum, add);
        const int gone = autoscale_zones_terminate(count, n, NULL, add);
        assert_int_equal(gone, add);
    }
}

static void refresh_replaces_everyone_and_keeps_enough(void **state)
{
    (void)state;
    static struct autoscale_batch batch[AUTOSCALE_BATCHES];
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 4);
    for (int round = 0; round < ROUNDS; round++) {
        struct autoscale_refresh r = { .instances = below(&rng, 300),
                                       .min_healthy_pct = below(&rng, 101),
                                       .warmup_min = 1 + below(&rng, 20),
                                       .delay_min = below(&rng, 60) };
        int pct = 0;
        while (r.checkpoints < 5 && pct < 100) {
            pct += 1 + below(&rng, 60);
            r.checkpoint_pct[r.checkpoints++] = pct > 100 ? 100 : pct;
        }
        double done = 0, at = 0;
        const size_t n = autoscale_refresh_timeline(&r, batch, &done);
        const int keep = (int)ceil(r.min_healthy_pct * r.instances / 100);
        int sum = 0;
        for (size_t i = 0; i < n; i++) {
            assert_true(batch[i].at_min >= at);
            at = batch[i].at_min + r.warmup_min;
            assert_true(batch[i].replace >= 1);
            assert_true(batch[i].replace == 1 || r.instances - batch[i].replace >= keep);
            sum += batch[i].replace;
        }
        assert_int_equal(sum, ceil(r.checkpoint_pct[r.checkpoints - 1] * r.instances / 100));
        assert_true(n == 0 || done == at);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(votes_are_bounded_and_monotone),
        cmocka_unit_test(tracked_capacity_is_the_smallest_that_meets_the_target),
        cmocka_unit_test(steps_without_gaps_hold_everywhere_once),
        cmocka_unit_test(zones_end_as_even_as_they_can),
        cmocka_unit_test(refresh_replaces_everyone_and_keeps_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
