/* Whatever the fleet, its load and its past: a decision stays within the limits, in whole
 * units and within its budgets, breaks no replica rule, grows with the load, and is the same
 * again for the same input. The checks are the test's own. The seed is printed; argv[1] sets
 * it. */
#include "t.h"

#include "autoscale_decide_random.h"
#include "core/choose.h"

#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 3000 };

static uint64_t seed = 20261121, at;
static struct ar_input a;
static struct autoscale_decision got, twice;
static struct autoscale_memory memory[AUTOSCALE_POLICIES];

#define HOLDS(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            fail_msg("seed %llu, round %llu: not so: %s (%s)", (unsigned long long)seed,           \
                     (unsigned long long)at, #cond, got.why);                                      \
    } while (0)

static void start(struct pr_rng *r, int most)
{
    pr_rng_init(r, seed * 1000003 + at);
    ar_make(r, &a, most);
}

static void decide(struct autoscale_decision *out)
{
    struct pr_err err = { .text = "" };
    memset(memory, 0, sizeof memory);
    assert_ok(autoscale_decide(&a.in, memory, out, &err), &err);
}

static void check_size(void)
{
    const struct autoscale_fleet *f = &a.in.fleet;
    HOLDS(got.from == a.in.view.desired);
    HOLDS(got.to <= got.from || got.to <= f->max);
    HOLDS(got.to >= got.from || got.to >= f->min);
    HOLDS(got.from <= f->max || got.to <= got.from);
    if (got.to != got.from && got.from % f->unit == 0)
        HOLDS(got.to % f->unit == 0);
    HOLDS(got.to >= got.from || got.to >= got.floor || got.to >= f->max - f->unit);
    HOLDS((got.move == AUTOSCALE_OUT) == (got.to > got.from));
    HOLDS((got.move == AUTOSCALE_IN) == (got.to < got.from));
}

static void check_places(void)
{
    const struct autoscale_fleet *f = &a.in.fleet;
    int get = 0, give = 0, back = 0, staying = 0, in_group[AUTOSCALE_GROUPS] = { 0 };
    int zone_get[AUTOSCALE_ZONES] = { 0 }, primaries = 0;
    for (size_t i = 0; i < a.in.nodes; i++) {
        staying += !a.node[i].leaving;
        if (a.node[i].group >= 0)
            in_group[a.node[i].group]++;
    }
    for (size_t i = 0; i < got.places; i++) {
        const struct autoscale_place *p = &got.place[i];
        get += p->get;
        give += p->give;
        back += p->back;
        zone_get[p->zone] += p->get;
        primaries += p->primaries;
        HOLDS(p->primaries >= 0 && p->primaries <= p->get);
        HOLDS(p->group < 0 || p->get == 0 || in_group[p->group] + p->get <= f->group[p->group].max);
        HOLDS(p->group < 0 || f->group[p->group].zone == p->zone);
    }
    HOLDS((size_t)back == got.n_returns);
    HOLDS(primaries <= (f->unit == 1 ? 0 : get / f->unit));
    if (got.to >= got.from) {
        HOLDS(get + back == got.to - got.from && give == 0);
        for (int z = 1; z < f->zones; z++) /* a primary and its replicas: one in each zone */
            HOLDS(f->unit != f->zones || got.from % f->unit != 0 || back % f->unit != 0 ||
                  zone_get[z] == zone_get[0]);
    } else {
        const int extra = staying > got.from ? staying - got.from : 0;
        HOLDS(get == 0 && back == 0);
        if (a.in.nodes == 0)
            HOLDS(give == got.from - got.to);
        else /* what is left of a shard that is leaving already may end in the middle of a unit */
            HOLDS(give >= got.from - got.to && give < got.from - got.to + extra + f->unit);
        HOLDS(a.in.nodes == 0 || (int)got.n_leaves <= give);
    }
}

static void check_leavers(void)
{
    static bool goes[AR_NODES];
    const struct autoscale_fleet *f = &a.in.fleet;
    int primaries[AUTOSCALE_ZONES] = { 0 }, all = 0;
    bool shard_goes = false;
    memset(goes, 0, sizeof goes);
    for (size_t i = 0; i < got.n_leaves; i++) {
        HOLDS(got.leaves[i] >= 0 && (size_t)got.leaves[i] < a.in.nodes);
        HOLDS(!a.node[got.leaves[i]].leaving && !goes[got.leaves[i]]);
        goes[got.leaves[i]] = true;
        shard_goes |= f->unit > 1 && a.node[got.leaves[i]].shard[0] != '\0';
    }
    for (size_t i = 0; i < got.n_returns; i++)
        HOLDS(a.node[got.returns[i]].leaving && !a.node[got.returns[i]].failed);
    if (!shard_goes)
        return;
    for (size_t i = 0; i < a.in.nodes; i++) {
        bool stays = false; /* of its shard, somebody; a shard's members are neighbours */
        for (size_t j = i < 16 ? 0 : i - 16; j < a.in.nodes && j < i + 16; j++)
            if (strcmp(a.node[i].shard, a.node[j].shard) == 0)
                stays |= !goes[j] && !a.node[j].leaving;
        HOLDS(!goes[i] || !stays || a.node[i].shard[0] == '\0'); /* all of it, or nothing */
        if (stays && a.node[i].primary && !a.node[i].failed) {
            primaries[a.node[i].zone]++;
            all++;
        }
    }
    for (int z = 0; z < f->zones && f->zones >= 3; z++)
        HOLDS(primaries[z] * 2 < all);
    HOLDS(f->zones < 3 || all >= 3);
}

