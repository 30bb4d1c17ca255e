#include "core/advise.h"

#include "prism/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    HIGH_MS = 30 * 60 * 1000,   /* as long as a rolling change of type takes at least */
    LOW_MS = AUTOSCALE_LONG_MS, /* "for long": an evening is no reason to shrink */
};

PR_PRINTF(2, 3)
static void say(struct autoscale_advice *out, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(out->text, sizeof out->text, format, ap);
    pr_utf8_trim(out->text);
    va_end(ap);
}

/* Shares at which a type is bound, and up to which the next one is taken for roomy. */
static const double memory_high_pct = 85, network_high_share = 0.8, cpu_high_pct = 70;
static const double cpu_low_pct = 40, memory_low_pct = 50, network_low_share = 0.4;
static const double cpu_roomy_pct = 56, memory_roomy_pct = 70, network_roomy_share = 0.6;

struct means {
    double cpu_pct, memory_pct, network_gbps; /* NAN: too few samples */
};

static double mean(const struct autoscale_view *v, enum autoscale_metric m, int64_t window_ms)
{
    double value = NAN;
    const size_t n = autoscale_window_mean(v, m, window_ms, &value);
    return (int64_t)n * AUTOSCALE_MINUTE_MS * 2 >= window_ms ? value : NAN;
}

static struct means means_of(const struct autoscale_view *v, int64_t window_ms)
{
    return (struct means){
        .cpu_pct = mean(v, AUTOSCALE_CPU, window_ms),
        .memory_pct = mean(v, AUTOSCALE_MEMORY, window_ms),
        .network_gbps = mean(v, AUTOSCALE_NETWORK, window_ms) / 1e9,
    };
}

/* A view goes back an hour, as a rule. */
static struct means long_means(const struct autoscale_view *v)
{
    const struct autoscale_means *l = &v->longer;
    return l->minutes > 0 ? (struct means){ l->cpu_pct, l->memory_pct, l->network_bps / 1e9 }
                          : means_of(v, LOW_MS);
}

/* True when all would be roomy on that type. */
static bool fits(const struct autoscale_fleet *f, const struct means *m, int type)
{
    const struct autoscale_instance_type *now = &f->ladder[f->type], *then = &f->ladder[type];
    return m->cpu_pct * now->vcpus / then->vcpus <= cpu_roomy_pct &&
           m->memory_pct * now->memory_gb / then->memory_gb <= memory_roomy_pct &&
           m->network_gbps <= network_roomy_share * then->network_gbps;
}

static void memory_bound(const struct autoscale_fleet *f, const struct means *m,
                         struct autoscale_advice *out)
{
    const struct autoscale_instance_type *now = &f->ladder[f->type];
    out->bound = AUTOSCALE_MEMORY_BOUND;
    for (int t = f->type + 1; t < f->types && out->type < 0; t++)
        if (m->memory_pct * now->memory_gb / f->ladder[t].memory_gb <= memory_roomy_pct)
            out->type = t;
    if (out->type < 0)
        say(out,
            "memory-bound: memory %.1f %% with CPU %.1f %%, and no larger type than %s "
            "is listed: more members bring memory, and CPU that nobody needs",
            m->memory_pct, m->cpu_pct, now->name);
    else
        say(out,
            "memory-bound: memory %.1f %% with CPU %.1f %%: %s (%g GB) instead of %s, "
            "not more members, whose CPU nobody needs; rolling, 30-60 min",
            m->memory_pct, m->cpu_pct, f->ladder[out->type].name, f->ladder[out->type].memory_gb,
            now->name);
}

