#include "core/carry_private.h"

#include <string.h>

static int target_of(const struct autoscale_intent *in, size_t targets, int zone, int group)
{
    int any = -1;
    for (size_t t = 0; t < targets; t++) {
        if (in->zone[t] == zone && in->group[t] == group)
            return (int)t;
        if (in->zone[t] == zone && (any < 0 || in->group[t] < 0))
            any = (int)t;
    }
    return any;
}

static bool over(const struct autoscale_carry *r)
{
    return r == NULL || r->phase == AUTOSCALE_PHASE_DONE || r->phase == AUTOSCALE_PHASE_FAILED;
}

/* Who was on the way out and still is there goes on leaving. */
static void inherit(const struct autoscale_carry *before, const struct autoscale_carry_facts *f,
                    struct autoscale_carry *out)
{
    for (size_t i = 0; i < before->leavers; i++) {
        const struct autoscale_carry_member *m = autoscale_carry_find(f, before->leaver[i].id);
        if (m == NULL || (m->presence == AUTOSCALE_ABSENT && !m->registered && !m->member))
            continue;
        out->leaver[out->leavers] = before->leaver[i];
        out->leaver[out->leavers++].target = m->target; /* groups may have changed since */
    }
    for (size_t i = 0; i < before->owns; i++)
        if (autoscale_carry_find(f, before->own[i].id) != NULL)
            out->own[out->owns++] = before->own[i];
    if (over(before))
        return;
    out->plan_id = before->plan_id;
    out->plan_cancel = before->plan_cancel; /* not plan_given_up: we have not given up whom it is
                                               about, and make another one for them */
    out->plan_after_ms = out->settled_ms = before->plan_after_ms;
}

/* What was intended before, or what there is. */
static enum pr_code base(const struct autoscale_carry *before, struct carry_look *l,
                         struct pr_err *err)
{
    const struct autoscale_carry_facts *f = l->facts;
    struct autoscale_carry *out = l->r;
    carry_count(l);
    for (size_t t = 0; t < f->targets; t++) {
        struct autoscale_carry_target *c = &out->target[t];
        c->ordered = -1;
        if (f->reported[t].code != PR_OK && !f->cluster)
            return pr_fail(err, PR_EUNAVAIL, "group %zu: what runs is not known: %.150s", t + 1,
                           f->reported[t].problem_text);
        c->from = f->reported[t].code == PR_OK ? f->reported[t].desired : 0;
        if (!over(before) && before->targets == f->targets)
            c->want = before->target[t].want;
        else if (f->cluster)
            c->want = l->place[t].staying;
        else
            c->want = c->from > l->place[t].leaving ? c->from - l->place[t].leaving : 0;
    }
    return PR_OK;
}

static enum pr_code apply(const struct autoscale_intent *in, const struct autoscale_carry_facts *f,
                          struct autoscale_carry *out, struct pr_err *err)
{
    for (size_t i = 0; i < in->places; i++) {
        const struct autoscale_place *p = &in->place[i];
        const int t = target_of(in, f->targets, p->zone, p->group);
        if (t < 0)
            return pr_fail(err, PR_EINVAL, "zone %s has no group of the provider's",
                           in->fleet->zone[p->zone]);
        out->target[t].want += p->get + p->back - p->give;
        if (out->target[t].want < 0)
            out->target[t].want = 0;
    }
    for (size_t i = 0; i < in->backs; i++)
        carry_stay(out, in->back[i]);
    for (size_t i = 0; i < in->leaves; i++) {
        const struct autoscale_carry_member *m = autoscale_carry_find(f, in->leave[i]);
        if (m == NULL)
            continue; /* gone by itself meanwhile */
        if (!carry_leave(out, in->leave[i], m->target, 0))
            return pr_fail(err, PR_EINVAL, "%.80s: an id of more than %d characters, or too many",
                           in->leave[i], AUTOSCALE_CARRY_ID - 1);
    }
    return PR_OK;
}

/* Members that are wanted: in the groups, and of a cluster who is in use and in none. */
static int wanted(const struct autoscale_carry_facts *f, const struct autoscale_carry *out)
{
    int sum = 0;
    for (size_t t = 0; t < f->targets; t++)
        sum += out->target[t].want;
    for (size_t i = 0; i < f->members; i++)
        sum += f->cluster && f->member[i].member && f->member[i].target < 0 &&
               !autoscale_carry_leaves(out, f->member[i].id);
    return sum;
}

/* Members that were decided on and are in no place (they fell away meanwhile) come where the
 * fewest are. */
static void fill_up(int missing, const struct autoscale_carry_facts *f, struct autoscale_carry *out)
{
    for (; missing > 0 && f->targets > 0; missing--) {
        size_t least = 0;
        for (size_t t = 1; t < f->targets; t++)
            if (out->target[t].want < out->target[least].want)
                least = t;
        out->target[least].want++;
    }
}

/* More than was decided on (a decision before this one was to take some away, and was never
 * begun): whoever is not there yet is not ordered, where most of them are. Who is there stays:
 * nobody was chosen to leave. */
static void take_back(int more, struct carry_look *l)
{
    carry_count(l);
    for (; more > 0; more--) {
        size_t most = 0;
        int orders = 0;
        for (size_t t = 0; t < l->facts->targets; t++)
            if (l->r->target[t].want - l->place[t].staying > orders) {
                orders = l->r->target[t].want - l->place[t].staying;
                most = t;
            }
        if (orders == 0)
            break;
        l->r->target[most].want--;
    }
}

enum pr_code autoscale_carry_begin(const struct autoscale_intent *intent,
                                   const struct autoscale_carry *before,
                                   const struct autoscale_carry_facts *facts,
                                   struct autoscale_carry *out, struct pr_err *err)
{
    struct carry_look l = { .facts = facts, .r = out };
    if (facts->targets > AUTOSCALE_CARRY_TARGETS)
        return pr_fail(err, PR_EINVAL, "%zu groups, at most %d", facts->targets,
                       AUTOSCALE_CARRY_TARGETS);
    memset(out, 0, sizeof *out);
    out->targets = facts->targets;
    out->begun_ms = out->phase_ms = facts->now_ms;
    if (before != NULL)
        inherit(before, facts, out);
    enum pr_code rc = base(before, &l, err);
    if (rc == PR_OK)
        rc = apply(intent, facts, out, err);
    if (rc != PR_OK)
        return rc;
    const int more = wanted(facts, out) - intent->to;
    if (more < 0)
        fill_up(-more, facts, out);
    else
        take_back(more, &l);
    return PR_OK;
}
