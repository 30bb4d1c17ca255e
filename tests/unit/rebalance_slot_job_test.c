/* Jobs of a server that move slots: every state that either server reports has its
 * meaning, and over every view nothing is begun beside a job that runs, and nothing is
 * called done by a job's own word. */
#include "core/slot/job.h"

#include "t.h"

#include <stdio.h>
#include <string.h>

#define J(name)  REBALANCE_JOB_##name
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- states of the servers --------------------------------------------------------- */

static void every_state_of_both_servers_has_its_phase(void **state)
{
    (void)state;
    size_t n;
    unsigned runs[J(DIALECTS)][2] = { { 0 } }, ends[J(DIALECTS)][2] = { { 0 } };
    const struct rebalance_job_state *s = rebalance_job_states(&n);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            assert_false(s[i].dialect == s[k].dialect && s[i].import == s[k].import &&
                         strcmp(s[i].name, s[k].name) == 0);
        const enum rebalance_job_phase p = rebalance_job_phase(
            s[i].dialect, s[i].import, s[i].name, "Cancelled due to user request (state: none)");
        assert_int_equal(p, s[i].phase);
        runs[s[i].dialect][s[i].import] += rebalance_job_runs(p);
        ends[s[i].dialect][s[i].import] += !rebalance_job_runs(p);
    }
    assert_int_equal(runs[J(VALKEY)][0], 11); /* as the servers' state machines have them */
    assert_int_equal(runs[J(VALKEY)][1], 6);
    assert_int_equal(runs[J(REDIS)][0], 10);
    assert_int_equal(runs[J(REDIS)][1], 14);
    assert_int_equal(ends[J(VALKEY)][0], 3);
    assert_int_equal(ends[J(VALKEY)][1], 4);
    assert_int_equal(ends[J(REDIS)][0], 3);
    assert_int_equal(ends[J(REDIS)][1], 2);
}

static void phases_follow_states(void **state)
{
    (void)state;
    static const struct {
        enum rebalance_job_dialect d;
        bool import;
        const char *state, *error;
        enum rebalance_job_phase want;
    } row[] = {
        { J(VALKEY), false, "snapshotting", "", J(RUNNING) },
        { J(VALKEY), false, "failover-paused", "", J(HANDING) },
        { J(VALKEY), false, "cancelled", "", J(CANCELED) },
        { J(VALKEY), true, "cleaning-up", "", J(CLEANING) },
        { J(VALKEY), true, "failed", "A failover occurred during slot import", J(FAILED) },
        { J(REDIS), true, "failed", "RDB channel - Connection is closed", J(RETRYING) },
        { J(REDIS), false, "failed", "RDB channel - Connection is closed", J(FAILED) },
        { J(REDIS), true, "canceled", "Cancelled due to user request", J(CANCELED) },
        { J(REDIS), true, "canceled", "Cancelled due to slots owned by myself now", J(FAILED) },
        { J(REDIS), true, "completed", "", J(DONE) },
        /* What we do not know may be running: nothing is begun beside it. */
        { J(VALKEY), false, "a-state-of-tomorrow", "", J(RUNNING) },
        { J(REDIS), true, "", "", J(RUNNING) },
        { J(VALKEY), true, "snapshotting", "", J(RUNNING) }, /* of the other side */
    };
    for (size_t i = 0; i < COUNT(row); i++)
        assert_int_equal(rebalance_job_phase(row[i].d, row[i].import, row[i].state, row[i].error),
                         row[i].want);
}

