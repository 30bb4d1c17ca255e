#include "core/adaptive_private.h"

#include "core/ballot.h"
#include "core/budget.h"
#include "core/minutes.h"

#include <math.h>
#include <stdio.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS, RING = AUTOSCALE_ADAPTIVE_RING };
enum {
    LIMIT_WINDOW_MS = 3 * MINUTE, /* of memory and network */
    HOLD_MOST = 60,               /* minutes */
    SHORT_MEAN = 10,              /* minutes: as load falls, the lower of two means lets go sooner;
                                     as it rises, the forecast leads */
};
static const double urgent_pct = 85; /* the fleet is short: no budget counts */
static const double slack = 1e-9;    /* sums of equal numbers differ in their last bits */
static const int64_t day_ms = INT64_C(24) * 60 * MINUTE;

void autoscale_adaptive_default(struct autoscale_adaptive *out)
{
    *out = (struct autoscale_adaptive){ .target_pct = 56,
                                        .mean_ms = 30 * MINUTE,
                                        .peak_pct = 65,
                                        .out_band_pct = 10,
                                        .in_band_pct = 12,
                                        .hold_ms = 20 * MINUTE,
                                        .hold_flap_ms = 5 * MINUTE,
                                        .gap_ms = 5 * MINUTE,
                                        .flap_ms = 30 * MINUTE,
                                        .flaps_per_day = 12,
                                        .actions_per_day = 96,
                                        .saturated_pct = 95,
                                        .jump_ratio = 1.5,
                                        .growth_ratio = 4,
                                        .memory_pct = 85,
                                        .network_bps = 8e9,
                                        .alarm_after_ms = 10 * MINUTE };
}

enum pr_code autoscale_adaptive_check(const struct autoscale_adaptive *p, struct pr_err *err)
{
    const struct {
        const char *name;
        double value, least, most;
    } row[] = {
        { "target_pct", p->target_pct, 1, 100 },
        { "mean_ms", (double)p->mean_ms, MINUTE, (double)HOLD_MOST * MINUTE },
        { "peak_pct", p->peak_pct, 1, 100 },
        { "out_band_pct", p->out_band_pct, 0, 100 },
        { "in_band_pct", p->in_band_pct, 0, 90 },
        { "hold_ms", (double)p->hold_ms, MINUTE, (double)HOLD_MOST * MINUTE },
        { "hold_flap_ms", (double)p->hold_flap_ms, 0, (double)HOLD_MOST * MINUTE },
        { "gap_ms", (double)p->gap_ms, 0, (double)day_ms },
        { "flap_ms", (double)p->flap_ms, 0, (double)day_ms },
        { "flaps_per_day", p->flaps_per_day, 0, 1e6 },
        { "actions_per_day", p->actions_per_day, 0, 1e6 },
        { "saturated_pct", p->saturated_pct, 1, 100 },
        { "jump_ratio", p->jump_ratio, 1, 100 },
        { "growth_ratio", p->growth_ratio, 1, 1e6 },
        { "memory_pct", p->memory_pct, 0, 100 },
        { "network_bps", p->network_bps, 0, 1e15 },
        { "alarm_after_ms", (double)p->alarm_after_ms, 0, (double)day_ms },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (!(row[i].value >= row[i].least && row[i].value <= row[i].most))
            return pr_fail(err, PR_EINVAL, "adaptive: %s is %.10g, want %.10g to %.10g",
                           row[i].name, row[i].value, row[i].least, row[i].most);
    return PR_OK;
}

enum reason { MEAN, PEAK, JUMP, MEMORY, NETWORK, REASONS };
struct need {
    double members[REASONS], most;
    enum reason reason;   /* the largest one's */
    double mean, peak;    /* load */
    double before_hot;    /* the highest forecast of the hold before CPU was saturated */
    double usual, jump;   /* when CPU is saturated: load of other days at this time (0 unknown), and
                             what it needs for its own sake */
    double usual_members; /* that it needs, within what a saturated run may have */
    int hold;             /* minutes */
    int known;            /* of them */
};

static double mean_load(const struct autoscale_adaptive_memory *m, int minutes)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < minutes && i < RING; i++) {
        const double load = m->load[adaptive_at(m->minute - i)];
        if (load >= 0) {
            sum += load;
            n++;
        }
    }
    return n > 0 ? sum / n : 0;
}

