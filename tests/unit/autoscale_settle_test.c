#include "core/settle.h"

#include "t.h"

#include <string.h>

enum { MIN_MS = 60000, SENT = 1000 * MIN_MS, PATIENCE = 15 * MIN_MS };

static struct autoscale_wanted order(int from, int to)
{
    return (struct autoscale_wanted){
        .desired = to, .from = from, .sent_ms = SENT, .patience_ms = PATIENCE
    };
}

static struct autoscale_reported runs(int desired, int in_service, int coming)
{
    return (struct autoscale_reported){ .desired = desired,
                                        .min = 0,
                                        .max = 500,
                                        .in_service = in_service,
                                        .coming = coming,
                                        .members_known = true };
}

static struct autoscale_settlement at(struct autoscale_wanted w, struct autoscale_reported r,
                                      int64_t now_ms)
{
    struct autoscale_settlement s;
    autoscale_settle(&w, &r, now_ms, &s);
    return s;
}

/* Counts alone, in time and late. */
static void counts_say_what_it_has_come_to(void **state)
{
    (void)state;
    static const struct {
        int from, to;
        int desired, in_service, unhealthy, coming, leaving;
        enum autoscale_outcome in_time, late;
    } row[] = {
        /* out */
        { 48, 53, 53, 53, 0, 0, 0, AUTOSCALE_DONE, AUTOSCALE_DONE },
        { 48, 53, 53, 48, 0, 5, 0, AUTOSCALE_WAITING, AUTOSCALE_REFUSED },
        { 48, 53, 53, 48, 0, 0, 0, AUTOSCALE_WAITING, AUTOSCALE_REFUSED },
        { 48, 53, 53, 49, 0, 4, 0, AUTOSCALE_WAITING, AUTOSCALE_PARTIAL },
        { 48, 53, 53, 52, 0, 0, 0, AUTOSCALE_WAITING, AUTOSCALE_PARTIAL },
        { 48, 53, 53, 47, 0, 6, 0, AUTOSCALE_WAITING, AUTOSCALE_REFUSED },
        { 48, 53, 53, 52, 1, 0, 0, AUTOSCALE_WAITING, AUTOSCALE_PARTIAL },
        { 48, 53, 48, 48, 0, 0, 0, AUTOSCALE_DIFFERS, AUTOSCALE_DIFFERS }, /* not arrived */
        { 48, 53, 60, 60, 0, 0, 0, AUTOSCALE_DIFFERS, AUTOSCALE_DIFFERS },
        /* more than asked for, though it says it wants what we want */
        { 48, 53, 53, 58, 0, 0, 0, AUTOSCALE_WAITING, AUTOSCALE_EXCESS },
        { 48, 53, 53, 53, 0, 2, 0, AUTOSCALE_WAITING, AUTOSCALE_EXCESS },
        { 48, 53, 53, 53, 1, 0, 0, AUTOSCALE_WAITING, AUTOSCALE_EXCESS },
        /* in */
        { 53, 48, 48, 48, 0, 0, 0, AUTOSCALE_DONE, AUTOSCALE_DONE },
        { 53, 48, 48, 50, 0, 0, 3, AUTOSCALE_WAITING, AUTOSCALE_EXCESS },
        { 53, 48, 48, 48, 0, 0, 5, AUTOSCALE_WAITING, AUTOSCALE_EXCESS },  /* a hook holds them */
        { 53, 48, 48, 47, 0, 0, 0, AUTOSCALE_WAITING, AUTOSCALE_PARTIAL }, /* one too few */
        { 3, 0, 0, 0, 0, 0, 0, AUTOSCALE_DONE, AUTOSCALE_DONE },
        { 0, 3, 3, 0, 0, 0, 0, AUTOSCALE_WAITING, AUTOSCALE_REFUSED },
        /* nothing changed, and one fell over */
        { 48, 48, 48, 47, 1, 0, 0, AUTOSCALE_WAITING, AUTOSCALE_PARTIAL },
        { 48, 48, 48, 47, 0, 1, 0, AUTOSCALE_WAITING, AUTOSCALE_PARTIAL },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_reported r = runs(row[i].desired, row[i].in_service, row[i].coming);
        r.unhealthy = row[i].unhealthy;
        r.leaving = row[i].leaving;
        const struct autoscale_wanted w = order(row[i].from, row[i].to);
        const struct autoscale_settlement early = at(w, r, SENT + PATIENCE - 1),
                                          late = at(w, r, SENT + PATIENCE);
        if (early.outcome != row[i].in_time || late.outcome != row[i].late)
            fail_msg("row %zu: %s then %s (%s)", i, autoscale_outcome_name(early.outcome),
                     autoscale_outcome_name(late.outcome), late.why);
        assert_true(late.why[0] != '\0');
        assert_false(early.outcome == AUTOSCALE_WAITING && early.alarm);
        assert_true(late.outcome < AUTOSCALE_EXCESS || late.alarm);
        assert_int_equal(late.wanted, row[i].to);
        assert_int_equal(late.has, row[i].in_service);
    }
}

