/* Carrying decisions out in a world that fails, with a holder of the lease who is killed at any
 * point: whoever comes next goes on from what was saved. Nothing is started twice, nobody who is
 * in the cluster is terminated, every decision ends, and when nothing fails it ends as intended.
 * The seed is printed; argv[1] sets it. */
#include "autoscale_carry_world.h"

#include <stdlib.h>

enum { ROUNDS = T_ROUNDS(1500), LOOK = 5 * CW_SECOND, MIN = 60 * CW_SECOND, LAPSE = 20 * MIN };

static uint64_t seed = 20261121, round_no;

static const struct autoscale_carry_pace pace = { .drain_ms = 30 * CW_SECOND,
                                                  .patience_ms = 15 * MIN,
                                                  .give_up_ms = 45 * MIN,
                                                  .again_ms = 10 * CW_SECOND,
                                                  .settle_ms = 10 * CW_SECOND,
                                                  .lapse_ms = LAPSE };

static const int zone[CW_TARGETS] = { 0, 1, 2 }, group[CW_TARGETS] = { -1, -1, -1 };

static struct autoscale_carry *saved, *before, *record;
static struct autoscale_carry_step step;
static struct cw_facts facts;

/* --- a decision ---------------------------------------------------------------------------- */

static struct {
    struct autoscale_fleet fleet;
    struct autoscale_place place[CW_TARGETS];
    const char *leave[CW_MEMBERS], *back[CW_MEMBERS];
    size_t leaves, backs;
    int to;
} decided;

static int staying(const struct cw *w)
{
    int n = 0;
    for (size_t i = 0; i < w->members; i++)
        n += (w->cluster ? w->m[i].member : cw_counts(&w->m[i])) &&
             (before == NULL || !autoscale_carry_leaves(before, w->m[i].id));
    return n;
}

/* Whole units: `n` of each target come, or go. from: what is wanted until now. */
static void decide(struct cw *w, int from, int n)
{
    memset(&decided, 0, sizeof decided);
    decided.to = from + CW_TARGETS * n;
    for (int t = 0; t < CW_TARGETS; t++) {
        decided.place[t].zone = t;
        decided.place[t].group = -1;
        int left = n < 0 ? -n : 0;
        decided.place[t].give = left;
        decided.place[t].get = n > 0 ? n : 0;
        for (size_t i = 0; i < w->members && n > 0 && decided.place[t].get > 0; i++) {
            const struct cw_member *m = &w->m[i]; /* first those who leave come back */
            if (m->target != t || before == NULL || !autoscale_carry_leaves(before, m->id) ||
                !(m->member || cw_counts(m)))
                continue;
            decided.back[decided.backs++] = m->id;
            decided.place[t].get--;
            decided.place[t].back++;
        }
        for (size_t i = 0; i < w->members && left > 0; i++) {
            const struct cw_member *m = &w->m[i];
            if (m->target != t || (before != NULL && autoscale_carry_leaves(before, m->id)) ||
                !(w->cluster ? m->member : cw_counts(m)))
                continue;
            decided.leave[decided.leaves++] = m->id;
            left--;
        }
    }
}

static bool begin(struct cw *w)
{
    const struct autoscale_intent intent = {
        .fleet = &decided.fleet,
        .place = decided.place,
        .places = CW_TARGETS,
        .to = decided.to,
        .leave = decided.leave,
        .back = decided.back,
        .leaves = decided.leaves,
        .backs = decided.backs,
        .zone = zone,
        .group = group,
    };
    struct pr_err err = { 0 };
    cw_look(w, before, &facts);
    const enum pr_code rc = autoscale_carry_begin(&intent, before, &facts.f, saved, &err);
    if (rc == PR_EUNAVAIL)
        return false;
    assert_ok(rc, &err);
    return true;
}

static bool over(const struct autoscale_carry *r)
{
    return r->phase == AUTOSCALE_PHASE_DONE || r->phase == AUTOSCALE_PHASE_FAILED;
}

/* One look; die: of 1000, killed before saving, after it, or after the act. */
static void look(struct cw *w, unsigned die)
{
    for (int i = 0; i < 50; i++) {
        cw_look(w, saved, &facts);
        *record = *saved;
        autoscale_carry_step(&pace, &facts.f, record, &step);
        if (cw_chance(w, die))
            return;
        if (step.act == AUTOSCALE_ACT_JOIN || step.act == AUTOSCALE_ACT_DRAIN)
            cw_make_plan(w, &facts, &step, record); /* one transaction */
        *saved = *record;
        if (step.act == AUTOSCALE_ACT_WAIT || step.act == AUTOSCALE_ACT_END)
            return;
        if (cw_chance(w, die))
            return;
        if (!cw_do(w, &facts, &step) || cw_chance(w, die))
            return;
    }
    fail_msg("round %llu: no end of acts; %s: %s", (unsigned long long)round_no,
             autoscale_act_name(step.act), saved->why);
}

