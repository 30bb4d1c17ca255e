/* A fail-over as steps: the table is whole; whoever is killed wherever, it ends in the same place,
 * and nothing is promoted before the old side is locked out. */
#include "t.h"

#include "core/region.h"

#include "prism/rng.h"

#include <stdio.h>
#include <string.h>

static void the_table_is_whole(void **state)
{
    (void)state;
    for (int i = 0; i < DR_REGION_STEPS; i++) {
        const struct dr_region_row *r = &dr_region_row[i];
        enum dr_region_step found;
        assert_true(r->name != NULL && r->name[0] != '\0' && strlen(r->name) < 16);
        assert_true(r->does != NULL && strlen(r->does) > 10);
        assert_true(r->done_when != NULL && strlen(r->done_when) > 10);
        assert_true(r->person != NULL && strlen(r->person) > 5);
        assert_true(dr_region_step_find(r->name, &found));
        assert_int_equal(found, i);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(r->name, dr_region_row[k].name);
    }
    enum dr_region_step none;
    assert_false(dr_region_step_find("", &none));
    for (int i = 0; i < DR_REGION_KINDS; i++) {
        enum dr_region_kind found;
        assert_true(dr_region_kind_find(dr_region_kind_name((enum dr_region_kind)i), &found));
        assert_int_equal(found, i);
    }
    /* What was done before the point of no return, and is seen by others, can be taken back. */
    assert_non_null(dr_region_row[DR_REGION_CLAIM].undo);
    assert_non_null(dr_region_row[DR_REGION_LOCKOUT].undo);
    assert_true(DR_REGION_CLAIM < DR_REGION_LOCKOUT && DR_REGION_LOCKOUT < DR_REGION_PROMOTE);
    assert_true(DR_REGION_PROMOTE < DR_REGION_REDIS && DR_REGION_REDIS < DR_REGION_SWITCH);
}

static const char *apply(struct dr_region_state *s, enum dr_region_kind kind,
                         enum dr_region_step step)
{
    const struct dr_region_record r = { .kind = kind, .step = step, .postgres = true, .at_ms = 5 };
    return dr_region_apply(s, &r);
}

static void what_is_out_of_turn_is_refused(void **state)
{
    (void)state;
    struct dr_region_state s = { .begun = false };
    enum dr_region_step step;
    assert_int_equal(dr_region_next(&s, &step), DR_REGION_NOTHING);
    for (int k = 0; k < DR_REGION_KINDS; k++)
        if (k != DR_REGION_BEGIN)
            assert_non_null(apply(&s, (enum dr_region_kind)k, DR_REGION_CHECK));
    assert_null(apply(&s, DR_REGION_BEGIN, DR_REGION_CHECK));
    assert_non_null(apply(&s, DR_REGION_BEGIN, DR_REGION_CHECK));
    assert_non_null(apply(&s, DR_REGION_END, DR_REGION_CHECK));
    assert_non_null(apply(&s, DR_REGION_DONE, DR_REGION_CHECK));
    assert_non_null(apply(&s, DR_REGION_INTENT, DR_REGION_CLAIM));
    assert_non_null(apply(&s, DR_REGION_UNDO, DR_REGION_CHECK));
    assert_null(apply(&s, DR_REGION_INTENT, DR_REGION_CHECK));
    assert_null(apply(&s, DR_REGION_FAILED, DR_REGION_CHECK));
    assert_non_null(apply(&s, DR_REGION_DONE, DR_REGION_CHECK)); /* it was not begun again */
    assert_non_null(apply(&s, DR_REGION_NOTE, DR_REGION_CHECK)); /* nor does it run */
    assert_null(apply(&s, DR_REGION_INTENT, DR_REGION_CHECK));
    assert_non_null(apply(&s, DR_REGION_NOTE, DR_REGION_CLAIM));
    assert_null(apply(&s, DR_REGION_NOTE, DR_REGION_CHECK));
    assert_int_equal(s.step[DR_REGION_CHECK].at, DR_REGION_RUNNING);
    assert_null(apply(&s, DR_REGION_DONE, DR_REGION_CHECK));
    assert_int_equal(dr_region_next(&s, &step), DR_REGION_STEP);
    assert_int_equal(step, DR_REGION_CLAIM);
}

