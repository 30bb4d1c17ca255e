/* Whatever the cluster and the goal: after every wave of a plan all hard goals
 * hold, waves are matchings with memory for them, and little more moves than
 * must. The checker below is the test's own. The seed is printed; argv[1] sets
 * it. */
#include "t.h"

#include "rebalance_fleet_random.h"

#include <math.h>
#include <stdlib.h>

enum { ROUNDS = T_ROUNDS(400) };

static uint64_t seed = 20261121, at;

/* --- the test's own picture of the cluster --------------------------------------- */

struct sim {
    const struct rebalance_fleet *f;
    int owner[REBALANCE_SLOTS]; /* node */
    int follows[RF_NODES];      /* node; -1: a primary */
    bool member[RF_NODES];
    double bytes[RF_NODES]; /* of slots, by primary */
};

static void sim_init(struct sim *s, const struct rebalance_fleet *f)
{
    memset(s, 0, sizeof *s);
    s->f = f;
    for (size_t n = 0; n < f->nodes; n++) {
        const struct rebalance_member *m = &f->node[n];
        s->member[n] = m->member;
        s->follows[n] = m->shard == REBALANCE_NONE || m->primary ? -1 : f->shard[m->shard].primary;
    }
    for (int i = 0; i < REBALANCE_SLOTS; i++) {
        s->owner[i] = f->shard[f->slot[i].shard].primary;
        s->bytes[s->owner[i]] += f->slot[i].bytes;
    }
}

static void sim_failover(struct sim *s, int src, int dst)
{
    assert_int_equal(s->follows[dst], src);
    for (int i = 0; i < REBALANCE_SLOTS; i++)
        if (s->owner[i] == src)
            s->owner[i] = dst;
    for (size_t n = 0; n < s->f->nodes; n++)
        if (s->follows[n] == src)
            s->follows[n] = dst;
    s->follows[src] = dst;
    s->follows[dst] = -1;
    s->bytes[dst] += s->bytes[src];
    s->bytes[src] = 0;
}

static bool owns(const struct sim *s, int node)
{
    for (int i = 0; i < REBALANCE_SLOTS; i++)
        if (s->owner[i] == node)
            return true;
    return false;
}

static void sim_step(struct sim *s, const struct rebalance_fleet_step *p)
{
    assert_false(s->f->node[p->dst].failed && p->kind != REBALANCE_FORGET);
    switch (p->kind) {
    case REBALANCE_MEET:
        assert_false(s->member[p->dst]);
        s->member[p->dst] = true;
        break;
    case REBALANCE_REPLICATE:
        assert_true(s->member[p->dst] && s->member[p->src]);
        assert_int_equal(s->follows[p->src], -1);
        assert_false(owns(s, p->dst));
        s->follows[p->dst] = p->src;
        break;
    case REBALANCE_FAILOVER:
        sim_failover(s, p->src, p->dst);
        break;
    case REBALANCE_SLOT:
        assert_int_equal(s->owner[p->slot], p->src);
        assert_int_equal(s->follows[p->dst], -1);
        assert_true(s->member[p->dst] && !s->f->node[p->src].failed);
        s->owner[p->slot] = p->dst;
        s->bytes[p->src] -= s->f->slot[p->slot].bytes;
        s->bytes[p->dst] += s->f->slot[p->slot].bytes;
        break;
    case REBALANCE_FORGET:
        assert_false(owns(s, p->dst));
        s->member[p->dst] = false;
        s->follows[p->dst] = -1;
        break;
    }
}

/* Live replicas of a primary, and the zones that it and they lack. */
static void look(const struct sim *s, int primary, int *replicas, int *lacking)
{
    bool in_zone[RF_ZONES] = { false }, live[RF_ZONES] = { false };
    int zones = 0, has = 0;
    *replicas = 0;
    for (size_t n = 0; n < s->f->nodes; n++) {
        const struct rebalance_member *m = &s->f->node[n];
        if (!s->member[n] || m->failed)
            continue;
        live[m->zone] = true;
        if ((int)n != primary && s->follows[n] != primary)
            continue;
        in_zone[m->zone] = true;
        *replicas += (int)n != primary;
    }
    for (int z = 0; z < RF_ZONES; z++) {
        zones += live[z];
        has += in_zone[z];
    }
    const int want = s->f->replicas + 1 < zones ? s->f->replicas + 1 : zones;
    *lacking = want > has ? want - has : 0;
}

/* How bad it is: shards by the fleet's primary, or by their own when new. */
struct state {
    int missing, lacking; /* sums over shards with slots */
    bool half[RF_ZONES];
};