static void highest_forecast(const struct autoscale_adaptive_memory *m, struct need *n)
{
    for (int i = 0; i < n->hold; i++) {
        const double f = m->forecast[adaptive_at(m->minute - i)];
        n->known += f >= 0;
        n->peak = f > n->peak ? f : n->peak;
        if (m->minute - i < m->hot_since)
            n->before_hot = f > n->before_hot ? f : n->before_hot;
    }
}

/* Members at which the mean of the last minutes is at its limit; 0 it takes no part. */
static double limit_need(const struct autoscale_view *v, enum autoscale_metric metric, int serving,
                         double limit)
{
    double mean;
    if (!(limit > 0) || autoscale_window_mean(v, metric, LIMIT_WINDOW_MS, &mean) == 0)
        return 0;
    return mean / limit * serving;
}

/* From who served when CPU began to be saturated to max: other days' load is no measurement of
 * this one, so it takes no run further. */
static double half_way(const struct autoscale_adaptive_memory *m, const struct autoscale_view *v)
{
    return m->hot_serving + fmax(0, (v->max - m->hot_serving) / 2);
}

static struct need needs(const struct autoscale_adaptive *p,
                         const struct autoscale_adaptive_memory *m, const struct autoscale_view *v,
                         int flaps)
{
    struct need n = { .most = 0 };
    const int64_t hold = (p->hold_ms + flaps * p->hold_flap_ms) / MINUTE;
    n.hold = hold > HOLD_MOST ? HOLD_MOST : (int)hold;
    n.mean = fmin(mean_load(m, (int)(p->mean_ms / MINUTE)), mean_load(m, SHORT_MEAN));
    highest_forecast(m, &n);
    n.members[MEAN] = n.mean * 100 / p->target_pct;
    n.members[PEAK] = n.peak * 100 / p->peak_pct;
    if (m->hot_serving > 0) { /* CPU says no more of the load, but other days do */
        n.usual = adaptive_usual(m);
        n.jump = m->serving * p->jump_ratio;
        n.usual_members = fmin(n.usual * 100 / p->target_pct, half_way(m, v));
        n.members[JUMP] = fmax(n.jump, n.usual_members);
    }
    n.members[MEMORY] = limit_need(v, AUTOSCALE_MEMORY, m->serving, p->memory_pct);
    n.members[NETWORK] = limit_need(v, AUTOSCALE_NETWORK, m->serving, p->network_bps);
    for (int i = 0; i < REASONS; i++)
        if (n.members[i] > n.most) {
            n.most = n.members[i];
            n.reason = (enum reason)i;
        }
    return n;
}

/* --- words --------------------------------------------------------------------------- */

static void say(const struct autoscale_adaptive *p, const struct autoscale_view *v,
                const struct need *n, struct autoscale_vote *out)
{
    const double per = v->desired > 0 ? v->desired : 1;
    double mean;
    switch (n->reason) {
    case MEAN:
        out->observed = n->mean / per * 100;
        out->threshold = p->target_pct;
        out->window_ms = p->mean_ms;
        (void)snprintf(out->rule, sizeof out->rule, "mean of %lld min at %.4g %%",
                       (long long)(p->mean_ms / MINUTE), p->target_pct);
        break;
    case PEAK:
        out->observed = n->peak / per * 100;
        out->threshold = p->peak_pct;
        out->window_ms = (int64_t)n->hold * MINUTE;
        (void)snprintf(out->rule, sizeof out->rule, "highest forecast of %d min at %.4g %%",
                       n->hold, p->peak_pct);
        break;
    case JUMP:
        out->observed = v->sample[v->samples - 1].cpu_pct;
        out->threshold = p->saturated_pct;
        if (n->usual_members > n->jump)
            (void)snprintf(out->rule, sizeof out->rule, "saturated, usual load %.4g", n->usual);
        else
            (void)snprintf(out->rule, sizeof out->rule, "saturated at %.4g %%", p->saturated_pct);
        break;
    default:
        (void)autoscale_window_mean(v, n->reason == MEMORY ? AUTOSCALE_MEMORY : AUTOSCALE_NETWORK,
                                    LIMIT_WINDOW_MS, &mean);
        out->observed = mean;
        out->threshold = n->reason == MEMORY ? p->memory_pct : p->network_bps;
        out->window_ms = LIMIT_WINDOW_MS;
        (void)snprintf(out->rule, sizeof out->rule,
                       n->reason == MEMORY ? "memory at %.4g %%" : "network at %.4g bit/s",
                       out->threshold);
        break;
    }
    (void)snprintf(out->why, sizeof out->why,
                   "mean load %.4g needs %.0f at %.4g %%, highest forecast %.4g of %d "
                   "min %.0f at %.4g %%%s; %d are wanted",
                   n->mean, fmax(0, ceil(n->members[MEAN] - slack)), p->target_pct, n->peak,
                   n->hold, fmax(0, ceil(n->members[PEAK] - slack)), p->peak_pct,
                   n->reason > PEAK ? ", and more is asked for by the rule" : "", v->desired);
}

