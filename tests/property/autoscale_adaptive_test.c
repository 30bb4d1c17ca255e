/* What holds for adaptive whatever the load: more load never means fewer members, limits and
 * budgets are kept, equal inputs give equal votes, bad samples move nothing. argv[1] sets the
 * seed. */
#include "t.h"

#include "core/policy.h"
#include "prism/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS, HISTORY = 240, DAY = 24 * 60, BOOT = 10 };
#define BEGIN (INT64_C(1000000) * MINUTE)

static uint64_t seed = 20261121;

static const struct autoscale_sample nothing = {
    .cpu_pct = NAN, .memory_pct = NAN, .network_bps = NAN, .backlog = NAN, .load = NAN
};

static bool chance(struct pr_rng *g, double p)
{
    return pr_rng_unit(g) < p;
}

static int between(struct pr_rng *g, int lo, int hi)
{
    return lo + (int)pr_rng_below(g, (uint64_t)(hi - lo + 1));
}

/* --- one vote on a random history ------------------------------------------------------ */

struct scene {
    struct autoscale_view v;
    struct autoscale_sample sample[HISTORY];
    struct autoscale_action action[16];
    struct autoscale_adaptive p;
    struct autoscale_adaptive_memory memory;
};

static void scene(struct scene *s, struct pr_rng *g)
{
    memset(s, 0, sizeof *s);
    autoscale_adaptive_default(&s->p);
    const int desired = between(g, 48, 1000);
    double load = desired * (0.2 + 0.7 * pr_rng_unit(g));
    const double noise = chance(g, 0.5) ? 0.3 * pr_rng_unit(g) : 0.02;
    const size_t n = (size_t)between(g, 1, HISTORY);
    int serving = desired;
    for (size_t i = 0; i < n; i++) {
        s->sample[i] = nothing;
        s->sample[i].at_ms = BEGIN + (int64_t)i * MINUTE;
        load *= 1 + noise * (pr_rng_unit(g) - 0.5);
        load = fmin(fmax(load, 1), 900);
        if (chance(g, 0.05))
            serving = between(g, desired / 2 + 1, desired);
        s->sample[i].serving = serving;
        s->sample[i].silent = chance(g, 0.02) ? between(g, 0, serving) : 0;
        if (!chance(g, 0.03))
            s->sample[i].cpu_pct = fmin(94, load / serving * 100);
        if (chance(g, 0.3))
            s->sample[i].memory_pct = 100 * pr_rng_unit(g);
    }
    const int64_t now = s->sample[n - 1].at_ms;
    const size_t actions = (size_t)between(g, 0, 8);
    for (size_t i = 0; i < actions; i++)
        s->action[i] =
            (struct autoscale_action){ now - (int64_t)(actions - i) * between(g, 1, 40) * MINUTE,
                                       between(g, 48, 1000), between(g, 48, 1000) };
    s->v = (struct autoscale_view){ .now_ms = now,
                                    .desired = desired,
                                    .serving = serving,
                                    .min = between(g, 1, 100),
                                    .max = between(g, 100, 1000),
                                    .useful_after_ms = (int64_t)between(g, 0, 60) * MINUTE,
                                    .sample = s->sample,
                                    .samples = n,
                                    .action = s->action,
                                    .actions = actions };
    if (n > 1) { /* all but the last minute is known already */
        struct autoscale_view before = s->v;
        struct autoscale_vote ignored;
        before.samples = n - 1;
        before.now_ms = s->sample[n - 2].at_ms;
        autoscale_adaptive_vote(&s->p, &s->memory, &before, &ignored);
    }
}

static struct autoscale_vote vote(const struct scene *s)
{
    struct autoscale_adaptive_memory memory = s->memory;
    struct autoscale_vote got;
    memset(&got, 0, sizeof got);
    autoscale_adaptive_vote(&s->p, &memory, &s->v, &got);
    return got;
}

static void more_load_never_means_fewer(void **state)
{
    (void)state;
    static struct scene s;
    struct pr_rng g;
    pr_rng_init(&g, seed);
    int moved = 0;
    for (int i = 0; i < 20000; i++) {
        scene(&s, &g);
        double cpu = 0;
        int last = 0;
        while (cpu < 100) {
            s.sample[s.v.samples - 1].cpu_pct = cpu;
            const struct autoscale_vote got = vote(&s);
            if (got.desired < last)
                fail_msg("scene %d: %d at %g %% CPU, %d with less", i, got.desired, cpu, last);
            moved += last != 0 && got.desired > last;
            last = got.desired;
            cpu += 25 * pr_rng_unit(&g);
        }
    }
    assert_true(moved > 20000); /* else it shows nothing */
}

