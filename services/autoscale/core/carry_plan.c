/* Plans: who came joins the cluster, who leaves is drained. */
#include "core/carry_private.h"

#include <stdio.h>
#include <string.h>

/* --- the one that is waited for ---------------------------------------------------------- */

static bool fits(const struct carry_look *l, const struct autoscale_carry_plan *p)
{
    for (size_t i = 0; i < p->nodes; i++)
        if (autoscale_carry_leaves(l->r, p->node[i]) != p->drains)
            return false;
    return true;
}

/* It is told to stop, again and again: the word may be lost with its holder. */
static bool unwanted(const struct carry_look *l, const struct autoscale_carry_plan *p)
{
    return !fits(l, p) || (l->r->lapsed && !p->drains && p->state == AUTOSCALE_PLAN_WAITS);
}

void carry_keep(struct carry_look *l)
{
    struct autoscale_carry *r = l->r;
    for (size_t i = r->leavers; i-- > 0;) {
        const struct autoscale_carry_member *m = autoscale_carry_find(l->facts, r->leaver[i].id);
        if (m == NULL || !m->member)
            continue;
        if (m->target >= 0)
            r->target[m->target].want++;
        carry_stay(r, m->id);
    }
    carry_count(l);
}

void carry_no_more(struct carry_look *l)
{
    for (size_t t = 0; t < l->facts->targets; t++)
        if (l->r->target[t].want > l->place[t].staying)
            l->r->target[t].want = l->place[t].staying;
    carry_count(l);
}

/* Who was to be drained stays; who was to join is left as he is, and named. */
static void give_up(struct carry_look *l, bool drains)
{
    struct autoscale_carry *r = l->r;
    r->plan_id = r->held_ms = 0;
    *(drains ? &r->drain_plans : &r->join_plans) = 0;
    r->plan_cancel = r->plan_given_up = false;
    if (drains)
        carry_keep(l);
    else
        carry_no_more(l);
}

/* Called off when nobody had looked for long, and it came to its end: they serve nothing. */
static void go_after_all(struct carry_look *l, const struct autoscale_carry_plan *p)
{
    for (size_t i = 0; i < p->nodes; i++) {
        const struct autoscale_carry_member *m = autoscale_carry_find(l->facts, p->node[i]);
        if (m == NULL || autoscale_carry_leaves(l->r, m->id) ||
            !carry_leave(l->r, m->id, m->target, 0))
            continue;
        if (m->target >= 0 && l->r->target[m->target].want > 0)
            l->r->target[m->target].want--;
    }
    carry_count(l);
}

static void over(struct carry_look *l, const struct autoscale_carry_plan *p)
{
    struct autoscale_carry *r = l->r;
    const int64_t now_ms = l->facts->now_ms;
    const bool ours = r->plan_cancel, given_up = r->plan_given_up;
    const bool fit = fits(l, p), done = p->state == AUTOSCALE_PLAN_DONE;
    r->plan_id = r->held_ms = 0;
    r->plan_cancel = r->plan_given_up = false;
    r->plan_after_ms = now_ms + l->pace->settle_ms;
    if (!fit) /* it may have come further than we wanted */
        r->settled_ms = r->plan_after_ms;
    if (r->lapsed && p->drains && done)
        go_after_all(l, p);
    if (given_up && !done)
        give_up(l, p->drains);
    if (ours && !(given_up && done)) /* else it was quicker than we: what it did is done */
        return;
    const int plans = ++*(p->drains ? &r->drain_plans : &r->join_plans);
    if (done) /* the tables will show it, or there is another plan */
        return;
    r->plan_after_ms = now_ms + (l->pace->again_ms << (plans < 10 ? plans : 10));
    if (p->state == AUTOSCALE_PLAN_CANCELED || plans >= AUTOSCALE_CARRY_PLANS) {
        carry_failing(l, "plan %lld (%s) %s: %.160s", (long long)p->id,
                      p->drains ? "drain" : "join",
                      p->state == AUTOSCALE_PLAN_CANCELED ? "was canceled" : "failed", p->why);
        give_up(l, p->drains);
    }
}