static void unknown(struct autoscale_vote *out, const char *rule, bool alarm, const char *why)
{
    out->move = AUTOSCALE_UNKNOWN;
    (void)snprintf(out->rule, sizeof out->rule, "%s", rule);
    (void)snprintf(out->why, sizeof out->why, "%s%s", alarm ? "alarm: " : "", why);
}

/* --- what it cannot go by ------------------------------------------------------------ */

/* Nobody measured the last minute, or not the CPU. */
static bool is_missing(const struct autoscale_adaptive *p,
                       const struct autoscale_adaptive_memory *m, const struct autoscale_view *v,
                       struct autoscale_vote *out)
{
    const int64_t newest = v->samples > 0 ? v->sample[v->samples - 1].at_ms : 0;
    const bool late = v->samples == 0 || m->begun == 0 || v->now_ms - newest > AUTOSCALE_MISSED_MS;
    if (!late && m->load[adaptive_at(m->minute)] >= 0)
        return false;
    int back = 0;
    while (m->begun != 0 && back < RING && m->load[adaptive_at(m->minute - back)] < 0)
        back++;
    char why[160];
    if (m->begun == 0 || back == RING) {
        unknown(out, "load unknown", true, "no load has been measured for an hour, if ever");
        return true;
    }
    const int64_t for_ms = v->now_ms - (m->minute - back) * MINUTE;
    (void)snprintf(why, sizeof why, "no load has been measured for %lld min: %d stay",
                   (long long)(for_ms / MINUTE), v->desired);
    unknown(out, "load unknown", for_ms >= p->alarm_after_ms, why);
    return true;
}

/* CPU that reads the same to the last bit although others serve than before is no measurement.
 * Saturated CPU does read the same: see growth. */
static bool is_stuck(const struct autoscale_adaptive *p, const struct autoscale_adaptive_memory *m,
                     const struct autoscale_view *v, struct autoscale_vote *out)
{
    const int64_t for_ms = (m->minute - m->same_since) * MINUTE;
    if (m->cpu_pct < 0 || m->hot_serving > 0 || for_ms < p->alarm_after_ms ||
        m->same_most * 10 < m->same_least * 11)
        return false;
    char why[160];
    (void)snprintf(
        why, sizeof why,
        "CPU reads exactly %.6g %% for %lld min while %d to %d served: stuck, so %d stay",
        m->cpu_pct, (long long)(for_ms / MINUTE), m->same_least, m->same_most, v->desired);
    unknown(out, "cpu is stuck", true, why);
    return true;
}

/* --- directions ---------------------------------------------------------------------- */

static struct autoscale_spent spent_of(const struct autoscale_adaptive *p,
                                       const struct autoscale_view *v)
{
    const struct autoscale_budget b = { .flap_ms = p->flap_ms + 1 };
    struct autoscale_spent spent;
    autoscale_budget_spent(&b, v, true, &spent);
    return spent;
}

static bool used_up(int budget, int spent)
{
    return budget > 0 && spent >= budget;
}

/* As far as a saturated run may take the fleet: CPU says no more of the load then. Other days do:
 * load comes back from an outage all at once. What was ordered before proves nothing. */
static double hot_limit(const struct autoscale_adaptive *p,
                        const struct autoscale_adaptive_memory *m, const struct need *n)
{
    const double pct = fmin(p->target_pct, p->peak_pct);
    return fmax(
        fmax(m->hot_serving * p->growth_ratio, ceil(n->usual_members - slack)),
        fmax(ceil(n->before_hot * 100 / pct), fmax(n->members[MEMORY], n->members[NETWORK])));
}