static void a_job_runs_while_either_side_says_so(void **state)
{
    (void)state;
    for (int a = 0; a < J(PHASES); a++)
        for (int b = 0; b < J(PHASES); b++) {
            const enum rebalance_job_phase p =
                rebalance_job_judge((enum rebalance_job_phase)a, (enum rebalance_job_phase)b);
            assert_int_equal(rebalance_job_runs(p),
                             rebalance_job_runs((enum rebalance_job_phase)a) ||
                                 rebalance_job_runs((enum rebalance_job_phase)b));
            assert_true(p == (enum rebalance_job_phase)a || p == (enum rebalance_job_phase)b);
            assert_int_equal(
                p, rebalance_job_judge((enum rebalance_job_phase)b, (enum rebalance_job_phase)a));
        }
    assert_int_equal(rebalance_job_judge(J(FAILED), J(RETRYING)), J(RETRYING));
    assert_int_equal(rebalance_job_judge(J(FAILED), J(CLEANING)), J(CLEANING));
    assert_int_equal(rebalance_job_judge(J(CANCELED), J(FAILED)), J(CANCELED));
}

static void both_primaries_must_offer_the_same(void **state)
{
    (void)state;
    for (int a = 0; a < J(DIALECTS); a++)
        for (int b = 0; b < J(DIALECTS); b++) {
            const char *why = NULL;
            const enum rebalance_job_dialect d = rebalance_job_agree(
                (enum rebalance_job_dialect)a, (enum rebalance_job_dialect)b, &why);
            assert_int_equal(d, a == b ? a : J(NONE));
            assert_non_null(strstr(why, "offer"));
        }
}

/* --- slots ---------------------------------------------------------------------------- */

static void a_job_takes_a_gigabyte_at_most(void **state)
{
    (void)state;
    static const uint64_t GB = (uint64_t)1 << 30;
    static uint64_t many[J(SLOTS) + 1];
    const struct {
        uint64_t bytes[3];
        size_t n, want;
    } row[] = {
        { { 0 }, 0, 0 },
        { { 5 * GB, 1 }, 2, 1 }, /* one slot at least, and alone */
        { { GB - 1, 1, 1 }, 3, 2 },
        { { GB, 0, 1 }, 3, 2 },
        { { 1, UINT64_MAX, 1 }, 3, 1 },
        { { 1, 2, 3 }, 3, 3 },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        assert_int_equal(rebalance_job_batch(row[i].bytes, row[i].n), row[i].want);
    assert_int_equal(rebalance_job_batch(many, COUNT(many)), J(SLOTS));
    assert_int_equal(rebalance_job_patience_ms(0), 60000);
    assert_int_equal(rebalance_job_patience_ms(GB), 60000 + 256000);
    assert_true(rebalance_job_patience_ms(UINT64_MAX) > 0);
}

static void slots_become_ranges(void **state)
{
    (void)state;
    int slot[] = { 16383, 7, 5, 6, 0, 9, 7 };
    struct rebalance_job_range r[COUNT(slot)];
    assert_int_equal(rebalance_job_ranges(slot, COUNT(slot), r), 4);
    static const struct rebalance_job_range want[] = {
        { 0, 0 }, { 5, 7 }, { 9, 9 }, { 16383, 16383 }
    };
    assert_memory_equal(r, want, sizeof want);
    assert_int_equal(rebalance_job_ranges(slot, 0, r), 0);
}

static void ranges_hold_slots(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool want; /* of slots 7 and 100 */
    } row[] = {
        { "7-7", true },   { "7", true },       { "0-6 8-99", false }, { "0-6 8-99 100-200", true },
        { "", false },     { "0-16383", true }, { "70 1007", false },  { "nonsense 7", true },
        { "101-", false }, { "200-0", false },
    };
    static const int slot[] = { 100, 7, 100 };
    static struct rebalance_job_set set;
    rebalance_job_set(&set, slot, COUNT(slot));
    for (size_t i = 0; i < COUNT(row); i++)
        if (rebalance_job_holds(row[i].text, &set) != row[i].want)
            fail_msg("'%s'", row[i].text);
    static const int ends[] = { 0, 16383 };
    rebalance_job_set(&set, ends, COUNT(ends));
    assert_true(rebalance_job_holds("0-0", &set));
    assert_true(rebalance_job_holds("16383", &set));
    assert_true(rebalance_job_holds("16383-99999999999", &set));
    assert_false(rebalance_job_holds("1-16382", &set));
    assert_false(rebalance_job_holds("99999999999", &set));
    rebalance_job_set(&set, NULL, 0);
    assert_false(rebalance_job_holds("0-16383", &set));
}

