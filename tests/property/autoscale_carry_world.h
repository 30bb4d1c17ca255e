/* A provider, the tables and rebalance, as far as core/carry.h sees them: slow, forgetful and
 * sometimes failing. What may never happen fails the test at once. */
#ifndef AUTOSCALE_CARRY_WORLD_H
#define AUTOSCALE_CARRY_WORLD_H

#include "t.h"

#include "core/carry.h"
#include "prism/rng.h"

#include <stdio.h>
#include <string.h>

enum { CW_TARGETS = 3, CW_MEMBERS = 120, CW_SECOND = 1000 };

struct cw_member {
    char id[16];
    int target;
    enum autoscale_presence presence;
    int64_t here_ms, gone_ms; /* arriving until, going until */
    bool registered, member, useful;
    bool broken; /* never becomes healthy */
};

struct cw_plan {
    int64_t id;
    enum autoscale_plan_state state;
    bool drains, cancel;
    int64_t next_ms;
    const char *node[CW_MEMBERS];
    size_t nodes;
    int64_t shows_ms; /* what it did is in the tables from then on; 0: nothing to show */
};

struct cw { /* a world */
    struct pr_rng rng;
    int64_t now_ms;
    bool cluster, terminates; /* terminates: members by name */
    int unit;
    int desired[CW_TARGETS], capacity[CW_TARGETS]; /* capacity: no more are given */
    struct cw_member m[CW_MEMBERS];
    size_t members;
    struct cw_plan plan;
    int64_t plans;
    /* Chances of 1000: a question is not answered, an order fails (before or after its effect),
     * a plan fails, a new member never gets healthy. */
    unsigned mute, fails, plan_fails, broken;
    int started, terminated, most; /* most that were there at once */
};

static inline bool cw_chance(struct cw *w, unsigned of_1000)
{
    return pr_rng_below(&w->rng, 1000) < of_1000;
}

static inline struct cw_member *cw_new(struct cw *w, int target)
{
    assert_true(w->members < CW_MEMBERS);
    struct cw_member *m = &w->m[w->members];
    *m = (struct cw_member){ .target = target, .presence = AUTOSCALE_ARRIVING };
    snprintf(m->id, sizeof m->id, "m%03zu", w->members++);
    m->here_ms = w->now_ms + (int64_t)(5 + pr_rng_below(&w->rng, 60)) * CW_SECOND;
    m->broken = cw_chance(w, w->broken);
    w->started++;
    return m;
}

static inline bool cw_counts(const struct cw_member *m)
{
    return m->presence == AUTOSCALE_ARRIVING || m->presence == AUTOSCALE_HERE ||
           m->presence == AUTOSCALE_AILING;
}

static inline int cw_there(const struct cw *w, int target)
{
    int n = 0;
    for (size_t i = 0; i < w->members; i++)
        n += w->m[i].target == target && cw_counts(&w->m[i]);
    return n;
}

static inline int cw_members(const struct cw *w)
{
    int n = 0;
    for (size_t i = 0; i < w->members; i++)
        n += w->cluster ? w->m[i].member : cw_counts(&w->m[i]);
    return n;
}

static inline void cw_init(struct cw *w, uint64_t seed, bool cluster, int each)
{
    memset(w, 0, sizeof *w);
    pr_rng_init(&w->rng, seed);
    w->now_ms = 1700000000000;
    w->cluster = cluster;
    w->terminates = true;
    w->unit = cluster ? CW_TARGETS : 1;
    for (int t = 0; t < CW_TARGETS; t++) {
        w->capacity[t] = 1000;
        w->desired[t] = each;
        for (int i = 0; i < each; i++) {
            struct cw_member *m = cw_new(w, t);
            m->presence = AUTOSCALE_HERE;
            m->registered = m->member = cluster;
            m->useful = true;
            m->broken = false;
        }
    }
    w->started = 0;
}

/* --- time -------------------------------------------------------------------------------- */

static inline void cw_provide(struct cw *w)
{
    int there = 0;
    for (int t = 0; t < CW_TARGETS; t++)
        while (cw_there(w, t) < w->desired[t] && cw_there(w, t) < w->capacity[t])
            (void)cw_new(w, t);
    for (size_t i = 0; i < w->members; i++) {
        struct cw_member *m = &w->m[i];
        if (m->presence == AUTOSCALE_ARRIVING && w->now_ms >= m->here_ms) {
            m->presence = m->broken ? AUTOSCALE_AILING : AUTOSCALE_HERE;
            m->useful = !w->cluster && !m->broken;
        }
        if (m->presence == AUTOSCALE_GOING && w->now_ms >= m->gone_ms)
            m->presence = AUTOSCALE_ABSENT;
        there += cw_counts(m);
    }
    w->most = there > w->most ? there : w->most;
}

