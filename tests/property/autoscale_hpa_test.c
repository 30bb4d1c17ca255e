/* The policy hpa on random fleets: a naive reading of Kubernetes' rules pod by pod agrees;
 * more load never asks for fewer; votes keep limits, rates and windows; equal inputs give
 * equal bytes. The seed is printed; argv[1] sets it. */
#include "t.h"

#include "core/hpa.h"

#include "prism/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { S = 1000, MIN = 60 * S, ROUNDS = 20000, PODS = 12 };

static uint64_t seed = 20261121;

static int below(struct pr_rng *r, int n)
{
    return (int)pr_rng_below(r, (uint64_t)n);
}

/* --- pod by pod ------------------------------------------------------------------------- */

struct naive_pod {
    bool in; /* among the metrics */
    int64_t usage, request;
};

static double naive_ratio(const struct naive_pod *p, int n, int strangers, double target_pct,
                          int64_t target, int64_t strangers_usage, int *counted)
{
    int64_t usage = 0, request = 0;
    *counted = strangers;
    for (int i = 0; i < n; i++)
        if (p[i].in) {
            usage += p[i].usage;
            request += p[i].request;
            (*counted)++;
        }
    if (target_pct > 0)
        return (double)(usage * 100 / request) / target_pct;
    return (double)((usage + strangers_usage) / *counted) / (double)target;
}

static int32_t naive(const struct autoscale_hpa_pod *pod, int n,
                     const struct autoscale_hpa_clock *c, bool cpu, int strangers,
                     int64_t strangers_usage, double target_pct, int64_t target, int32_t current,
                     struct autoscale_hpa_tolerance t)
{
    struct naive_pod p[PODS];
    int ready = 0, unready = 0, missing = 0, counted;
    for (int i = 0; i < n; i++) {
        const enum autoscale_hpa_group g = autoscale_hpa_group(&pod[i], c, cpu);
        p[i] = (struct naive_pod){ g == AUTOSCALE_HPA_READY, pod[i].usage, pod[i].request };
        ready += g == AUTOSCALE_HPA_READY;
        unready += g == AUTOSCALE_HPA_UNREADY;
        missing += g == AUTOSCALE_HPA_MISSING;
    }
    const double ratio =
        naive_ratio(p, n, strangers, target_pct, target, strangers_usage, &counted);
    const bool out = ratio > 1, in = ratio < 1;
    if (!(out && unready > 0) && missing == 0)
        return ratio >= 1 - t.down && ratio <= 1 + t.up ? current : (int32_t)ceil(ratio * ready);
    for (int i = 0; i < n; i++) {
        const enum autoscale_hpa_group g = autoscale_hpa_group(&pod[i], c, cpu);
        if (g == AUTOSCALE_HPA_MISSING && (in || out)) {
            const int64_t all =
                target_pct > 0 ? p[i].request * (int64_t)(target_pct > 100 ? target_pct : 100) / 100
                               : target;
            p[i].in = true;
            p[i].usage = in ? all : 0;
        } else if (g == AUTOSCALE_HPA_UNREADY && out) {
            p[i].in = true;
            p[i].usage = 0;
        }
    }
    const double second =
        naive_ratio(p, n, strangers, target_pct, target, strangers_usage, &counted);
    if ((second >= 1 - t.down && second <= 1 + t.up) || (in && second > 1) || (out && second < 1))
        return current;
    const int32_t to = (int32_t)ceil(second * counted);
    return (second < 1 && to > current) || (second > 1 && to < current) ? current : to;
}

static void agrees_with_a_naive_reading(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed);
    int compared = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct autoscale_hpa_pod pod[PODS];
        const int n = 1 + below(&rng, PODS), strangers = below(&rng, 8) == 0 ? below(&rng, 3) : 0;
        const int64_t strange = below(&rng, 2000) * strangers;
        const bool cpu = below(&rng, 2) == 0, share = below(&rng, 2) == 0;
        const int trouble = below(&rng, 8);
        for (int i = 0; i < n; i++)
            pod[i] = (struct autoscale_hpa_pod){
                .phase = below(&rng, 10) < trouble ? (enum autoscale_hpa_phase)below(&rng, 4) : 0,
                .deleting = below(&rng, 20) < trouble,
                .started = below(&rng, 20) != 0,
                .start_ms = -below(&rng, 600) * (int64_t)S,
                .judged = below(&rng, 20) != 0,
                .ready = below(&rng, 10) >= trouble,
                .ready_change_ms = -below(&rng, 600) * (int64_t)S,
                .metered = below(&rng, 10) >= trouble,
                .usage = below(&rng, 2000),
                .read_ms = -below(&rng, 60) * (int64_t)S,
                .window_ms = 30 * S,
                .request = 100 + below(&rng, 1900),
            };
        const struct autoscale_hpa_clock c = { 0, 2 * MIN, 10 * S };
        const double pct = share ? 1 + below(&rng, 200) : 0;
        const int64_t target = 1 + below(&rng, 2000);
        const int32_t current = below(&rng, 15);
        const struct autoscale_hpa_tolerance t = { below(&rng, 30) / 100.0,
                                                   below(&rng, 30) / 100.0 };
        struct autoscale_hpa_counts count;
        struct autoscale_hpa_proposal got;
        autoscale_hpa_count(pod, (size_t)n, &c, cpu, pct, &count);
        count.strangers = strangers;
        count.strangers_usage = strange;
        const enum pr_code rc = share
                                    ? autoscale_hpa_utilization(&count, current, pct, t, &got, NULL)
                                    : autoscale_hpa_average(&count, current, target, t, &got, NULL);
        if (rc != PR_OK) {
            assert_true(count.ready == 0);
            continue;
        }
        compared++;
        assert_int_equal(got.replicas,
                         naive(pod, n, &c, cpu, strangers, strange, pct, target, current, t));
    }
    assert_true(compared > ROUNDS / 3);
}