static void a_slot_has_landed_when_both_say_so(void **state)
{
    (void)state;
    for (int a = 0; a < J(OWNERS); a++)
        for (int b = 0; b < J(OWNERS); b++) {
            const enum rebalance_job_place p = rebalance_job_place(
                (enum rebalance_job_owner)a, (enum rebalance_job_owner)b, false);
            assert_int_equal(p == J(LANDED), a == J(BY_TARGET) && b == J(BY_TARGET));
            assert_int_equal(p == J(STAYED), a == J(BY_SOURCE) && b == J(BY_SOURCE));
            if (a != b)
                assert_int_equal(p, J(UNSURE));
            /* A source that is no more has no say, and owns nothing. */
            assert_int_not_equal(
                rebalance_job_place((enum rebalance_job_owner)a, (enum rebalance_job_owner)b, true),
                J(STAYED));
        }
    assert_int_equal(rebalance_job_place(J(BY_SOURCE), J(BY_TARGET), true), J(LANDED));
    assert_int_equal(rebalance_job_place(J(BY_FORMER), J(BY_FORMER), false), J(UNSURE));
    assert_int_equal(rebalance_job_place(J(BY_THIRD), J(BY_THIRD), false), J(THIRD));
}

/* --- the rules --------------------------------------------------------------------------- */

static unsigned long seen[J(EVENTS)];

static void check(const struct rebalance_job_view *v)
{
    const struct rebalance_job_row r = rebalance_job_step(v);
    const bool runs = rebalance_job_runs(v->phase),
               there = v->target_there && (v->source_there || v->source_gone);
    seen[r.event]++;
    switch (r.effect) {
    case J(DO_START):
        assert_true(there && !v->target_gone && v->may_start && !v->refused && !v->leave);
        assert_true(!runs && !v->foreign && v->phase != J(CLEANING) && !v->alone);
        assert_true(v->place[J(STAYED)] > 0 && v->place[J(UNSURE)] == 0);
        assert_true(v->starts < J(ATTEMPTS) && (v->starts == 0 || v->rested));
        assert_false(v->phase == J(CANCELED) && v->starts > 0 && !v->told);
        break;
    case J(DO_CANCEL):
        assert_true(there && runs && v->phase != J(HANDING) && !v->binds && !v->ending);
        assert_true(v->late || v->leave || v->retries >= J(ATTEMPTS));
        break;
    case J(DO_FINISH): /* whatever a job says of itself */
        assert_true(there && !runs && v->phase != J(CLEANING));
        assert_int_equal(v->place[J(STAYED)] + v->place[J(UNSURE)] + v->place[J(THIRD)], 0);
        assert_true(v->place[J(LANDED)] == 0 || (v->settled && v->agreed));
        assert_false(v->place[J(LANDED)] == 0 && v->foreign); /* in MIGRATE's way */
        break;
    case J(DO_HAND): /* MIGRATE never meets a job of ours */
        assert_true(there && !v->target_gone && !runs && v->phase != J(CLEANING));
        break;
    case J(DO_STOP):
        if (v->target_gone)
            break;
        assert_true(v->phase == J(CANCELED) && !v->told);
        /* fall through */
    case J(DO_LEAVE):
        assert_true(there && !runs && v->place[J(STAYED)] > 0 && v->place[J(UNSURE)] == 0);
        break;
    default:
        break;
    }
    if (there && !v->target_gone && runs && v->leave && !v->binds && v->phase != J(HANDING) &&
        !v->ending)
        assert_int_equal(r.effect, J(DO_CANCEL)); /* a pause takes effect */
    if (there && !runs && v->leave && v->phase != J(CLEANING) && v->place[J(STAYED)] > 0 &&
        v->place[J(UNSURE)] + v->place[J(THIRD)] == 0 && !v->target_gone)
        assert_true(r.effect == J(DO_LEAVE) || r.effect == J(DO_STOP)); /* whoever else is busy */
}