/* Held up for so many times what is waited for anything. */
static bool too_long(struct carry_look *l, int times)
{
    struct autoscale_carry *r = l->r;
    if (r->held_ms == 0)
        r->held_ms = l->facts->now_ms;
    return l->facts->now_ms - r->held_ms >= times * l->pace->give_up_ms;
}

static bool await_plan(struct carry_look *l, const struct autoscale_carry_plan *p)
{
    struct autoscale_carry *r = l->r;
    const enum autoscale_phase phase =
        p->drains ? AUTOSCALE_PHASE_DRAINING : AUTOSCALE_PHASE_JOINING;
    static const char *const is[] = {
        [AUTOSCALE_PLAN_WAITS] = "waits",   [AUTOSCALE_PLAN_RUNS] = "runs",
        [AUTOSCALE_PLAN_PAUSED] = "paused", [AUTOSCALE_PLAN_DONE] = "done",
        [AUTOSCALE_PLAN_FAILED] = "failed", [AUTOSCALE_PLAN_CANCELED] = "canceled",
    };
    char why[200];
    (void)snprintf(why, sizeof why, "plan %lld (%s) %s%s%.120s", (long long)p->id,
                   p->drains ? "drain" : "join", is[p->state], p->why[0] != '\0' ? ": " : "",
                   p->why);
    if (p->state == AUTOSCALE_PLAN_RUNS)
        r->held_ms = 0;
    else if (p->state == AUTOSCALE_PLAN_WAITS && too_long(l, 1) && !r->plan_cancel) {
        carry_failing(l, "%s", why); /* nobody shall carry it out when all this is forgotten */
        r->plan_cancel = r->plan_given_up = true;
        return carry_act(l, phase, AUTOSCALE_ACT_CANCEL, "%s", why);
    } else if (p->state == AUTOSCALE_PLAN_WAITS ? too_long(l, 2) : too_long(l, 1)) {
        carry_failing(l, "%s", why);
        give_up(l, p->drains);
        return carry_wait(l, phase, "%s", why);
    }
    r->alarm = r->alarm || p->state == AUTOSCALE_PLAN_PAUSED;
    return carry_wait(l, phase, "%s", why);
}

bool carry_plan(struct carry_look *l)
{
    struct autoscale_carry *r = l->r;
    const struct autoscale_carry_plan *p = l->facts->plan;
    if (r->plan_id == 0)
        return false;
    if (p == NULL) { /* somebody removed it */
        r->plan_id = r->held_ms = 0;
        r->plan_cancel = r->plan_given_up = false;
        return false;
    }
    if (p->state >= AUTOSCALE_PLAN_DONE) {
        over(l, p);
        return false;
    }
    if (unwanted(l, p) && (!r->plan_cancel || l->facts->now_ms >= r->plan_after_ms)) {
        r->plan_cancel = true;
        r->plan_after_ms = l->facts->now_ms + l->pace->again_ms;
        return carry_act(l, p->drains ? AUTOSCALE_PHASE_DRAINING : AUTOSCALE_PHASE_JOINING,
                         AUTOSCALE_ACT_CANCEL, "plan %lld (%s) is no longer wanted",
                         (long long)p->id, p->drains ? "drain" : "join");
    }
    return await_plan(l, p);
}

/* What the last plan has done is not in the tables yet. */
static bool settling(struct carry_look *l, bool drains)
{
    return l->facts->now_ms < l->r->plan_after_ms &&
           carry_wait(l, drains ? AUTOSCALE_PHASE_DRAINING : AUTOSCALE_PHASE_JOINING,
                      "plans that ended: %d; the cluster is looked at again",
                      drains ? l->r->drain_plans : l->r->join_plans);
}