/* --- votes ------------------------------------------------------------------------------ */

static void random_policy(struct pr_rng *r, struct autoscale_hpa_policy *p)
{
    autoscale_hpa_default(p);
    p->metric[0].target = 30 + below(r, 60);
    p->tolerance.up = below(r, 20) / 100.0;
    p->tolerance.down = below(r, 20) / 100.0;
    p->up.stabilization_s = below(r, 3) * 120;
    p->down.stabilization_s = below(r, 4) * 600;
    struct autoscale_hpa_rules *const both[] = { &p->up, &p->down };
    for (int d = 0; d < 2; d++) {
        both[d]->select = (enum autoscale_hpa_select)below(r, 2);
        both[d]->rules = 1 + (size_t)below(r, 2);
        for (size_t i = 0; i < both[d]->rules; i++)
            both[d]->rule[i] =
                (struct autoscale_hpa_rule){ i == 0 ? AUTOSCALE_HPA_PODS : AUTOSCALE_HPA_PERCENT,
                                             1 + below(r, 50), 60 * (1 + below(r, 30)) };
    }
}

static struct autoscale_sample mean_of(int64_t at_ms, double cpu_pct, int serving)
{
    return (struct autoscale_sample){ at_ms, cpu_pct, NAN, NAN, NAN, NAN, serving, 0 };
}

struct run {
    struct autoscale_hpa_policy policy;
    struct autoscale_hpa_memory memory;
    struct autoscale_action action[600];
    struct autoscale_view view;
    int wanted[600];
};

/* One minute: what is wanted then serves at once. */
static struct autoscale_vote minute(struct run *r, int t, double cpu_pct)
{
    const struct autoscale_sample s = mean_of(1000000 + t * (int64_t)MIN, cpu_pct, r->view.desired);
    struct autoscale_vote vote;
    r->view.now_ms = s.at_ms;
    r->view.sample = &s;
    r->view.samples = 1;
    r->view.action = r->action;
    autoscale_hpa_vote(&r->policy, &r->memory, &r->view, &vote);
    assert_in_range(vote.desired, r->view.min, r->view.max);
    assert_int_equal(vote.move, vote.desired > r->view.desired   ? AUTOSCALE_OUT
                                : vote.desired < r->view.desired ? AUTOSCALE_IN
                                                                 : AUTOSCALE_HOLD);
    if (vote.desired != r->view.desired)
        r->action[r->view.actions++] =
            (struct autoscale_action){ r->view.now_ms, r->view.desired, vote.desired };
    r->view.desired = vote.desired;
    r->wanted[t] = vote.wanted;
    return vote;
}

/* What the rules of the direction allow at minute t, from what there was when each period
 * began. */
static void check_rates(const struct run *r, const int *had, int start, int t)
{
    const bool out = had[t] > had[t - 1];
    const struct autoscale_hpa_rules *rules = out ? &r->policy.up : &r->policy.down;
    const double way = out ? 1 : -1;
    double allowed = 0;
    for (size_t i = 0; i < rules->rules; i++) {
        const struct autoscale_hpa_rule *u = &rules->rule[i];
        const int begin = t >= u->period_s / 60 ? had[t - u->period_s / 60] : start;
        const double part = begin * (1 + way * u->value / 100);
        const double to = u->type == AUTOSCALE_HPA_PODS ? begin + way * u->value
                          : out                         ? ceil(part)
                                                        : floor(part);
        const bool wider = way * to > way * allowed;
        if (i == 0 || wider == (rules->select == AUTOSCALE_HPA_MAX))
            allowed = to;
    }
    assert_true(way * had[t] <= way * allowed);
}

