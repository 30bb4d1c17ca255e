/* Hard goals, each at its boundary, and what a reader is told about slots and
 * nodes. */
#include "t.h"

#include "rebalance_fleet.h"

#include "core/fleet/explain.h"

#include <stdlib.h>

static struct rf *r;
static struct rebalance_layout *l;
static struct pr_arena arena;
static struct pr_err err;

static int setup(void **state)
{
    (void)state;
    r = calloc(1, sizeof *r);
    l = calloc(1, sizeof *l);
    pr_arena_init(&arena, 0);
    return r == NULL || l == NULL;
}

static int teardown(void **state)
{
    (void)state;
    pr_arena_done(&arena);
    free(r);
    free(l);
    return 0;
}

/* The fleet as it is. */
static void same(void)
{
    const struct rebalance_fleet_plan nothing = { 0 };
    assert_ok(rebalance_layout_after(&r->f, &nothing, 0, &arena, l, &err), &err);
}

static void give_all(int from, int to)
{
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        if (l->slot_shard[s] == from)
            l->slot_shard[s] = (int16_t)to;
}

static void nothing_done(void) {}
static void owner_lost(void)
{
    l->shard[0].primary = REBALANCE_NONE;
}
static void owner_forgotten(void)
{
    l->node[0].member = false;
}
static void slot_unowned(void)
{
    l->slot_shard[5] = REBALANCE_NONE;
}
static void pinned_slot_moved(void)
{
    r->slot[5].pinned = true;
    l->slot_shard[5] = 3;
}
static void pinned_shard_gave(void)
{
    r->shard[0].pinned = true;
    l->slot_shard[5] = 3;
}
static void pinned_shard_took(void)
{
    r->shard[3].pinned = true;
    l->slot_shard[5] = 3;
}
static void pinned_node_changed(void)
{
    r->node[1].pinned = true;
    l->node[1].shard = 3;
}
static void replica_gone(void)
{
    l->node[1].shard = REBALANCE_NONE;
}
static void replica_of_an_empty_shard_gone(void)
{
    give_all(0, 3);
    l->node[1].shard = REBALANCE_NONE;
}
static void replica_was_dead_anyway(void)
{
    r->node[1].failed = l->node[1].failed = true;
    l->node[1].shard = REBALANCE_NONE;
}
static void replicas_swapped_into_their_primaries_zones(void)
{
    l->node[1].shard = 1; /* zone b, as shard 1's primary */
    l->node[3].shard = 0; /* zone c: fine for shard 0 */
}
static void replicas_swapped_well(void)
{
    l->node[1].shard = 3; /* both pairs are in zones a and b */
    l->node[7].shard = 0;
}
static void half_in_one_zone(void)
{
    give_all(1, 4); /* a 2, b 1, c 2 */
    give_all(2, 5); /* a 2, b 1, c 1 */
}
static void two_of_five(void)
{
    give_all(1, 4);
}
static void over_capacity(void)
{
    for (int n = 0; n < 12; n++)
        l->node[n].capacity_bytes = 2800e6; /* a shard holds 2730.7 slots of 1 MB */
    for (int s = 0; s < 70; s++)
        l->slot_shard[s] = 3;
}
static void just_in_capacity(void)
{
    for (int n = 0; n < 12; n++)
        l->node[n].capacity_bytes = 2800e6;
    for (int s = 0; s < 69; s++)
        l->slot_shard[s] = 3;
}
static void replica_over_capacity(void)
{
    l->node[7].capacity_bytes = 2730e6;
    l->slot_shard[5] = 3;
}