static void late_is_from_the_last_millisecond_on(void **state)
{
    (void)state;
    static const struct {
        int64_t sent_ms, done_ms, now_ms;
        enum autoscale_outcome want;
    } row[] = {
        { SENT, 0, SENT + PATIENCE - 1, AUTOSCALE_WAITING },
        { SENT, 0, SENT + PATIENCE, AUTOSCALE_REFUSED },
        { SENT, 0, SENT + PATIENCE + 1, AUTOSCALE_REFUSED },
        { SENT, 0, SENT - 1, AUTOSCALE_WAITING }, /* the clock stepped back */
        { SENT, 0, 0, AUTOSCALE_WAITING },
        /* done a week later, and then not any more */
        { SENT, SENT + 10080 * MIN_MS, SENT + 10080 * MIN_MS + PATIENCE - 1, AUTOSCALE_WAITING },
        { SENT, SENT + 10080 * MIN_MS, SENT + 10080 * MIN_MS + PATIENCE, AUTOSCALE_REFUSED },
        { 0, 0, SENT, AUTOSCALE_WAITING }, /* nothing to count from */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_wanted w = order(48, 53);
        w.sent_ms = row[i].sent_ms;
        w.done_ms = row[i].done_ms;
        assert_int_equal(at(w, runs(53, 48, 0), row[i].now_ms).outcome, row[i].want);
    }
}

static void refused_capacity_is_said_at_once(void **state)
{
    (void)state;
    struct autoscale_reported r = runs(53, 48, 0);
    r.problem = AUTOSCALE_NO_CAPACITY;
    (void)strcpy(r.problem_text, "InsufficientInstanceCapacity: no r6i.4xlarge in us-east-1a");

    struct autoscale_settlement s = at(order(48, 53), r, SENT + 1);
    assert_int_equal(s.outcome, AUTOSCALE_REFUSED);
    assert_int_equal(s.code, PR_EFULL);
    assert_int_equal(s.missing, 5);
    assert_true(s.alarm);
    assert_non_null(strstr(s.why, "InsufficientInstanceCapacity"));
    assert_non_null(strstr(s.why, "48 of 53 run"));

    r.in_service = 51; /* part of it came */
    s = at(order(48, 53), r, SENT + 1);
    assert_int_equal(s.outcome, AUTOSCALE_PARTIAL);
    assert_int_equal(s.has, 51);
    assert_int_equal(s.missing, 2);
    assert_true(s.alarm);

    r.coming = 2; /* tried again by the provider, and successfully so far */
    s = at(order(48, 53), r, SENT + 1);
    assert_int_equal(s.outcome, AUTOSCALE_WAITING);
    assert_non_null(strstr(s.why, "meanwhile: Insufficient"));
    assert_int_equal(s.missing, 0);
    s = at(order(48, 53), r, SENT + PATIENCE);
    assert_int_equal(s.outcome, AUTOSCALE_PARTIAL);

    r.in_service = 53, r.coming = 0; /* what failed once does not count against what is there */
    assert_int_equal(at(order(48, 53), r, SENT + 1).outcome, AUTOSCALE_DONE);
}

static void limits_of_the_group_refuse(void **state)
{
    (void)state;
    static const struct {
        int desired, min, max;
        enum autoscale_outcome want;
    } row[] = {
        { 10, 3, 10, AUTOSCALE_DONE },   { 11, 3, 10, AUTOSCALE_REFUSED },
        { 3, 3, 10, AUTOSCALE_DONE },    { 2, 3, 10, AUTOSCALE_REFUSED },
        { 2000, 3, -1, AUTOSCALE_DONE }, /* no limits */
        { 1, 3, -1, AUTOSCALE_DONE },    { 1, 0, 0, AUTOSCALE_REFUSED },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_reported r = runs(row[i].desired, row[i].desired, 0);
        r.min = row[i].min;
        r.max = row[i].max;
        const struct autoscale_settlement s = at(order(5, row[i].desired), r, SENT + 1);
        assert_int_equal(s.outcome, row[i].want);
        assert_int_equal(s.code, row[i].want == AUTOSCALE_DONE ? PR_OK : PR_EFULL);
        assert_true(s.alarm == (row[i].want == AUTOSCALE_REFUSED));
    }
    struct autoscale_reported r = runs(5, 5, 0);
    r.min = 3, r.max = 10;
    assert_string_equal(at(order(5, 12), r, SENT).why, "12 wanted, but the provider allows 3..10");
}

