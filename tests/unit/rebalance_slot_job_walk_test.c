/* The rules of jobs and what is remembered of them, against a model of two primaries that fail,
 * refuse, lie, lose answers and are told otherwise, and of a worker that crashes: random walks,
 * each calm in the end. Every seed ends with the slots where they belong, or says truly why not. */
#include "core/slot/job.h"

#include "t.h"

#include "prism/rng.h"

#include <stdio.h>
#include <string.h>

#define J(name) REBALANCE_JOB_##name

enum { SLOTS = 4, LOG = 512, WILD = 300, CALM = 400, RUNS_FOR = 6 };
enum { MS = 1000 };

struct entry { /* a job, as the server has it */
    char id[16];
    enum rebalance_job_phase phase;
    int step;
    bool ours;  /* with our slots; else somebody's, of other slots */
    bool hangs; /* while all is wild */
    unsigned retries;
};

static struct world {
    struct pr_rng rng;
    enum rebalance_job_dialect dialect;
    struct entry job[LOG];
    int jobs;
    int first[2];        /* oldest entry that each side lists */
    int owner[2][SLOTS]; /* as each side sees it: 0 source, 1 target */
    bool up[2];
    int64_t now_us;
    bool wild;
} w;

static struct actor {
    struct rebalance_job_memory memory;
    struct rebalance_job_view view;
    bool recorded, resumed; /* resumed: its rows were begun by one that crashed */
    bool paused, canceled;
    bool over;
    unsigned starts;
    bool by_somebody; /* a job that began since the last start was canceled by hand */
} a;

static unsigned long seen[J(EVENTS)];

static bool chance(unsigned percent)
{
    return pr_rng_below(&w.rng, 100) < percent;
}

/* --- the servers ------------------------------------------------------------------------ */

static bool lives(const struct entry *e)
{
    return rebalance_job_runs(e->phase);
}

static int running(bool ours)
{
    int n = 0;
    for (int i = 0; i < w.jobs; i++)
        n += lives(&w.job[i]) && w.job[i].ours == ours;
    return n;
}

static bool begins(bool ours)
{
    if (w.jobs == LOG || (ours && (running(true) > 0 || w.owner[0][0] == 1)))
        return false;
    struct entry *e = &w.job[w.jobs++];
    *e = (struct entry){ .phase = J(RUNNING), .ours = ours, .hangs = chance(10) };
    snprintf(e->id, sizeof e->id, "job-%d", w.jobs);
    return true;
}

static void fails(struct entry *e)
{
    const bool again = w.dialect == J(REDIS);
    e->phase = again ? J(RETRYING) : chance(50) ? J(CLEANING) : J(FAILED);
}

static void goes_on(struct entry *e)
{
    if (e->phase == J(CLEANING))
        e->phase = J(FAILED);
    else if (e->phase == J(RETRYING)) {
        e->phase = J(RUNNING);
        e->step = 0;
        e->retries++;
    } else if (!lives(e) || (e->hangs && w.wild))
        return;
    else if (w.wild && chance(5))
        fails(e);
    else if (++e->step == RUNS_FOR - 1)
        e->phase = J(HANDING);
    else if (e->step >= RUNS_FOR) {
        e->phase = J(DONE);
        for (int s = 0; s < SLOTS && e->ours && !(w.wild && chance(10)); s++)
            w.owner[1][s] = 1;
    }
}

static void somebody_acts(void)
{
    for (int i = 0; i < w.jobs; i++)
        if (lives(&w.job[i]) && w.job[i].phase != J(HANDING) && chance(1)) {
            w.job[i].phase = J(CANCELED);
            a.by_somebody = a.by_somebody || w.job[i].ours;
        }
    if (chance(2))
        (void)begins(false);
    if (chance(1) && running(true) == 0)
        (void)begins(true);
    for (int k = 0; k < 2; k++) {
        w.up[k] = chance(95);
        if (chance(1)) { /* restarted, or failed over: what ran is over, and forgotten here */
            for (int i = 0; i < w.jobs; i++)
                if (lives(&w.job[i]) || w.job[i].phase == J(CLEANING))
                    w.job[i].phase = J(FAILED);
            w.first[k] = w.jobs;
        }
    }
    if (chance(3))
        a.paused = !a.paused;
    if (chance(1) && chance(10))
        a.canceled = true;
}

