/* What the planner refuses, and that its words say where and what would help. */
#include "t.h"

#include "rebalance_fleet.h"

#include <stdlib.h>

struct asked { /* one request on six shards in three zones, one replica each */
    struct rf *r;
    struct rebalance_goal goal;
    struct rebalance_limits lim;
    int16_t node[16];
    int16_t *group;
};

static void name(struct asked *a, enum rebalance_goal_kind kind, size_t n, ...)
{
    va_list ap;
    va_start(ap, n);
    a->goal = (struct rebalance_goal){ .kind = kind, .node = a->node, .n = n };
    for (size_t i = 0; i < n; i++)
        a->node[i] = (int16_t)va_arg(ap, int);
    va_end(ap);
}

static void nobody_joins(struct asked *a)
{
    name(a, REBALANCE_JOIN, 0);
}
static void joins_twice(struct asked *a)
{
    const int n = rf_add_node(a->r, 0);
    name(a, REBALANCE_JOIN, 2, n, n);
}
static void joins_unregistered(struct asked *a)
{
    name(a, REBALANCE_JOIN, 1, 99);
}
static void joins_member(struct asked *a)
{
    name(a, REBALANCE_JOIN, 1, 3);
}
static void joins_failed(struct asked *a)
{
    name(a, REBALANCE_JOIN, 1, rf_add_node(a->r, 0));
    a->r->node[a->node[0]].failed = true;
}
static void joins_without_zone(struct asked *a)
{
    name(a, REBALANCE_JOIN, 1, rf_add_node(a->r, 0));
    a->r->node[a->node[0]].zone = REBALANCE_NONE;
}
static void primary_alone(struct asked *a)
{
    name(a, REBALANCE_JOIN, 1, rf_add_node(a->r, 0));
    a->goal.as_primary = true;
}
static void both_roles(struct asked *a)
{
    name(a, REBALANCE_JOIN, 1, rf_add_node(a->r, 0));
    a->goal.as_primary = a->goal.as_replica = true;
}
static void half_of_the_primaries(struct asked *a)
{
    rf_make(a->r, 3, 3, 1, 1e6); /* one in each zone: a fourth makes two of four */
    const int n = rf_add_node(a->r, 0);
    name(a, REBALANCE_JOIN, 2, n, rf_add_node(a->r, 1));
    a->goal.as_primary = true;
}
static void primary_of_an_empty_zone(struct asked *a)
{
    a->r->f.zones = 4;
    name(a, REBALANCE_JOIN, 1, rf_add_node(a->r, 3));
    a->goal.as_primary = true;
    a->r->f.replicas = 0;
}
static void drains_stranger(struct asked *a)
{
    name(a, REBALANCE_DRAIN, 1, rf_add_node(a->r, 0));
}
static void drains_last_of_zone(struct asked *a)
{
    rf_make(a->r, 3, 3, 1, 1e6);
    name(a, REBALANCE_DRAIN, 2, 0, 1);
}
static void drains_only_replica(struct asked *a)
{
    name(a, REBALANCE_DRAIN, 1, 1);
}
static void drains_into_full(struct asked *a)
{
    double held = 0;
    for (int s = 0; s < REBALANCE_SLOTS; s++)
        held += a->r->slot[s].shard == 0 ? a->r->slot[s].bytes : 0;
    rf_fill(a->r, held * 1.5);
    name(a, REBALANCE_DRAIN, 2, 0, 1);
}
static void drains_pinned_node(struct asked *a)
{
    a->r->node[0].pinned = true;
    name(a, REBALANCE_DRAIN, 2, 0, 1);
}
static void drains_pinned_slot(struct asked *a)
{
    a->r->slot[17].pinned = true;
    name(a, REBALANCE_DRAIN, 2, 0, 1);
}
static void drains_pinned_shard(struct asked *a)
{
    a->r->shard[0].pinned = true;
    name(a, REBALANCE_DRAIN, 2, 0, 1);
}
static void drains_failed_primary(struct asked *a)
{
    a->r->node[0].failed = true;
    name(a, REBALANCE_DRAIN, 1, 0);
}
static void drains_beyond_the_cap(struct asked *a)
{
    a->lim.max_slots = 100;
    name(a, REBALANCE_DRAIN, 2, 0, 1);
}
static void drains_to_half_of_the_primaries(struct asked *a)
{
    rf_make(a->r, 3, 5, 1, 1e6); /* 2 + 2 + 1: one of b away leaves 2 of 4 in a */
    name(a, REBALANCE_DRAIN, 2, 2, 3);
}
static void open_slot(struct asked *a)
{
    a->r->slot[4711].open = true;
    name(a, REBALANCE_BALANCE, 0);
}
static void unowned_slot(struct asked *a)
{
    a->r->slot[4712].shard = REBALANCE_NONE;
    name(a, REBALANCE_BALANCE, 0);
}
static void replaced_by_itself(struct asked *a)
{
    name(a, REBALANCE_REPLACE, 1, 0);
    a->goal.with = 0;
}
static void replaced_by_member(struct asked *a)
{
    name(a, REBALANCE_REPLACE, 1, 0);
    a->goal.with = 6;
}
static void replaced_from_other_zone(struct asked *a)
{
    name(a, REBALANCE_REPLACE, 1, 0);
    a->goal.with = rf_add_node(a->r, 2);
}
static void dead_replica_replaced_beside_its_primary(struct asked *a)
{
    a->r->node[1].failed = true;
    name(a, REBALANCE_REPLACE, 1, 1);
    a->goal.with = rf_add_node(a->r, 0);
}
static void live_replica_replaced_beside_its_primary(struct asked *a)
{
    name(a, REBALANCE_REPLACE, 1, 1);
    a->goal.with = rf_add_node(a->r, 0);
}
static void unknown_zone(struct asked *a)
{
    a->r->node[4].zone = REBALANCE_NONE;
    name(a, REBALANCE_BALANCE, 0);
}
static void replaced_by_small(struct asked *a)
{
    name(a, REBALANCE_REPLACE, 1, 0);
    a->goal.with = rf_add_node(a->r, 0);
    a->r->node[a->goal.with].capacity_bytes = 1e9;
}
static void nobody_promoted(struct asked *a)
{
    name(a, REBALANCE_REPLACE, 1, 0);
    a->r->node[0].failed = true;
    a->r->shard[0].primary = REBALANCE_NONE;
    a->goal.with = rf_add_node(a->r, 0);
}
static void replica_of_its_own(struct asked *a)
{
    name(a, REBALANCE_MOVE_REPLICA, 1, 1);
    a->goal.shard = 0;
}
static void replica_not_spared(struct asked *a)
{
    name(a, REBALANCE_MOVE_REPLICA, 1, 1);
    a->goal.shard = 2;
}
static void replica_from_a_primary(struct asked *a)
{
    name(a, REBALANCE_MOVE_REPLICA, 1, 0);
    a->goal.shard = 3;
}
static void replica_in_its_primarys_zone(struct asked *a)
{
    a->r->node[1].failed = true; /* its only replica */
    name(a, REBALANCE_MOVE_REPLICA, 1, rf_add_node(a->r, 0));
    a->goal.shard = 0;
}
static void more_groups_than_shards(struct asked *a)
{
    name(a, REBALANCE_ASSIGN, 0);
    a->goal.group_of_slot = a->group;
    a->goal.groups = 7;
}
static void group_out_of_range(struct asked *a)
{
    name(a, REBALANCE_ASSIGN, 0);
    a->goal.group_of_slot = a->group;
    a->goal.groups = 1;
    a->group[9] = 1;
}
static void no_groups(struct asked *a)
{
    name(a, REBALANCE_ASSIGN, 0);
}