static void rules_hold_over_every_view(void **state)
{
    (void)state;
    memset(seen, 0, sizeof seen);
    for (unsigned bits = 0; bits < 1u << 15; bits++)
        for (unsigned places = 0; places < 1u << J(PLACES); places++)
            for (int phase = 0; phase < J(PHASES); phase++)
                for (unsigned starts = 0; starts <= J(ATTEMPTS); starts++) {
                    struct rebalance_job_view v = {
                        .source_there = bits & 1,
                        .target_there = bits & 2,
                        .source_gone = bits & 4,
                        .target_gone = bits & 8,
                        .phase = (enum rebalance_job_phase)phase,
                        .retries = bits & 16 ? J(ATTEMPTS) : J(ATTEMPTS) - 1,
                        .foreign = bits & 32,
                        .binds = bits & 64 && bits & 32,
                        .may_start = bits & 128,
                        .refused = bits & 256,
                        .leave = bits & 512,
                        .late = bits & 1024,
                        .told = bits & 2048,
                        .ending = bits & 16384,
                        .rested = bits & 4096,
                        .starts = starts,
                        .settled = bits & 8192,
                        .agreed = starts & 1,
                        .alone = (bits ^ starts) & 1,
                    };
                    for (unsigned p = 0; p < J(PLACES); p++)
                        v.place[p] = places & 1u << p ? 2 : 0;
                    check(&v);
                }
    for (int e = 0; e < J(EVENTS); e++)
        if (seen[e] == 0)
            fail_msg("event %s was never seen",
                     rebalance_job_event_name((enum rebalance_job_event)e));
}

