#include "t.h"

#include "api_health.h"
#include "prism/slot.h"

#include <string.h>

/* A healthy shard: primary n1 in zone a, replica n2 in zone b, every slot. */
struct fleet {
    struct api_topo *topo;
    int replica[1];
};

static void fleet_open(struct fleet *f)
{
    struct api_topo *t = f->topo = api_topo_new();
    assert_non_null(t);
    t->zones = t->nodes = 2;
    t->shards = 1;
    t->zone = pr_arena_alloc(&t->arena, 2 * sizeof *t->zone);
    t->node = pr_arena_alloc(&t->arena, 2 * sizeof *t->node);
    t->shard = pr_arena_alloc(&t->arena, sizeof *t->shard);
    strcpy(t->zone[0].id, "a");
    strcpy(t->zone[1].id, "b");
    for (int i = 0; i < 2; i++) {
        strcpy(t->node[i].id, i == 0 ? "n1" : "n2");
        strcpy(t->node[i].state, "up");
        t->node[i].zone = i;
    }
    f->replica[0] = 1;
    t->shard[0] = (struct api_shard){
        .id = "n1", .primary = 0, .replica = f->replica, .replicas = 1, .slots = PR_SLOTS
    };
    t->covered = PR_SLOTS;
}

static void no_node_is_empty_not_degraded(void **state)
{
    (void)state;
    struct api_topo *t = api_topo_new();
    struct api_health h;
    api_health_judge(t, &h);
    assert_string_equal(h.state, "empty");
    assert_int_equal(h.reasons, 0);
    api_topo_unref(t);
}

static void a_whole_fleet_is_ok(void **state)
{
    (void)state;
    struct fleet f;
    struct api_health h;
    fleet_open(&f);
    api_health_judge(f.topo, &h);
    assert_string_equal(h.state, "ok");
    assert_int_equal(h.reasons, 0);
    api_topo_unref(f.topo);
}

static void node_that_came_back_and_serves_nothing_degrades(void **state)
{
    (void)state;
    static const struct {
        const char *role, *state, *shard;
        int slots;
        bool says;
    } row[] = {
        { "primary", "up", "n1", 0, true },      { "replica", "up", "n1", 0, false },
        { "primary", "up", "n1", 1, false },     { "primary", "failed", "n1", 0, false },
        { "primary", "up", "nobody", 0, false }, { "primary", "up", "", 0, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct fleet f;
        struct api_health h;
        fleet_open(&f);
        struct api_node *n = &f.topo->node[1];
        strcpy(f.topo->node[0].role, "primary");
        strcpy(n->role, row[i].role);
        strcpy(n->state, row[i].state);
        strcpy(n->shard, row[i].shard);
        n->slots = row[i].slots;
        api_health_judge(f.topo, &h);
        bool said = false;
        for (size_t k = 0; k < h.reasons; k++)
            said = said || strstr(h.reason[k], "node n2 came back") != NULL;
        if (said != row[i].says)
            fail_msg("row %zu", i);
        api_topo_unref(f.topo);
    }
}

static void uncovered(struct api_topo *t)
{
    t->covered--;
}
static void failed(struct api_topo *t)
{
    strcpy(t->node[1].state, "failed");
}
static void zoneless(struct api_topo *t)
{
    t->node[1].zone = API_NONE;
}
static void bare(struct api_topo *t)
{
    t->shard[0].replicas = 0;
}
static void same_zone(struct api_topo *t)
{
    t->node[1].zone = 0;
}

static void each_fault_is_named(void **state)
{
    (void)state;
    static const struct {
        void (*harm)(struct api_topo *);
        const char *words;
    } row[] = {
        { uncovered, "1 of 16384 slots have no owner" },
        { failed, "node n2 has failed" },
        { zoneless, "node n2 has no known zone" },
        { bare, "shard n1 has no replica" },
        { same_zone, "replica n2 is in zone a of its primary n1" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct fleet f;
        struct api_health h;
        fleet_open(&f);
        row[i].harm(f.topo);
        api_health_judge(f.topo, &h);
        assert_string_equal(h.state, "degraded");
        assert_int_equal(h.reasons, 1);
        assert_non_null(strstr(h.reason[0], row[i].words));
        api_topo_unref(f.topo);
    }
}

static void more_reasons_than_fit_are_told(void **state)
{
    (void)state;
    struct api_topo *t = api_topo_new();
    struct api_health h;
    t->nodes = API_MAX_REASONS + 1;
    t->node = pr_arena_alloc(&t->arena, t->nodes * sizeof *t->node);
    t->covered = PR_SLOTS;
    for (size_t i = 0; i < t->nodes; i++)
        strcpy(t->node[i].state, "failed");
    api_health_judge(t, &h);
    assert_int_equal(h.reasons, API_MAX_REASONS);
    assert_true(h.more);
    api_topo_unref(t);
}

/* 1.4 TB/s, $0.01 a GB, one side billed: 5 % crossing is $1,814,400 a month. */
static void cost_matches_the_reference(void **state)
{
    (void)state;
    struct api_cost_in in = { .traffic_bytes_per_s = 1.4e12,
                              .usd_per_gb = 0.01,
                              .billed_sides = 1 };
    assert_true(api_cost_usd_per_month(&in, 0.05) > 1814399.9 &&
                api_cost_usd_per_month(&in, 0.05) < 1814400.1);
    assert_true(api_cost_usd_per_month(&in, 0) == 0);
    in.billed_sides = 2;
    assert_true(api_cost_usd_per_month(&in, 0.05) > 3628799);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_node_is_empty_not_degraded),
        cmocka_unit_test(a_whole_fleet_is_ok),
        cmocka_unit_test(node_that_came_back_and_serves_nothing_degrades),
        cmocka_unit_test(each_fault_is_named),
        cmocka_unit_test(more_reasons_than_fit_are_told),
        cmocka_unit_test(cost_matches_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
