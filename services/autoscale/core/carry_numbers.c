/* What the provider is told to want, and what comes of it. */
#include "core/carry_private.h"

static struct autoscale_settlement settle(struct carry_look *l, size_t t)
{
    struct autoscale_carry_target *c = &l->r->target[t];
    const struct autoscale_reported *r = &l->facts->reported[t];
    struct carry_place *p = &l->place[t];
    /* Whoever was told to go may be gone from the number already, or not yet. */
    const int least = p->number - p->told;
    const bool near = r->code == PR_OK && r->desired >= least && r->desired <= p->number;
    const struct autoscale_wanted w = {
        .desired = near ? r->desired : p->number,
        .from = c->from,
        .sent_ms = c->sent_ms != 0 ? c->sent_ms : l->r->begun_ms,
        .done_ms = c->done_ms,
        .known_ms = c->known_ms,
        .patience_ms = l->pace->patience_ms,
    };
    struct autoscale_settlement s;
    autoscale_settle(&w, r, l->facts->now_ms, &s);
    if (r->code == PR_OK &&
        s.outcome == AUTOSCALE_DONE) /* who falls over later gets his time, too */
        c->done_ms = l->facts->now_ms;
    return s;
}

static bool order(struct carry_look *l, size_t t)
{
    struct autoscale_carry_target *c = &l->r->target[t];
    const int now = l->facts->reported[t].desired, n = l->place[t].number;
    const char *const trouble = l->facts->trouble;
    if (l->r->phase == AUTOSCALE_PHASE_ORDERING &&
        l->facts->now_ms - l->r->phase_ms >= l->pace->give_up_ms) {
        carry_failing(l, "group %zu was told to want %d, and still says %d%s%.120s", t + 1, n, now,
                      trouble[0] != '\0' ? ": " : "", trouble);
        l->r->target[t].want += now - n;
        if (l->r->target[t].want < 0)
            l->r->target[t].want = 0;
        carry_count(l);
        return false;
    }
    if (c->ordered == n && c->sent_ms != 0 && l->facts->now_ms - c->sent_ms < l->pace->again_ms) {
        l->r->alarm = l->r->alarm || trouble[0] != '\0';
        return carry_wait(l, AUTOSCALE_PHASE_ORDERING,
                          "group %zu was told to want %d, and still says %d%s%.120s", t + 1, n, now,
                          trouble[0] != '\0' ? ": " : "", trouble);
    }
    c->from = now;
    c->ordered = n;
    c->sent_ms = l->facts->now_ms;
    c->done_ms = 0;
    l->out->target = t;
    l->out->n = n;
    return carry_act(l, AUTOSCALE_PHASE_ORDERING, AUTOSCALE_ACT_ORDER,
                     "group %zu is told to want %d instead of %d", t + 1, n, now);
}

/* More than the provider's limit is not asked for. */
static void cap(struct carry_look *l, size_t t)
{
    const struct autoscale_reported *r = &l->facts->reported[t];
    struct carry_place *p = &l->place[t];
    if (r->max < 0 || p->number <= r->max || r->max < r->min)
        return;
    const int most = r->max > r->desired ? r->max : r->desired;
    const int over = p->number - most;
    if (over <= 0)
        return;
    carry_failing(l, "group %zu: %d members are wanted, its limits are %d to %d", t + 1, p->number,
                  r->min, r->max);
    l->r->target[t].want -= over < l->r->target[t].want ? over : l->r->target[t].want;
    carry_count(l);
}

/* Members of a cluster are never taken by a lower number: whoever came for us and is not wanted
 * any more leaves by name. Who could not join is left for somebody to look at. */