static void carry_out(struct cw *w, unsigned die, int64_t for_ms)
{
    const int64_t until = w->now_ms + for_ms;
    while (!over(saved) && w->now_ms < until) {
        look(w, die);
        cw_pass(w, LOOK);
    }
}

static void must_end(struct cw *w, unsigned die)
{
    carry_out(w, die, 12 * 60 * (int64_t)MIN);
    if (!over(saved))
        fail_msg("round %llu: not over after 12 h: %s: %s", (unsigned long long)round_no,
                 autoscale_phase_name(saved->phase), saved->why);
}

static void check_as_intended(struct cw *w)
{
    int strays[CW_MEMBERS];
    if (saved->phase != AUTOSCALE_PHASE_DONE)
        fail_msg("round %llu: %s", (unsigned long long)round_no, saved->why);
    cw_look(w, saved, &facts);
    if (cw_members(w) != decided.to)
        fail_msg("round %llu: %d members, want %d", (unsigned long long)round_no, cw_members(w),
                 decided.to);
    assert_int_equal(autoscale_carry_strays(&facts.f, saved, strays, CW_MEMBERS), 0);
    for (size_t i = 0; i < saved->leavers; i++) {
        const struct cw_member *m = cw_find(w, saved->leaver[i].id);
        assert_int_equal(m->presence, AUTOSCALE_ABSENT);
        assert_false(m->registered);
    }
}

/* --- rounds -------------------------------------------------------------------------------- */

static int setup(void **state)
{
    (void)state;
    saved = calloc(1, sizeof *saved);
    record = calloc(1, sizeof *record);
    before = NULL;
    return saved == NULL || record == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    free(saved);
    free(record);
    free(before);
    before = NULL;
    return 0;
}

static void start_round(struct cw *w)
{
    cw_init(w, seed + round_no, round_no % 3 != 0, 2 + (int)(round_no % 3));
    free(before);
    before = NULL;
}

static void next(void)
{
    if (before == NULL)
        before = calloc(1, sizeof *before);
    assert_non_null(before);
    *before = *saved;
}

/* Nothing fails but the holder of the lease. */
static void killed_at_any_point_it_ends_as_intended(void **state)
{
    (void)state;
    for (round_no = 0; round_no < ROUNDS; round_no++) {
        struct cw w;
        start_round(&w);
        int from = staying(&w);
        for (int d = 0; d < 3; d++) {
            const int n = d == 1 ? -1 : 1 + (int)pr_rng_below(&w.rng, 3);
            const int started = w.started;
            decide(&w, from, n);
            assert_true(begin(&w));
            must_end(&w, 150);
            check_as_intended(&w);
            /* Exactly those who were wanted were started. */
            assert_int_equal(w.started - started, n > 0 ? CW_TARGETS * n : 0);
            from = decided.to;
            next();
        }
        assert_true(w.most <= decided.to + CW_TARGETS * 4);
    }
}

/* A decision is overtaken by another one at any point. */
static void later_decision_takes_over_from_wherever_it_stands(void **state)
{
    (void)state;
    for (round_no = 0; round_no < ROUNDS; round_no++) {
        struct cw w;
        start_round(&w);
        int from = staying(&w);
        for (int d = 0; d < 4; d++) {
            const int n = pr_rng_below(&w.rng, 2) == 0 ? 1 + (int)pr_rng_below(&w.rng, 2) : -1;
            if (from + CW_TARGETS * n < CW_TARGETS)
                continue;
            decide(&w, from, n);
            assert_true(begin(&w));
            from = decided.to;
            if (d < 3) /* superseded after a while */
                carry_out(&w, 100, (int64_t)pr_rng_below(&w.rng, 200) * CW_SECOND);
            else
                must_end(&w, 100);
            next();
        }
        if (!over(saved))
            must_end(&w, 100);
        check_as_intended(&w);
    }
}

