/* Seeded random inputs of a decision: fleets of units and of single nodes up to 1000 members,
 * with zones, groups, drains that have begun, failures, gaps in what was measured, and past
 * changes. */
#ifndef AUTOSCALE_DECIDE_RANDOM_H
#define AUTOSCALE_DECIDE_RANDOM_H

#include "core/decide.h"
#include "prism/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { AR_NODES = 1100, AR_SAMPLES = 120, AR_ACTIONS = 40, AR_MIN = AUTOSCALE_MINUTE_MS };

struct ar_input {
    struct autoscale_input in;
    struct autoscale_node node[AR_NODES];
    char id[AR_NODES][16], shard[AR_NODES][16];
    struct autoscale_sample sample[AR_SAMPLES];
    struct autoscale_action action[AR_ACTIONS];
    int unsized_pct; /* of nodes: nobody knows their bytes */
};

static inline int ar_below(struct pr_rng *r, int n)
{
    return (int)pr_rng_below(r, (uint64_t)n);
}

static inline bool ar_chance(struct pr_rng *r, int pct)
{
    return ar_below(r, 100) < pct;
}

static inline void ar_fleet(struct pr_rng *r, struct autoscale_fleet *f, int most)
{
    if (ar_chance(r, 60))
        autoscale_fleet_redis(f);
    else
        autoscale_fleet_proxies(f);
    if (f->unit == 1 || ar_chance(r, 30)) {
        f->zones = f->unit == 1 ? 1 + ar_below(r, 5) : 3 + ar_below(r, 3);
        f->groups = 0;
        for (int z = 0; z < f->zones; z++)
            (void)snprintf(f->zone[z], AUTOSCALE_NAME, "z%d", z % 100);
    }
    f->max = f->unit * (1 + ar_below(r, most / f->unit)) + ar_below(r, f->unit);
    f->min = ar_below(r, f->max / f->unit + 1) * f->unit / 2;
    f->zone_loss_pct = ar_chance(r, 30) ? 0 : 60 + ar_below(r, 41);
    if (autoscale_fleet_whole(f, f->min, true) > autoscale_fleet_whole(f, f->max, false))
        f->min = 0;
    for (int g = 0; g < f->groups; g++)
        f->group[g].max = 1 + f->max / f->zones / 2 + ar_below(r, 1 + f->max / 3);
}

static inline void ar_node(struct pr_rng *r, struct ar_input *a, int shard, int zone, bool primary)
{
    const size_t i = a->in.nodes++;
    const struct autoscale_fleet *f = &a->in.fleet;
    (void)snprintf(a->id[i], sizeof a->id[i], "n%zu", i % 10000);
    (void)snprintf(a->shard[i], sizeof a->shard[i], "s%d", shard % 10000);
    a->node[i] = (struct autoscale_node){
        .id = a->id[i],
        .shard = shard < 0 ? "" : a->shard[i],
        .zone = zone,
        .group = -1,
        .primary = primary,
        .bytes = pr_rng_below(r, 1000000),
        .slots = ar_below(r, 2000),
        .unsized = ar_chance(r, a->unsized_pct),
        .traffic = pr_rng_unit(r),
        .failed = ar_chance(r, 2),
    };
    for (int tries = 0; f->groups > 0 && tries < 10; tries++) {
        const int g = ar_below(r, f->groups);
        if (f->group[g].zone == zone)
            a->node[i].group = g;
    }
}

/* About as many members as are wanted; some shards leave, some members have not come. */
static inline void ar_members(struct pr_rng *r, struct ar_input *a, int members)
{
    const struct autoscale_fleet *f = &a->in.fleet;
    const bool skewed = ar_chance(r, 20); /* primaries anyhow */
    a->unsized_pct = ar_chance(r, 50) ? 0 : ar_below(r, 101);
    for (int m = 0, shard = 0; m + f->unit <= members; m += f->unit, shard++) {
        const bool leaving = ar_chance(r, 5);
        const int first = ar_below(r, f->zones);
        const int primary = skewed ? ar_below(r, 1 + ar_below(r, f->unit)) : shard % f->unit;
        for (int k = 0; k < f->unit; k++) {
            const int zone = f->unit == f->zones ? k : (first + k) % f->zones;
            ar_node(r, a, f->unit == 1 ? -1 : shard, zone, f->unit > 1 && k == primary);
            a->node[a->in.nodes - 1].leaving = leaving && !(k > 0 && ar_chance(r, 10));
        }
    }
}

