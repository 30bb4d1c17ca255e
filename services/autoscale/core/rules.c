#include "core/rules.h"

#include "core/ballot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS, DAY_MIN = 24 * 60 };

void autoscale_rules_default(struct autoscale_rules *out)
{
    *out = (struct autoscale_rules){
        .rule = { { AUTOSCALE_CPU, 70, 10, 5 * MINUTE, 5 * MINUTE },
                  { AUTOSCALE_MEMORY, 85, 10, 3 * MINUTE, 10 * MINUTE },
                  { AUTOSCALE_NETWORK, 8e9, 10, 5 * MINUTE, 5 * MINUTE },
                  { AUTOSCALE_CPU, 40, -10, 15 * MINUTE, 15 * MINUTE } },
        .rules = 4,
    };
}

static const char *wrong(const struct autoscale_rule *r)
{
    if ((int)r->metric < 0 || r->metric >= AUTOSCALE_METRICS)
        return "no such metric";
    if (!(r->threshold >= 0) || isinf(r->threshold))
        return "the threshold is no number from 0";
    if (!(r->step_pct >= -100 && r->step_pct <= 1000) || r->step_pct == 0)
        return "the step is not from -100 to 1000 %, without 0";
    if (r->sustained_ms < 0 || r->sustained_ms > (int64_t)DAY_MIN * MINUTE)
        return "it is sustained for less than 0 or more than a day";
    if (r->cooldown_ms < 0 || r->cooldown_ms > (int64_t)DAY_MIN * MINUTE)
        return "the cooldown is less than 0 or more than a day";
    return NULL;
}

enum pr_code autoscale_rules_check(const struct autoscale_rules *r, struct pr_err *err)
{
    if (r->rules == 0 || r->rules > AUTOSCALE_RULE_COUNT)
        return pr_fail(err, PR_EINVAL, "rules: %zu of them, want 1 to %d", r->rules,
                       AUTOSCALE_RULE_COUNT);
    for (size_t i = 0; i < r->rules; i++) {
        const char *what = wrong(&r->rule[i]);
        if (what != NULL)
            return pr_fail(err, PR_EINVAL, "rules: rule %zu: %s", i + 1, what);
    }
    return PR_OK;
}

int autoscale_rule_step(int desired, double step_pct)
{
    const double share = desired * step_pct / 100;
    const double by = step_pct > 0 ? ceil(share) : -fmax(1, floor(-share));
    return (int)fmin(fmax(desired + by, 0), 1e9);
}

/* --- what the rules say --------------------------------------------------------------- */

struct candidate {
    const struct autoscale_rule *rule; /* NULL: none */
    int to;
    int64_t until_ms; /* its cooldown; INT64_MIN: none */
};
struct poll {
    struct candidate go, cooling; /* largest capacity each */
    const struct autoscale_rule *unknown, *against, *steady;
    char absent[40]; /* metrics that the fleet does not have */
};

static bool outward(const struct autoscale_rule *r)
{
    return r->step_pct > 0;
}

static enum autoscale_answer ask(const struct autoscale_rule *r, const struct autoscale_view *v)
{
    return autoscale_sustained(v, r->metric, outward(r) ? AUTOSCALE_ABOVE : AUTOSCALE_BELOW,
                               r->threshold, r->sustained_ms);
}

static struct candidate propose(const struct autoscale_rule *r, const struct autoscale_view *v)
{
    struct candidate c = { r, autoscale_rule_step(v->desired, r->step_pct), INT64_MIN };
    const int64_t last = autoscale_last_change_ms(
        v, outward(r) ? AUTOSCALE_OUTWARD : AUTOSCALE_INWARD, v->now_ms - r->cooldown_ms);
    if (last != INT64_MIN)
        c.until_ms = last + r->cooldown_ms;
    return c;
}

static void keep_largest(struct candidate *best, struct candidate c)
{
    if (best->rule == NULL || c.to > best->to)
        *best = c;
}

static bool takes_part(const struct autoscale_rule *r, const struct autoscale_view *v,
                       struct poll *p)
{
    if (autoscale_measured(v, r->metric))
        return true;
    const char *name = autoscale_metric_name(r->metric);
    const size_t used = strlen(p->absent);
    if (strstr(p->absent, name) == NULL)
        snprintf(p->absent + used, sizeof p->absent - used, "%s%s", used == 0 ? "" : ", ", name);
    return false;
}

static void poll_outward(const struct autoscale_rules *r, const struct autoscale_view *v,
                         struct poll *p)
{
    for (size_t i = 0; i < r->rules; i++) {
        const struct autoscale_rule *rule = &r->rule[i];
        if (!outward(rule) || !takes_part(rule, v, p))
            continue;
        if (p->steady == NULL)
            p->steady = rule;
        const enum autoscale_answer a = ask(rule, v);
        if (a == AUTOSCALE_CANNOT_TELL && p->unknown == NULL)
            p->unknown = rule;
        if (a != AUTOSCALE_YES)
            continue;
        const struct candidate c = propose(rule, v);
        keep_largest(c.until_ms == INT64_MIN ? &p->go : &p->cooling, c);
    }
}