static void keeps_limits_rates_and_windows(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 1);
    static struct run r;
    for (int round = 0; round < 60; round++) {
        memset(&r, 0, sizeof r);
        random_policy(&rng, &r.policy);
        r.view.min = 1 + below(&rng, 20);
        r.view.max = r.view.min + below(&rng, 500);
        r.view.desired = r.view.min + below(&rng, r.view.max - r.view.min + 1);
        const int start = r.view.desired;
        int had[600];
        double cpu = 50;
        for (int t = 0; t < 300; t++) {
            const int before = r.view.desired;
            cpu = fmin(100, fmax(0, cpu + (pr_rng_unit(&rng) - 0.5) * 30));
            minute(&r, t, cpu);
            had[t] = r.view.desired;
            if (t == 0)
                continue;
            if (had[t] != had[t - 1])
                check_rates(&r, had, start, t);
            /* never below what the window asked for, unless there was less already */
            const int window = r.policy.down.stabilization_s / 60;
            int highest = r.wanted[t];
            for (int k = t >= window ? t - window + 1 : 0; k < t; k++)
                highest = r.wanted[k] > highest ? r.wanted[k] : highest;
            if (had[t] < before)
                assert_true(had[t] >= (highest < r.view.max ? highest : r.view.max));
        }
    }
}

static void more_load_never_asks_for_fewer(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 2);
    static struct run r;
    for (int round = 0; round < 400; round++) {
        memset(&r, 0, sizeof r);
        random_policy(&rng, &r.policy);
        r.view.min = 1;
        r.view.max = 1000;
        r.view.desired = 100;
        for (int t = 0; t < below(&rng, 40); t++)
            minute(&r, t, 100 * pr_rng_unit(&rng));
        const int serving = r.view.desired - below(&rng, r.view.desired);
        int last = 0;
        for (int half_pct = 0; half_pct <= 300; half_pct++) {
            struct autoscale_sample s =
                mean_of(1000000 + 40 * (int64_t)MIN, half_pct / 2.0, serving);
            s.silent = round % 3 == 0 ? r.view.desired / 10 : 0;
            struct autoscale_hpa_memory copy = r.memory;
            struct autoscale_vote vote;
            r.view.now_ms = s.at_ms;
            r.view.sample = &s;
            autoscale_hpa_vote(&r.policy, &copy, &r.view, &vote);
            assert_true(vote.desired >= last);
            last = vote.desired;
        }
    }
}

/* A run from its middle, from a copy of what was remembered, is the same byte for byte. */
static void replays(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 3);
    static struct run r, again;
    random_policy(&rng, &r.policy);
    r.view.min = 10;
    r.view.max = 900;
    r.view.desired = 100;
    double cpu[400];
    static struct autoscale_vote vote[400];
    for (int t = 0; t < 400; t++)
        cpu[t] = 100 * pr_rng_unit(&rng);
    for (int t = 0; t < 400; t++) {
        if (t == 123)
            again = r;
        vote[t] = minute(&r, t, cpu[t]);
    }
    for (int t = 123; t < 400; t++) {
        const struct autoscale_vote got = minute(&again, t, cpu[t]);
        assert_int_equal(got.desired, vote[t].desired);
        assert_string_equal(got.why, vote[t].why);
        assert_string_equal(got.limited, vote[t].limited);
        assert_int_equal(got.cooldown_until_ms, vote[t].cooldown_until_ms);
    }
    assert_memory_equal(&again.memory, &r.memory, sizeof r.memory);
}

/* A month by the minute; a backtest's share of it is a fraction of a second. */
static void a_month_is_quick(void **state)
{
    (void)state;
    enum { MINUTES = 43200 };
    static struct run r;
    static struct autoscale_action action[MINUTES];
    struct pr_rng rng;
    memset(&r, 0, sizeof r);
    pr_rng_init(&rng, seed + 4);
    autoscale_hpa_default(&r.policy);
    r.policy.down.stabilization_s = 1800;
    r.view = (struct autoscale_view){ .min = 48, .max = 1000, .desired = 300, .action = action };
    const clock_t begin = clock();
    for (int t = 0; t < MINUTES; t++) {
        const double load = 250 + 200 * sin(t / 229.0) + 30 * pr_rng_unit(&rng);
        const struct autoscale_sample s = mean_of(
            1000000 + t * (int64_t)MIN, fmin(100, 100 * load / r.view.desired), r.view.desired);
        struct autoscale_vote vote;
        r.view.now_ms = s.at_ms;
        r.view.sample = &s;
        r.view.samples = 1;
        autoscale_hpa_vote(&r.policy, &r.memory, &r.view, &vote);
        if (vote.desired != r.view.desired)
            action[r.view.actions++] =
                (struct autoscale_action){ s.at_ms, r.view.desired, vote.desired };
        r.view.desired = vote.desired;
    }
    const double took = (double)(clock() - begin) / CLOCKS_PER_SEC;
    print_message("43,200 votes in %.3f s of CPU, %zu actions\n", took, r.view.actions);
    assert_true(took < 10); /* sanitizers and a busy machine; 0.1 s otherwise */
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_naive_reading),
        cmocka_unit_test(keeps_limits_rates_and_windows),
        cmocka_unit_test(more_load_never_asks_for_fewer),
        cmocka_unit_test(replays),
        cmocka_unit_test(a_month_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