static void check_budget(void)
{
    const struct autoscale_view *v = &a.in.view;
    const struct autoscale_budget *b = &a.in.settings.budget;
    int actions = 0, flaps = 0;
    if (got.to == got.from || got.deciding < 0 || strstr(got.limited, "urgent") != NULL)
        return;
    const struct autoscale_action *last = NULL;
    for (size_t i = 0; i < v->actions; i++) {
        const struct autoscale_action *p = &v->action[i];
        if (p->to == p->from)
            continue;
        const bool today = v->now_ms - p->at_ms < 24 * 60 * (int64_t)AR_MIN;
        actions += today;
        flaps += today && last != NULL && (last->to > last->from) != (p->to > p->from) &&
                 p->at_ms - last->at_ms < b->flap_ms;
        last = p;
    }
    HOLDS(b->actions_per_day == 0 || actions < b->actions_per_day);
    if (last != NULL && v->now_ms - last->at_ms < b->flap_ms &&
        (last->to > last->from) != (got.to > got.from))
        HOLDS(b->flaps_per_day == 0 || flaps < b->flaps_per_day);
}

static void whatever_the_input(void **state)
{
    (void)state;
    struct pr_rng r;
    int moves = 0, leaves = 0;
    for (at = 0; at < ROUNDS; at++) {
        start(&r, 1000);
        decide(&got);
        check_size();
        check_places();
        check_leavers();
        check_budget();
        HOLDS(got.why[0] != '\0' && got.alarm == (got.alarm_why[0] != '\0'));
        moves += got.to != got.from;
        leaves += got.n_leaves > 0;
        decide(&twice);
        HOLDS(memcmp(&got, &twice, sizeof got) == 0);
    }
    print_message("%d inputs, %d moves, %d with leavers\n", (int)ROUNDS, moves, leaves);
    assert_true(moves > ROUNDS / 5 && leaves > ROUNDS / 100);
}

static void choose(int to, int rest)
{
    const struct autoscale_choose how = {
        .fleet = &a.in.fleet,
        .node = a.node,
        .nodes = a.in.nodes,
        .zone_traffic = a.in.zone_traffic,
        .from = a.in.view.desired,
        .to = to,
        .rest = rest,
    };
    char limited[160];
    struct pr_err err = { .text = "" };
    memset(&got, 0, sizeof got);
    got.from = how.from;
    assert_ok(autoscale_choose(&how, &got, &got.to, limited, sizeof limited, &err), &err);
    HOLDS(to >= got.from ? got.to >= got.from && got.to <= to : got.to <= got.from);
    HOLDS(got.to == to || limited[0] != '\0' || got.from % a.in.fleet.unit != 0 || to > got.from ||
          a.in.nodes > 0);
}

static void whoever_comes_or_leaves(void **state)
{
    (void)state;
    struct pr_rng r;
    int leaves = 0, whole = 0;
    for (at = 0; at < ROUNDS; at++) {
        start(&r, 1000);
        const struct autoscale_fleet *f = &a.in.fleet;
        const int to = ar_below(&r, f->max / f->unit + 1) * f->unit;
        choose(to, ar_chance(&r, 50) ? ar_below(&r, to + 1) : 0);
        check_places();
        check_leavers();
        leaves += got.n_leaves > 0;
        whole += got.n_leaves > 0 && f->unit > 1;
    }
    print_message("%d inputs, %d with leavers, %d of whole shards\n", (int)ROUNDS, leaves, whole);
    assert_true(leaves > ROUNDS / 5 && whole > ROUNDS / 20);
}

static void nothing_known_moves_nothing_but_to_the_limits(void **state)
{
    (void)state;
    struct pr_rng r;
    for (at = 0; at < ROUNDS / 5; at++) {
        start(&r, 1000);
        for (size_t i = 0; i < a.in.view.samples; i++) {
            struct autoscale_sample *s = &a.sample[i];
            s->cpu_pct = s->memory_pct = s->network_bps = s->backlog = s->load = NAN;
        }
        if (at % 3 == 1)
            a.in.view.samples = 0;
        if (at % 3 == 2 && a.in.view.samples > 1)
            a.sample[1].at_ms = a.sample[0].at_ms; /* twice */
        decide(&got);
        check_size();
        if (got.from >= a.in.fleet.min && got.from <= a.in.fleet.max)
            HOLDS(got.to == got.from);
    }
}

