/* What is too old to be carried out: the load that it was decided for may be over. */
#include "core/carry_private.h"

#include "prism/rng.h"

#include <stdio.h>

enum { MINUTE = 60000 };

enum autoscale_fitness autoscale_carry_fitness(const struct autoscale_carry_pace *pace,
                                               int64_t decided_ms, int64_t decided_version,
                                               int64_t now_ms, int64_t version, char why[256])
{
    why[0] = '\0';
    if (decided_version > version) {
        (void)snprintf(why, 256, "it is of settings %lld, ours are %lld",
                       (long long)decided_version, (long long)version);
        return AUTOSCALE_NOT_YET;
    }
    if (decided_version < version) {
        (void)snprintf(why, 256,
                       "the fleet's settings were changed before it was begun (%lld, now %lld): it "
                       "is decided anew",
                       (long long)decided_version, (long long)version);
        return AUTOSCALE_STALE;
    }
    if (pace->lapse_ms > 0 && now_ms - decided_ms >= pace->lapse_ms) {
        (void)snprintf(why, 256,
                       "nobody began it for %lld min: what it was decided for may be over",
                       (long long)((now_ms - decided_ms) / MINUTE));
        return AUTOSCALE_STALE;
    }
    return AUTOSCALE_FIT;
}

int64_t autoscale_carry_groups(int64_t before, const char *name, const char *zone,
                               const char *group)
{
    const char *const word[] = { name, zone, group };
    uint64_t h = (uint64_t)before + 1;
    for (size_t i = 0; i < PR_COUNT(word); i++) {
        for (const char *c = word[i]; *c != '\0'; c++)
            h = pr_mix64(h ^ (unsigned char)*c);
        h = pr_mix64(h + 256);
    }
    return (int64_t)(h >> 12);
}

static void not_after(int64_t *at_ms, int64_t most_ms)
{
    if (*at_ms > most_ms)
        *at_ms = most_ms;
}

void carry_clock(struct carry_look *l)
{
    struct autoscale_carry *r = l->r;
    const struct autoscale_carry_pace *p = l->pace;
    const int64_t now_ms = l->facts->now_ms, again_ms = p->again_ms << AUTOSCALE_CARRY_PLANS;
    const int64_t soon_ms = now_ms + (again_ms > p->settle_ms ? again_ms : p->settle_ms);
    int64_t *const at[] = { &r->begun_ms, &r->phase_ms, &r->looked_ms, &r->held_ms };
    for (size_t i = 0; i < PR_COUNT(at); i++)
        not_after(at[i], now_ms);
    not_after(&r->plan_after_ms, soon_ms); /* as we would say now, at most */
    not_after(&r->settled_ms, now_ms + p->settle_ms);
    for (size_t t = 0; t < r->targets; t++) {
        not_after(&r->target[t].sent_ms, now_ms);
        not_after(&r->target[t].done_ms, now_ms);
        not_after(&r->target[t].known_ms, now_ms);
    }
    for (size_t i = 0; i < r->leavers; i++) {
        not_after(&r->leaver[i].out_ms, now_ms);
        not_after(&r->leaver[i].told_ms, now_ms);
        not_after(&r->leaver[i].late_ms, now_ms);
    }
}

/* A group of single nodes stays as it is: whoever the provider still counts does, whether he was
 * told to go or that was not sent. If it counts more than it wants, it has heard of some. */
static void stay_as_it_is(struct carry_look *l, size_t t)
{
    struct autoscale_carry *r = l->r;
    int beyond = -l->facts->reported[t].desired;
    for (size_t i = 0; i < l->facts->members; i++)
        beyond += l->facts->member[i].target == (int)t && carry_present(&l->facts->member[i]);
    for (size_t i = r->leavers; i-- > 0;) {
        const struct autoscale_carry_member *m = autoscale_carry_find(l->facts, r->leaver[i].id);
        if (m == NULL || m->target != (int)t || !carry_present(m))
            continue;
        if (r->leaver[i].told_ms != 0 && beyond-- > 0)
            continue;
        carry_stay(r, m->id);
    }
    r->target[t].want = l->facts->reported[t].desired;
    r->target[t].lapsed = false;
}

static void begin_lapse(struct carry_look *l, int64_t since_ms)
{
    struct autoscale_carry *r = l->r;
    const struct autoscale_carry_plan *p = r->plan_id != 0 ? l->facts->plan : NULL;
    const int64_t now_ms = l->facts->now_ms;
    carry_failing(l, "nobody looked at it for %lld min: what it was decided for may be over",
                  (long long)(since_ms / MINUTE));
    r->lapsed = true;
    r->held_ms = 0;
    for (size_t i = 0; i < r->leavers; i++) { /* they get their time to go from now on */
        r->leaver[i].out_ms = r->leaver[i].out_ms != 0 ? now_ms : 0;
        r->leaver[i].late_ms = r->leaver[i].late_ms != 0 ? now_ms : 0;
    }
    for (size_t t = 0; t < r->targets; t++)
        r->target[t].lapsed = !l->facts->cluster;
    if (!l->facts->cluster)
        return;
    carry_keep(l);
    if (p == NULL || p->drains || p->state >= AUTOSCALE_PLAN_DONE)
        carry_no_more(l);
}

/* Nobody else is ordered, joined or drained. Who is out of use already still goes, and a plan by
 * which somebody joins is let come to its end: both would be half done. */
void carry_lapse(struct carry_look *l)
{
    struct autoscale_carry *r = l->r;
    const int64_t now_ms = l->facts->now_ms;
    const int64_t since_ms = now_ms - (r->looked_ms != 0 ? r->looked_ms : r->begun_ms);
    r->looked_ms = now_ms - now_ms % MINUTE;
    if (!r->lapsed && l->pace->lapse_ms > 0 && since_ms >= l->pace->lapse_ms)
        begin_lapse(l, since_ms);
    for (size_t t = 0; t < l->facts->targets; t++)
        if (r->target[t].lapsed && l->facts->reported[t].code == PR_OK)
            stay_as_it_is(l, t);
    carry_count(l);
}
