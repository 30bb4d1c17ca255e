#include "core/carry_private.h"

#include "prism/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *autoscale_phase_name(enum autoscale_phase p)
{
    static const char *const name[AUTOSCALE_PHASES] = {
        [AUTOSCALE_PHASE_BEGUN] = "begun",
        [AUTOSCALE_PHASE_ORDERING] = "ordering",
        [AUTOSCALE_PHASE_ARRIVING] = "arriving",
        [AUTOSCALE_PHASE_JOINING] = "joining",
        [AUTOSCALE_PHASE_DRAINING] = "draining",
        [AUTOSCALE_PHASE_CLOSING] = "closing",
        [AUTOSCALE_PHASE_TERMINATING] = "terminating",
        [AUTOSCALE_PHASE_DONE] = "done",
        [AUTOSCALE_PHASE_FAILED] = "failed",
    };
    return (unsigned)p < AUTOSCALE_PHASES ? name[p] : "?";
}

const char *autoscale_act_name(enum autoscale_act a)
{
    static const char *const name[AUTOSCALE_ACTS] = {
        [AUTOSCALE_ACT_WAIT] = "wait",
        [AUTOSCALE_ACT_ORDER] = "order",
        [AUTOSCALE_ACT_REGISTER] = "register",
        [AUTOSCALE_ACT_JOIN] = "join",
        [AUTOSCALE_ACT_DRAIN] = "drain",
        [AUTOSCALE_ACT_CANCEL] = "cancel",
        [AUTOSCALE_ACT_TERMINATE] = "terminate",
        [AUTOSCALE_ACT_UNREGISTER] = "unregister",
        [AUTOSCALE_ACT_END] = "end",
    };
    return (unsigned)a < AUTOSCALE_ACTS ? name[a] : "?";
}

/* --- who is who -------------------------------------------------------------------------- */