static void limits_are_kept_and_a_hold_holds(void **state)
{
    (void)state;
    static struct scene s;
    struct pr_rng g;
    pr_rng_init(&g, seed + 1);
    int count[4] = { 0 };
    for (int i = 0; i < 50000; i++) {
        scene(&s, &g);
        if (chance(&g, 0.1))
            s.sample[s.v.samples - 1].cpu_pct = 100;
        const struct autoscale_vote got = vote(&s);
        count[got.move]++;
        switch (got.move) {
        case AUTOSCALE_OUT:
            assert_true(got.desired > s.v.desired && got.desired <= s.v.max);
            break;
        case AUTOSCALE_IN:
            assert_true(got.desired < s.v.desired && got.desired >= s.v.min);
            break;
        default:
            assert_int_equal(got.desired, s.v.desired);
        }
        assert_true(got.rule[0] != '\0' && got.why[0] != '\0');
    }
    for (int m = 0; m < 4; m++)
        assert_true(count[m] > 500);
}

static void equal_inputs_give_equal_votes(void **state)
{
    (void)state;
    static struct scene s, copy;
    struct pr_rng g;
    pr_rng_init(&g, seed + 2);
    for (int i = 0; i < 2000; i++) {
        scene(&s, &g);
        copy = s;
        copy.v.sample = copy.sample;
        copy.v.action = copy.action;
        struct autoscale_vote a, b;
        memset(&a, 0, sizeof a);
        memset(&b, 0x5a, sizeof b);
        autoscale_adaptive_vote(&s.p, &s.memory, &s.v, &a);
        memset(&b, 0, sizeof b);
        autoscale_adaptive_vote(&copy.p, &copy.memory, &copy.v, &b);
        assert_memory_equal(&a, &b, sizeof a);
        assert_memory_equal(&s.memory, &copy.memory, sizeof s.memory);
    }
}

/* --- a fleet over days ------------------------------------------------------------------- */

struct days {
    struct autoscale_policy policy;
    struct autoscale_memory memory;
    struct autoscale_sample sample[64];
    struct autoscale_action action[40000];
    size_t samples, actions;
    int due[BOOT + 1];
    int desired, serving;
    int64_t minute;
};

static struct days *days_new(int desired)
{
    struct days *d = calloc(1, sizeof *d);
    assert_non_null(d);
    autoscale_policy_default(AUTOSCALE_ADAPTIVE, &d->policy);
    d->desired = d->serving = desired;
    return d;
}

static struct autoscale_view view_of(const struct days *d)
{
    size_t first = d->actions;
    const int64_t now = BEGIN + d->minute * MINUTE;
    while (first > 0 && now - d->action[first - 1].at_ms < INT64_C(2) * DAY * MINUTE)
        first--;
    return (struct autoscale_view){ .now_ms = now,
                                    .desired = d->desired,
                                    .serving = d->serving,
                                    .min = 48,
                                    .max = 1000,
                                    .useful_after_ms = (int64_t)BOOT * MINUTE,
                                    .sample = d->sample,
                                    .samples = d->samples,
                                    .action = d->action + first,
                                    .actions = d->actions - first };
}

static void measured(struct days *d, double load)
{
    if (d->samples == PR_COUNT(d->sample))
        memmove(d->sample, d->sample + 1, --d->samples * sizeof *d->sample);
    struct autoscale_sample *s = &d->sample[d->samples++];
    *s = nothing;
    s->at_ms = BEGIN + d->minute * MINUTE;
    s->serving = d->serving;
    s->cpu_pct = fmin(100, load / d->serving * 100);
}

static struct autoscale_vote decided(struct days *d)
{
    const struct autoscale_view v = view_of(d);
    struct autoscale_vote got;
    autoscale_policy_vote(&d->policy, &d->memory, &v, &got);
    if (got.desired == d->desired)
        return got;
    d->action[d->actions++] = (struct autoscale_action){ v.now_ms, d->desired, got.desired };
    int less = d->desired - got.desired;
    if (less < 0)
        d->due[(d->minute + BOOT) % (BOOT + 1)] -= less;
    for (int ahead = BOOT; less > 0 && ahead > 0; ahead--) {
        int *due = &d->due[(d->minute + ahead) % (BOOT + 1)];
        const int n = *due < less ? *due : less;
        *due -= n;
        less -= n;
    }
    d->serving -= less > 0 ? less : 0;
    d->desired = got.desired;
    return got;
}

static void begin_minute(struct days *d)
{
    d->minute++;
    int *due = &d->due[d->minute % (BOOT + 1)];
    d->serving += *due;
    *due = 0;
}