static void time_passes(void)
{
    w.now_us += (int64_t)pr_rng_below(&w.rng, 800) * MS + 10 * MS;
    w.now_us += w.wild && chance(2) ? 40000 * MS : 0;
    for (int i = 0; i < w.jobs; i++)
        if (chance(60))
            goes_on(&w.job[i]);
    for (int s = 0; s < SLOTS; s++) /* the source hears of it */
        if (!w.wild || chance(30))
            w.owner[0][s] = w.owner[1][s];
}

/* --- the worker ---------------------------------------------------------------------------- */

static void look(struct rebalance_job_sight sight[2])
{
    struct rebalance_job_view *v = &a.view;
    memset(sight, 0, 2 * sizeof *sight);
    memset(v->place, 0, sizeof v->place);
    v->source_there = w.up[0];
    v->target_there = w.up[1];
    v->foreign = running(false) > 0;
    v->binds = v->foreign && w.dialect == J(VALKEY);
    for (int k = 0; k < 2; k++)
        for (int i = w.jobs; i-- > w.first[k] && w.up[k];) {
            const struct entry *e = &w.job[i];
            if (!e->ours || lives(&(struct entry){ .phase = sight[k].phase }) ||
                (sight[k].id[0] != '\0' && !lives(e)))
                continue;
            sight[k] = (struct rebalance_job_sight){ .phase = e->phase, .retries = e->retries };
            /* One side alone sees a retry, the deleting, and who canceled it. */
            if (k == (w.dialect == J(VALKEY) ? 1 : 0) &&
                (e->phase == J(CANCELED) || e->phase == J(RETRYING)))
                sight[k].phase = J(FAILED);
            if (k == 0 && e->phase == J(CLEANING))
                sight[k].phase = J(FAILED);
            memcpy(sight[k].id, e->id, sizeof e->id);
        }
    for (int s = 0; s < SLOTS; s++)
        v->place[rebalance_job_place(w.owner[0][s] ? J(BY_TARGET) : J(BY_SOURCE),
                                     w.owner[1][s] ? J(BY_TARGET) : J(BY_SOURCE), false)]++;
    if (v->place[J(LANDED)] < SLOTS)
        v->settled = v->agreed = false;
    rebalance_job_recall(&a.memory, sight, 1 << 20, w.now_us, v);
    v->may_start = !a.resumed;
    v->leave = a.paused || a.canceled;
}

static void start(const struct rebalance_job_sight sight[2])
{
    assert_int_equal(running(true), 0);
    assert_int_equal(running(false), 0);
    assert_false(a.resumed || a.paused || a.canceled);
    a.recorded = true;
    a.by_somebody = false;
    a.starts++;
    rebalance_job_started(&a.memory, sight, w.now_us);
    if (!(w.wild && chance(20))) /* refused, or lost on its way */
        (void)begins(true);
}

static void cancel(const struct rebalance_job_sight sight[2])
{
    assert_true(running(true) == 1);
    assert_false(w.dialect == J(VALKEY) && running(false) > 0); /* it would end, too */
    const bool heard = !(w.wild && chance(20));
    for (int i = 0; i < w.jobs && heard; i++)
        if (w.job[i].ours && lives(&w.job[i]))
            w.job[i].phase = J(CANCELED);
    rebalance_job_told(&a.memory, sight, !heard && chance(50), w.now_us);
}

static void crash(void)
{
    const struct actor was = a;
    a = (struct actor){ .recorded = was.recorded,
                        .resumed = was.recorded,
                        .paused = was.paused,
                        .canceled = was.canceled };
}

/* What stayed is planned again, and with that begun anew, unless it is over. */
static void left(void)
{
    const struct actor was = a;
    assert_true(was.resumed || was.paused || was.canceled);
    assert_int_equal(running(true), 0);
    a = (struct actor){ .paused = was.paused, .canceled = was.canceled, .over = was.canceled };
}

