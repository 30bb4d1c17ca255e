/* The state machine of a slot's move: its table is complete, and over every
 * view that two shards can offer it never does what would lose a key. */
#include "core/slot/machine.h"

#include "t.h"

#include <stdio.h>
#include <string.h>

#define S(name)  REBALANCE_SLOT_##name
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { OPEN_STATES = 5 /* all that are not final */ };

/* --- every view -------------------------------------------------------------- */
static size_t sides(struct rebalance_slot_side *out)
{
    static const int64_t keys[] = { -1, 0, 3 };
    size_t n = 0;

    out[n++] = (struct rebalance_slot_side){ .gone = true };
    out[n++] = (struct rebalance_slot_side){ .keys = 3, .map = S(TO_SELF) }; /* not there */
    for (int open = 0; open < S(OPENS); open++) {
        for (int map = 0; map < S(MAPS); map++) {
            for (size_t k = 0; k < COUNT(keys); k++)
                out[n++] = (struct rebalance_slot_side){ .there = true,
                                                         .open = (enum rebalance_slot_open)open,
                                                         .map = (enum rebalance_slot_map)map,
                                                         .keys = keys[k] };
        }
    }
    return n;
}

typedef void visit(struct rebalance_slot_at at, const struct rebalance_slot_view *v);

static void each_flag(struct rebalance_slot_view v, visit *see)
{
    static unsigned turn; /* a sanitizer sees another part with each view */
    for (unsigned bits = turn++ % T_SLOWER; bits < 1u << 11; bits += T_SLOWER) {
        v.third = bits & 1;
        v.cancel = bits & 2;
        v.conflict = bits & 4;
        v.diverged = bits & 8;
        v.stray = bits & 16;
        v.settled = bits & 32;
        v.agreed = bits & 64;
        v.refused[0] = bits & 128 ? S(OOM) : S(ACCEPTS);
        v.outbid = bits & 512;
        v.low = bits & 1024;
        v.refused[1] = bits & 256 ? S(OVERSIZED) : S(ACCEPTS);
        for (int state = 0; state < OPEN_STATES; state++) {
            for (int back = 0; back < 2; back++)
                see((struct rebalance_slot_at){ (enum rebalance_slot_state)state, back }, &v);
        }
    }
}

static void each_view(visit *see)
{
    static struct rebalance_slot_side side[2 + S(OPENS) * S(MAPS) * 3];
    const size_t n = sides(side);

    for (size_t s = 0; s < n; s++) {
        for (size_t t = 0; t < n; t++)
            each_flag((struct rebalance_slot_view){ .source = side[s], .target = side[t] }, see);
    }
}

/* --- the table ---------------------------------------------------------------- */
static bool seen[S(STATES)][S(EVENTS)];

static void mark(struct rebalance_slot_at at, const struct rebalance_slot_view *v)
{
    seen[at.state][rebalance_slot_observe(at, v)] = true;
}

static const struct rebalance_slot_row *only_row(int state, int event)
{
    size_t n;
    const struct rebalance_slot_row *row = rebalance_slot_table(&n), *found = NULL;

    for (size_t i = 0; i < n; i++) {
        if ((int)row[i].from == state && (int)row[i].event == event) {
            assert_null(found);
            found = &row[i];
        }
    }
    return found;
}

static void has_one_row_for_whatever_can_happen_and_none_for_what_cannot(void **state)
{
    (void)state;
    size_t n, rows = 0;

    each_view(mark);
    for (int s = 0; s < S(STATES); s++) {
        for (int e = 0; e < S(EVENTS); e++) {
            const struct rebalance_slot_row *row = only_row(s, e);
            if (seen[s][e] != (row != NULL))
                fail_msg("%s, %s: %s", rebalance_slot_state_name((enum rebalance_slot_state)s),
                         rebalance_slot_event_name((enum rebalance_slot_event)e),
                         row != NULL ? "a row, but never happens" : "happens, but has no row");
            rows += row != NULL;
        }
    }
    rebalance_slot_table(&n);
    assert_int_equal(rows, n);
    assert_int_equal(n, OPEN_STATES * S(EVENTS) - 1);
    assert_null(only_row(S(HANDOFF), S(EV_UNTURNED))); /* the one that cannot */
}