static void no_day_has_more_flaps_than_the_budget(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        struct days *d = days_new(200);
        struct pr_rng g;
        pr_rng_init(&g, seed + 10 + (uint64_t)round);
        d->policy.is.adaptive.flaps_per_day = 3 * round; /* 0: none */
        d->policy.is.adaptive.hold_ms = MINUTE;          /* so that it would flap */
        d->policy.is.adaptive.hold_flap_ms = 0;
        double burst = 0;
        for (int m = 0; m < 20 * DAY; m++) {
            begin_minute(d);
            burst = chance(&g, 0.02) ? 150 * pr_rng_unit(&g) : burst * 0.8;
            measured(d, 60 + burst + 10 * pr_rng_unit(&g));
            (void)decided(d);
        }
        int most = 0;
        for (size_t i = 1; i < d->actions; i++) {
            int flaps = 0;
            for (size_t j = i;
                 j > 0 && d->action[i].at_ms - d->action[j].at_ms < (int64_t)DAY * MINUTE; j--) {
                const struct autoscale_action *a = &d->action[j - 1], *b = &d->action[j];
                flaps += (a->to > a->from) != (b->to > b->from) &&
                         b->at_ms - a->at_ms <= INT64_C(30) * MINUTE;
            }
            most = flaps > most ? flaps : most;
        }
        print_message("flap budget %d: %zu actions in 20 days, %d flaps in a day at most\n",
                      3 * round, d->actions, most);
        if (round == 0)
            assert_true(most > 9); /* else it shows nothing */
        else
            assert_true(most <= 3 * round);
        free(d);
    }
}

enum damage {
    UNKNOWN_CPU,
    NEGATIVE,
    ENDLESS,
    TOO_LARGE,
    FUTURE,
    DUPLICATE,
    UNORDERED,
    SILENT,
    OTHER_METRIC,
    NO_SAMPLE,
    DAMAGES
};

static void damaged(struct days *d, enum damage kind, struct pr_rng *g)
{
    struct autoscale_sample *s = &d->sample[d->samples - 1];
    if (kind == UNKNOWN_CPU)
        s->cpu_pct = NAN;
    else if (kind == NEGATIVE)
        s->cpu_pct = -5;
    else if (kind == ENDLESS)
        s->cpu_pct = INFINITY;
    else if (kind == TOO_LARGE)
        s->cpu_pct = 1e9;
    else if (kind == FUTURE)
        s->at_ms += between(g, 1, 100) * (int64_t)MINUTE;
    else if (kind == DUPLICATE)
        s->at_ms = d->sample[d->samples - 2].at_ms;
    else if (kind == UNORDERED)
        s->at_ms -= between(g, 2, 50) * (int64_t)MINUTE;
    else if (kind == SILENT)
        s->silent = between(g, 0, 10000);
    else if (kind == OTHER_METRIC)
        s->memory_pct = -1;
}

/* A steady load, and every kind of bad sample now and then. */
static void bad_samples_move_nothing(void **state)
{
    (void)state;
    struct days *d = days_new(200);
    struct pr_rng g;
    int refused = 0;
    pr_rng_init(&g, seed + 20);
    for (int m = 0; m < 30 * DAY; m++) {
        const double load = 112 * (1 + 0.02 * (pr_rng_unit(&g) - 0.5));
        const bool bad = m > 60 && chance(&g, 0.1);
        const enum damage kind = (enum damage)between(&g, 0, DAMAGES - 1);
        begin_minute(d);
        if (!bad || kind != NO_SAMPLE)
            measured(d, load);
        const struct autoscale_sample good = d->sample[d->samples - 1];
        if (bad)
            damaged(d, kind, &g);
        const int before = d->desired;
        const struct autoscale_vote got = decided(d);
        if (bad && kind != SILENT)
            assert_int_equal(got.desired, before);
        if (bad && kind != SILENT && kind != NO_SAMPLE) { /* one minute late is none missed */
            assert_int_equal(got.move, AUTOSCALE_UNKNOWN);
            refused++;
        }
        if (!(d->desired >= 195 && d->desired <= 225))
            fail_msg("minute %d: %d are wanted (%s)", m, d->desired, got.why);
        if (kind != UNKNOWN_CPU) /* somebody has mended it */
            d->sample[d->samples - 1] = good;
    }
    assert_true(refused > 3000);
    free(d);
}

/* Silence of any length, then a normal load again. */
static void silence_of_any_length_moves_nothing(void **state)
{
    (void)state;
    struct pr_rng g;
    pr_rng_init(&g, seed + 30);
    for (int minutes = 1; minutes < 400; minutes += between(&g, 1, 9)) {
        struct days *d = days_new(200);
        for (int m = 0; m < 300; m++) {
            begin_minute(d);
            measured(d, 112 + pr_rng_unit(&g));
            (void)decided(d);
        }
        const int before = d->desired;
        for (int m = 0; m < minutes; m++) {
            begin_minute(d);
            const struct autoscale_vote got = decided(d);
            assert_int_equal(got.desired, before);
        }
        for (int m = 0; m < 60; m++) {
            begin_minute(d);
            measured(d, 112 + pr_rng_unit(&g));
            (void)decided(d);
            assert_int_equal(d->desired, before);
        }
        free(d);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_load_never_means_fewer),
        cmocka_unit_test(limits_are_kept_and_a_hold_holds),
        cmocka_unit_test(equal_inputs_give_equal_votes),
        cmocka_unit_test(no_day_has_more_flaps_than_the_budget),
        cmocka_unit_test(bad_samples_move_nothing),
        cmocka_unit_test(silence_of_any_length_moves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