static inline void ar_measured(struct pr_rng *r, struct ar_input *a)
{
    struct autoscale_view *v = &a->in.view;
    const bool calm = ar_chance(r, 30), gaps = !calm && ar_chance(r, 30),
               muted = !calm && ar_chance(r, 10);
    double cpu = pr_rng_unit(r) * (calm ? 25 : 110), memory = pr_rng_unit(r) * 95;
    v->samples = calm ? AR_SAMPLES : (size_t)ar_below(r, AR_SAMPLES + 1);
    if (calm)
        v->serving = v->desired;
    for (size_t i = 0; i < v->samples; i++) {
        cpu += (pr_rng_unit(r) - 0.5) * 10;
        cpu = cpu < 0 ? 0 : cpu > 130 ? 130 : calm && cpu > 30 ? 30 : cpu;
        const bool unknown = gaps && ar_chance(r, 20);
        a->sample[i] = (struct autoscale_sample){
            .at_ms = v->now_ms - (int64_t)(v->samples - 1 - i) * AR_MIN,
            .cpu_pct = unknown ? NAN : fmin(cpu, 100),
            .memory_pct = unknown && ar_chance(r, 50) ? NAN : memory,
            .network_bps = pr_rng_unit(r) * (calm ? 2e9 : 9e9),
            .backlog = ar_chance(r, 50) ? NAN : floor(pr_rng_unit(r) * 1e5),
            .load = NAN,
            .serving = v->serving,
            .silent = muted ? ar_below(r, 1 + v->serving * 2) : 0,
        };
    }
    v->sample = a->sample;
}

static inline void ar_actions(struct pr_rng *r, struct ar_input *a)
{
    struct autoscale_view *v = &a->in.view;
    v->action = a->action;
    v->actions = (size_t)ar_below(r, AR_ACTIONS + 1);
    int size = v->desired;
    for (size_t i = v->actions; i-- > 0;) {
        const int from = 1 + ar_below(r, a->in.fleet.max);
        a->action[i] = (struct autoscale_action){
            .at_ms = v->now_ms - (int64_t)(v->actions - i) * 17 * AR_MIN - ar_below(r, AR_MIN),
            .from = from,
            .to = size,
        };
        size = from;
    }
}

static inline void ar_settings(struct pr_rng *r, struct autoscale_settings *s)
{
    s->policies = 1 + (size_t)ar_below(r, AUTOSCALE_KINDS);
    const int first = ar_below(r, AUTOSCALE_KINDS);
    for (size_t i = 0; i < s->policies; i++)
        autoscale_policy_default((enum autoscale_kind)((first + (int)i) % AUTOSCALE_KINDS),
                                 &s->policy[i]);
    s->combine = ar_chance(r, 50) ? AUTOSCALE_FIRST : AUTOSCALE_LARGEST;
    s->budget = (struct autoscale_budget){ ar_below(r, 60), ar_below(r, 6), 30 * AR_MIN };
}

/* in->memory stays empty. */
static inline void ar_make(struct pr_rng *r, struct ar_input *a, int most)
{
    struct autoscale_input *in = &a->in;
    memset(in, 0, sizeof *in);
    ar_fleet(r, &in->fleet, most);
    ar_settings(r, &in->settings);
    in->view.now_ms = 1700000000000 + (int64_t)ar_below(r, 100000) * 1000;
    in->view.desired = ar_below(r, in->fleet.max / in->fleet.unit + 1) * in->fleet.unit;
    in->view.serving = in->view.desired - ar_below(r, 1 + in->view.desired / 5);
    in->node = a->node;
    if (ar_chance(r, 80)) {
        ar_members(r, a, in->view.desired + in->fleet.unit * (ar_below(r, 7) - 3));
        if (ar_chance(r, 20)) /* broken units */
            in->view.desired += ar_below(r, in->fleet.unit);
    }
    ar_measured(r, a);
    ar_actions(r, a);
    for (int z = 0; z < in->fleet.zones && ar_chance(r, 60); z++)
        in->zone_traffic[z] = pr_rng_unit(r);
}

#endif
