/* When the stream of a shard that gives slots away may be shipped. */
#include "t.h"

#include "core/gate.h"

#include <stdio.h>
#include <string.h>

#define ONE "1111111111111111111111111111111111111111"
#define TWO "2222222222222222222222222222222222222222"

static struct dr_give give(const char *giver, const char *taker, int slot)
{
    struct dr_give g = { .giver = "" };
    (void)snprintf(g.giver, sizeof g.giver, "%s", giver);
    (void)snprintf(g.taker, sizeof g.taker, "%s", taker);
    g.slots[slot / 8] = (uint8_t)(1u << slot % 8);
    return g;
}

static void no_circle_is_admitted(void **state)
{
    (void)state;
    const struct dr_give known[] = { give("a", "b", 0), give("b", "c", 1), give("c", "d", 2),
                                     give("x", "b", 3) };
    static const struct {
        const char *giver, *taker;
        int slot;
        bool want;
    } row[] = {
        { "a", "b", 9, true },                          /* the same again */
        { "a", "c", 9, true },                          /* a short cut */
        { "a", "d", 9, true },                          /* and another */
        { "d", "e", 9, true },                          /* the chain goes on */
        { "b", "a", 9, false },                         /* both directions */
        { "d", "a", 9, false },                         /* all around */
        { "d", "b", 9, false },                         /* a part of the way */
        { "d", "x", 9, false },                         /* x is above b */
        { "a", "x", 9, true },                          /* nothing leads from x to a */
        { "a", "a", 9, false }, { "e", "c", 2, false }, /* c has yet to be rid of that slot */
        { "e", "c", 3, true },  { "e", "d", 2, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct dr_give more = give(row[i].giver, row[i].taker, row[i].slot);
        if (dr_gate_admits(known, PR_COUNT(known), &more) != row[i].want)
            fail_msg("%s to %s, slot %d", row[i].giver, row[i].taker, row[i].slot);
        assert_true(dr_gate_admits(known, 0, &more) == (strcmp(row[i].giver, row[i].taker) != 0));
    }
}

static void a_giver_has_room_for_so_many_takers(void **state)
{
    (void)state;
    struct dr_give known[DR_GATE_TAKERS + 1];
    char name[16];
    for (int i = 0; i < DR_GATE_TAKERS; i++) {
        (void)snprintf(name, sizeof name, "t%d", i);
        known[i] = give("g", name, i);
    }
    const struct dr_give same = give("g", "t3", 99), other = give("g", "t", 99);
    assert_true(dr_gate_admits(known, DR_GATE_TAKERS, &same));
    assert_false(dr_gate_admits(known, DR_GATE_TAKERS, &other));
    assert_true(dr_gate_admits(known, DR_GATE_TAKERS - 1, &other));
    known[DR_GATE_TAKERS] = same; /* twice the same counts once */
    assert_false(dr_gate_admits(known, DR_GATE_TAKERS + 1, &other));
    assert_true(dr_gate_admits(known + 1, DR_GATE_TAKERS, &other));
}

static struct dr_gate_mark mark(uint64_t offset)
{
    return (struct dr_gate_mark){ .generation = { 1, 1 }, .offset = offset };
}

static void begin(struct dr_gate *g, uint64_t offset, const char *taker, const char *replid)
{
    const struct dr_gate_mark m = mark(offset);
    assert_non_null(dr_gate_begin(g, &m));
    assert_true(dr_gate_ask(g, taker, replid, 10 * offset));
}

static void the_newest_round_that_is_reached_passes(void **state)
{
    (void)state;
    struct dr_gate g = { .rounds = 0 };
    struct dr_gate_mark m = mark(1);
    assert_false(dr_gate_pass(&g, &m));
    begin(&g, 1, "t", ONE);
    begin(&g, 2, "t", ONE);
    begin(&g, 3, "t", ONE);
    assert_true(dr_gate_ask(&g, "u", TWO, 5)); /* two takers */
    assert_false(dr_gate_pass(&g, &m));
    g.round[1].need[0].reached = true;
    assert_true(dr_gate_pass(&g, &m));
    assert_int_equal(m.offset, 2);
    assert_int_equal(g.rounds, 1);
    g.round[0].need[0].reached = true; /* one of the two */
    assert_false(dr_gate_pass(&g, &m));
    g.round[0].need[1].reached = true;
    assert_true(dr_gate_pass(&g, &m));
    assert_int_equal(m.offset, 3);
    assert_int_equal(g.rounds, 0);
}

static void nothing_new_needs_no_round(void **state)
{
    (void)state;
    struct dr_gate g = { .rounds = 0 };
    struct dr_gate_mark m = mark(7), got;
    assert_non_null(dr_gate_begin(&g, &m)); /* without a taker it passes at once */
    assert_null(dr_gate_begin(&g, &m));
    assert_true(dr_gate_pass(&g, &got));
    assert_null(dr_gate_begin(&g, &m));
    m.base = 1; /* a base began */
    assert_non_null(dr_gate_begin(&g, &m));
    m.generation.n = 2; /* another stream */
    assert_non_null(dr_gate_begin(&g, &m));
    dr_gate_drop_newest(&g);
    assert_non_null(dr_gate_begin(&g, &m));
}

static void a_full_gate_renews_its_newest_round(void **state)
{
    (void)state;
    struct dr_gate g = { .rounds = 0 };
    struct dr_gate_mark m;
    for (uint64_t i = 1; i <= DR_GATE_ROUNDS + 5; i++)
        begin(&g, i, "t", ONE);
    assert_int_equal(g.rounds, DR_GATE_ROUNDS);
    assert_int_equal(g.round[0].mark.offset, 1);
    g.round[DR_GATE_ROUNDS - 1].need[0].reached = true;
    assert_true(dr_gate_pass(&g, &m));
    assert_int_equal(m.offset, DR_GATE_ROUNDS + 5);
}

/* A taker that failed over: what is waited for in the former history may never come. */
static void another_history_drops_what_waits_for_the_former(void **state)
{
    (void)state;
    struct dr_gate g = { .rounds = 0 };
    begin(&g, 1, "t", ONE);
    g.round[0].need[0].reached = true; /* had come */
    begin(&g, 2, "t", ONE);
    begin(&g, 3, "u", ONE);
    begin(&g, 4, "t", TWO);
    assert_int_equal(g.rounds, 3);
    assert_int_equal(g.round[0].mark.offset, 1);
    assert_int_equal(g.round[1].mark.offset, 3);
    assert_int_equal(g.round[2].mark.offset, 4);
}

static void what_is_given_for_good_is_waited_for_no_more(void **state)
{
    (void)state;
    struct dr_gate g = { .rounds = 0 };
    struct dr_gate_mark m;
    begin(&g, 1, "t", ONE);
    begin(&g, 2, "t", ONE);
    assert_true(dr_gate_ask(&g, "u", ONE, 1));
    dr_gate_closed(&g, "t");
    assert_true(dr_gate_pass(&g, &m));
    assert_int_equal(m.offset, 1);
    dr_gate_closed(&g, "u");
    assert_true(dr_gate_pass(&g, &m));
    assert_int_equal(m.offset, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_circle_is_admitted),
        cmocka_unit_test(a_giver_has_room_for_so_many_takers),
        cmocka_unit_test(the_newest_round_that_is_reached_passes),
        cmocka_unit_test(nothing_new_needs_no_round),
        cmocka_unit_test(a_full_gate_renews_its_newest_round),
        cmocka_unit_test(another_history_drops_what_waits_for_the_former),
        cmocka_unit_test(what_is_given_for_good_is_waited_for_no_more),
    };
    return cmocka_run_group_tests_name("dr gate", tests, NULL, NULL);
}