const struct autoscale_carry_member *autoscale_carry_find(const struct autoscale_carry_facts *facts,
                                                          const char *id)
{
    size_t lo = 0, hi = facts->members;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int order = strcmp(facts->member[mid].id, id);
        if (order == 0)
            return &facts->member[mid];
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

struct autoscale_leaver *carry_leaver(struct autoscale_carry *r, const char *id)
{
    for (size_t i = 0; i < r->leavers; i++)
        if (strcmp(r->leaver[i].id, id) == 0)
            return &r->leaver[i];
    return NULL;
}

bool autoscale_carry_leaves(const struct autoscale_carry *r, const char *id)
{
    for (size_t i = 0; i < r->leavers; i++)
        if (strcmp(r->leaver[i].id, id) == 0)
            return true;
    return false;
}

bool carry_owns(const struct autoscale_carry *r, const char *id)
{
    for (size_t i = 0; i < r->owns; i++)
        if (strcmp(r->own[i].id, id) == 0)
            return true;
    return false;
}

void carry_own(struct autoscale_carry *r, const char *id)
{
    const size_t n = strlen(id);
    if (carry_owns(r, id) || r->owns == AUTOSCALE_CHOSEN || n >= AUTOSCALE_CARRY_ID)
        return;
    memset(&r->own[r->owns], 0, sizeof r->own[0]);
    memcpy(r->own[r->owns++].id, id, n);
}

bool carry_leave(struct autoscale_carry *r, const char *id, int target, int64_t out_ms)
{
    const size_t n = strlen(id);
    if (n >= AUTOSCALE_CARRY_ID || r->leavers == AUTOSCALE_CHOSEN)
        return false;
    if (carry_leaver(r, id) != NULL)
        return true;
    struct autoscale_leaver *l = &r->leaver[r->leavers++];
    memset(l, 0, sizeof *l);
    memcpy(l->id, id, n);
    l->target = target;
    l->out_ms = out_ms;
    return true;
}

void carry_stay(struct autoscale_carry *r, const char *id)
{
    struct autoscale_leaver *l = carry_leaver(r, id);
    if (l == NULL)
        return;
    const size_t i = (size_t)(l - r->leaver);
    memmove(l, l + 1, (r->leavers - i - 1) * sizeof *l);
    memset(&r->leaver[--r->leavers], 0, sizeof *l);
}

bool carry_present(const struct autoscale_carry_member *m)
{
    return m->presence == AUTOSCALE_ARRIVING || m->presence == AUTOSCALE_HERE ||
           m->presence == AUTOSCALE_AILING;
}

/* Of a cluster: who is in it; single nodes: whoever the provider counts. */
static bool in_use(const struct autoscale_carry_facts *f, const struct autoscale_carry_member *m)
{
    return f->cluster ? m->member : carry_present(m);
}

void carry_count(struct carry_look *l)
{
    const struct autoscale_carry_facts *f = l->facts;
    for (size_t t = 0; t < f->targets; t++) /* what came of its number stays known */
        l->place[t] = (struct carry_place){ .is = l->place[t].is };
    for (size_t i = 0; i < f->members; i++) {
        const struct autoscale_carry_member *m = &f->member[i];
        if (m->target < 0 || (size_t)m->target >= f->targets)
            continue;
        struct carry_place *p = &l->place[m->target];
        const struct autoscale_leaver *leaver = carry_leaver(l->r, m->id);
        if (leaver != NULL) {
            p->leaving += carry_present(m);
            p->told += carry_present(m) && leaver->told_ms != 0;
        } else if (in_use(f, m)) {
            p->staying++;
            p->foreign += f->cluster && m->up && m->presence == AUTOSCALE_ABSENT;
        } else if (f->cluster && m->presence == AUTOSCALE_HERE) {
            p->joinable++;
        }
    }
    for (size_t t = 0; t < f->targets; t++) {
        struct carry_place *p = &l->place[t];
        const int want = l->r->target[t].want;
        p->number = want - p->foreign + p->leaving;
        p->number = p->number < 0 ? 0 : p->number;
        p->need = f->cluster && want > p->staying ? want - p->staying : 0;
    }
}

/* --- saying ------------------------------------------------------------------------------ */

static void say(struct carry_look *l, enum autoscale_phase phase, enum autoscale_act act,
                const char *fmt, va_list ap) PR_PRINTF(4, 0);
static void say(struct carry_look *l, enum autoscale_phase phase, enum autoscale_act act,
                const char *fmt, va_list ap)
{
    struct autoscale_carry *r = l->r;
    if (r->phase != phase) {
        r->phase = phase;
        r->phase_ms = l->facts->now_ms;
    }
    l->out->act = act;
    memset(r->why, 0, sizeof r->why);
    (void)vsnprintf(r->why, sizeof r->why, fmt, ap);
    pr_utf8_mend(r->why, strlen(r->why)); /* others' words, cut somewhere */
}

bool carry_wait(struct carry_look *l, enum autoscale_phase phase, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(l, phase, AUTOSCALE_ACT_WAIT, fmt, ap);
    va_end(ap);
    return true;
}

bool carry_act(struct carry_look *l, enum autoscale_phase phase, enum autoscale_act act,
               const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(l, phase, act, fmt, ap);
    va_end(ap);
    return true;
}

void carry_failing(struct carry_look *l, const char *fmt, ...)
{
    struct autoscale_carry *r = l->r;
    va_list ap;
    r->alarm = true;
    if (r->failing[0] != '\0')
        return;
    va_start(ap, fmt);
    (void)vsnprintf(r->failing, sizeof r->failing, fmt, ap);
    pr_utf8_mend(r->failing, strlen(r->failing));
    va_end(ap);
}

/* --- one look ---------------------------------------------------------------------------- */

static bool end(struct carry_look *l)
{
    if (l->facts->now_ms < l->r->settled_ms)
        return carry_wait(l, l->r->phase, "the cluster is looked at again");
    int want = 0;
    for (size_t t = 0; t < l->facts->targets; t++)
        want += l->r->target[t].want;
    l->r->ended_ms = l->facts->now_ms;
    if (l->r->failing[0] != '\0') {
        char why[sizeof l->r->failing];
        memcpy(why, l->r->failing, sizeof why);
        return carry_act(l, AUTOSCALE_PHASE_FAILED, AUTOSCALE_ACT_END, "%s", why);
    }
    return carry_act(l, AUTOSCALE_PHASE_DONE, AUTOSCALE_ACT_END, "%d members as intended%s", want,
                     l->r->leavers > 0 ? ", and those who were to leave are gone" : "");
}

static bool ended(const struct autoscale_carry *r)
{
    return r->phase == AUTOSCALE_PHASE_DONE || r->phase == AUTOSCALE_PHASE_FAILED;
}

void autoscale_carry_step(const struct autoscale_carry_pace *pace,
                          const struct autoscale_carry_facts *facts, struct autoscale_carry *record,
                          struct autoscale_carry_step *out)
{
    struct carry_look l = { .pace = pace, .facts = facts, .r = record, .out = out };
    out->act = AUTOSCALE_ACT_END;
    out->chosen = 0;
    if (ended(record))
        return;
    record->alarm = record->failing[0] != '\0';
    carry_clock(&l);
    carry_mark_out(&l);
    carry_count(&l);
    carry_lapse(&l);
    if (carry_numbers(&l) || carry_plan(&l) || carry_unknown(&l) || carry_join(&l) ||
        carry_drain(&l) || carry_depart(&l) || carry_arrivals(&l)) {
        if (ended(record))
            record->ended_ms = facts->now_ms;
        return;
    }
    (void)end(&l);
}

size_t autoscale_carry_strays(const struct autoscale_carry_facts *facts,
                              const struct autoscale_carry *record, int *stray, size_t n)
{
    int need[AUTOSCALE_CARRY_TARGETS] = { 0 };
    size_t found = 0;
    if (!facts->cluster)
        return 0;
    for (size_t t = 0; record != NULL && !ended(record) && t < facts->targets; t++)
        need[t] = record->target[t].want;
    for (size_t i = 0; i < facts->members; i++) {
        const struct autoscale_carry_member *m = &facts->member[i];
        if (m->target >= 0 && m->member &&
            (record == NULL || !autoscale_carry_leaves(record, m->id)))
            need[m->target]--;
    }
    for (size_t i = 0; i < facts->members; i++) {
        const struct autoscale_carry_member *m = &facts->member[i];
        if (m->member || (m->presence != AUTOSCALE_HERE && m->presence != AUTOSCALE_AILING) ||
            (record != NULL && !ended(record) && autoscale_carry_leaves(record, m->id)))
            continue;
        if (m->target >= 0 && need[m->target] > 0) {
            need[m->target]--;
            continue;
        }
        if (found < n)
            stray[found] = (int)i;
        found++;
    }
    return found;
}