/* Everything fails now and then: it ends, says why, and harms nobody. */
static void every_failure_ends_in_words(void **state)
{
    (void)state;
    unsigned failed = 0;
    for (round_no = 0; round_no < ROUNDS; round_no++) {
        struct cw w;
        start_round(&w);
        w.mute = (unsigned)pr_rng_below(&w.rng, 300);
        w.fails = (unsigned)pr_rng_below(&w.rng, 500);
        w.plan_fails = (unsigned)pr_rng_below(&w.rng, 700);
        w.broken = (unsigned)pr_rng_below(&w.rng, 300);
        if (pr_rng_below(&w.rng, 3) == 0)
            w.capacity[pr_rng_below(&w.rng, CW_TARGETS)] = 2 + (int)pr_rng_below(&w.rng, 4);
        for (int d = 0; d < 3; d++) {
            decide(&w, staying(&w), pr_rng_below(&w.rng, 2) == 0 ? 2 : -1);
            for (int tries = 0; tries < 1000 && !begin(&w); tries++)
                cw_pass(&w, LOOK);
            must_end(&w, 100);
            assert_true(saved->phase == AUTOSCALE_PHASE_DONE || saved->failing[0] != '\0');
            failed += saved->phase == AUTOSCALE_PHASE_FAILED;
            next();
        }
    }
    print_message("%u of %u failed\n", failed, 3 * ROUNDS);
    assert_in_range(failed, ROUNDS / 30, 3 * ROUNDS - ROUNDS / 30);
}

static void nobody_is_there_for_long(struct cw *w)
{
    cw_pass(w, LAPSE);
    for (int t = 0; t < CW_TARGETS; t++) /* all who were ordered have come */
        assert_int_equal(cw_there(w, t), w->desired[t]);
}

/* Killed at any point, and nobody comes for long: the provider may not answer at first. Who serves
 * then serves on, nobody else is started, who was drained before is not left running. */
static void after_an_outage_it_ends_as_it_stands(void **state)
{
    (void)state;
    unsigned out = 0, in = 0;
    for (round_no = 0; round_no < ROUNDS; round_no++) {
        struct cw w;
        int desired[CW_TARGETS], strays[CW_MEMBERS];
        start_round(&w);
        decide(&w, staying(&w), pr_rng_below(&w.rng, 2) == 0 ? 1 : -1);
        assert_true(begin(&w));
        carry_out(&w, 100, (int64_t)pr_rng_below(&w.rng, 150) * CW_SECOND);
        if (over(saved))
            continue;
        nobody_is_there_for_long(&w);
        const int started = w.started, members = cw_members(&w);
        memcpy(desired, w.desired, sizeof desired);
        w.mute = (unsigned)pr_rng_below(&w.rng, 2) * 400;
        must_end(&w, 100);
        assert_int_equal(saved->phase, AUTOSCALE_PHASE_FAILED);
        if (w.started != started || cw_members(&w) != members)
            fail_msg("round %llu: %d started, %d members of %d: %s", (unsigned long long)round_no,
                     w.started - started, cw_members(&w), members, saved->why);
        for (int t = 0; t < CW_TARGETS && !w.cluster; t++)
            assert_int_equal(w.desired[t], desired[t]);
        w.mute = 0;
        cw_look(&w, saved, &facts);
        if (decided.leaves > 0)
            assert_int_equal(autoscale_carry_strays(&facts.f, saved, strays, CW_MEMBERS), 0);
        ++*(decided.leaves > 0 ? &in : &out);
    }
    print_message("%u out, %u in\n", out, in);
    assert_in_range(out, 50, ROUNDS);
    assert_in_range(in, 50, ROUNDS);
}

/* The same record and facts give the same step. */
static void same_facts_give_the_same_step(void **state)
{
    (void)state;
    struct autoscale_carry *again = calloc(1, sizeof *again);
    static struct autoscale_carry_step other;
    assert_non_null(again);
    for (round_no = 0; round_no < 200; round_no++) {
        struct cw w;
        start_round(&w);
        decide(&w, staying(&w), 2);
        assert_true(begin(&w));
        for (int i = 0; i < 40 && !over(saved); i++) {
            cw_look(&w, saved, &facts);
            *record = *again = *saved;
            memset(&step, 0, sizeof step);
            memset(&other, 0, sizeof other);
            autoscale_carry_step(&pace, &facts.f, record, &step);
            autoscale_carry_step(&pace, &facts.f, again, &other);
            assert_memory_equal(record, again, sizeof *record);
            assert_memory_equal(&step, &other, sizeof step);
            look(&w, 0);
            cw_pass(&w, LOOK);
        }
        teardown(NULL);
        assert_int_equal(setup(NULL), 0);
    }
    free(again);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_at_any_point_it_ends_as_intended, setup, teardown),
        cmocka_unit_test_setup_teardown(later_decision_takes_over_from_wherever_it_stands, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(every_failure_ends_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(after_an_outage_it_ends_as_it_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(same_facts_give_the_same_step, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