static void turn(void)
{
    struct rebalance_job_sight sight[2];
    if (w.wild && chance(2))
        crash();
    look(sight);
    const struct rebalance_job_row r = rebalance_job_step(&a.view);
    seen[r.event]++;
    switch (r.effect) {
    case J(DO_START):
        start(sight);
        break;
    case J(DO_CANCEL):
        cancel(sight);
        break;
    case J(DO_SETTLE):
        a.view.settled = !w.wild || chance(50);
        break;
    case J(DO_VERIFY):
        a.view.agreed = !w.wild || chance(50);
        break;
    case J(DO_FINISH):
        for (int s = 0; s < SLOTS; s++)
            assert_true(w.owner[0][s] == 1 && w.owner[1][s] == 1);
        a.over = true;
        break;
    case J(DO_LEAVE):
        left();
        break;
    case J(DO_HAND):
        assert_int_equal(running(true), 0);
        assert_true(a.starts >= J(ATTEMPTS));
        a.over = true;
        break;
    case J(DO_STOP): /* never for what we did ourselves */
        assert_true(a.by_somebody);
        assert_int_equal(running(true), 0);
        a.over = true;
        break;
    default:
        break;
    }
    assert_true(running(true) <= 1);
}

static void walk(uint64_t seed, enum rebalance_job_dialect dialect)
{
    memset(&w, 0, sizeof w);
    memset(&a, 0, sizeof a);
    pr_rng_init(&w.rng, seed);
    w.dialect = dialect;
    w.now_us = 1;
    for (int i = 0; i < WILD + CALM && !a.over; i++) {
        w.wild = i < WILD;
        if (i == WILD) /* everybody is back, nobody wants it otherwise */
            w.up[0] = w.up[1] = true, a.paused = false;
        if (w.wild)
            somebody_acts();
        time_passes();
        turn();
    }
    assert_true(a.over);
}

static uint64_t at_seed;

static void walks_end_where_they_should(void **state)
{
    (void)state;
    enum { SEEDS = 20000 };
    memset(seen, 0, sizeof seen);
    for (at_seed = 1; at_seed <= SEEDS; at_seed++)
        for (int d = J(VALKEY); d < J(DIALECTS); d++)
            walk(at_seed, (enum rebalance_job_dialect)d);
    static const enum rebalance_job_event REACHED[] = {
        J(EV_MISSING),   J(EV_HANDING), J(EV_ENDING),  J(EV_BOUND),    J(EV_FAILING),
        J(EV_LATE),      J(EV_LEAVING), J(EV_RUNNING), J(EV_CLEANING), J(EV_UNHEARD),
        J(EV_UNSETTLED), J(EV_UNKNOWN), J(EV_LANDED),  J(EV_STOPPED),  J(EV_LEFT),
        J(EV_BUSY),      J(EV_FAILED),  J(EV_TIRED),   J(EV_READY),
    };
    for (size_t i = 0; i < sizeof REACHED / sizeof REACHED[0]; i++)
        if (seen[REACHED[i]] == 0)
            fail_msg("no walk met %s", rebalance_job_event_name(REACHED[i]));
}

static int tell_seed(void **state)
{
    (void)state;
    print_message("last seed: %llu\n", (unsigned long long)at_seed);
    return 0;
}

/* --- what is remembered --------------------------------------------------------------- */

static const struct rebalance_job_sight NONE[2] = { { .id = "" }, { .id = "" } };

/* Every start has its own minute. */
static void a_second_try_is_not_late_from_its_start(void **state)
{
    (void)state;
    static const struct rebalance_job_sight ONE[2] = { { J(RUNNING), "one", 0 },
                                                       { J(RUNNING), "one", 0 } },
                                            TWO[2] = { { J(RUNNING), "two", 0 },
                                                       { J(RUNNING), "two", 0 } };
    const int64_t MINUTE = rebalance_job_patience_ms(0) * MS;
    struct rebalance_job_memory m = { .starts = 0 };
    struct rebalance_job_view v = { .starts = 0 };
    rebalance_job_started(&m, NONE, 1);
    rebalance_job_recall(&m, ONE, 0, 1 + MINUTE, &v);
    assert_false(v.late);
    rebalance_job_recall(&m, ONE, 0, 2 + MINUTE, &v);
    assert_true(v.late);
    rebalance_job_started(&m, ONE, 10 * MINUTE);
    rebalance_job_recall(&m, TWO, 0, 11 * MINUTE, &v);
    assert_false(v.late);
    rebalance_job_recall(&m, TWO, 0, 11 * MINUTE + 1, &v);
    assert_true(v.late);
    /* One that was found running is given its time from then on. */
    m = (struct rebalance_job_memory){ .starts = 0 };
    rebalance_job_recall(&m, ONE, 0, 20 * MINUTE, &v);
    rebalance_job_recall(&m, ONE, 0, 21 * MINUTE, &v);
    assert_false(v.late);
    rebalance_job_recall(&m, ONE, 0, 21 * MINUTE + 1, &v);
    assert_true(v.late);
}