static bool has_inward(const struct autoscale_rules *r, enum autoscale_metric m)
{
    for (size_t i = 0; i < r->rules; i++)
        if (r->rule[i].metric == m && !outward(&r->rule[i]))
            return true;
    return false;
}

/* Those that have no inward rule: would each of their minutes stay within the threshold? */
static bool none_is_against(const struct autoscale_rules *r, const struct autoscale_view *v, int to,
                            struct poll *p)
{
    for (size_t i = 0; i < r->rules; i++) {
        const struct autoscale_rule *rule = &r->rule[i];
        if (!outward(rule) || has_inward(r, rule->metric) || !takes_part(rule, v, p))
            continue;
        const struct autoscale_minutes w =
            autoscale_minutes(v, rule->metric, rule->sustained_ms, true);
        if (!w.whole)
            p->unknown = rule;
        else if (to < 1 || w.most * v->desired > rule->threshold * to)
            p->against = rule;
        else
            continue;
        return false;
    }
    return true;
}

static void poll_inward(const struct autoscale_rules *r, const struct autoscale_view *v,
                        struct poll *p)
{
    struct candidate best = { 0 };
    int64_t until = INT64_MIN;
    for (size_t i = 0; i < r->rules; i++) {
        const struct autoscale_rule *rule = &r->rule[i];
        if (outward(rule) || !takes_part(rule, v, p))
            continue;
        if (p->steady == NULL)
            p->steady = rule;
        if (ask(rule, v) != AUTOSCALE_YES)
            return;
        const struct candidate c = propose(rule, v);
        until = c.until_ms > until ? c.until_ms : until;
        keep_largest(&best, c);
    }
    if (best.rule == NULL || v->desired <= v->min || !none_is_against(r, v, best.to, p))
        return;
    best.until_ms = until;
    *(until == INT64_MIN ? &p->go : &p->cooling) = best;
}

/* --- and the vote -------------------------------------------------------------------- */

static void name_rule(const struct autoscale_rule *r, const struct autoscale_view *v,
                      struct autoscale_vote *out, char observed[48])
{
    const double minutes = (double)r->sustained_ms / MINUTE;
    const bool gbps = r->metric == AUTOSCALE_NETWORK;
    snprintf(out->rule, sizeof out->rule, "%s%c%.4g%s for %.4g min",
             autoscale_metric_name(r->metric), outward(r) ? '>' : '<',
             gbps ? r->threshold / 1e9 : r->threshold, gbps ? " Gbps" : "", minutes);
    const struct autoscale_minutes w =
        autoscale_minutes(v, r->metric, r->sustained_ms, !outward(r));
    out->observed = w.mean;
    out->threshold = r->threshold;
    out->window_ms = r->sustained_ms;
    autoscale_metric_text(r->metric, w.mean, observed);
}

static void explain(const struct poll *p, const struct autoscale_rule *spoke,
                    const struct autoscale_view *v, struct autoscale_vote *out)
{
    char observed[48] = "nothing measured";
    if (spoke != NULL)
        name_rule(spoke, v, out, observed);
    const char *absent = p->absent[0] != '\0' ? "; not measured: " : "";
    switch (out->move) {
    case AUTOSCALE_OUT:
    case AUTOSCALE_IN:
        snprintf(out->why, sizeof out->why, "%s: %s, %+.4g %% of %d is %d%s%s", out->rule, observed,
                 spoke->step_pct, v->desired, out->wanted, absent, p->absent);
        return;
    case AUTOSCALE_UNKNOWN:
        snprintf(out->why, sizeof out->why, "cannot tell: %s has minutes without a value%s%s",
                 spoke != NULL ? autoscale_metric_name(spoke->metric) : "every metric", absent,
                 p->absent);
        return;
    case AUTOSCALE_HOLD:
        break;
    }
    if (out->wanted != v->desired)
        snprintf(out->why, sizeof out->why, "%s: %s wants %d: %.60s%s%s", out->rule, observed,
                 out->wanted, out->limited, absent, p->absent);
    else if (p->against != NULL)
        snprintf(out->why, sizeof out->why, "%s: %s is too much for fewer members%s%s", out->rule,
                 observed, absent, p->absent);
    else
        snprintf(out->why, sizeof out->why, "no rule speaks: %s%s%s", observed, absent, p->absent);
}

void autoscale_rules_vote(const struct autoscale_rules *r, const struct autoscale_view *view,
                          struct autoscale_vote *out)
{
    struct poll p = { 0 };
    autoscale_ballot_hold(view, out);
    poll_outward(r, view, &p);
    if (p.go.rule == NULL && p.cooling.rule == NULL && p.unknown == NULL)
        poll_inward(r, view, &p);

    const struct autoscale_rule *spoke = p.steady;
    if (p.go.rule != NULL) {
        autoscale_ballot_want(view, p.go.to, out);
        spoke = p.go.rule;
    } else if (p.cooling.rule != NULL) {
        autoscale_ballot_cooling(view, p.cooling.to, p.cooling.until_ms, out);
        spoke = p.cooling.rule;
    } else if (p.unknown != NULL || p.steady == NULL) {
        out->move = AUTOSCALE_UNKNOWN;
        spoke = p.unknown;
    } else if (p.against != NULL) {
        spoke = p.against;
    }
    explain(&p, spoke, view, out);
}
