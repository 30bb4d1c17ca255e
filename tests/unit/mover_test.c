#include "prism/dp/mover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { S = 5, D = 6, HOME = 7, ELSEWHERE = 8, E = 40, E_NEXT = 41, E_OLD = 33, V = 12 };

/* What a server, or the database, can answer. */
enum event { OK, LIVE, OUR_STUB, CLAIM, OTHER_STUB, ABSENT, REFUSED, ALARM, BROKEN, EVENTS };

static const struct mover_reply reply[EVENTS] = {
    [OK] = { .result = MOVER_R_OK, .epoch = E_NEXT },
    [LIVE] = { .result = MOVER_R_LIVE, .version = V },
    [OUR_STUB] = { .result = MOVER_R_STUB, .partition = D, .epoch = E_OLD },
    [CLAIM] = { .result = MOVER_R_STUB, .partition = D, .epoch = 0 },
    [OTHER_STUB] = { .result = MOVER_R_STUB, .partition = ELSEWHERE, .epoch = E_OLD },
    [ABSENT] = { .result = MOVER_R_ABSENT },
    [REFUSED] = { .result = MOVER_R_REFUSED },
    [ALARM] = { .result = MOVER_R_ALARM },
    [BROKEN] = { .result = MOVER_R_BROKEN },
};

/* The mover's next command, or how it ended, in words. */
static const char *now(const struct mover *m)
{
    static const char *const wait[] = { "wait s", "wait d", "wait home" };
    static const char *const end[] = { "running",    "moved",    "not there",
                                       "fenced off", "canceled", "lost" };
    struct mover_cmd cmd = mover_next(m);

    switch (cmd.kind) {
    case MOVER_TAKE:
        return "take";
    case MOVER_RESTORE:
        return "restore";
    case MOVER_FENCE:
        return "fence";
    case MOVER_PROMOTE:
        return "promote";
    case MOVER_ROUTE:
        return "route";
    case MOVER_WAIT:
        return wait[cmd.at];
    case MOVER_NEED_EPOCH:
        return "epoch";
    case MOVER_DEL_STAGING:
        return "sweep";
    case MOVER_END:
        return end[mover_outcome(m)];
    }
    return "?";
}

static void feed(struct mover *m, enum event e)
{
    mover_reply(m, &reply[e]);
}

enum variant { PLAIN, CANCELING = 1, EARLIER_RUN = 2, FULL_SWEEP = 4, HOME_S = 8, HOME_D = 16 };

static struct mover begin(unsigned variant)
{
    struct mover m;
    uint32_t home = variant & HOME_S ? S : variant & HOME_D ? D : HOME;

    mover_init(&m, S, D, home, E, (variant & CANCELING) != 0);
    if (variant & EARLIER_RUN)
        assert_true(mover_add_sweep(&m, E_OLD));
    if (variant & FULL_SWEEP)
        for (uint64_t e = 1; e <= MOVER_MAX_SWEEP; e++)
            assert_true(mover_add_sweep(&m, e));
    return m;
}

/* path: events up to the step; END_PATH ends it. next: what follows each event.
 * "=" means: the same command again. */
#define END_PATH EVENTS

