/* What the data allow: nothing that is unknown, stuck or not yet carried out goes to max or
 * to min. */
#include "core/decide_private.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Beyond these the fleet is short already, and no budget counts. */
static const double urgent_cpu_pct = 85, urgent_memory_pct = 90, urgent_network_share = 0.9,
                    urgent_backlog_ratio = 2;
/* A metric that stays at 100 % whatever is added is doubted when this many times as many
 * serve, and not followed any further from here, nor more than half of the way to max. */
enum { PINNED_DOUBT = 2, PINNED_GROWTH = 4 };

static double load_of(const struct autoscale_sample *s)
{
    if (!isnan(s->load))
        return s->load;
    return s->serving > 0 ? s->cpu_pct / 100 * s->serving : NAN;
}

static double mean_load(const struct autoscale_view *v)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = v->samples; i-- > 0 && v->sample[i].at_ms > v->now_ms - DRAFT_WINDOW_MS;) {
        const double load = load_of(&v->sample[i]);
        if (!isnan(load)) {
            sum += load;
            n++;
        }
    }
    return n == 0 ? NAN : sum / (double)n;
}

static bool measured_at_all(const struct autoscale_sample *s)
{
    for (int m = 0; m < AUTOSCALE_METRICS; m++)
        if (!isnan(autoscale_metric_of(s, (enum autoscale_metric)m)))
            return true;
    return false;
}

/* Unknown: nothing measured lately, or not in a form that can be used. */
static void unknown(struct draft *d)
{
    const struct autoscale_view *v = &d->view;
    struct pr_err err = { .text = "" };
    if (autoscale_view_check(v, &err) != PR_OK) {
        d->bad = true;
        (void)snprintf(d->no_in, sizeof d->no_in, "samples are refused");
        draft_alarm(d, "samples are refused: %s", err.text);
        return;
    }
    size_t i = v->samples;
    while (i > 0 && !measured_at_all(&v->sample[i - 1]))
        i--;
    if (i == 0)
        draft_alarm(d, "nothing has been measured");
    else if (v->now_ms - v->sample[i - 1].at_ms >= DRAFT_UNKNOWN_MS)
        draft_alarm(d, "nothing has been measured for %lld min",
                    (long long)((v->now_ms - v->sample[i - 1].at_ms) / AUTOSCALE_MINUTE_MS));
    else
        return;
    (void)snprintf(d->no_in, sizeof d->no_in, "nothing has been measured lately");
}

static bool reports(const struct autoscale_view *v, const struct autoscale_member *m)
{
    return !isnan(m->cpu_pct) && v->now_ms - m->metric_at_ms < DRAFT_UNKNOWN_MS;
}

static void silent(struct draft *d)
{
    const struct autoscale_view *v = &d->view;
    int of = 0, mute = 0;
    if (v->samples > 0 && !d->bad) { /* who is refused counts nobody */
        const struct autoscale_sample *s = &v->sample[v->samples - 1];
        mute = s->silent;
        of = s->serving + s->silent;
    }
    int members = 0, mute_members = 0;
    for (size_t i = 0; i < v->members; i++) {
        const struct autoscale_member *m = &v->member[i];
        if (m->ready && !m->leaving && !m->failed) {
            members++;
            mute_members += !reports(v, m);
        }
    }
    if (mute_members * 2 >= members && members > 0) {
        mute = mute_members;
        of = members;
    }
    if (mute == 0 || mute * 2 < of)
        return;
    (void)snprintf(d->no_in, sizeof d->no_in, "%d of %d members are silent", mute, of);
    draft_alarm(d, "%d of %d members are silent: out on what the others say, never in", mute, of);
}

static void unready(struct draft *d)
{
    size_t ready = 0, alive = 0;
    for (size_t i = 0; i < d->view.members; i++)
        ready += d->view.member[i].ready && !d->view.member[i].failed;
    for (size_t i = 0; i < d->in->nodes; i++)
        alive += !d->in->node[i].failed;
    const size_t failed = d->in->nodes - alive;
    const bool none = d->view.members > 0 && ready == 0, dead = d->in->nodes > 0 && alive == 0;
    if (!none && !dead && failed > 0 && failed * 2 >= d->in->nodes) {
        /* Those who are left may be idle because the others' clients get no answer at all. */
        (void)snprintf(d->no_in, sizeof d->no_in, "%zu of %zu members have failed", failed,
                       d->in->nodes);
        draft_alarm(d, "%zu of %zu members have failed: never in", failed, d->in->nodes);
    }
    if (!none && !dead)
        return;
    d->no_out = true;
    (void)snprintf(d->no_in, sizeof d->no_in, "%s",
                   none ? "no member is ready" : "all have failed");
    draft_alarm(d, "%s: what they measure says nothing about the load, so the size is kept",
                none ? "no member is ready" : "all members have failed");
}

static void cap_at(struct draft *d, int cap, const char *why)
{
    if (cap < d->view.desired)
        cap = d->view.desired;
    if (cap >= d->cap)
        return;
    d->cap = cap;
    (void)snprintf(d->cap_why, sizeof d->cap_why, "%s", why);
}

