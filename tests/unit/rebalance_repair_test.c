/* What is done about a slot that somebody left half moved. */
#include "t.h"

#include "core/fleet/repair.h"

#include <string.h>

enum { NONE = REBALANCE_NONE, DOWN = REBALANCE_DOWN, GONE = REBALANCE_STRANGER };

struct row {
    const char *what;
    struct rebalance_side side[3]; /* owner, migrating_to, importing_from, keys */
    enum rebalance_mend_kind kind;
    int owner, other;
};

static void check(const struct row *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct rebalance_mend m;
        rebalance_mend_slot(row[i].side, 3, &m);
        if (m.kind != row[i].kind || m.owner != row[i].owner || m.other != row[i].other)
            fail_msg("%s: %s owner %d other %d (%s)", row[i].what, rebalance_mend_name(m.kind),
                     m.owner, m.other, m.why);
        assert_true(m.kind == REBALANCE_MEND_NOTHING || m.why[0] != '\0');
    }
}

static void moves_left_half_way_are_finished_or_undone(void **state)
{
    (void)state;
    static const struct row row[] = {
        { "nothing is wrong",
          { { 0, NONE, NONE, 7 }, { 0, NONE, NONE, 0 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_NOTHING,
          0,
          NONE },
        { "open on both sides, keys on both",
          { { 0, 1, NONE, 7 }, { 0, NONE, 0, 3 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_FORWARD,
          0,
          1 },
        { "open on both sides, all keys moved",
          { { 0, 1, NONE, 0 }, { 0, NONE, 0, 3 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_FORWARD,
          0,
          1 },
        { "open on both sides, none moved",
          { { 0, 1, NONE, 7 }, { 0, NONE, 0, 0 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_CLOSE,
          0,
          1 },
        { "the target was failed over: its replica holds keys, and imports nothing",
          { { 0, 2, NONE, 7 }, { 0, NONE, NONE, 0 }, { 0, NONE, NONE, 3 } },
          REBALANCE_MEND_FORWARD,
          0,
          2 },
        { "the target is down, another holds what moved",
          { { 0, DOWN, NONE, 7 }, { 0, NONE, NONE, 0 }, { 0, NONE, NONE, 3 } },
          REBALANCE_MEND_FORWARD,
          0,
          2 },
        { "the target is down, nobody holds what may have moved",
          { { 0, DOWN, NONE, 7 }, { 0, NONE, NONE, 0 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_WAIT,
          0,
          NONE },
        { "the target was forgotten",
          { { 0, GONE, NONE, 7 }, { 0, NONE, NONE, 0 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_CLOSE,
          0,
          0 },
        { "migrating alone, to a node that holds nothing",
          { { 0, 1, NONE, 7 }, { 0, NONE, NONE, 0 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_CLOSE,
          0,
          1 },
        { "importing alone, nothing moved",
          { { 0, NONE, NONE, 7 }, { 0, NONE, 0, 0 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_CLOSE,
          0,
          1 },
        { "the source was failed over: its replica redirects nobody to what moved",
          { { 0, NONE, NONE, 7 }, { DOWN, NONE, DOWN, 3 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_BRING,
          0,
          1 },
        { "importing its own slot",
          { { 0, NONE, 1, 7 }, { 0, NONE, NONE, 0 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_CLOSE,
          0,
          0 },
        { "a third node imports, too: first the move is finished",
          { { 0, 1, NONE, 7 }, { 0, NONE, 0, 3 }, { 0, NONE, 0, 0 } },
          REBALANCE_MEND_FORWARD,
          0,
          1 },
    };
    check(row, PR_COUNT(row));
}

static void stray_keys_are_brought_home(void **state)
{
    (void)state;
    static const struct row row[] = {
        { "keys on a node that does not serve the slot",
          { { 1, NONE, NONE, 3 }, { 1, NONE, NONE, 7 }, { 1, NONE, NONE, 0 } },
          REBALANCE_MEND_BRING,
          1,
          0 },
        { "the owner has none itself",
          { { 1, NONE, NONE, 3 }, { 1, NONE, NONE, 0 }, { 1, NONE, NONE, 0 } },
          REBALANCE_MEND_BRING,
          1,
          0 },
    };
    check(row, PR_COUNT(row));
}

static void owner_is_found_for_a_slot_without(void **state)
{
    (void)state;
    static const struct row row[] = {
        { "handed over by the source, not taken by the target",
          { { 1, NONE, NONE, 0 }, { 0, NONE, 0, 5 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_OWN,
          1,
          NONE },
        { "the same with no key",
          { { 1, NONE, NONE, 0 }, { 0, NONE, 0, 0 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_OWN,
          1,
          NONE },
        { "nobody knows, one holds keys",
          { { NONE, NONE, NONE, 0 }, { NONE, NONE, NONE, 0 }, { NONE, NONE, NONE, 4 } },
          REBALANCE_MEND_OWN,
          2,
          NONE },
        { "two hold keys: the one with more",
          { { NONE, NONE, NONE, 2 }, { NONE, NONE, NONE, 0 }, { NONE, NONE, NONE, 4 } },
          REBALANCE_MEND_OWN,
          2,
          NONE },
        { "no key: whom the others name",
          { { 2, NONE, NONE, 0 }, { 2, NONE, NONE, 0 }, { NONE, NONE, NONE, 0 } },
          REBALANCE_MEND_OWN,
          2,
          NONE },
        { "its owner is down: its replica's turn, whatever else is here",
          { { DOWN, NONE, NONE, 0 }, { DOWN, NONE, DOWN, 4 }, { DOWN, NONE, NONE, 0 } },
          REBALANCE_MEND_WAIT,
          NONE,
          NONE },
        { "never given to anybody: not guessed",
          { { NONE, NONE, NONE, 0 }, { NONE, NONE, NONE, 0 }, { NONE, NONE, NONE, 0 } },
          REBALANCE_MEND_WAIT,
          NONE,
          NONE },
        { "two claim it: the cluster settles that",
          { { 0, NONE, NONE, 3 }, { 1, NONE, NONE, 3 }, { 0, NONE, NONE, 0 } },
          REBALANCE_MEND_WAIT,
          1,
          NONE },
    };
    check(row, PR_COUNT(row));
}

/* --- from what the nodes report -------------------------------------------------------- */

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"
#define D "dddddddddddddddddddddddddddddddddddddddd"
#define E "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

static struct {
    struct pr_arena arena;
    struct rebalance_view view[2];
    uint32_t keys[2][REBALANCE_SLOTS];
    struct rebalance_witness w[2];
    struct rebalance_side side[2];
} t;

static int open_arena(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    pr_arena_init(&t.arena, 0);
    for (int i = 0; i < 2; i++)
        t.w[i] = (struct rebalance_witness){ &t.view[i], t.keys[i] };
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    pr_arena_done(&t.arena);
    return 0;
}

static void parse(int i, const char *text)
{
    struct pr_err err = { 0 };
    assert_ok(rebalance_view_parse(text, "10.0.0.9", &t.arena, &t.view[i], &err), &err);
}

static void view_tells_who_is_there_and_what_is_open(void **state)
{
    (void)state;
    parse(0,
          A " :7000@17001 myself,master - 0 0 5 connected 0-99 200 [50->-" B "] [300-<-" C "]\n" B
            " 10.0.0.2:7001@17002,host-b,shard-id=1 master,fail - 0 0 6 disconnected 100-199\n" C
            " 10.0.0.3:7002@17003 slave " B " 0 0 6 connected\n" D
            " :0@0 master,noaddr - 0 0 0 disconnected\r\n" E
            " 10.0.0.4:7003@17004 handshake - 0 0 0 connected\n");
    const struct rebalance_view *v = &t.view[0];
    assert_int_equal(v->nodes, 5);
    assert_int_equal(v->me, 0);
    assert_string_equal(v->node[0].host, "10.0.0.9"); /* as it was asked */
    assert_int_equal(v->node[0].bus_port, 17001);
    assert_int_equal(v->node[0].slots, 101);
    assert_true(v->node[1].failed && v->node[1].primary && !v->node[0].failed);
    assert_string_equal(v->node[2].primary_id, B);
    assert_true(v->node[3].failed);
    assert_string_equal(v->node[3].host, "");
    assert_true(v->node[4].handshake && !v->node[4].primary);
    assert_int_equal(v->owner[99], 0);
    assert_int_equal(v->owner[100], 1);
    assert_int_equal(v->owner[300], NONE);
    assert_int_equal(v->opens, 2);
    assert_true(v->open[0].slot == 50 && !v->open[0].importing);
    assert_true(v->open[1].slot == 300 && v->open[1].importing);
    assert_string_equal(v->open[1].other, C);
    assert_ptr_equal(rebalance_view_find(v, C), &v->node[2]);
    assert_null(rebalance_view_find(v, "x"));
    assert_ptr_equal(rebalance_view_at(v, "10.0.0.3", 7002), &v->node[2]);
    assert_null(rebalance_view_at(v, "10.0.0.3", 7001));
}

static void malformed_views_are_refused(void **state)
{
    (void)state;
    static const char *const row[] = {
        "",
        A " 10.0.0.1:7000@17000 master - 0 0 5 connected 0\n", /* nobody is it itself */
        "xyz 10.0.0.1:7000@17000 myself,master - 0 0 5 connected\n",
        A " 10.0.0.1:7000@17000 myself,master - 0 0\n",
        A " nonsense myself,master - 0 0 5 connected\n",
        A " 10.0.0.1:70000@17000 myself,master - 0 0 5 connected\n",
        A " 10.0.0.1:7000@17000 myself,slave me 0 0 5 connected\n",
        A " 10.0.0.1:7000@17000 myself,master - 0 0 5 connected 16384\n",
        A " 10.0.0.1:7000@17000 myself,master - 0 0 5 connected 9-3\n",
        A " 10.0.0.1:7000@17000 myself,master - 0 0 5 connected 1x\n",
        A " 10.0.0.1:7000@17000 myself,master - 0 0 5 connected [16384->-" B "]\n",
        A " 10.0.0.1:7000@17000 myself,master - 0 0 5 connected [5-" B "]\n",
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { 0 };
        const enum pr_code rc =
            rebalance_view_parse(row[i], "10.0.0.9", &t.arena, &t.view[0], &err);
        if (rc != PR_EDATA)
            fail_msg("row %zu: %s", i, pr_code_name(rc));
        assert_true(err.text[0] != '\0');
    }
}

static bool marked(const uint8_t *set, unsigned slot)
{
    return ((unsigned)set[slot / 8] >> (slot % 8) & 1u) != 0;
}

/* A moved slot 5 to B, whose replica C has taken over since; slot 6 is nobody's. */
static void two_views(void)
{
    parse(0, A " 10.0.0.1:1@2 myself,master - 0 0 5 connected 0-5 [5->-" B "]\n" B
               " 10.0.0.2:1@2 slave " C " 0 0 6 connected\n" C
               " 10.0.0.3:1@2 master - 0 0 6 connected 7-16383\n");
    parse(1, A " 10.0.0.1:1@2 master - 0 0 5 connected 0-5\n" B " 10.0.0.2:1@2 slave " C
               " 0 0 6 connected\n" C
               " 10.0.0.3:1@2 myself,master - 0 0 6 connected 7-16383 [4-<-" D "]\n");
}

static void suspects_are_open_unowned_or_stray(void **state)
{
    (void)state;
    uint8_t suspect[2048];
    two_views();
    t.keys[0][3] = t.keys[1][9] = 5; /* at home */
    t.keys[1][2] = 1;                /* astray */
    rebalance_repair_suspects(t.w, 2, suspect);
    for (unsigned s = 0; s < REBALANCE_SLOTS; s++)
        assert_int_equal(marked(suspect, s), s == 2 || s == 4 || s == 5 || s == 6);
}

static void replica_stands_for_the_one_that_took_over(void **state)
{
    (void)state;
    two_views();
    t.keys[1][5] = 2;
    rebalance_repair_sides(t.w, 2, 5, t.side);
    assert_int_equal(t.side[0].owner, 0);
    assert_int_equal(t.side[0].migrating_to, 1); /* B, now a replica of C */
    assert_int_equal(t.side[1].owner, 0);
    assert_int_equal(t.side[1].keys, 2);
    rebalance_repair_sides(t.w, 2, 4, t.side);
    assert_int_equal(t.side[1].importing_from, GONE);
    rebalance_repair_sides(t.w, 2, 6, t.side);
    assert_int_equal(t.side[0].owner, NONE);
}

static void owner_that_is_no_witness_is_down(void **state)
{
    (void)state;
    parse(0, A " 10.0.0.1:1@2 myself,master - 0 0 5 connected 0-5 [5->-" B "]\n" B
               " 10.0.0.2:1@2 master,fail - 0 0 6 connected 6-16383\n");
    rebalance_repair_sides(t.w, 1, 6, t.side);
    assert_int_equal(t.side[0].owner, DOWN);
    rebalance_repair_sides(t.w, 1, 5, t.side);
    assert_int_equal(t.side[0].migrating_to, DOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_left_half_way_are_finished_or_undone),
        cmocka_unit_test(stray_keys_are_brought_home),
        cmocka_unit_test(owner_is_found_for_a_slot_without),
        cmocka_unit_test_setup_teardown(view_tells_who_is_there_and_what_is_open, open_arena,
                                        close_arena),
        cmocka_unit_test_setup_teardown(malformed_views_are_refused, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(suspects_are_open_unowned_or_stray, open_arena,
                                        close_arena),
        cmocka_unit_test_setup_teardown(replica_stands_for_the_one_that_took_over, open_arena,
                                        close_arena),
        cmocka_unit_test_setup_teardown(owner_that_is_no_witness_is_down, open_arena, close_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