static void what_was_before_the_start_is_not_its_end(void **state)
{
    (void)state;
    static const struct rebalance_job_sight OLD[2] = { { J(CANCELED), "one", 0 },
                                                       { J(FAILED), "one", 0 } },
                                            LEFT[2] = { { J(CANCELED), "one", 0 },
                                                        { J(CLEANING), "one", 0 } },
                                            NEW[2] = { { J(FAILED), "two", 0 },
                                                       { J(FAILED), "one", 0 } };
    struct rebalance_job_memory m = { .starts = 0 };
    struct rebalance_job_view v = { .starts = 0 };
    rebalance_job_recall(&m, OLD, 0, 1, &v);
    assert_int_equal(v.phase, J(CANCELED));
    rebalance_job_started(&m, OLD, 2);
    rebalance_job_recall(&m, OLD, 0, 3, &v);
    assert_int_equal(v.phase, J(ABSENT));
    rebalance_job_recall(&m, LEFT, 0, 3, &v); /* in the way, whosever it is */
    assert_int_equal(v.phase, J(CLEANING));
    rebalance_job_recall(&m, NEW, 0, 3, &v);
    assert_int_equal(v.phase, J(FAILED));
    rebalance_job_recall(&m, NONE, 0, 3, &v);
    assert_int_equal(v.phase, J(ABSENT));
    assert_int_equal(v.starts, 1);
}

static void an_order_to_end_is_of_one_job_and_of_a_second(void **state)
{
    (void)state;
    static const struct rebalance_job_sight RUNS[2] = { { J(RUNNING), "one", 0 },
                                                        { J(RETRYING), "one", 3 } },
                                            GONE[2] = { { J(CANCELED), "one", 0 },
                                                        { J(FAILED), "one", 0 } },
                                            OTHER[2] = { { J(CANCELED), "two", 0 },
                                                         { J(FAILED), "two", 0 } };
    for (int refused = 0; refused < 2; refused++) {
        struct rebalance_job_memory m = { .starts = 0 };
        struct rebalance_job_view v = { .starts = 0 };
        rebalance_job_started(&m, NONE, 1);
        rebalance_job_recall(&m, RUNS, 0, 2, &v);
        assert_true(!v.told && !v.ending && v.phase == J(RETRYING) && v.retries == 3);
        rebalance_job_told(&m, RUNS, refused, 3);
        rebalance_job_recall(&m, RUNS, 0, 3 + 1000 * MS - 1, &v);
        assert_true(v.ending && v.told == !refused);
        rebalance_job_recall(&m, RUNS, 0, 3 + 1000 * MS, &v);
        assert_true(!v.ending && v.told == !refused); /* once more */
        rebalance_job_recall(&m, GONE, 0, 4, &v);
        assert_int_equal(v.told, !refused);
        rebalance_job_recall(&m, OTHER, 0, 4, &v);
        assert_false(v.told);
        rebalance_job_started(&m, GONE, 5);
        rebalance_job_recall(&m, RUNS, 0, 6, &v);
        assert_true(!v.told && !v.ending);
    }
}

static void looks_become_rarer(void **state)
{
    (void)state;
    int64_t before = 0;
    assert_int_equal(rebalance_job_poll_us(0), 50000);
    for (unsigned n = 0; n < 100; n++) {
        assert_true(rebalance_job_poll_us(n) >= before);
        before = rebalance_job_poll_us(n);
    }
    assert_int_equal(before, 500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(walks_end_where_they_should, tell_seed),
        cmocka_unit_test(a_second_try_is_not_late_from_its_start),
        cmocka_unit_test(what_was_before_the_start_is_not_its_end),
        cmocka_unit_test(an_order_to_end_is_of_one_job_and_of_a_second),
        cmocka_unit_test(looks_become_rarer),
    };
    return cmocka_run_group_tests_name("rebalance_slot_job_walk", tests, NULL, NULL);
}