static void every_step_answers_every_event(void **state)
{
    (void)state;
    static const struct {
        const char *step;
        unsigned variant;
        enum event path[10];
        const char *next[EVENTS]; /* ok live ours claim other absent refused alarm broken */
    } row[] = {
        { "take",
          PLAIN,
          { END_PATH },
          { "epoch", "restore", "wait s", "not there", "not there", "not there", "fenced off",
            "epoch", "epoch" } },
        { "take",
          EARLIER_RUN,
          { END_PATH },
          { "epoch", "restore", "wait s", "wait s", "wait s", "wait s", "fenced off", "epoch",
            "epoch" } },
        { "take",
          CANCELING,
          { END_PATH },
          { "epoch", "wait s", "wait s", "not there", "not there", "not there", "fenced off",
            "epoch", "epoch" } },
        { "take",
          FULL_SWEEP,
          { END_PATH },
          { "epoch", "wait s", "wait s", "wait s", "wait s", "wait s", "fenced off", "epoch",
            "epoch" } },
        { "restore",
          PLAIN,
          { LIVE, END_PATH },
          { "wait d", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch" } },
        { "wait d",
          PLAIN,
          { LIVE, OK, END_PATH }, /* staged */
          { "fence", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch" } },
        { "fence",
          PLAIN,
          { LIVE, OK, OK, END_PATH },
          { "wait s", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch" } },
        { "wait s",
          PLAIN,
          { LIVE, OK, OK, OK, END_PATH }, /* fenced */
          { "promote", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch" } },
        { "wait s",
          PLAIN,
          { OUR_STUB, END_PATH }, /* found fenced */
          { "promote", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch" } },
        { "promote",
          PLAIN,
          { LIVE, OK, OK, OK, OK, END_PATH },
          { "wait d", "=", "=", "=", "=", "=", "=", "lost", "=" } },
        { "wait d",
          PLAIN,
          { LIVE, OK, OK, OK, OK, OK, END_PATH }, /* promoted */
          { "route", "promote", "promote", "promote", "promote", "promote", "promote", "promote",
            "promote" } },
        { "wait d",
          HOME_S,
          { LIVE, OK, OK, OK, OK, OK, END_PATH },
          { "moved", "promote", "promote", "promote", "promote", "promote", "promote", "promote",
            "promote" } },
        { "wait d",
          HOME_D,
          { LIVE, OK, OK, OK, OK, OK, END_PATH },
          { "moved", "promote", "promote", "promote", "promote", "promote", "promote", "promote",
            "promote" } },
        { "route",
          PLAIN,
          { LIVE, OK, OK, OK, OK, OK, OK, END_PATH },
          { "wait home", "=", "=", "=", "=", "=", "=", "=", "=" } },
        { "wait home",
          PLAIN,
          { LIVE, OK, OK, OK, OK, OK, OK, OK, END_PATH },
          { "moved", "route", "route", "route", "route", "route", "route", "route", "route" } },
        { "wait home",
          EARLIER_RUN,
          { LIVE, OK, OK, OK, OK, OK, OK, OK, END_PATH },
          { "sweep", "route", "route", "route", "route", "route", "route", "route", "route" } },
        { "sweep",
          EARLIER_RUN,
          { LIVE, OK, OK, OK, OK, OK, OK, OK, OK, END_PATH },
          { "wait d", "=", "=", "=", "=", "=", "=", "=", "=" } },
        { "sweep",
          EARLIER_RUN,
          { ABSENT, OK, END_PATH },
          { "wait d", "=", "=", "=", "=", "=", "=", "=", "=" } },
        { "wait d",
          EARLIER_RUN,
          { ABSENT, OK, OK, END_PATH }, /* swept */
          { "not there", "sweep", "sweep", "sweep", "sweep", "sweep", "sweep", "sweep", "sweep" } },
        { "epoch",
          PLAIN,
          { BROKEN, END_PATH },
          { "take", "=", "=", "=", "=", "=", "=", "=", "=" } },
        { "wait s",
          CANCELING,
          { LIVE, END_PATH },
          { "canceled", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch" } },
        { "wait s",
          CANCELING | EARLIER_RUN,
          { LIVE, END_PATH },
          { "sweep", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch" } },
        { "wait s",
          EARLIER_RUN,
          { ABSENT, END_PATH },
          { "sweep", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch" } },
        { "wait s",
          FULL_SWEEP,
          { LIVE, END_PATH }, /* taken: older epochs can no longer fence */
          { "sweep", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch", "epoch" } },
        { "sweep",
          FULL_SWEEP,
          { LIVE, OK, END_PATH },
          { "wait d", "=", "=", "=", "=", "=", "=", "=", "=" } },
        { "wait d",
          FULL_SWEEP,
          { LIVE, OK, OK, END_PATH }, /* trimmed */
          { "restore", "sweep", "sweep", "sweep", "sweep", "sweep", "sweep", "sweep", "sweep" } },
        { "moved",
          HOME_S,
          { LIVE, OK, OK, OK, OK, OK, OK, END_PATH },
          { "=", "=", "=", "=", "=", "=", "=", "=", "=" } },
        { "fenced off",
          EARLIER_RUN,
          { REFUSED, END_PATH },
          { "=", "=", "=", "=", "=", "=", "=", "=", "=" } },
        { "lost",
          EARLIER_RUN,
          { LIVE, OK, OK, OK, OK, ALARM, END_PATH },
          { "=", "=", "=", "=", "=", "=", "=", "=", "=" } },
    };

    for (size_t i = 0; i < COUNT(row); i++) {
        struct mover at = begin(row[i].variant);
        for (size_t k = 0; row[i].path[k] != END_PATH; k++)
            feed(&at, row[i].path[k]);
        if (strcmp(now(&at), row[i].step) != 0)
            fail_msg("row %zu: at '%s', not at '%s'", i, now(&at), row[i].step);
        for (int e = 0; e < EVENTS; e++) {
            struct mover m = at;
            const char *want = row[i].next[e];
            if (strcmp(want, "=") == 0)
                want = row[i].step;
            feed(&m, (enum event)e);
            if (strcmp(now(&m), want) != 0)
                fail_msg("row %zu, '%s', event %d: '%s', not '%s'", i, row[i].step, e, now(&m),
                         want);
        }
    }
}

static void commands_carry_epoch_and_version(void **state)
{
    (void)state;
    struct mover m = begin(PLAIN);
    static const enum event path[] = { LIVE, OK, OK, OK, OK, OK, OK };

    assert_int_equal(mover_next(&m).epoch, E);
    for (size_t i = 0; i < COUNT(path); i++) {
        feed(&m, path[i]);
        assert_int_equal(mover_next(&m).epoch, E);
        assert_int_equal(mover_next(&m).version, V);
    }
    assert_int_equal(mover_next(&m).at, MOVER_AT_HOME);
}

static void a_retry_goes_by_its_own_epoch(void **state)
{
    (void)state;
    struct mover m = begin(PLAIN);

    feed(&m, LIVE);
    feed(&m, BROKEN);
    assert_string_equal(now(&m), "epoch");
    feed(&m, OK);
    assert_string_equal(now(&m), "take");
    assert_int_equal(mover_next(&m).epoch, E_NEXT);
}

static void an_epoch_of_zero_is_no_epoch(void **state)
{
    (void)state;
    struct mover m = begin(PLAIN);

    feed(&m, BROKEN);
    mover_reply(&m, &(struct mover_reply){ .result = MOVER_R_OK, .epoch = 0 });
    assert_string_equal(now(&m), "epoch");
}

static void a_fenced_vertex_goes_on_with_the_epoch_of_its_stub(void **state)
{
    (void)state;
    struct mover m = begin(PLAIN);

    feed(&m, OUR_STUB);
    feed(&m, OK);
    assert_string_equal(now(&m), "promote");
    assert_int_equal(mover_next(&m).epoch, E_OLD);
}

static void sweeps_what_every_run_staged_but_not_what_was_promoted(void **state)
{
    (void)state;
    struct mover m = begin(HOME_S);

    assert_true(mover_add_sweep(&m, 31));
    assert_true(mover_add_sweep(&m, 32));
    feed(&m, LIVE); /* stages under E, then fails */
    feed(&m, BROKEN);
    feed(&m, OK); /* under E_NEXT it succeeds */
    feed(&m, LIVE);
    for (int i = 0; i < 6; i++)
        feed(&m, OK);
    assert_string_equal(now(&m), "sweep");
    struct mover_cmd cmd = mover_next(&m);
    assert_int_equal(cmd.n_sweep, 3);
    assert_int_equal(cmd.sweep[0], 31);
    assert_int_equal(cmd.sweep[1], 32);
    assert_int_equal(cmd.sweep[2], E);
    assert_int_equal(mover_outcome(&m), MOVER_RUNNING);
}

static void nothing_staged_needs_no_sweep(void **state)
{
    (void)state;
    struct mover m = begin(HOME_S);

    feed(&m, LIVE);
    for (int i = 0; i < 6; i++)
        feed(&m, OK);
    assert_string_equal(now(&m), "moved");
}

static void an_epoch_is_swept_once_and_there_is_an_end_to_room(void **state)
{
    (void)state;
    struct mover m = begin(PLAIN);

    assert_true(mover_add_sweep(&m, 9));
    assert_true(mover_add_sweep(&m, 9));
    assert_int_equal(m.n_sweep, 1);
    for (uint64_t e = 10; m.n_sweep < MOVER_MAX_SWEEP; e++)
        assert_true(mover_add_sweep(&m, e));
    assert_false(mover_add_sweep(&m, 1000));
    assert_true(mover_add_sweep(&m, 9));
}

static void more_attempts_than_room_are_swept_on_the_way(void **state)
{
    (void)state;
    struct mover m = begin(FULL_SWEEP);

    feed(&m, LIVE);
    feed(&m, OK);
    assert_string_equal(now(&m), "sweep");
    assert_int_equal(mover_next(&m).n_sweep, MOVER_MAX_SWEEP);
    feed(&m, OK);
    feed(&m, OK);
    assert_string_equal(now(&m), "restore");
    assert_int_equal(m.n_sweep, 1);
}

static void a_cancel_that_comes_too_late_moves_on(void **state)
{
    (void)state;
    struct mover m = begin(CANCELING | HOME_D);

    feed(&m, OUR_STUB);
    for (int i = 0; i < 3; i++)
        feed(&m, OK);
    assert_string_equal(now(&m), "moved");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_answers_every_event),
        cmocka_unit_test(commands_carry_epoch_and_version),
        cmocka_unit_test(a_retry_goes_by_its_own_epoch),
        cmocka_unit_test(an_epoch_of_zero_is_no_epoch),
        cmocka_unit_test(a_fenced_vertex_goes_on_with_the_epoch_of_its_stub),
        cmocka_unit_test(sweeps_what_every_run_staged_but_not_what_was_promoted),
        cmocka_unit_test(nothing_staged_needs_no_sweep),
        cmocka_unit_test(an_epoch_is_swept_once_and_there_is_an_end_to_room),
        cmocka_unit_test(more_attempts_than_room_are_swept_on_the_way),
        cmocka_unit_test(a_cancel_that_comes_too_late_moves_on),
    };
    return cmocka_run_group_tests_name("mover", tests, NULL, NULL);
}