static void whoever_does_not_answer_is_not_known(void **state)
{
    (void)state;
    static const struct {
        enum pr_code code;
        int64_t known_ms, now_ms;
        enum autoscale_outcome want;
        bool alarm;
    } row[] = {
        { PR_EDENIED, SENT, SENT + 1, AUTOSCALE_REFUSED, true }, /* ExpiredToken */
        { PR_ENOTFOUND, SENT, SENT + 1, AUTOSCALE_REFUSED, true },
        { PR_EINVAL, SENT, SENT + 1, AUTOSCALE_REFUSED, true },
        { PR_EUNAVAIL, SENT, SENT + PATIENCE - 1, AUTOSCALE_UNKNOWN_STATE, false },
        { PR_EUNAVAIL, SENT, SENT + PATIENCE, AUTOSCALE_UNKNOWN_STATE, true },
        { PR_ETIMEOUT, SENT, SENT + PATIENCE, AUTOSCALE_UNKNOWN_STATE, true },
        { PR_EDATA, SENT, SENT + PATIENCE - 1, AUTOSCALE_UNKNOWN_STATE, false },
        { PR_EUNAVAIL, SENT + PATIENCE, SENT + PATIENCE, AUTOSCALE_UNKNOWN_STATE, false },
        { PR_EUNAVAIL, 0, SENT + PATIENCE - 1, AUTOSCALE_UNKNOWN_STATE, false },
        { PR_EUNAVAIL, 0, SENT + PATIENCE, AUTOSCALE_UNKNOWN_STATE, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_wanted w = order(48, 53);
        w.known_ms = row[i].known_ms;
        /* What an unanswered question left in the counts is looked at by nobody. */
        struct autoscale_reported r = runs(53, 53, 0);
        r.code = row[i].code;
        (void)strcpy(r.problem_text, "aws group a: ExpiredToken: it has expired");
        const struct autoscale_settlement s = at(w, r, row[i].now_ms);
        assert_int_equal(s.outcome, row[i].want);
        assert_true(s.alarm == row[i].alarm);
        assert_int_equal(s.code, row[i].code);
        assert_int_equal(s.has, 0);
        assert_non_null(strstr(s.why, "ExpiredToken"));
    }
}

static void somebody_elses_number_is_an_alarm(void **state)
{
    (void)state;
    assert_false(at(order(48, 53), runs(48, 48, 0), SENT + 1).alarm); /* not yet arrived */
    assert_true(at(order(48, 53), runs(60, 60, 0), SENT + 1).alarm);
    struct autoscale_wanted unsent = order(48, 53);
    unsent.sent_ms = 0;
    assert_false(at(unsent, runs(60, 60, 0), SENT + 1).alarm);
    assert_string_equal(at(order(48, 53), runs(60, 60, 0), SENT).why,
                        "the provider wants 60, we want 53; somebody else changed it");
}

static void unknown_readiness_is_said(void **state)
{
    (void)state;
    struct autoscale_reported r = runs(5, 5, 0);
    r.members_known = false;
    const struct autoscale_settlement s = at(order(3, 5), r, SENT + 1);
    assert_int_equal(s.outcome, AUTOSCALE_DONE);
    assert_non_null(strstr(s.why, "ready is not known"));
}

static void fleet_is_as_good_as_its_worst_group(void **state)
{
    (void)state;
    struct autoscale_settlement all;
    autoscale_settle_all(NULL, 0, &all);
    assert_int_equal(all.outcome, AUTOSCALE_DONE);

    struct autoscale_reported none = runs(20, 16, 0);
    none.problem = AUTOSCALE_NO_CAPACITY;
    (void)strcpy(none.problem_text, "zone b is full");
    const struct autoscale_settlement one[] = {
        at(order(16, 18), runs(18, 18, 0), SENT + 1),
        at(order(16, 20), none, SENT + 1),
        at(order(16, 18), runs(18, 16, 2), SENT + 1),
    };
    autoscale_settle_all(one, PR_COUNT(one), &all);
    assert_int_equal(all.outcome, AUTOSCALE_REFUSED);
    assert_int_equal(all.wanted, 56);
    assert_int_equal(all.has, 50);
    assert_int_equal(all.coming, 2);
    assert_int_equal(all.missing, 4);
    assert_true(all.alarm);
    assert_non_null(strstr(all.why, "zone b is full"));
    autoscale_settle_all(one, 1, &all);
    assert_int_equal(all.outcome, AUTOSCALE_DONE);
    assert_string_equal(all.why, "18 run, as wanted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_say_what_it_has_come_to),
        cmocka_unit_test(late_is_from_the_last_millisecond_on),
        cmocka_unit_test(refused_capacity_is_said_at_once),
        cmocka_unit_test(limits_of_the_group_refuse),
        cmocka_unit_test(whoever_does_not_answer_is_not_known),
        cmocka_unit_test(somebody_elses_number_is_an_alarm),
        cmocka_unit_test(unknown_readiness_is_said),
        cmocka_unit_test(fleet_is_as_good_as_its_worst_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