/* From the intent on: it may have been done. */
static void an_abort_is_too_late_once_it_cannot_be_taken_back(void **state)
{
    (void)state;
    for (int postgres = 0; postgres <= 1; postgres++) {
        struct dr_region_state s = { .begun = false };
        const struct dr_region_record begin = { .kind = DR_REGION_BEGIN,
                                                .postgres = postgres != 0 };
        const int last = postgres != 0 ? DR_REGION_PROMOTE : DR_REGION_REDIS;
        assert_non_null(dr_region_no_abort(&s));
        assert_null(dr_region_apply(&s, &begin));
        for (int i = 0; i < DR_REGION_STEPS; i++) {
            struct dr_region_state other = s;
            assert_true((dr_region_no_abort(&s) == NULL) == (i <= last));
            assert_true((apply(&other, DR_REGION_ABORT, DR_REGION_CHECK) == NULL) == (i <= last));
            assert_null(apply(&s, DR_REGION_INTENT, (enum dr_region_step)i));
            assert_true((dr_region_no_abort(&s) == NULL) == (i < last));
            assert_null(apply(&s, DR_REGION_DONE, (enum dr_region_step)i));
        }
        assert_null(apply(&s, DR_REGION_END, DR_REGION_CHECK));
        assert_non_null(dr_region_no_abort(&s));
        assert_non_null(apply(&s, DR_REGION_ATTEMPT, DR_REGION_CHECK));
    }
}

/* --- killed anywhere -----------------------------------------------------------------------------
 */

enum { RECORDS = 4000 };

struct world {
    struct dr_region_record journal[RECORDS];
    size_t records;
    bool is[DR_REGION_STEPS]; /* what the step brings about is so */
};

static void write_record(struct world *w, enum dr_region_kind kind, enum dr_region_step step)
{
    assert_true(w->records < RECORDS);
    w->journal[w->records] = (struct dr_region_record){
        .kind = kind, .step = step, .postgres = true, .at_ms = (int64_t)w->records
    };
    w->records++;
}

static void read_all(const struct world *w, struct dr_region_state *s)
{
    *s = (struct dr_region_state){ .begun = false };
    for (size_t i = 0; i < w->records; i++) {
        const char *why = dr_region_apply(s, &w->journal[i]);
        if (why != NULL)
            fail_msg("record %zu %s", i, why);
    }
}

static void act(struct world *w, enum dr_region_step step, bool back)
{
    if (!back && step == DR_REGION_PROMOTE && !(w->is[DR_REGION_CLAIM] && w->is[DR_REGION_LOCKOUT]))
        fail_msg("promoted before the old side is locked out");
    if (back && w->is[DR_REGION_PROMOTE])
        fail_msg("taken back after the promotion");
    if (back && step == DR_REGION_LOCKOUT && w->is[DR_REGION_CLAIM])
        fail_msg("let in while another site is the owner");
    w->is[step] = !back;
}

/* A run that may be killed before and after everything that it does. False: it was. */
static bool run(struct world *w, struct pr_rng *rng, uint64_t chance, bool resumed)
{
    struct dr_region_state s;
    enum dr_region_step step = DR_REGION_CHECK;
    read_all(w, &s);
    if (s.ended)
        return true;
    if (resumed)
        write_record(w, DR_REGION_ATTEMPT, step);
    for (;;) {
        read_all(w, &s);
        const enum dr_region_do what = dr_region_next(&s, &step);
        const bool back = what == DR_REGION_BACK;
        if (pr_rng_below(rng, chance) == 0)
            return false;
        if (what == DR_REGION_NOTHING)
            return true;
        if (what == DR_REGION_FINISH) {
            write_record(w, DR_REGION_END, step);
            continue;
        }
        write_record(w, back ? DR_REGION_UNDO : DR_REGION_INTENT, step);
        if (pr_rng_below(rng, chance) == 0)
            return false;
        if (pr_rng_below(rng, 8) == 0) { /* it fails, with half of it done or none */
            if (pr_rng_below(rng, 2) == 0)
                act(w, step, back);
            write_record(w, back ? DR_REGION_STUCK : DR_REGION_FAILED, step);
            return false;
        }
        act(w, step, back);
        if (pr_rng_below(rng, chance) == 0)
            return false;
        write_record(w, back ? DR_REGION_UNDONE : DR_REGION_DONE, step);
    }
}