static inline struct cw_member *cw_find(struct cw *w, const char *id)
{
    for (size_t i = 0; i < w->members; i++)
        if (strcmp(w->m[i].id, id) == 0)
            return &w->m[i];
    return NULL;
}

/* What a plan has done shows in the tables a moment after it is done. */
static inline void cw_rebalance(struct cw *w)
{
    struct cw_plan *p = &w->plan;
    if (p->shows_ms != 0 && w->now_ms >= p->shows_ms) {
        p->shows_ms = 0;
        for (size_t i = 0; i < p->nodes; i++) {
            struct cw_member *m = cw_find(w, p->node[i]);
            m->member = m->useful = !p->drains;
        }
    }
    if (p->id == 0 || p->state >= AUTOSCALE_PLAN_DONE || w->now_ms < p->next_ms)
        return;
    p->next_ms = w->now_ms + (int64_t)(2 + pr_rng_below(&w->rng, 30)) * CW_SECOND;
    if (p->cancel)
        p->state = AUTOSCALE_PLAN_CANCELED;
    else if (cw_chance(w, w->plan_fails))
        p->state = AUTOSCALE_PLAN_FAILED;
    else if (p->state == AUTOSCALE_PLAN_WAITS)
        p->state = AUTOSCALE_PLAN_RUNS;
    else {
        p->state = AUTOSCALE_PLAN_DONE;
        p->shows_ms = w->now_ms + (int64_t)pr_rng_below(&w->rng, 3) * CW_SECOND + 1;
    }
}

static inline void cw_pass(struct cw *w, int64_t ms)
{
    for (int64_t end = w->now_ms + ms; w->now_ms < end;) {
        w->now_ms += CW_SECOND;
        cw_provide(w);
        cw_rebalance(w);
    }
}

/* --- facts ------------------------------------------------------------------------------- */

struct cw_facts {
    struct autoscale_carry_facts f;
    struct autoscale_reported reported[CW_TARGETS];
    bool names[CW_TARGETS];
    struct autoscale_carry_member member[CW_MEMBERS];
    struct autoscale_carry_plan plan;
};

static inline void cw_look(struct cw *w, const struct autoscale_carry *r, struct cw_facts *k)
{
    memset(k, 0, sizeof *k);
    k->f = (struct autoscale_carry_facts){ .now_ms = w->now_ms,
                                           .cluster = w->cluster,
                                           .unit = w->unit,
                                           .reported = k->reported,
                                           .names = k->names,
                                           .targets = CW_TARGETS,
                                           .member = k->member,
                                           .busy = "",
                                           .trouble = "" };
    for (int t = 0; t < CW_TARGETS; t++) {
        struct autoscale_reported *p = &k->reported[t];
        k->names[t] = w->terminates;
        *p = (struct autoscale_reported){ .desired = w->desired[t],
                                          .max = -1,
                                          .members_known = true };
        if (cw_chance(w, w->mute)) {
            p->code = PR_EUNAVAIL;
            snprintf(p->problem_text, sizeof p->problem_text, "throttled");
        }
    }
    for (size_t i = 0; i < w->members; i++) { /* ids rise: sorted */
        const struct cw_member *m = &w->m[i];
        struct autoscale_reported *p = &k->reported[m->target];
        if (m->presence == AUTOSCALE_ABSENT && !m->registered)
            continue;
        p->in_service += m->presence == AUTOSCALE_HERE;
        p->unhealthy += m->presence == AUTOSCALE_AILING;
        p->coming += m->presence == AUTOSCALE_ARRIVING;
        p->leaving += m->presence == AUTOSCALE_GOING;
        k->member[k->f.members++] = (struct autoscale_carry_member){
            .id = m->id,
            .target = m->target,
            .presence = p->code == PR_OK ? m->presence : AUTOSCALE_ABSENT,
            .registered = m->registered,
            .addressed = true,
            .member = m->member,
            .up = m->member,
            .useful = m->useful,
        };
    }
    if (r != NULL && r->plan_id != 0 && r->plan_id == w->plan.id) {
        k->plan = (struct autoscale_carry_plan){ .id = w->plan.id,
                                                 .state = w->plan.state,
                                                 .drains = w->plan.drains,
                                                 .why = "it says why",
                                                 .node = w->plan.node,
                                                 .nodes = w->plan.nodes };
        k->f.plan = &k->plan;
    } else if (w->plan.id != 0 && w->plan.state < AUTOSCALE_PLAN_DONE) {
        k->f.busy = "another plan runs";
    }
}