static void events_follow_from_views(void **state)
{
    (void)state;
    const struct rebalance_job_view calm = {
        .source_there = true, .target_there = true, .place = { [J(STAYED)] = 2 }, .may_start = true
    };
    static const struct {
        const char *what;
        enum rebalance_job_phase phase;
        unsigned starts;
        bool leave, late, told, ending, rested, refused, foreign, binds;
        unsigned retries;
        enum rebalance_job_event want;
    } row[] = {
        { .what = "nothing was done", .want = J(EV_READY) },
        { .what = "an old job failed", .phase = J(FAILED), .want = J(EV_READY) },
        { .what = "an old job was canceled", .phase = J(CANCELED), .want = J(EV_READY) },
        { .what = "a restart finds it running", .phase = J(RUNNING), .want = J(EV_RUNNING) },
        { .what = "the server tries again",
          .phase = J(RETRYING),
          .retries = 2,
          .want = J(EV_RUNNING) },
        { .what = "and again", .phase = J(RETRYING), .retries = 3, .want = J(EV_FAILING) },
        { .what = "a pause", .phase = J(RUNNING), .leave = true, .want = J(EV_LEAVING) },
        { .what = "a pause at the end", .phase = J(HANDING), .leave = true, .want = J(EV_HANDING) },
        { .what = "a pause, others' jobs",
          .phase = J(RUNNING),
          .leave = true,
          .foreign = true,
          .binds = true,
          .want = J(EV_BOUND) },
        { .what = "others' jobs",
          .phase = J(RUNNING),
          .foreign = true,
          .binds = true,
          .want = J(EV_RUNNING) },
        { .what = "a pause, others' jobs elsewhere",
          .phase = J(RUNNING),
          .leave = true,
          .foreign = true,
          .want = J(EV_LEAVING) },
        { .what = "too long", .phase = J(RUNNING), .late = true, .want = J(EV_LATE) },
        { .what = "told to end",
          .phase = J(RUNNING),
          .late = true,
          .told = true,
          .ending = true,
          .want = J(EV_ENDING) },
        { .what = "told to end, in vain",
          .phase = J(RUNNING),
          .late = true,
          .told = true,
          .want = J(EV_LATE) },
        { .what = "paused",
          .phase = J(CANCELED),
          .starts = 1,
          .told = true,
          .leave = true,
          .want = J(EV_LEFT) },
        { .what = "given up for its slowness",
          .phase = J(CANCELED),
          .starts = 1,
          .told = true,
          .rested = true,
          .want = J(EV_READY) },
        { .what = "somebody canceled it",
          .phase = J(CANCELED),
          .starts = 1,
          .want = J(EV_STOPPED) },
        { .what = "it failed just now", .phase = J(FAILED), .starts = 1, .want = J(EV_TIRED) },
        { .what = "a second ago",
          .phase = J(FAILED),
          .starts = 1,
          .rested = true,
          .want = J(EV_READY) },
        { .what = "for the third time",
          .phase = J(FAILED),
          .starts = 3,
          .rested = true,
          .want = J(EV_FAILED) },
        { .what = "it says done, and nothing moved",
          .phase = J(DONE),
          .starts = 1,
          .want = J(EV_TIRED) },
        { .what = "again and again",
          .phase = J(DONE),
          .starts = 3,
          .rested = true,
          .want = J(EV_FAILED) },
        { .what = "its node was restarted",
          .phase = J(ABSENT),
          .starts = 1,
          .rested = true,
          .want = J(EV_READY) },
        { .what = "no permission", .refused = true, .want = J(EV_REFUSED) },
        { .what = "somebody's job", .foreign = true, .want = J(EV_BUSY) },
        { .what = "its remains", .phase = J(CLEANING), .starts = 1, .want = J(EV_CLEANING) },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct rebalance_job_view v = calm;
        v.phase = row[i].phase;
        v.starts = row[i].starts;
        v.leave = row[i].leave;
        v.late = row[i].late;
        v.told = row[i].told;
        v.ending = row[i].ending;
        v.rested = row[i].rested;
        v.refused = row[i].refused;
        v.foreign = row[i].foreign;
        v.binds = row[i].binds;
        v.retries = row[i].retries;
        const struct rebalance_job_row got = rebalance_job_step(&v);
        if (got.event != row[i].want)
            fail_msg("%s: %s, not %s", row[i].what, rebalance_job_event_name(got.event),
                     rebalance_job_event_name(row[i].want));
    }
}

static void the_table_is_whole_and_named(void **state)
{
    (void)state;
    size_t n;
    bool used[J(EFFECTS)] = { false };
    const struct rebalance_job_row *row = rebalance_job_table(&n);
    assert_int_equal(n, J(EVENTS));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(row[i].event, i);
        assert_true(row[i].why != NULL && row[i].why[0] != '\0');
        used[row[i].effect] = true;
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(rebalance_job_event_name(row[i].event),
                                    rebalance_job_event_name(row[k].event));
    }
    for (int f = 0; f < J(EFFECTS); f++) {
        assert_true(used[f]);
        assert_non_null(rebalance_job_effect_name((enum rebalance_job_effect)f));
    }
    for (int p = 0; p < J(PHASES); p++)
        assert_non_null(rebalance_job_phase_name((enum rebalance_job_phase)p));
    assert_string_equal(rebalance_job_dialect_name(J(REDIS)), "redis");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_of_both_servers_has_its_phase),
        cmocka_unit_test(phases_follow_states),
        cmocka_unit_test(a_job_runs_while_either_side_says_so),
        cmocka_unit_test(both_primaries_must_offer_the_same),
        cmocka_unit_test(a_job_takes_a_gigabyte_at_most),
        cmocka_unit_test(slots_become_ranges),
        cmocka_unit_test(ranges_hold_slots),
        cmocka_unit_test(a_slot_has_landed_when_both_say_so),
        cmocka_unit_test(rules_hold_over_every_view),
        cmocka_unit_test(events_follow_from_views),
        cmocka_unit_test(the_table_is_whole_and_named),
    };
    return cmocka_run_group_tests_name("rebalance_slot_job", tests, NULL, NULL);
}