static struct state state_of(const struct sim *s)
{
    struct state t = { 0 };
    bool has[RF_NODES] = { false };
    int primaries[RF_ZONES] = { 0 }, all = 0, live_zones = 0;
    bool live[RF_ZONES] = { false };
    for (int i = 0; i < REBALANCE_SLOTS; i++)
        has[s->owner[i]] = true;
    for (size_t n = 0; n < s->f->nodes; n++) {
        live[s->f->node[n].zone] |= s->member[n] && !s->f->node[n].failed;
        if (!has[n])
            continue;
        int replicas, lacking;
        look(s, (int)n, &replicas, &lacking);
        t.missing += replicas < s->f->replicas ? s->f->replicas - replicas : 0;
        t.lacking += lacking;
        primaries[s->f->node[n].zone]++;
        all++;
    }
    for (int z = 0; z < RF_ZONES; z++)
        live_zones += live[z];
    for (int z = 0; z < RF_ZONES; z++)
        t.half[z] = live_zones >= 3 && 2 * primaries[z] >= all;
    return t;
}

static int home_of(const struct rebalance_fleet *f, int node)
{
    const int16_t g = f->node[node].shard;
    return g != REBALANCE_NONE && f->shard[g].home_zone != REBALANCE_NONE ? f->shard[g].home_zone
                                                                          : f->node[node].zone;
}

static void check_slot_step(const struct cluster *c, const struct rebalance_fleet_step *p)
{
    const struct rebalance_fleet *f = &c->r.f;
    const struct rebalance_slot_facts *s = &f->slot[p->slot];
    assert_false(s->pinned || f->shard[s->shard].pinned);
    if (c->goal.kind != REBALANCE_ASSIGN)
        assert_int_equal(home_of(f, p->src), home_of(f, p->dst));
    if (c->goal.kind == REBALANCE_JOIN) {
        assert_int_equal(f->node[p->dst].shard, REBALANCE_NONE);     /* new ones take, */
        assert_int_not_equal(f->node[p->src].shard, REBALANCE_NONE); /* old ones give */
    }
    if (c->goal.kind != REBALANCE_DRAIN && s->moved_at_ms > 0) {
        assert_true(f->now_ms - s->moved_at_ms >= 3600 * 1000);
        if (f->now_ms - s->moved_at_ms < 7 * 24 * 3600 * 1000LL)
            assert_int_not_equal(s->moved_from, f->node[p->dst].shard);
    }
}

static double free_memory(const struct cluster *c, const struct sim *s, int node)
{
    const struct rebalance_member *m = &c->r.f.node[node];
    double slots = 0;
    for (int i = 0; m->shard != REBALANCE_NONE && i < REBALANCE_SLOTS; i++)
        slots += c->r.f.slot[i].shard == m->shard ? c->r.f.slot[i].bytes : 0;
    const double base = m->used_bytes > slots ? m->used_bytes - slots : 0;
    return m->capacity_bytes > 0 ? m->capacity_bytes - base - s->bytes[node] : 1e300;
}

static void check_wave(const struct cluster *c, struct sim *s, const struct rebalance_fleet_step *p,
                       size_t n, const struct state *was)
{
    int partner[RF_NODES];
    double takes[RF_NODES] = { 0 };
    for (int i = 0; i < RF_NODES; i++)
        partner[i] = -1;
    for (size_t i = 0; i < n; i++) {
        if (p[i].kind != REBALANCE_SLOT)
            continue;
        check_slot_step(c, &p[i]);
        assert_true(partner[p[i].src] == -1 || partner[p[i].src] == p[i].dst);
        assert_true(partner[p[i].dst] == -1 || partner[p[i].dst] == p[i].src);
        assert_false(takes[p[i].src] > 0); /* in one direction */
        partner[p[i].src] = p[i].dst;
        partner[p[i].dst] = p[i].src;
        takes[p[i].dst] += p[i].bytes;
    }
    for (size_t i = 0; i < c->r.f.nodes; i++)
        if (takes[i] > 0)
            assert_true(free_memory(c, s, (int)i) >= 1.3 * takes[i] - 1);
    for (size_t i = 0; i < n; i++)
        sim_step(s, &p[i]);
    const struct state now = state_of(s);
    assert_true(now.missing <= was->missing);
    assert_true(now.lacking <= was->lacking);
    for (int z = 0; z < RF_ZONES; z++)
        assert_true(!now.half[z] || was->half[z]);
    for (size_t i = 0; i < c->r.f.nodes; i++)
        if (c->r.f.node[i].pinned)
            assert_int_equal(s->follows[i] == -1,
                             c->r.f.node[i].primary || c->r.f.node[i].shard == REBALANCE_NONE);
}