static void every_effect_and_state_is_used_and_has_a_name(void **state)
{
    (void)state;
    bool effect[S(EFFECTS)] = { false }, to[S(STATES)] = { [S(ROLLED_BACK)] = true };
    size_t n;
    const struct rebalance_slot_row *row = rebalance_slot_table(&n);

    for (size_t i = 0; i < n; i++) {
        effect[row[i].effect] = to[row[i].to] = true;
        assert_true(row[i].why != NULL && row[i].why[0] != 0);
    }
    for (int i = 0; i < S(EFFECTS); i++) {
        assert_true(effect[i]);
        assert_string_not_equal(rebalance_slot_effect_name((enum rebalance_slot_effect)i),
                                "unknown");
    }
    for (int i = 0; i < S(EVENTS); i++)
        assert_string_not_equal(rebalance_slot_event_name((enum rebalance_slot_event)i), "unknown");
    for (int i = 0; i < S(STATES); i++) {
        enum rebalance_slot_state got = S(STATES);
        const char *name = rebalance_slot_state_name((enum rebalance_slot_state)i);
        assert_true(to[i]);
        assert_true(rebalance_slot_state_parse(name, &got));
        assert_int_equal(got, i);
    }
    enum rebalance_slot_state got;
    assert_false(rebalance_slot_state_parse("acting", &got)); /* a step of another kind */
    assert_string_equal(rebalance_slot_state_name(S(STATES)), "unknown");
    assert_string_equal(rebalance_slot_event_name(S(EVENTS)), "unknown");
    assert_string_equal(rebalance_slot_effect_name(S(EFFECTS)), "unknown");
}

