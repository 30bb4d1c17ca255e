/* Who leaves: closed, terminated, forgotten. */
#include "core/carry_private.h"

#include <stdio.h>
#include <string.h>

void carry_mark_out(struct carry_look *l)
{
    for (size_t i = 0; i < l->r->leavers; i++) {
        struct autoscale_leaver *leaver = &l->r->leaver[i];
        const struct autoscale_carry_member *m = autoscale_carry_find(l->facts, leaver->id);
        const bool out = !l->facts->cluster || m == NULL || !m->member;
        if (!out)
            leaver->out_ms = 0; /* somebody brought it back */
        else if (leaver->out_ms == 0)
            leaver->out_ms = l->facts->now_ms;
        if (m != NULL && m->target >= 0)
            leaver->target = m->target;
        if (leaver->late_ms == 0 && m != NULL && m->presence == AUTOSCALE_GOING)
            leaver->late_ms = l->facts->now_ms;
        else if (leaver->late_ms == 0) /* of a record that did not have it */
            leaver->late_ms = leaver->told_ms;
    }
}

/* Its connections had their time. */
static bool closed(const struct carry_look *l, const struct autoscale_leaver *leaver)
{
    return l->facts->now_ms - leaver->out_ms >= l->pace->drain_ms;
}

/* Told so long ago: a plan, or a decision, that kept it from being told is none of its time. */
static bool late(const struct carry_look *l, const struct autoscale_leaver *leaver, int64_t ms)
{
    return leaver->late_ms != 0 && l->facts->now_ms - leaver->late_ms >= ms;
}

static bool may_go(const struct carry_look *l, const struct autoscale_carry_member *m,
                   const struct autoscale_leaver *leaver)
{
    return !m->member && (carry_present(m) || m->presence == AUTOSCALE_ASIDE) &&
           closed(l, leaver) && !late(l, leaver, l->pace->give_up_ms) &&
           (leaver->told_ms == 0 || l->facts->now_ms - leaver->told_ms >= l->pace->again_ms);
}

/* Of single nodes, one that has failed goes instead of one that serves, and so does one that does
 * not get ready while he cannot be told to go: it is of less use, and some providers take it first,
 * whoever is named. */
static void useless_first(struct carry_look *l, struct autoscale_leaver *leaver)
{
    const struct autoscale_carry_facts *f = l->facts;
    const struct autoscale_carry_member *m = autoscale_carry_find(f, leaver->id);
    const bool waits = late(l, leaver, l->pace->patience_ms);
    if (m == NULL || m->presence != AUTOSCALE_HERE || m->target < 0 ||
        (leaver->told_ms != 0 && f->reported[m->target].desired < l->place[m->target].number))
        return; /* or the order was taken already */
    for (size_t i = 0; i < f->members; i++) {
        const struct autoscale_carry_member *other = &f->member[i];
        const size_t n = strlen(other->id);
        if (other->target != m->target || n >= AUTOSCALE_CARRY_ID ||
            autoscale_carry_leaves(l->r, other->id) ||
            !(other->presence == AUTOSCALE_AILING ||
              (waits && other->presence == AUTOSCALE_ARRIVING)))
            continue;
        memset(leaver->id, 0, sizeof leaver->id);
        memcpy(leaver->id, other->id, n);
        leaver->told_ms = leaver->late_ms = 0;
        return;
    }
}

/* Whoever was told to go and is one of no more than the provider wants stays: it took another. */
static bool other_went(const struct carry_look *l, const struct autoscale_leaver *leaver)
{
    const struct autoscale_carry_member *m = autoscale_carry_find(l->facts, leaver->id);
    if (m == NULL || m->target < 0 || !carry_present(m) || leaver->told_ms == 0)
        return false;
    const struct autoscale_reported *r = &l->facts->reported[m->target];
    const struct carry_place *p = &l->place[m->target];
    return r->code == PR_OK && r->members_known && r->desired <= p->number - p->told &&
           r->in_service + r->unhealthy + r->coming <= r->desired;
}

static void choose_again(struct carry_look *l)
{
    for (size_t i = l->r->leavers; !l->facts->cluster && i-- > 0;) {
        struct autoscale_leaver *leaver = &l->r->leaver[i];
        if (other_went(l, leaver))
            carry_stay(l->r, leaver->id);
        else
            useless_first(l, leaver);
    }
    carry_count(l);
}