static void vote_out(const struct autoscale_adaptive *p, const struct autoscale_adaptive_memory *m,
                     const struct autoscale_view *v, const struct need *n,
                     const struct autoscale_spent *spent, int want, struct autoscale_vote *out)
{
    const double most = m->hot_serving > 0 ? floor(hot_limit(p, m, n)) : want;
    if (want > most) {
        /* Either the load has multiplied, or CPU is stuck: that is for people to tell. */
        if (most <= v->desired) {
            char why[160];
            (void)snprintf(why, sizeof why,
                           "CPU is at %.4g %% or above for %lld min, with %d as with %d: stuck, or "
                           "growth by more than %.4g",
                           p->saturated_pct, (long long)(m->minute - m->hot_since), m->hot_serving,
                           m->serving, p->growth_ratio);
            unknown(out, "saturated for good", true, why);
            out->wanted = want;
            return;
        }
        autoscale_ballot_want(v, (int)most, out);
        out->wanted = want;
        (void)snprintf(out->limited, sizeof out->limited, "saturated: from %d to %.0f at most",
                       m->hot_serving, most);
        return;
    }
    if (used_up(p->actions_per_day, spent->actions) && m->cpu_pct < urgent_pct) {
        out->wanted = want;
        (void)snprintf(out->limited, sizeof out->limited, "%d actions a day, and CPU below %.4g %%",
                       p->actions_per_day, urgent_pct);
        return;
    }
    autoscale_ballot_want(v, want, out);
}

static void vote_in(const struct autoscale_adaptive *p, const struct autoscale_view *v,
                    const struct need *n, const struct autoscale_spent *spent, int want,
                    struct autoscale_vote *out)
{
    const struct autoscale_sample *s = &v->sample[v->samples - 1];
    const int64_t any = autoscale_last_change_ms(v, AUTOSCALE_EITHER, v->now_ms - p->gap_ms);
    const int64_t outward =
        autoscale_last_change_ms(v, AUTOSCALE_OUTWARD, v->now_ms - p->flap_ms - 1);
    out->wanted = want;
    if (s->silent > 0 && s->silent >= s->serving)
        (void)snprintf(out->limited, sizeof out->limited, "%d of %d members are silent", s->silent,
                       s->silent + s->serving);
    else if (n->known * 4 < n->hold * 3)
        (void)snprintf(out->limited, sizeof out->limited, "%d of %d min are known", n->known,
                       n->hold);
    else if (used_up(p->flaps_per_day, spent->flaps))
        (void)snprintf(out->limited, sizeof out->limited, "%d flaps a day are used up",
                       p->flaps_per_day);
    else if (used_up(p->actions_per_day, spent->actions))
        (void)snprintf(out->limited, sizeof out->limited, "%d actions a day are used up",
                       p->actions_per_day);
    else if (outward != INT64_MIN)
        autoscale_ballot_cooling(v, want, outward + p->flap_ms + 1, out);
    else if (any != INT64_MIN)
        autoscale_ballot_cooling(v, want, any + p->gap_ms, out);
    else
        autoscale_ballot_want(v, want, out);
}

void autoscale_adaptive_vote(const struct autoscale_adaptive *p,
                             struct autoscale_adaptive_memory *memory,
                             const struct autoscale_view *view, struct autoscale_vote *out)
{
    autoscale_ballot_hold(view, out);
    if (view->max < 1 || view->max < view->min || view->desired < 0) {
        char why[96];
        (void)snprintf(why, sizeof why, "limits %d..%d with %d wanted make no sense", view->min,
                       view->max, view->desired);
        unknown(out, "limits", true, why);
        return;
    }
    adaptive_fold(p, memory, view);
    if (is_missing(p, memory, view, out) || is_stuck(p, memory, view, out))
        return;
    const struct autoscale_spent spent = spent_of(p, view);
    struct need n = needs(p, memory, view, spent.flaps);
    say(p, view, &n, out);
    const int silent = view->sample[view->samples - 1].silent;
    const double most = 1e9, with_silent = n.most + silent; /* they may be at 100 % */
    if (n.most > view->desired * (1 + p->out_band_pct / 100) + slack)
        vote_out(p, memory, view, &n, &spent, (int)ceil((n.most < most ? n.most : most) - slack),
                 out);
    else if (with_silent < view->desired * (1 - p->in_band_pct / 100) - slack)
        vote_in(p, view, &n, &spent, (int)ceil(with_silent - slack), out);
}