static void what_cannot_be_is_refused_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        void (*ask)(struct asked *);
        enum pr_code want;
        const char *names, *helps; /* what the words hold */
    } row[] = {
        { nobody_joins, PR_EINVAL, "no node", "join" },
        { joins_twice, PR_EINVAL, "n13", "twice" },
        { joins_unregistered, PR_EINVAL, "99", "not registered" },
        { joins_member, PR_ECONFLICT, "n4", "already a member" },
        { joins_failed, PR_ECONFLICT, "n13", "start it first" },
        { joins_without_zone, PR_ECONFLICT, "n13", "register it with a zone" },
        { primary_alone, PR_ECONFLICT, "n13", "as a replica" },
        { both_roles, PR_EINVAL, "primary", "replica" },
        { half_of_the_primaries, PR_ECONFLICT, "zone a", "other zones" },
        { primary_of_an_empty_zone, PR_ECONFLICT, "zone d", "as a replica" },
        { drains_stranger, PR_ECONFLICT, "n13", "not a member" },
        { drains_last_of_zone, PR_ECONFLICT, "zone a", "join a primary" },
        { drains_only_replica, PR_ECONFLICT, "shard n1", "join a node" },
        { drains_into_full, PR_ECONFLICT, "zone a", "raise maxmemory" },
        { drains_pinned_node, PR_ECONFLICT, "n1", "unpin" },
        { drains_pinned_slot, PR_ECONFLICT, "slot 17", "unpin" },
        { drains_pinned_shard, PR_ECONFLICT, "shard n1", "unpin" },
        { drains_failed_primary, PR_ECONFLICT, "n1", "wait for the fail-over" },
        { drains_beyond_the_cap, PR_ECONFLICT, "cap", "raise it" },
        { drains_to_half_of_the_primaries, PR_ECONFLICT, "zone a", "half" },
        { open_slot, PR_ECONFLICT, "4711", "repair" },
        { unowned_slot, PR_ECONFLICT, "4712", "repair" },
        { replaced_by_itself, PR_EINVAL, "n1", "itself" },
        { replaced_by_member, PR_ECONFLICT, "n7", "already a member" },
        { replaced_from_other_zone, PR_ECONFLICT, "zone c", "a node there" },
        { dead_replica_replaced_beside_its_primary, PR_ECONFLICT, "n13", "in another" },
        { live_replica_replaced_beside_its_primary, PR_ECONFLICT, "shard n1",
          "lack 1 of the zones" },
        { unknown_zone, PR_ECONFLICT, "n5", "register it with a zone" },
        { replaced_by_small, PR_ECONFLICT, "n13", "1000.0 MB" },
        { nobody_promoted, PR_ECONFLICT, "shard n1", "wait for the fail-over" },
        { replica_of_its_own, PR_ECONFLICT, "n2", "already" },
        { replica_not_spared, PR_ECONFLICT, "shard n1", "another one first" },
        { replica_from_a_primary, PR_ECONFLICT, "n1", "is a primary" },
        { replica_in_its_primarys_zone, PR_ECONFLICT, "n13", "zone" },
        { more_groups_than_shards, PR_ECONFLICT, "7 groups for 6", "fewer groups" },
        { group_out_of_range, PR_EINVAL, "slot 9", "group 1 of 1" },
        { no_groups, PR_EINVAL, "assign", "no groups" },
    };
    struct asked a = { .r = calloc(1, sizeof *a.r),
                       .group = calloc(REBALANCE_SLOTS, sizeof *a.group) };
    assert_true(a.r != NULL && a.group != NULL);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_arena arena;
        struct rebalance_fleet_plan plan = { .waves = -1 };
        struct pr_err err = { 0 };
        pr_arena_init(&arena, 0);
        memset(&a.lim, 0, sizeof a.lim);
        memset(a.group, 0, REBALANCE_SLOTS * sizeof *a.group);
        rf_make(a.r, 3, 6, 1, 1e6);
        row[i].ask(&a);
        const enum pr_code rc = rebalance_fleet_plan(&a.r->f, &a.goal, &a.lim, &arena, &plan, &err);
        if (rc != row[i].want || strstr(err.text, row[i].names) == NULL ||
            strstr(err.text, row[i].helps) == NULL)
            fail_msg("row %zu: %s: %s", i, pr_code_name(rc), err.text);
        pr_arena_done(&arena);
    }
    free(a.group);
    free(a.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_is_refused_with_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