static void network_bound(const struct autoscale_fleet *f, const struct means *m,
                          struct autoscale_advice *out)
{
    const struct autoscale_instance_type *now = &f->ladder[f->type];
    out->bound = AUTOSCALE_NETWORK_BOUND;
    for (int t = f->type + 1; t < f->types && out->type < 0; t++)
        if (m->network_gbps <= network_high_share * f->ladder[t].network_gbps)
            out->type = t;
    if (out->type < 0)
        say(out,
            "network-bound: %.2f of %s's %g Gbps, and no type with enough is listed: "
            "only more members help",
            m->network_gbps, now->name, now->network_gbps);
    else
        say(out,
            "network-bound: %.2f of %g Gbps with CPU %.1f %%: %s (%g Gbps) instead of "
            "%s; rolling, 30-60 min",
            m->network_gbps, now->network_gbps, m->cpu_pct, f->ladder[out->type].name,
            f->ladder[out->type].network_gbps, now->name);
}

static void cpu_bound(const struct autoscale_fleet *f, const struct means *m,
                      struct autoscale_advice *out)
{
    const struct autoscale_instance_type *now = &f->ladder[f->type];
    out->bound = AUTOSCALE_CPU_BOUND;
    if (f->unit > 1) { /* a Redis server's commands run on one thread */
        say(out,
            "CPU-bound: CPU %.1f %% with memory %.1f %%: more shards; a larger type "
            "than %s makes no single thread faster",
            m->cpu_pct, m->memory_pct, now->name);
        return;
    }
    for (int t = f->type + 1; t < f->types && out->type < 0; t++)
        if (m->cpu_pct * now->vcpus / f->ladder[t].vcpus <= cpu_roomy_pct)
            out->type = t;
    if (out->type < 0)
        say(out,
            "CPU-bound: CPU %.1f %% with memory %.1f %%, and no larger type than %s is "
            "listed: only more members help",
            m->cpu_pct, m->memory_pct, now->name);
    else
        say(out,
            "CPU-bound: CPU %.1f %% with memory %.1f %%: %s (%g vCPUs) instead of %s "
            "serves the same with %.3g of the members; rolling, 30-60 min",
            m->cpu_pct, m->memory_pct, f->ladder[out->type].name, f->ladder[out->type].vcpus,
            now->name, now->vcpus / f->ladder[out->type].vcpus);
}

static void oversized(const struct autoscale_fleet *f, const struct means *m,
                      struct autoscale_advice *out)
{
    const struct autoscale_instance_type *now = &f->ladder[f->type];
    for (int t = f->type - 1; t >= 0 && fits(f, m, t); t--)
        out->type = t;
    if (out->type < 0)
        return;
    out->bound = AUTOSCALE_OVERSIZED;
    say(out,
        "all is low for 6 h (CPU %.1f %%, memory %.1f %%, network %.2f Gbps) and there "
        "may not be fewer members: %s carries it at %.3g of %s's price; rolling, "
        "30-60 min",
        m->cpu_pct, m->memory_pct, m->network_gbps, f->ladder[out->type].name,
        now->price_hour > 0 ? f->ladder[out->type].price_hour / now->price_hour : 1, now->name);
}

void autoscale_advise(const struct autoscale_fleet *f, const struct autoscale_view *v, bool least,
                      struct autoscale_advice *out)
{
    *out = (struct autoscale_advice){ .type = -1 };
    if (f->types == 0)
        return;
    const double network_gbps = f->ladder[f->type].network_gbps;
    const struct means high = means_of(v, HIGH_MS);
    /* Comparisons with NAN are false: what is unknown gives no advice. Memory goes first: a
     * full store refuses writes, the others are only slow. */
    if (high.memory_pct > memory_high_pct && high.cpu_pct <= cpu_roomy_pct) {
        memory_bound(f, &high, out);
        return;
    }
    if (high.network_gbps > network_high_share * network_gbps && high.cpu_pct < cpu_high_pct) {
        network_bound(f, &high, out);
        return;
    }
    if (high.cpu_pct > cpu_high_pct && high.memory_pct < memory_low_pct &&
        !(high.network_gbps > network_high_share * network_gbps)) {
        cpu_bound(f, &high, out);
        return;
    }
    const struct means low = long_means(v);
    if (least && f->type > 0 && low.cpu_pct < cpu_low_pct && low.memory_pct < memory_low_pct &&
        low.network_gbps < network_low_share * network_gbps)
        oversized(f, &low, out);
}