static int size_at(double cpu_pct)
{
    for (size_t i = 0; i < a.in.view.samples; i++)
        a.sample[i].cpu_pct = cpu_pct;
    decide(&got);
    return got.to;
}

static void more_load_never_means_fewer(void **state)
{
    (void)state;
    struct pr_rng r;
    for (at = 0; at < ROUNDS / 10; at++) {
        start(&r, 1000);
        struct autoscale_view *v = &a.in.view;
        v->samples = 60;
        v->serving = v->desired;
        for (size_t i = 0; i < v->samples; i++)
            a.sample[i] = (struct autoscale_sample){
                .at_ms = v->now_ms - (int64_t)(v->samples - 1 - i) * AR_MIN,
                .memory_pct = NAN,
                .network_bps = NAN,
                .backlog = NAN,
                .load = NAN,
                .serving = v->serving,
            };
        v->actions = 0;
        int before = 0;
        for (double cpu = 0; cpu <= 100; cpu += 2.5) {
            const int size = size_at(cpu);
            HOLDS(size >= before);
            before = size;
        }
    }
}

/* A day of a load that jumps about, each order carried out at once. */
static void a_day_keeps_its_budgets(void **state)
{
    (void)state;
    struct pr_rng r;
    static struct autoscale_action action[24 * 60];
    for (at = 0; at < 12; at++) {
        start(&r, 300);
        struct autoscale_view *v = &a.in.view;
        struct autoscale_memory *kept = a.in.memory;
        struct pr_err err = { .text = "" };
        a.in.nodes = 0;
        a.in.settings.budget = (struct autoscale_budget){ 12, 2, 30 * AR_MIN };
        v->samples = v->actions = 0;
        v->action = action;
        double load = v->desired * 0.5;
        int refusable = 0, of_day = 0;
        for (int minute = 0; minute < 24 * 60; minute++) {
            load = fmax(1, load * (0.9 + 0.2 * pr_rng_unit(&r)));
            v->now_ms += AR_MIN;
            v->serving = v->desired;
            if (v->samples == AR_SAMPLES)
                memmove(&a.sample[0], &a.sample[1], --v->samples * sizeof a.sample[0]);
            a.sample[v->samples++] = (struct autoscale_sample){
                .at_ms = v->now_ms,
                .cpu_pct = fmin(100, 100 * load / fmax(1, v->serving)),
                .memory_pct = 50,
                .network_bps = 1e9,
                .backlog = NAN,
                .load = NAN,
                .serving = v->serving,
            };
            assert_ok(autoscale_decide(&a.in, kept, &got, &err), &err);
            check_size();
            check_budget();
            if (got.to != got.from) {
                of_day++;
                refusable += got.deciding >= 0 && strstr(got.limited, "urgent") == NULL;
                action[v->actions++] = (struct autoscale_action){ v->now_ms, got.from, got.to };
                v->desired = got.to;
            }
        }
        HOLDS(refusable <= 12);
    }
}

static double best_ms(void (*what)(void))
{
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        const clock_t begin = clock();
        what();
        const double ms = (double)(clock() - begin) * 1000 / CLOCKS_PER_SEC;
        best = ms < best ? ms : best;
    }
    return best;
}

static void once(void)
{
    decide(&got);
}

static void two_thirds_leave(void)
{
    choose(a.in.view.desired / 9 * 3, 0);
}

static void a_thousand_nodes_take_milliseconds(void **state)
{
    (void)state;
    struct pr_rng r;
    double most = 0;
    int fleets = 0;
    for (at = 0; fleets < 4; at++) {
        start(&r, 1000);
        if (a.in.nodes < 900)
            continue;
        fleets++;
        const double one = best_ms(once);
        const int to = got.to;
        const double out = best_ms(two_thirds_leave);
        print_message("%zu nodes, %d -> %d: %.3f ms; %zu leave: %.3f ms\n", a.in.nodes, got.from,
                      to, one, got.n_leaves, out);
        most = fmax(most, fmax(one, out));
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    assert_true(most < 100);
#else
    assert_true(most < 5);
#endif
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest test[] = {
        cmocka_unit_test(whatever_the_input),
        cmocka_unit_test(whoever_comes_or_leaves),
        cmocka_unit_test(nothing_known_moves_nothing_but_to_the_limits),
        cmocka_unit_test(more_load_never_means_fewer),
        cmocka_unit_test(a_day_keeps_its_budgets),
        cmocka_unit_test(a_thousand_nodes_take_milliseconds),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