/* A plan may be made: false; else it is waited, or given up. */
static bool may_not(struct carry_look *l, bool drains, bool *waits)
{
    const enum autoscale_phase phase = drains ? AUTOSCALE_PHASE_DRAINING : AUTOSCALE_PHASE_JOINING;
    *waits = true;
    const int plans = drains ? l->r->drain_plans : l->r->join_plans;
    if (settling(l, drains))
        return true;
    if (plans >= AUTOSCALE_CARRY_PLANS) {
        carry_failing(l, "after %d plans there still is somebody to %s", plans,
                      drains ? "drain" : "join");
        give_up(l, drains);
        *waits = false;
        return true;
    }
    if (l->facts->busy[0] == '\0') {
        l->r->held_ms = 0;
        return false;
    }
    if (too_long(l, 1)) {
        carry_failing(l, "%.220s", l->facts->busy);
        give_up(l, drains);
        *waits = false;
        return true;
    }
    return carry_wait(l, phase, "%.220s", l->facts->busy);
}

/* --- who came ---------------------------------------------------------------------------- */

/* No more will come to the target than are there. */
static bool no_more(const struct carry_look *l, size_t t)
{
    if (l->r->phase == AUTOSCALE_PHASE_ARRIVING &&
        l->facts->now_ms - l->r->phase_ms >= l->pace->give_up_ms)
        return true;
    return l->place[t].is.outcome != AUTOSCALE_WAITING &&
           l->place[t].is.outcome != AUTOSCALE_DIFFERS;
}

static int rank(const struct carry_look *l, const struct autoscale_carry_member *m)
{
    return m->registered ? 0 : carry_owns(l->r, m->id) ? 1 : 2;
}

/* The `take` best of a target; by rank, then by id. */
static void choose(struct carry_look *l, size_t t, int take)
{
    for (int k = 0; k <= 2; k++)
        for (size_t i = 0; i < l->facts->members && take > 0; i++) {
            const struct autoscale_carry_member *m = &l->facts->member[i];
            if (m->target != (int)t || m->member || m->presence != AUTOSCALE_HERE ||
                autoscale_carry_leaves(l->r, m->id) || rank(l, m) != k ||
                l->out->chosen == AUTOSCALE_CHOSEN)
                continue;
            l->out->chose[l->out->chosen++] = (int)i;
            take--;
        }
}

/* What is missing in places where no more will come is not waited for. */
static bool drop_missing(struct carry_look *l)
{
    bool dropped = false;
    for (size_t t = 0; t < l->facts->targets; t++) {
        const struct carry_place *p = &l->place[t];
        if (p->need <= p->joinable || !no_more(l, t))
            continue;
        carry_failing(l, "group %zu: %d of %d members came: %.150s", t + 1, p->joinable, p->need,
                      p->is.why);
        l->r->target[t].want -= p->need - p->joinable;
        dropped = true;
    }
    return dropped;
}

/* Whole units of what is there: the rest would be primaries without replicas. */
static void round_down(struct carry_look *l, int take[AUTOSCALE_CARRY_TARGETS], int all)
{
    const int unit = l->facts->unit > 0 ? l->facts->unit : 1;
    for (int over = l->r->failing[0] != '\0' ? all % unit : 0; over > 0; over--) {
        size_t most = 0;
        for (size_t t = 1; t < l->facts->targets; t++)
            if (take[t] > take[most])
                most = t;
        take[most]--;
        l->r->target[most].want--;
    }
}

static bool register_them(struct carry_look *l)
{
    struct autoscale_carry_step *out = l->out;
    size_t n = 0;
    const char *nameless = NULL;
    for (size_t i = 0; i < out->chosen; i++) {
        const struct autoscale_carry_member *m = &l->facts->member[out->chose[i]];
        if (m->registered)
            continue;
        if (m->addressed)
            out->chose[n++] = out->chose[i]; /* n <= i */
        else
            nameless = m->id;
    }
    if (n > 0) {
        out->chosen = n;
        for (size_t i = 0; i < n; i++)
            carry_own(l->r, l->facts->member[out->chose[i]].id);
        return carry_act(l, AUTOSCALE_PHASE_JOINING, AUTOSCALE_ACT_REGISTER,
                         "%zu members came and are registered", n);
    }
    if (nameless == NULL)
        return false;
    if (l->r->phase == AUTOSCALE_PHASE_JOINING &&
        l->facts->now_ms - l->r->phase_ms >= l->pace->patience_ms) {
        carry_failing(l, "%s came and was never registered", nameless);
        give_up(l, false);
        return carry_wait(l, AUTOSCALE_PHASE_JOINING, "%s", l->r->failing);
    }
    return carry_wait(l, AUTOSCALE_PHASE_JOINING, "%s is in service and not yet registered",
                      nameless);
}