/* Terminates all of one target whose time has come. */
static bool terminate(struct carry_look *l, int target)
{
    const struct autoscale_carry_facts *f = l->facts;
    struct autoscale_carry_step *out = l->out;
    out->chosen = 0;
    for (int serving = 0; serving < 2; serving++) /* some providers take no other before these */
        for (size_t i = 0; i < f->members; i++) {
            const struct autoscale_carry_member *m = &f->member[i];
            struct autoscale_leaver *leaver = carry_leaver(l->r, m->id);
            if (leaver == NULL || m->target != target ||
                (m->presence == AUTOSCALE_HERE) != serving || !may_go(l, m, leaver))
                continue;
            leaver->told_ms = f->now_ms;
            leaver->late_ms = leaver->late_ms != 0 ? leaver->late_ms : f->now_ms;
            out->chose[out->chosen++] = (int)i;
        }
    int counted = 0;
    for (size_t i = 0; i < out->chosen; i++)
        counted += carry_present(&f->member[out->chose[i]]);
    out->target = (size_t)target;
    out->n = l->place[target].number - counted;
    return carry_act(l, AUTOSCALE_PHASE_TERMINATING, AUTOSCALE_ACT_TERMINATE,
                     "%zu members of group %d are terminated", out->chosen, target + 1);
}

static bool unregister(struct carry_look *l)
{
    const struct autoscale_carry_facts *f = l->facts;
    l->out->chosen = 0;
    for (size_t i = 0; i < f->members; i++) {
        const struct autoscale_carry_member *m = &f->member[i];
        if (m->registered && !m->member && m->presence == AUTOSCALE_ABSENT &&
            autoscale_carry_leaves(l->r, m->id))
            l->out->chose[l->out->chosen++] = (int)i;
    }
    return l->out->chosen > 0 &&
           carry_act(l, AUTOSCALE_PHASE_TERMINATING, AUTOSCALE_ACT_UNREGISTER,
                     "%zu members are gone: they are no longer registered", l->out->chosen);
}

bool carry_depart(struct carry_look *l)
{
    const struct autoscale_carry_facts *f = l->facts;
    int closing = 0, going = 0;
    const char *stuck = NULL;
    choose_again(l);
    for (size_t i = 0; i < l->r->leavers; i++) {
        struct autoscale_leaver *leaver = &l->r->leaver[i];
        const struct autoscale_carry_member *m = autoscale_carry_find(f, leaver->id);
        if (m == NULL || m->presence == AUTOSCALE_ABSENT)
            continue;
        if (m->presence != AUTOSCALE_GOING && !f->cluster && m->target >= 0 &&
            !f->names[m->target]) { /* its group goes by the number alone, which is lower already */
            carry_stay(l->r, leaver->id);
            return carry_wait(l, AUTOSCALE_PHASE_TERMINATING, "group %d takes away whom it chooses",
                              m->target + 1);
        }
        if (m->presence != AUTOSCALE_GOING && (m->target < 0 || !f->names[m->target])) {
            carry_failing(l, "%s: the provider takes away nobody by name there", m->id);
            carry_stay(l->r, leaver->id);
            return carry_wait(l, AUTOSCALE_PHASE_TERMINATING, "%s", l->r->failing);
        }
        if (m->presence != AUTOSCALE_GOING && !closed(l, leaver)) {
            closing++;
            continue;
        }
        if (late(l, leaver, l->pace->give_up_ms)) {
            stuck = leaver->id;
            continue;
        }
        if (m->presence != AUTOSCALE_GOING &&
            (leaver->told_ms == 0 || f->now_ms - leaver->told_ms >= l->pace->again_ms))
            return terminate(l, m->target);
        going++;
    }
    if (stuck != NULL) {
        char id[AUTOSCALE_CARRY_ID];
        (void)snprintf(id, sizeof id, "%s", stuck);
        carry_failing(l, "%s was told to go, and is still there%s%.120s", id,
                      f->trouble[0] != '\0' ? ": " : "", f->trouble);
        carry_stay(l->r, id);
        return carry_wait(l, AUTOSCALE_PHASE_TERMINATING, "%s", l->r->failing);
    }
    if (unregister(l))
        return true;
    if (going > 0)
        return carry_wait(l, AUTOSCALE_PHASE_TERMINATING, "%d members are on their way out%s%.120s",
                          going, f->trouble[0] != '\0' ? ": " : "", f->trouble);
    return closing > 0 &&
           carry_wait(l, AUTOSCALE_PHASE_CLOSING, "connections of %d members are closing", closing);
}