/* Members before the changes that went outward alone, up to now. */
static int before_growth(const struct autoscale_view *v, int serving)
{
    for (size_t i = v->actions; i-- > 0 && v->action[i].to >= v->action[i].from;)
        if (v->action[i].from < serving)
            serving = v->action[i].from;
    return serving;
}

/* CPU that reads 100 % for one sample after the other although members are added is either
 * a load that has multiplied, or a metric that is stuck: nobody can tell from here. */
static void pinned(struct draft *d)
{
    const struct autoscale_view *v = &d->view;
    const struct autoscale_sample *first = NULL;
    size_t i = v->samples;
    for (; i > 0; i--) {
        const struct autoscale_sample *s = &v->sample[i - 1];
        if (!isnan(s->load) || s->cpu_pct < 100)
            break;
        if (s->cpu_pct >= 100 && s->serving > 0) /* a minute that is unknown proves nothing */
            first = s;
    }
    if (first == NULL)
        return;
    const int64_t for_ms = v->now_ms - first->at_ms;
    /* Older samples are gone: how many served when it began, the changes may tell. */
    const bool always = i == 0 && for_ms >= DRAFT_STUCK_MS;
    const int base = always ? before_growth(v, first->serving) : first->serving;
    if (v->desired <= base && v->serving <= base)
        return; /* the first answer to it is the policies' own */
    char why[sizeof d->cap_why];
    (void)snprintf(why, sizeof why,
                   "CPU reads 100 %% for %lld min, with %d as with %d: stuck, perhaps",
                   (long long)(for_ms / AUTOSCALE_MINUTE_MS), base, v->serving);
    if (v->serving / PINNED_DOUBT >= base)
        draft_alarm(d, "%s", why);
    const int half = base < v->max ? base + (v->max - base) / 2 : base;
    cap_at(d, base > half / PINNED_GROWTH ? half : PINNED_GROWTH * base, why);
}

/* What was ordered and has not come in half as long again as it takes. */
static void overdue(struct draft *d)
{
    const struct autoscale_view *v = &d->view;
    const int64_t patience_ms = v->useful_after_ms + v->useful_after_ms / 2;
    size_t i = v->actions;
    while (i > 0 && v->action[i - 1].to <= v->action[i - 1].from)
        i--;
    if (v->serving >= v->desired || (i > 0 && v->now_ms - v->action[i - 1].at_ms < patience_ms))
        return;
    char why[sizeof d->cap_why];
    if (i == 0)
        (void)snprintf(why, sizeof why, "%d of %d serve, and no order on record explains it",
                       v->serving, v->desired);
    else
        (void)snprintf(why, sizeof why,
                       "%d of %d serve %lld min after the last order: refused, or not started",
                       v->serving, v->desired,
                       (long long)((v->now_ms - v->action[i - 1].at_ms) / AUTOSCALE_MINUTE_MS));
    draft_alarm(d, "%s", why);
    /* Ordering more and more of what does not come would have all of it come at once. */
    cap_at(d, v->serving > INT_MAX / 2 ? INT_MAX : v->serving + v->serving / 2, why);
}

static void urgent(struct draft *d)
{
    const struct autoscale_view *v = &d->view;
    const struct autoscale_fleet *f = d->fleet;
    double cpu, memory, network;
    (void)autoscale_window_mean(v, AUTOSCALE_CPU, DRAFT_WINDOW_MS, &cpu);
    (void)autoscale_window_mean(v, AUTOSCALE_MEMORY, DRAFT_WINDOW_MS, &memory);
    (void)autoscale_window_mean(v, AUTOSCALE_NETWORK, DRAFT_WINDOW_MS, &network);
    const double wire = f->types == 0 ? NAN : f->ladder[f->type].network_gbps * 1e9;
    const struct autoscale_vote *vote = &d->out->vote[d->out->deciding];
    const bool queue = d->in->settings.policy[d->out->deciding].kind == AUTOSCALE_QUEUE;
    char *why = d->urgent;
    const size_t n = sizeof d->urgent;
    if (cpu >= urgent_cpu_pct)
        (void)snprintf(why, n, "CPU %.1f %%", cpu);
    else if (v->serving > 0 && d->load >= urgent_cpu_pct / 100 * v->serving)
        (void)snprintf(why, n, "load of %.1f members on %d", d->load, v->serving);
    else if (memory >= urgent_memory_pct)
        (void)snprintf(why, n, "memory %.1f %%", memory);
    else if (network >= urgent_network_share * wire)
        (void)snprintf(why, n, "network %.2f Gbps", network / 1e9);
    else if (queue && vote->observed >= urgent_backlog_ratio * vote->threshold)
        (void)snprintf(why, n, "backlog %.0f", vote->observed);
}

/* A policy that has not known for long says so itself. */
static void votes_alarm(struct draft *d)
{
    const struct autoscale_vote *v = &d->out->vote[d->out->deciding];
    if (!d->bad && v->move == AUTOSCALE_UNKNOWN && strncmp(v->why, "alarm", 5) == 0)
        draft_alarm(d, "%.120s", v->why);
}

void draft_guard(struct draft *d)
{
    unknown(d);
    votes_alarm(d);
    unready(d);
    silent(d);
    overdue(d);
    if (d->bad)
        return;
    d->load = mean_load(&d->view);
    pinned(d);
    urgent(d);
}