/* --- what must hold over every view ------------------------------------------ */
#define MUST(what)                                                                                 \
    do {                                                                                           \
        if (!(what))                                                                               \
            fail_msg("%s%s, %s -> %s: %s", rebalance_slot_state_name(at.state),                    \
                     at.back ? " back" : "", rebalance_slot_event_name(next.event),                \
                     rebalance_slot_effect_name(next.effect), #what);                              \
    } while (0)

static bool owns(const struct rebalance_slot_side *s)
{
    return !s->gone && s->map == S(TO_SELF);
}

static void is_safe(struct rebalance_slot_at at, const struct rebalance_slot_view *v)
{
    const struct rebalance_slot_next next = rebalance_slot_step(at, v);
    const struct rebalance_slot_side *g = at.back ? &v->target : &v->source;
    const struct rebalance_slot_side *t = at.back ? &v->source : &v->target;
    const bool blind = !t->there || t->keys < 0 || (!g->gone && (!g->there || g->keys < 0));
    const int64_t given = g->gone ? 0 : g->keys;

    MUST(at.back == next.at.back || next.event == S(EV_REFUSED) || next.event == S(EV_UNTURNED));
    MUST(!blind || next.effect == S(DO_WAIT) || next.effect == S(DO_STOP));
    switch (next.effect) {
    case S(DO_CLAIM): /* a giver that learns of it by gossip deletes what it holds */
    case S(DO_RELEASE):
        MUST(given == 0);
        MUST(next.effect == S(DO_CLAIM) ? !owns(t) : owns(t));
        MUST(next.effect != S(DO_CLAIM) || !owns(g) ||
             (g->open == S(MIGRATES) && v->settled && !v->outbid));
        MUST(next.effect != S(DO_CLAIM) || owns(g) || !v->third);
        break;
    case S(DO_IMPORT):
    case S(DO_CURE):
        MUST(owns(g) && !owns(t));
        break;
    case S(DO_MIGRATE): /* never to a taker that would send everybody back */
        MUST(owns(g) && (t->open == S(IMPORTS) || t->open == S(IMPORTS_STALE)));
        break;
    case S(DO_DRAIN):
        MUST(owns(g) && !owns(t) && g->open == S(MIGRATES) && t->open == S(IMPORTS));
        MUST(!v->conflict && !v->diverged && v->refused[at.back] == S(ACCEPTS));
        break;
    case S(DO_TURN): /* only with both open and nothing left to compare */
        MUST(!at.back && next.at.back && owns(g) && given > 0 && !v->conflict);
        MUST(g->open == S(MIGRATES) && t->open == S(IMPORTS));
        break;
    case S(DO_RECLAIM):
        MUST(!owns(t) && !owns(g) && given > 0 && !v->third);
        break;
    case S(DO_CLOSE_G):
        MUST(owns(t) ? given == 0 : v->cancel && t->keys == 0 && t->open == S(CLOSED));
        break;
    case S(DO_CLOSE_T):
        MUST(owns(t) ? given == 0 && (g->gone || g->open == S(CLOSED)) : v->cancel && t->keys == 0);
        break;
    default:
        break;
    }
    MUST(!v->stray || blind || t->gone || next.effect == S(DO_FENCE));
    if (next.at.state != S(VERIFIED) && next.at.state != S(ROLLED_BACK))
        return;
    const bool at_source = next.at.state == S(ROLLED_BACK);
    MUST(owns(at_source ? &v->source : &v->target) && v->agreed);
    MUST((v->source.gone || v->source.open == S(CLOSED)) &&
         (v->target.gone || v->target.open == S(CLOSED)));
    MUST(at_source ? v->target.gone || v->target.keys == 0 : v->source.gone || v->source.keys == 0);
}

static void never_does_what_would_lose_a_key_whatever_it_sees(void **state)
{
    (void)state;
    each_view(is_safe);
}

/* --- by hand: journeys and traps ---------------------------------------------- */
static const struct rebalance_slot_side owner = { true, false, S(CLOSED), S(TO_SELF), 5 };
static const struct rebalance_slot_side other = { true, false, S(CLOSED), S(TO_OTHER), 0 };

static struct rebalance_slot_side with(struct rebalance_slot_side s, int open, int64_t keys)
{
    s.open = (enum rebalance_slot_open)open;
    s.keys = keys;
    return s;
}

static void expect(struct rebalance_slot_at *at, const struct rebalance_slot_view *v,
                   enum rebalance_slot_effect effect, enum rebalance_slot_state to)
{
    const struct rebalance_slot_next next = rebalance_slot_step(*at, v);
    assert_string_equal(rebalance_slot_effect_name(next.effect),
                        rebalance_slot_effect_name(effect));
    assert_string_equal(rebalance_slot_state_name(next.at.state), rebalance_slot_state_name(to));
    *at = next.at;
}

static void moves_a_slot(void **state)
{
    (void)state;
    struct rebalance_slot_at at = { S(PLANNED), false };
    struct rebalance_slot_view v = { .source = owner, .target = other, .agreed = true };

    expect(&at, &v, S(DO_IMPORT), S(IMPORTING));
    v.target.open = S(IMPORTS);
    expect(&at, &v, S(DO_MIGRATE), S(MIGRATING));
    v.source.open = S(MIGRATES);
    expect(&at, &v, S(DO_DRAIN), S(DRAINING));
    v.source.keys = 0, v.target.keys = 5;
    expect(&at, &v, S(DO_SETTLE), S(DRAINING));
    v.settled = true;
    expect(&at, &v, S(DO_CLAIM), S(HANDOFF));
    v.target.map = S(TO_SELF), v.target.open = S(CLOSED), v.agreed = false;
    expect(&at, &v, S(DO_RELEASE), S(HANDOFF));
    v.source.map = S(TO_OTHER);
    expect(&at, &v, S(DO_CLOSE_G), S(HANDOFF));
    v.source.open = S(CLOSED);
    expect(&at, &v, S(DO_VERIFY), S(HANDOFF));
    v.agreed = true;
    expect(&at, &v, S(DO_NOTHING), S(VERIFIED));
    v = (struct rebalance_slot_view){ 0 };
    expect(&at, &v, S(DO_NOTHING), S(VERIFIED)); /* final, whatever comes */
}

static void brings_keys_back_when_the_target_is_full(void **state)
{
    (void)state;
    struct rebalance_slot_at at = { S(DRAINING), false };
    struct rebalance_slot_view v = { .source = with(owner, S(MIGRATES), 3),
                                     .target = with(other, S(IMPORTS), 2),
                                     .agreed = true };

    v.refused[0] = S(OOM);
    expect(&at, &v, S(DO_TURN), S(DRAINING));
    assert_true(at.back);
    v.source.map = S(TO_OTHER), v.source.open = S(IMPORTS);
    expect(&at, &v, S(DO_RECLAIM), S(DRAINING)); /* between the two, nobody owns it */
    v.target.map = S(TO_SELF), v.target.open = S(MIGRATES);
    expect(&at, &v, S(DO_DRAIN), S(DRAINING));
    v.source.keys = 5, v.target.keys = 0, v.settled = true;
    expect(&at, &v, S(DO_CLAIM), S(HANDOFF));
    v.source.map = S(TO_SELF), v.source.open = S(CLOSED);
    expect(&at, &v, S(DO_RELEASE), S(HANDOFF));
    v.target.map = S(TO_OTHER), v.target.open = S(CLOSED);
    expect(&at, &v, S(DO_NOTHING), S(ROLLED_BACK));
}

static void cancels_before_a_key_moved_by_closing_the_target_first(void **state)
{
    (void)state;
    struct rebalance_slot_at at = { S(MIGRATING), false };
    struct rebalance_slot_view v = { .source = with(owner, S(MIGRATES), 5),
                                     .target = with(other, S(IMPORTS), 0),
                                     .cancel = true,
                                     .agreed = true };

    expect(&at, &v, S(DO_CLOSE_T), S(MIGRATING));
    v.target.open = S(CLOSED);
    expect(&at, &v, S(DO_CLOSE_G), S(MIGRATING));
    v.source.open = S(CLOSED);
    expect(&at, &v, S(DO_NOTHING), S(ROLLED_BACK));
}

struct trap {
    const char *name;
    struct rebalance_slot_at at;
    struct rebalance_slot_side source, target;
    bool cancel, conflict, third, stray, settled;
    enum rebalance_slot_refusal refused;
    enum rebalance_slot_event want;
};

#define OWNER(o, k)                                                                                \
    {                                                                                              \
        true, false, S(o), S(TO_SELF), k                                                           \
    }
#define OTHER(o, k)                                                                                \
    {                                                                                              \
        true, false, S(o), S(TO_OTHER), k                                                          \
    }
#define FORMER(o, k)                                                                               \
    {                                                                                              \
        true, false, S(o), S(TO_FORMER), k                                                         \
    }

static const struct trap trap[] = {
    { "cancel with keys moved goes on",
      { S(DRAINING), false },
      OWNER(MIGRATES, 3),
      OTHER(IMPORTS, 2),
      .cancel = true,
      .want = S(EV_LOADED) },
    { "a full target that already holds everything is handed the slot",
      { S(DRAINING), false },
      OWNER(MIGRATES, 0),
      OTHER(IMPORTS, 2),
      .refused = S(OOM),
      .settled = true,
      .want = S(EV_EMPTY) },
    { "source promoted: open it before the target is cured",
      { S(DRAINING), false },
      OWNER(CLOSED, 3),
      FORMER(IMPORTS_STALE, 2),
      .want = S(EV_UNOPENED) },
    { "then cure the target",
      { S(DRAINING), false },
      OWNER(MIGRATES, 3),
      FORMER(IMPORTS_STALE, 2),
      .want = S(EV_MISLED) },
    { "a target that imports from the right node, but believes in a former owner",
      { S(DRAINING), false },
      OWNER(MIGRATES, 3),
      FORMER(IMPORTS, 2),
      .want = S(EV_MISLED) },
    { "then compare",
      { S(DRAINING), false },
      OWNER(MIGRATES, 3),
      OTHER(IMPORTS, 2),
      .conflict = true,
      .want = S(EV_CONFLICT) },
    { "target promoted: closed, and the source migrates to a dead id",
      { S(DRAINING), false },
      OWNER(MIGRATES_STALE, 3),
      OTHER(CLOSED, 2),
      .want = S(EV_UNPREPARED) },
    { "target promoted after the claim, without having heard of it",
      { S(HANDOFF), false },
      FORMER(MIGRATES_STALE, 0),
      OTHER(CLOSED, 5),
      .want = S(EV_ABANDONED) },
    { "nobody owns it, and the source has keys",
      { S(HANDOFF), false },
      FORMER(CLOSED, 1),
      OTHER(CLOSED, 5),
      .want = S(EV_UNOWNED) },
    { "nobody here owns it, somebody else does",
      { S(PLANNED), false },
      { true, false, S(CLOSED), S(TO_THIRD), 0 },
      { true, false, S(CLOSED), S(TO_THIRD), 0 },
      .third = true,
      .want = S(EV_FOREIGN) },
    { "already owned by the target",
      { S(PLANNED), false },
      OTHER(CLOSED, 0),
      OWNER(CLOSED, 5),
      .want = S(EV_UNHEARD) },
    { "the source lost its last slot and joined another shard",
      { S(HANDOFF), false },
      { .gone = true },
      OWNER(CLOSED, 5),
      .want = S(EV_UNHEARD) },
    { "the target left the cluster",
      { S(DRAINING), false },
      OWNER(MIGRATES_STALE, 3),
      { .gone = true },
      .want = S(EV_GONE) },
    { "a promoted source with keys whose deletion it had not heard of",
      { S(HANDOFF), false },
      OTHER(CLOSED, 2),
      OWNER(CLOSED, 5),
      .want = S(EV_LEFTOVERS) },
    { "the same on the way back",
      { S(HANDOFF), true },
      OWNER(CLOSED, 5),
      OTHER(CLOSED, 2),
      .want = S(EV_LEFTOVERS) },
    { "a key was created through ASK while a cancel closed the target",
      { S(MIGRATING), false },
      OWNER(MIGRATES, 5),
      OTHER(CLOSED, 1),
      .cancel = true,
      .want = S(EV_UNPREPARED) },
    { "the source was not turned before it failed over",
      { S(DRAINING), true },
      OWNER(CLOSED, 5),
      FORMER(IMPORTS_STALE, 1),
      .want = S(EV_UNTURNED) },
    { "a former primary may still send keys",
      { S(HANDOFF), false },
      OTHER(CLOSED, 0),
      OWNER(CLOSED, 5),
      .stray = true,
      .want = S(EV_STRAY) },
    { "the source cannot take its keys back",
      { S(DRAINING), true },
      OTHER(IMPORTS, 3),
      OWNER(MIGRATES, 2),
      .refused = S(OOM),
      .want = S(EV_DEADLOCK) },
};

static void knows_the_traps(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(trap); i++) {
        const struct trap *t = &trap[i];
        struct rebalance_slot_view v = { .source = t->source,
                                         .target = t->target,
                                         .cancel = t->cancel,
                                         .conflict = t->conflict,
                                         .third = t->third,
                                         .stray = t->stray,
                                         .settled = t->settled };
        v.refused[t->at.back] = t->refused;
        const enum rebalance_slot_event got = rebalance_slot_observe(t->at, &v);
        if (got != t->want)
            fail_msg("%s: %s, want %s", t->name, rebalance_slot_event_name(got),
                     rebalance_slot_event_name(t->want));
    }
}

static void nobody_is_told_of_a_node_without_an_id(void **state)
{
    (void)state;
    static const char *const verb[] = { "NODE", "IMPORTING", "MIGRATING" };
    for (size_t i = 0; i < PR_COUNT(verb); i++) {
        assert_false(rebalance_slot_named(verb[i], ""));
        assert_true(rebalance_slot_named(verb[i], "0123456789012345678901234567890123456789"));
    }
    assert_true(rebalance_slot_named("STABLE", ""));
    assert_true(rebalance_slot_named("DELSLOTS", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_one_row_for_whatever_can_happen_and_none_for_what_cannot),
        cmocka_unit_test(every_effect_and_state_is_used_and_has_a_name),
        cmocka_unit_test(never_does_what_would_lose_a_key_whatever_it_sees),
        cmocka_unit_test(moves_a_slot),
        cmocka_unit_test(brings_keys_back_when_the_target_is_full),
        cmocka_unit_test(cancels_before_a_key_moved_by_closing_the_target_first),
        cmocka_unit_test(knows_the_traps),
        cmocka_unit_test(nobody_is_told_of_a_node_without_an_id),
    };
    return cmocka_run_group_tests_name("unit/rebalance_slot_machine", tests, NULL, NULL);
}