/* --- acts -------------------------------------------------------------------------------- */

/* False: it failed, before or after its effect. */
static inline bool cw_order(struct cw *w, int target, int n)
{
    const bool fails = cw_chance(w, w->fails);
    if (fails && cw_chance(w, 500))
        return false;
    if (w->cluster && n < cw_there(w, target))
        fail_msg("group %d is told to want %d of %d: the provider would choose who goes", target, n,
                 cw_there(w, target));
    w->desired[target] = n;
    while (!w->cluster && cw_there(w, target) > n) { /* it chooses */
        struct cw_member *m = NULL;
        for (size_t i = 0; i < w->members; i++)
            if (w->m[i].target == target && cw_counts(&w->m[i]))
                m = &w->m[i];
        if (m == NULL)
            fail_msg("group %d counts %d that are not there", target, cw_there(w, target));
        m->presence = AUTOSCALE_GOING;
        m->gone_ms = w->now_ms + 20 * CW_SECOND;
    }
    return !fails;
}

static inline bool cw_terminate(struct cw *w, const char *id, int target, int after)
{
    struct cw_member *m = cw_find(w, id);
    const bool fails = cw_chance(w, w->fails);
    if (fails && cw_chance(w, 500))
        return false;
    assert_non_null(m);
    if (m->member)
        fail_msg("%s is terminated and is in the cluster", id);
    if (m->presence == AUTOSCALE_GOING || m->presence == AUTOSCALE_ABSENT)
        return true;
    if (w->desired[target] != after && w->desired[target] != after + 1)
        return false; /* somebody else changed it */
    w->desired[target] = after;
    m->presence = AUTOSCALE_GOING;
    m->gone_ms = w->now_ms + (int64_t)(5 + pr_rng_below(&w->rng, 40)) * CW_SECOND;
    w->terminated++;
    return !fails;
}

static inline void cw_make_plan(struct cw *w, const struct cw_facts *k,
                                const struct autoscale_carry_step *s, struct autoscale_carry *r)
{
    if (w->plan.id != 0 && w->plan.state < AUTOSCALE_PLAN_DONE)
        fail_msg("plan %lld is in hand", (long long)w->plan.id);
    w->plan = (struct cw_plan){ .id = ++w->plans,
                                .drains = s->act == AUTOSCALE_ACT_DRAIN,
                                .next_ms = w->now_ms + 5 * CW_SECOND };
    for (size_t i = 0; i < s->chosen; i++) {
        struct cw_member *m = cw_find(w, k->member[s->chose[i]].id);
        assert_int_equal(m->member, w->plan.drains);
        assert_true(w->plan.drains || m->registered);
        w->plan.node[w->plan.nodes++] = m->id;
    }
    r->plan_id = w->plan.id;
}

static inline bool cw_do(struct cw *w, const struct cw_facts *k,
                         const struct autoscale_carry_step *s)
{
    bool ok = true;
    switch (s->act) {
    case AUTOSCALE_ACT_ORDER:
        return cw_order(w, (int)s->target, s->n);
    case AUTOSCALE_ACT_TERMINATE:
        for (size_t i = 0; i < s->chosen && ok; i++)
            ok = cw_terminate(w, k->member[s->chose[i]].id, (int)s->target,
                              s->n + (int)(s->chosen - 1 - i));
        return ok;
    case AUTOSCALE_ACT_REGISTER:
        for (size_t i = 0; i < s->chosen; i++)
            cw_find(w, k->member[s->chose[i]].id)->registered = true;
        return true;
    case AUTOSCALE_ACT_UNREGISTER:
        for (size_t i = 0; i < s->chosen; i++) {
            struct cw_member *m = cw_find(w, k->member[s->chose[i]].id);
            assert_false(m->member);
            assert_int_equal(m->presence, AUTOSCALE_ABSENT);
            m->registered = false;
        }
        return true;
    case AUTOSCALE_ACT_CANCEL:
        w->plan.cancel = true;
        return true;
    case AUTOSCALE_ACT_JOIN:
    case AUTOSCALE_ACT_DRAIN:
    case AUTOSCALE_ACT_WAIT:
    case AUTOSCALE_ACT_END:
    case AUTOSCALE_ACTS:
        break;
    }
    return ok;
}

#endif