static void check_end(const struct cluster *c, const struct sim *s,
                      const struct rebalance_fleet_plan *p)
{
    if (c->goal.kind == REBALANCE_DRAIN)
        for (size_t i = 0; i < c->goal.n; i++)
            assert_false(s->member[c->goal.node[i]] || owns(s, c->goal.node[i]));
    if (c->goal.kind == REBALANCE_JOIN)
        for (size_t i = 0; i < c->goal.n; i++)
            assert_true(s->member[c->goal.node[i]]);
    if (c->permuted)
        assert_int_equal(p->steps, 0);
    if (c->lim.max_slots > 0)
        assert_true(p->slots <= c->lim.max_slots);
    double largest = 0;
    for (size_t z = 0; z < c->r.f.zones; z++)
        for (int i = 0; i < REBALANCE_SLOTS && p->after[z].mean_bytes > 0; i++)
            largest = fmax(largest, c->r.f.slot[i].bytes / p->after[z].mean_bytes);
    for (size_t i = 0; c->goal.kind == REBALANCE_JOIN && !c->held && i < c->goal.n; i++) {
        const struct rebalance_zone_load *z = &p->after[c->r.node[c->goal.node[i]].zone];
        assert_true(s->bytes[c->goal.node[i]] <= z->mean_bytes * (1.001 + largest) + 1);
    }
    if (c->goal.kind == REBALANCE_BALANCE && !c->held && p->uneven_after > 0.1001 + largest)
        fail_msg("uneven %.3f -> %.3f", p->uneven_before, p->uneven_after);
}

static void check_least_movement(const struct cluster *c, const struct rebalance_fleet_plan *p)
{
    double grain = 1; /* whole slots: where hardly any holds bytes, one more or less shows */
    for (int s = 0; c->lumpy && s < REBALANCE_SLOTS; s++)
        grain = fmax(grain, c->r.slot[s].bytes);
    if (p->bytes < p->bound_bytes - grain && !c->held)
        fail_msg("%.0f bytes move, the bound says %.0f", p->bytes, p->bound_bytes);
    if (!c->held && p->bytes - p->heat_bytes > 1.05 * p->bound_bytes + grain)
        fail_msg("%s: %.0f bytes move, %.0f for heat, %.0f must", rebalance_goal_name(c->goal.kind),
                 p->bytes, p->heat_bytes, p->bound_bytes);
}

static void check_plan(const struct cluster *c, const struct rebalance_fleet_plan *p)
{
    struct sim *s = malloc(sizeof *s);
    assert_non_null(s);
    sim_init(s, &c->r.f);
    const struct state was = state_of(s);
    size_t i = 0;
    for (int wave = 1; wave <= p->waves; wave++) {
        size_t n = 0;
        while (i + n < p->steps && p->step[i + n].wave == wave)
            n++;
        assert_true(n > 0);
        check_wave(c, s, p->step + i, n, &was);
        i += n;
    }
    assert_int_equal(i, p->steps);
    check_end(c, s, p);
    check_least_movement(c, p);
    free(s);
}

static bool one_round(struct pr_rng *g, struct cluster *c)
{
    struct pr_arena arena;
    struct rebalance_fleet_plan p, again;
    struct pr_err err = { 0 };
    random_cluster(g, c);
    pr_arena_init(&arena, 0);
    const enum pr_code rc = rebalance_fleet_plan(&c->r.f, &c->goal, &c->lim, &arena, &p, &err);
    if (rc == PR_OK) {
        check_plan(c, &p);
        assert_ok(rebalance_fleet_plan(&c->r.f, &c->goal, &c->lim, &arena, &again, &err), &err);
        assert_int_equal(again.steps, p.steps);
        for (size_t i = 0; i < p.steps; i++)
            assert_true(again.step[i].kind == p.step[i].kind &&
                        again.step[i].slot == p.step[i].slot &&
                        again.step[i].wave == p.step[i].wave && again.step[i].dst == p.step[i].dst);
    } else {
        assert_true(rc == PR_ECONFLICT || rc == PR_EINVAL);
        assert_true(strlen(err.text) > 10);
        if (getenv("REFUSALS") != NULL)
            print_message("%s: %s\n", rebalance_goal_name(c->goal.kind), err.text);
    }
    pr_arena_done(&arena);
    return rc == PR_OK;
}

static void every_wave_of_every_plan_keeps_the_hard_goals(void **state)
{
    (void)state;
    struct pr_rng g;
    struct cluster *c = malloc(sizeof *c);
    int planned[7] = { 0 }, asked[7] = { 0 };
    assert_non_null(c);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < ROUNDS; i++) {
        at = seed + (uint64_t)i;
        pr_rng_init(&g, at);
        const bool ok = one_round(&g, c);
        asked[c->goal.kind]++;
        planned[c->goal.kind] += ok;
    }
    for (int k = 0; k < 7; k++) {
        print_message("%s: %d of %d planned\n", rebalance_goal_name((enum rebalance_goal_kind)k),
                      planned[k], asked[k]);
        assert_true(planned[k] * 6 > asked[k]); /* it does not just refuse */
    }
    free(c);
}

static int say_where(void **state)
{
    (void)state;
    print_message("last seed %llu\n", (unsigned long long)at);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_wave_of_every_plan_keeps_the_hard_goals, say_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