/* Who joined has its share; the tables show it a moment after the plan is done. */
static bool all_serve(struct carry_look *l)
{
    for (size_t i = 0; i < l->facts->members; i++) {
        const struct autoscale_carry_member *m = &l->facts->member[i];
        if (!m->member || m->useful || !carry_owns(l->r, m->id) ||
            autoscale_carry_leaves(l->r, m->id))
            continue;
        if (l->facts->now_ms < l->r->plan_after_ms)
            return carry_wait(l, AUTOSCALE_PHASE_JOINING, "%s joined and serves nothing yet",
                              m->id);
        carry_failing(l, "%s joined and serves nothing", m->id);
    }
    return false;
}

bool carry_join(struct carry_look *l)
{
    int take[AUTOSCALE_CARRY_TARGETS] = { 0 }, need = 0, all = 0, later = 0;
    bool waits = false;
    if (!l->facts->cluster)
        return false;
    if (drop_missing(l))
        carry_count(l);
    for (size_t t = 0; t < l->facts->targets; t++) {
        const struct carry_place *p = &l->place[t];
        need += p->need;
        take[t] = p->need < p->joinable ? p->need : p->joinable;
        later += p->need - take[t];
        all += take[t];
    }
    if (need == 0) {
        l->r->join_plans = 0;
        return all_serve(l);
    }
    if (l->r->lapsed) {
        if (settling(l, false))
            return true;
        carry_no_more(l);
        return all_serve(l);
    }
    if (later > 0)
        return carry_wait(l, AUTOSCALE_PHASE_ARRIVING, "%d of %d new members are in service", all,
                          need);
    round_down(l, take, all);
    l->out->chosen = 0;
    for (size_t t = 0; t < l->facts->targets; t++)
        choose(l, t, take[t]);
    if (l->out->chosen == 0)
        return carry_wait(l, AUTOSCALE_PHASE_ARRIVING, "%s", l->r->failing);
    if (register_them(l))
        return true;
    if (may_not(l, false, &waits))
        return waits || carry_wait(l, AUTOSCALE_PHASE_JOINING, "%s", l->r->failing);
    for (size_t i = 0; i < l->out->chosen; i++)
        carry_own(l->r, l->facts->member[l->out->chose[i]].id);
    return carry_act(l, AUTOSCALE_PHASE_JOINING, AUTOSCALE_ACT_JOIN, "%zu members join",
                     l->out->chosen);
}

/* --- who leaves -------------------------------------------------------------------------- */

bool carry_drain(struct carry_look *l)
{
    struct autoscale_carry_step *out = l->out;
    bool waits = false;
    if (!l->facts->cluster)
        return false;
    out->chosen = 0;
    for (size_t i = 0; i < l->facts->members && out->chosen < AUTOSCALE_CHOSEN; i++)
        if (l->facts->member[i].member && autoscale_carry_leaves(l->r, l->facts->member[i].id))
            out->chose[out->chosen++] = (int)i;
    if (out->chosen == 0) {
        l->r->drain_plans = 0;
        return false;
    }
    if (l->r->lapsed) {
        if (settling(l, true))
            return true;
        carry_keep(l);
        return false;
    }
    if (may_not(l, true, &waits))
        return waits || carry_wait(l, AUTOSCALE_PHASE_DRAINING, "%s", l->r->failing);
    return carry_act(l, AUTOSCALE_PHASE_DRAINING, AUTOSCALE_ACT_DRAIN, "%zu members are drained",
                     out->chosen);
}