static bool lower(struct carry_look *l, size_t t)
{
    const struct autoscale_reported *r = &l->facts->reported[t];
    const int there = r->in_service + r->unhealthy + r->coming;
    if (!l->facts->cluster || there <= l->place[t].number)
        return order(l, t);
    if (!l->facts->names[t] || l->r->plan_id != 0 || l->place[t].need > 0)
        return false;
    int over = r->desired - l->place[t].number;
    for (size_t i = 0; i < l->facts->members && over > 0; i++) {
        const struct autoscale_carry_member *m = &l->facts->member[i];
        if (m->target == (int)t && !m->member && carry_present(m) &&
            !autoscale_carry_leaves(l->r, m->id) &&
            (m->presence == AUTOSCALE_ARRIVING ||
             (carry_owns(l->r, m->id) && l->r->failing[0] == '\0')) &&
            carry_leave(l->r, m->id, (int)t, l->facts->now_ms))
            over--;
    }
    carry_count(l);
    return false;
}

bool carry_numbers(struct carry_look *l)
{
    const struct autoscale_carry_facts *f = l->facts;
    for (size_t t = 0; t < f->targets; t++) {
        const struct autoscale_reported *r = &f->reported[t];
        if (r->code == PR_OK) {
            l->r->target[t].known_ms = f->now_ms;
            cap(l, t);
            const int least = l->place[t].number - l->place[t].told;
            if (r->desired < least && !l->r->lapsed && order(l, t))
                return true;
            if (r->desired > l->place[t].number && lower(l, t))
                return true;
        }
        l->place[t].is = settle(l, t);
    }
    return false;
}

/* Nobody knows what runs: nothing is done, and in the end it has failed. */
bool carry_unknown(struct carry_look *l)
{
    for (size_t t = 0; t < l->facts->targets; t++) {
        const struct carry_place *p = &l->place[t];
        if (l->facts->reported[t].code == PR_OK)
            continue;
        const int64_t known = l->r->target[t].known_ms;
        const int64_t since = known != 0 ? known : l->r->begun_ms;
        l->r->alarm = l->r->alarm || p->is.alarm;
        if (l->facts->now_ms - since >= l->pace->give_up_ms) {
            carry_failing(l, "group %zu: %.180s", t + 1, p->is.why);
            l->r->phase = AUTOSCALE_PHASE_FAILED;
            return carry_act(l, AUTOSCALE_PHASE_FAILED, AUTOSCALE_ACT_END, "%s", l->r->failing);
        }
        return carry_wait(
            l, l->r->phase == AUTOSCALE_PHASE_BEGUN ? AUTOSCALE_PHASE_ORDERING : l->r->phase,
            "group %zu: %.180s", t + 1, p->is.why);
    }
    return false;
}

/* What the provider does not give, or not in time, is not waited for. Of a cluster joining sees
 * to that: only who goes is awaited here. */
bool carry_arrivals(struct carry_look *l)
{
    for (size_t t = 0; t < l->facts->targets; t++) {
        if (l->facts->cluster &&
            (l->place[t].is.outcome != AUTOSCALE_WAITING || l->place[t].is.leaving == 0))
            continue;
        struct carry_place *p = &l->place[t];
        struct autoscale_carry_target *c = &l->r->target[t];
        const struct autoscale_reported *r = &l->facts->reported[t];
        switch (p->is.outcome) {
        case AUTOSCALE_WAITING:
            return carry_wait(
                l, p->is.leaving > 0 ? AUTOSCALE_PHASE_TERMINATING : AUTOSCALE_PHASE_ARRIVING,
                "group %zu: %.180s", t + 1, p->is.why);
        case AUTOSCALE_PARTIAL:
        case AUTOSCALE_REFUSED: {
            carry_failing(l, "group %zu: %.180s", t + 1, p->is.why);
            const int keep = r->in_service + r->unhealthy + p->foreign - p->leaving;
            if (keep < c->want) {
                c->want = keep > 0 ? keep : 0;
                return carry_wait(l, AUTOSCALE_PHASE_ARRIVING, "%s", l->r->failing);
            }
            break;
        }
        case AUTOSCALE_EXCESS:
            carry_failing(l, "group %zu: %.180s", t + 1, p->is.why);
            break;
        case AUTOSCALE_DONE:
        case AUTOSCALE_DIFFERS:
        case AUTOSCALE_UNKNOWN_STATE:
        case AUTOSCALE_OUTCOMES:
            break;
        }
    }
    return false;
}