static void hard_goals_name_what_is_broken(void **state)
{
    (void)state;
    static const struct {
        void (*change)(void);
        const char *names; /* NULL: nothing is broken */
    } row[] = {
        { nothing_done, NULL },
        { owner_lost, "slot 0 of shard n1" },
        { owner_forgotten, "slot 0 of shard n1" },
        { slot_unowned, "slot 5" },
        { pinned_slot_moved, "slot 5 is pinned" },
        { pinned_shard_gave, "pinned with its shard" },
        { pinned_shard_took, NULL },
        { pinned_node_changed, "node n2 is pinned" },
        { replica_gone, "shard n1 would have 0 of 1 replicas" },
        { replica_of_an_empty_shard_gone, NULL },
        { replica_was_dead_anyway, NULL },
        { replicas_swapped_into_their_primaries_zones, "shard n3" },
        { replicas_swapped_well, NULL },
        { half_in_one_zone, "zone a would hold 2 of 4" },
        { two_of_five, NULL },
        { over_capacity, "node n7" },
        { just_in_capacity, NULL },
        { replica_over_capacity, "node n8" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        rf_make(r, 3, 6, 1, 1e6);
        same();
        row[i].change();
        const enum pr_code rc = rebalance_hard_goals(&r->f, l, &err);
        if (rc != (row[i].names == NULL ? PR_OK : PR_ECONFLICT) ||
            (row[i].names != NULL && strstr(err.text, row[i].names) == NULL))
            fail_msg("row %zu: %s: %s", i, pr_code_name(rc), rc == PR_OK ? "" : err.text);
    }
}

static void what_was_broken_before_is_no_new_breach(void **state)
{
    (void)state;
    rf_make(r, 3, 4, 1, 1e6); /* zone a has 2 of 4 */
    r->node[1].zone = 0;      /* shard 0: both in zone a */
    same();
    assert_ok(rebalance_hard_goals(&r->f, l, &err), &err);
    l->slot_shard[0] = 3;
    assert_ok(rebalance_hard_goals(&r->f, l, &err), &err);
}

/* --- explanations ------------------------------------------------------------------- */

static void a_slot_says_what_holds_it(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    r->slot[1].pinned = true;
    r->slot[2].open = true;
    r->slot[3].shard = REBALANCE_NONE;
    r->slot[4].moved_at_ms = r->f.now_ms - 3590 * 1000;
    r->slot[4].moved_from = 3;
    r->slot[5].moved_at_ms = r->f.now_ms - 2 * 3600 * 1000;
    r->slot[5].moved_from = 3;
    for (int s = 6; s < 8; s++) {
        r->slot[s].moved_at_ms = r->f.now_ms - 10 * 1000;
        r->slot[s].moved_from = 3;
    }
    r->slot[6].pinned = true;
    r->slot[7].open = true;
    r->slot[8].open = r->slot[8].pinned = true;
    r->slot[3001].moved_at_ms = r->f.now_ms - 10 * 1000;
    r->slot[3001].moved_from = 3;
    r->shard[1].pinned = true;
    r->shard[2].primary = REBALANCE_NONE;
    static const struct {
        int slot;
        const char *says;
    } row[] = {
        { 0, "within 0.0 % of their mean (balancing begins above 10.0 %)" },
        { 1, "it is pinned" },
        { 2, "it is open" },
        { 3, "owned by no node" },
        { 4, "stays for another 10 s; it does not go back to shard n7 for another 168 h" },
        { 5, "it does not go back to shard n7 for another 166 h" },
        { 6, "it is pinned" },
        { 7, "it is open" },
        { 8, "it is pinned, and open" },
        { 3000, "its shard is pinned" },
        { 3001, "its shard is pinned" },
        { 6000, "no live primary" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const char *text = rebalance_fleet_explain_slot(&r->f, NULL, row[i].slot, &arena);
        if (text == NULL || strstr(text, row[i].says) == NULL)
            fail_msg("slot %d: %s", row[i].slot, text);
    }
    static const int held[] = { 6, 7, 3001 }; /* moved lately too, which does not matter then */
    for (size_t i = 0; i < PR_COUNT(held); i++) {
        const char *text = rebalance_fleet_explain_slot(&r->f, NULL, held[i], &arena);
        if (text == NULL || strstr(text, "for another") != NULL)
            fail_msg("slot %d: %s", held[i], text);
    }
    assert_null(rebalance_fleet_explain_slot(&r->f, NULL, REBALANCE_SLOTS, &arena));
    rf_make(r, 3, 3, 1, 1e6);
    assert_non_null(strstr(rebalance_fleet_explain_slot(&r->f, NULL, 0, &arena), "no other shard"));
    rf_make(r, 3, 6, 1, 1e6);
    for (int s = 0; s < 1000; s++)
        r->slot[s].shard = 3;
    assert_non_null(strstr(rebalance_fleet_explain_slot(&r->f, NULL, 0, &arena), "may move"));
}

static void a_node_says_what_holds_it(void **state)
{
    (void)state;
    rf_make(r, 3, 6, 1, 1e6);
    rf_add_node(r, 0);
    r->node[rf_add_node(r, 0)].member = true;
    r->node[2].failed = true;
    r->node[5].pinned = true;
    r->shard[4].home_zone = 2;
    r->node[13].shard = REBALANCE_NONE;
    r->f.nodes++; /* a second replica of shard 3 */
    r->node[14] = r->node[7];
    r->node[14].id = "n15";
    static const struct {
        int node;
        const char *says;
    } row[] = {
        { 0, "primary of shard n1 in zone a with 2731 slots, 2731.0 MB" },
        { 1, "1 of 1 replicas and spares none" },
        { 2, "does not answer" },
        { 5, "it is pinned" },
        { 8, "belongs in zone c" },
        { 7, "2 replicas and needs 1" },
        { 12, "a join takes it in" },
        { 13, "a join gives it one" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const char *text = rebalance_fleet_explain_node(&r->f, NULL, row[i].node, &arena);
        if (text == NULL || strstr(text, row[i].says) == NULL)
            fail_msg("node %d: %s", row[i].node, text);
    }
    assert_null(rebalance_fleet_explain_node(&r->f, NULL, -1, &arena));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(hard_goals_name_what_is_broken),
        T(what_was_broken_before_is_no_new_breach),
        T(a_slot_says_what_holds_it),
        T(a_node_says_what_holds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