static void walk(uint64_t seed)
{
    static struct world w;
    struct pr_rng rng;
    struct dr_region_state s;
    memset(&w, 0, sizeof w);
    pr_rng_init(&rng, seed);
    const bool aborts = pr_rng_below(&rng, 2) == 0;
    write_record(&w, DR_REGION_BEGIN, DR_REGION_CHECK);
    for (bool over = run(&w, &rng, 5, false); !over;) {
        read_all(&w, &s);
        if (aborts && !s.aborting && pr_rng_below(&rng, 3) == 0 && dr_region_no_abort(&s) == NULL)
            write_record(&w, DR_REGION_ABORT, DR_REGION_CHECK);
        over = run(&w, &rng, 5, true);
    }
    read_all(&w, &s);
    assert_true(s.ended);
    if (s.aborting)
        assert_false(w.is[DR_REGION_CLAIM] || w.is[DR_REGION_LOCKOUT] || w.is[DR_REGION_PROMOTE] ||
                     w.is[DR_REGION_RESTORE]);
    else
        for (int i = 0; i < DR_REGION_STEPS; i++)
            assert_true(w.is[i]);
}

static void killed_anywhere_it_ends_in_the_same_place(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++)
        walk(seed);
}

/* --- how much is missing -------------------------------------------------------------------------
 */

#define A "0123456789abcdef0123456789abcdef01234567"
#define B "89abcdef0123456789abcdef0123456789abcdef"

static void what_is_missing_has_an_age(void **state)
{
    (void)state;
    static const struct dr_region_point points[] = { { A, 100 }, { B, 50 } };
    static const struct {
        struct dr_region_shard shard[2];
        size_t points;
        int64_t rpo_ms;
        size_t missing;
    } row[] = {
        { { { A, 100, 900 }, { B, 50, 800 } }, 2, 0, 0 },   /* to their ends */
        { { { A, 101, 900 }, { B, 60, 800 } }, 2, 0, 0 },   /* heartbeats came behind */
        { { { A, 99, 900 }, { B, 50, 800 } }, 2, 100, 1 },  /* a byte is missing */
        { { { B, 100, 900 }, { A, 50, 800 } }, 2, 200, 1 }, /* another history's offset */
        { { { A, 100, 900 }, { B, 50, 700 } }, 1, 300, 0 }, /* one did not answer */
        { { { A, 100, 900 }, { B, 50, 700 } }, 0, 300, 0 }, /* nor did the other */
        { { { A, 99, 1200 }, { B, 50, 2000 } }, 0, 0, 0 },  /* clocks: no age is below zero */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        size_t missing = 9;
        assert_int_equal(dr_region_rpo_ms(row[i].shard, 2, points, row[i].points, 1000, &missing),
                         row[i].rpo_ms);
        assert_int_equal(missing, row[i].missing);
    }
}

static void a_clock_behind_makes_no_time_negative(void **state)
{
    (void)state;
    const struct dr_region_state s = { .begun_ms = 1000 };
    assert_int_equal(dr_region_rto_ms(&s, 1500), 500);
    assert_int_equal(dr_region_rto_ms(&s, 1001), 1);
    assert_int_equal(dr_region_rto_ms(&s, 1000), 0);
    assert_int_equal(dr_region_rto_ms(&s, 999), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_whole),
        cmocka_unit_test(what_is_out_of_turn_is_refused),
        cmocka_unit_test(an_abort_is_too_late_once_it_cannot_be_taken_back),
        cmocka_unit_test(killed_anywhere_it_ends_in_the_same_place),
        cmocka_unit_test(what_is_missing_has_an_age),
        cmocka_unit_test(a_clock_behind_makes_no_time_negative),
    };
    return cmocka_run_group_tests_name("dr region", tests, NULL, NULL);
}
