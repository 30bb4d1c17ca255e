#include "io/carry_private.h"

#include "io/decisions.h"
#include "io/view.h"
#include "json/carry.h"
#include "json/json.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TURN_MS = 250,
    FLEETS_US = 2000000,
    STEPS = 64,
    SOON_MS = 10000,
    SETTLE_MS = 4000,
    RETRY_US = 2000000
};

/* --- fleets ------------------------------------------------------------------------------ */

static void gone(void *ctx, const struct autoscale_fleet_row *old)
{
    struct autoscale_carrier *c = ctx;
    for (size_t i = 0; i < c->ones; i++)
        if (c->one[i].of == old) {
            carry_let_go(&c->one[i]);
            autoscale_actuator_close(c->one[i].actuator);
            autoscale_seen_put(c->o.seen, old->name, NULL);
            c->one[i] = c->one[--c->ones];
            return;
        }
}

static struct carried *find(struct autoscale_carrier *c, const struct autoscale_fleet_row *f)
{
    for (size_t i = 0; i < c->ones; i++)
        if (c->one[i].of == f)
            return &c->one[i];
    struct carried *grown = reallocarray(c->one, c->ones + 1, sizeof *grown);
    if (grown == NULL)
        return NULL;
    c->one = grown;
    grown[c->ones] = (struct carried){ .of = f, .c = c };
    return &grown[c->ones++];
}

/* Between two tries of an actuator. */
static bool wait_a_while(void *ctx, int64_t ms)
{
    const struct autoscale_carrier *c = ctx;
    for (int64_t left = ms; left > 0 && !atomic_load(&c->stopping); left -= 20) {
        const struct timespec ts = { 0, (left < 20 ? left : 20) * 1000000L };
        (void)nanosleep(&ts, NULL);
    }
    return !atomic_load(&c->stopping);
}

static void say_dry(void *ctx, const char *what)
{
    (void)ctx;
    pr_info(PR_EV("carry.dry_run"), PR_S("would", what));
}

static void said(char *last, size_t room, const char *event, const char *fleet, const char *now)
{
    if (strncmp(last, now, room - 1) == 0)
        return;
    (void)snprintf(last, room, "%s", now);
    if (now[0] != '\0')
        pr_warn(PR_EV(event), PR_S("fleet", fleet), PR_S("why", now));
}

static enum pr_code open_actuator(struct carried *one, struct pr_err *err)
{
    /* Another installation may have a fleet of that name, and made it at another time. */
    char owner[AUTOSCALE_NAME + 24];
    (void)snprintf(owner, sizeof owner, "%s/%lld", one->of->name, (long long)one->of->made_ms);
    const struct autoscale_provider_ctx ctx = { .cfg = one->c->o.cfg,
                                                .owner = owner,
                                                .wait = wait_a_while,
                                                .wait_ctx = one->c,
                                                .say = say_dry,
                                                .say_ctx = one->c };
    return one->actuator != NULL || one->of->setup->provider == AUTOSCALE_BY_NOBODY
               ? PR_OK
               : autoscale_provider_open(&ctx, one->of->setup, &one->actuator, err);
}

/* --- one look ---------------------------------------------------------------------------- */

struct open_one { /* the decision that is to be carried out; id 0: none is */
    int64_t id, plan_id;
    bool begun;
};

static enum pr_code find_open(struct carried *one, struct open_one *out, struct pr_err *err)
{
    PGresult *got = NULL;
    *out = (struct open_one){ 0 };
    enum pr_code rc = pr_db_exec(
        one->c->db,
        "SELECT id, state, coalesce(plan_id, 0) FROM autoscale_decisions WHERE fleet = $1 AND "
        "state IN ('decided', 'acting') ORDER BY id DESC LIMIT 1",
        PR_ARGS(pr_text(one->of->name)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "decisions of fleet %s", one->of->name);
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) > 0)
        *out = (struct open_one){ .id = pr_cell_i64(res, 0, 0),
                                  .plan_id = pr_cell_i64(res, 0, 2),
                                  .begun = strcmp(pr_cell(res, 0, 1), "acting") == 0 };
    return PR_OK;
}

static void show(const struct carry_look_io *k, enum autoscale_phase before)
{
    struct carried *one = k->one;
    const struct autoscale_carry *r = one->record;
    struct pr_metrics *m = one->c->o.svc->metrics;
    if (r->phase != before) {
        pr_metrics_add(m, M_PHASES, autoscale_phase_name(r->phase), 1);
        pr_info(PR_EV("carry.phase"), PR_S("fleet", one->of->name), PR_I("decision", one->id),
                PR_S("phase", autoscale_phase_name(r->phase)), PR_S("why", r->why));
    }
    pr_metrics_set(m, M_CARRY_ALARM, one->of->name, r->alarm);
    said(one->said, sizeof one->said, "carry.alarm", one->of->name, r->alarm ? r->why : "");
}

static void ended(struct carried *one)
{
    const bool done = one->record->phase == AUTOSCALE_PHASE_DONE;
    pr_metrics_add(one->c->o.svc->metrics, M_ENDED, done ? "done" : "failed", 1);
    pr_info(PR_EV("carry.ended"), PR_S("fleet", one->of->name), PR_I("decision", one->id),
            PR_S("state", done ? "done" : "failed"), PR_S("why", one->record->why));
    free(one->last);
    one->last = one->record;
    one->record = NULL;
    free(one->saved);
    one->saved = NULL;
    one->id = 0;
}

/* One step with fresh facts. *more: something was done that changes them. */
static enum pr_code step(struct carry_look_io *k, bool *more, struct pr_err *err)
{
    struct carried *one = k->one;
    const struct autoscale_carry_pace pace = carry_pace(one);
    const enum autoscale_phase before = one->record->phase;
    struct autoscale_carry_step *s = calloc(1, sizeof *s);
    enum pr_code rc = s == NULL ? pr_fail(err, PR_ENOMEM, "a step")
                                : carry_look_plans(k, one->record->plan_id, err);
    if (rc == PR_OK) {
        autoscale_carry_step(&pace, &k->facts, one->record, s);
        show(k, before);
        /* Saved before the act; a plan saves itself with it. */
        if (s->act != AUTOSCALE_ACT_JOIN && s->act != AUTOSCALE_ACT_DRAIN)
            rc = carry_save(k, s->act != AUTOSCALE_ACT_WAIT, err);
    }
    *more = rc == PR_OK && s->act != AUTOSCALE_ACT_WAIT && s->act != AUTOSCALE_ACT_END;
    if (rc == PR_OK && s->act == AUTOSCALE_ACT_END) {
        ended(one);
    } else if (rc == PR_OK) {
        struct pr_err why = { 0 };
        const enum pr_code did = carry_do(k, s, &why);
        const bool plans = s->act == AUTOSCALE_ACT_JOIN || s->act == AUTOSCALE_ACT_DRAIN;
        /* Whether a plan was made is not known: the record is loaded anew. */
        if (did == PR_EFENCED || did == PR_ECANCELED || (did == PR_ETIMEOUT && plans)) {
            *err = why;
            rc = did;
        } else if (did != PR_OK) {
            *more = false;
            said(one->trouble, sizeof one->trouble, "carry.trouble", one->of->name, why.text);
        } else if (*more) {
            one->trouble[0] = '\0';
        }
    }
    free(s);
    return rc;
}

/* Who runs and is in no use, while nothing is carried out and while something is. */
static void name_strays(struct carry_look_io *k)
{
    struct carried *one = k->one;
    int stray[8];
    char text[sizeof one->strays] = "";
    const size_t n = autoscale_carry_strays(&k->facts, one->id != 0 ? one->record : one->last,
                                            stray, PR_COUNT(stray));
    pr_metrics_set(one->c->o.svc->metrics, M_STRAYS, one->of->name, (double)n);
    for (size_t i = 0; i < n && i < PR_COUNT(stray); i++) {
        const size_t at = strlen(text);
        (void)snprintf(text + at, sizeof text - at, "%s%s",
                       i > 0 ? ", " : "in no use: ", k->facts.member[stray[i]].id);
    }
    said(one->strays, sizeof one->strays, "carry.strays", one->of->name, text);
}

/* Advice that was given since the last look, as the dry run would carry it out. */
static enum pr_code say_advice(struct carry_look_io *k, struct pr_err *err)
{
    struct carried *one = k->one;
    struct autoscale_decision_row *row = NULL, whole;
    struct pr_arena arena;
    size_t n = 0;
    const struct autoscale_decision_page page = { .fleet = one->of->name,
                                                  .moves_only = true,
                                                  .limit = 1 };
    struct autoscale_carry *record = calloc(1, sizeof *record);
    pr_arena_init(&arena, 0);
    enum pr_code rc = record == NULL
                          ? pr_fail(err, PR_ENOMEM, "the record of a decision")
                          : autoscale_decision_list(one->c->db, &arena, &page, &row, &n, err);
    if (rc == PR_OK && n > 0 && row[0].id != one->advised &&
        row[0].settings_version == one->of->version) {
        one->advised = row[0].id;
        rc = autoscale_decision_load(one->c->db, &arena, row[0].id, &whole, err);
        if (rc == PR_OK && carry_intend(k, &whole, record, NULL) == PR_OK)
            for (size_t t = 0; t < record->targets; t++) {
                bool sent = false;
                struct pr_err why = { 0 };
                if (one->actuator->set_desired(one->actuator, t, record->target[t].want, &sent,
                                               &why) != PR_OK)
                    pr_info(PR_EV("carry.dry_run"), PR_S("would_fail", why.text));
            }
    }
    pr_arena_done(&arena);
    free(record);
    return rc;
}

/* Decisions of a fleet that does not act any more end as they are: nobody shall come upon them
 * when it acts again. */
static enum pr_code abandon(struct carried *one, const struct pr_lease *lease,
                            const struct open_one *open, struct pr_err *err)
{
    carry_let_go(one);
    enum pr_code rc = carry_stop_plan(one, lease, open->plan_id, false, err);
    if (rc == PR_OK)
        rc = autoscale_decision_advance(
            one->c->db, lease, open->id, AUTOSCALE_DECISION_FAILED,
            "{\"outcome\": \"failed\", \"why\": \"the fleet does not act any more: what was begun "
            "is left as it is\"}",
            0, err);
    if (rc == PR_OK)
        pr_info(PR_EV("carry.abandoned"), PR_S("fleet", one->of->name), PR_I("decision", open->id));
    return rc;
}

static enum pr_code carry_on(struct carry_look_io *k, const struct open_one *open,
                             struct pr_err *err)
{
    struct carried *one = k->one;
    int64_t of = 0;
    enum pr_code rc = PR_OK;
    if (one->id != 0 && one->id != open->id) { /* superseded, or ended by somebody else */
        carry_let_go(one);
        one->trouble[0] = '\0';
    }
    if (one->id == 0 && one->last == NULL)
        rc = carry_load_record(one, &of, &one->last, err);
    if (rc == PR_OK && open->id != 0 && one->id == 0)
        rc = open->begun ? carry_resume(k, open->id, err) : carry_begin(k, open->id, err);
    return rc;
}

/* Until there is nothing to do but to wait. */
static enum pr_code look(struct carried *one, const struct pr_lease *lease, struct pr_err *err)
{
    bool more = true;
    enum pr_code rc = PR_OK;
    for (int i = 0; rc == PR_OK && more && i < STEPS && !atomic_load(&one->c->stopping); i++) {
        struct carry_look_io k;
        struct open_one open;
        const bool acts = autoscale_setup_acts(one->of->setup);
        more = false;
        rc = find_open(one, &open, err);
        if (rc == PR_OK && open.id != 0 && acts && i == 0)
            rc = carry_look_at_clock(one, lease, err);
        if (rc == PR_OK && open.id != 0 && !acts)
            rc = abandon(one, lease, &open, err);
        if (rc == PR_OK)
            rc = open_actuator(one, err);
        if (rc != PR_OK || one->actuator == NULL)
            return rc;
        rc = carry_look_open(&k, one, lease, err);
        if (rc == PR_OK) {
            carry_tell_seen(&k);
            if (acts)
                rc = carry_on(&k, &open, err);
            else if (one->of->setup->provider == AUTOSCALE_BY_DRY_RUN)
                rc = say_advice(&k, err);
        }
        if (rc == PR_OK && acts)
            carry_keep_marked(&k);
        if (rc == PR_OK && one->id != 0)
            rc = step(&k, &more, err);
        if (rc == PR_OK && acts)
            name_strays(&k);
        carry_look_done(&k);
    }
    pr_metrics_set(one->c->o.svc->metrics, M_OPEN, one->of->name, one->id != 0);
    return rc;
}

/* --- the thread -------------------------------------------------------------------------- */

static int64_t next_us(const struct carried *one)
{
    const struct autoscale_config *cfg = one->c->o.cfg;
    const double every_s = (double)(one->id != 0 ? cfg->act_s : cfg->look_s) / cfg->clock_rate;
    const double least_s = one->id != 0 ? 1 : 2;
    return pr_mono_us() + (int64_t)((every_s > least_s ? every_s : least_s) * 1e6);
}

/* A decision that has just been made is not kept waiting for the next look. */
static bool is_due(struct carried *one, struct pr_err *err)
{
    struct open_one open;
    if (pr_mono_us() < one->retry_us)
        return false;
    if (pr_mono_us() >= one->look_us)
        return true;
    return one->id == 0 && find_open(one, &open, err) == PR_OK && open.id != 0;
}

static enum pr_code fleet_turn(struct carried *one, const struct pr_lease *lease,
                               struct pr_err *err)
{
    if (!is_due(one, err))
        return PR_OK;
    enum pr_code rc = look(one, lease, err);
    if (rc == PR_ECONFLICT) { /* superseded between two looks: at once the new one */
        carry_let_go(one);
        return PR_OK;
    }
    one->retry_us = 0;
    if (rc != PR_OK) { /* what is remembered may not be what is saved */
        carry_let_go(one);
        one->retry_us = pr_mono_us() + RETRY_US;
    }
    one->look_us = next_us(one);
    return rc;
}

/* Of who carries out: two replicas do not report the same fleet. label: of one; NULL: all. */
static void drop_gauges(const struct autoscale_carrier *c, const char *label)
{
    static const int of_fleets[] = { M_CARRY_ALARM, M_STRAYS, M_OPEN };
    for (size_t i = 0; i < PR_COUNT(of_fleets); i++)
        pr_metrics_drop(c->o.svc->metrics, of_fleets[i], label);
}

static void adopt(struct autoscale_carrier *c, uint64_t epoch)
{
    if (c->epoch == epoch)
        return;
    c->epoch = epoch;
    if (epoch == 0)
        drop_gauges(c, NULL);
    for (size_t i = 0; i < c->ones; i++) {
        carry_let_go(&c->one[i]);
        c->one[i].look_us = 0;
    }
}

static enum pr_code turn(struct autoscale_carrier *c, struct pr_err *err)
{
    struct pr_lease lease = { .epoch = 0 };
    struct pr_err unled;
    const bool leads = pr_tenure_lease(c->o.tenure, &lease, &unled) == PR_OK;
    enum pr_code rc = PR_OK;
    adopt(c, lease.epoch);
    if (pr_mono_us() >= c->fleets_us) {
        rc = autoscale_fleets_load(&c->fleets, c->db, c->o.cfg, gone, c, err);
        c->fleets_us = pr_mono_us() + FLEETS_US;
    }
    for (size_t i = 0; rc == PR_OK && leads && i < c->fleets.n; i++) {
        const struct autoscale_fleet_row *f = c->fleets.fleet[i];
        struct carried *one = autoscale_fleet_on(f) ? find(c, f) : NULL;
        if (!autoscale_fleet_on(f))
            drop_gauges(c, f->name);
        if (one == NULL || atomic_load(&c->stopping))
            continue;
        struct pr_err why = { 0 };
        const enum pr_code one_rc = fleet_turn(one, &lease, &why);
        if (one_rc == PR_EFENCED) {
            pr_tenure_lost(c->o.tenure, lease.epoch);
            return PR_OK;
        }
        said(one->said, sizeof one->said, "carry.waiting", f->name,
             one_rc == PR_OK ? one->said : why.text);
    }
    return rc;
}

static void *run(void *arg)
{
    struct autoscale_carrier *c = arg;
    while (!atomic_load(&c->stopping)) {
        struct pr_err err = { 0 };
        const enum pr_code rc = turn(c, &err);
        said(c->trouble, sizeof c->trouble, "carry.waiting", "", rc == PR_OK ? "" : err.text);
        const struct timespec ts = { 0, (rc == PR_OK ? TURN_MS : 5 * TURN_MS) * 1000000L };
        (void)nanosleep(&ts, NULL);
    }
    return NULL;
}

enum pr_code autoscale_carrier_start(struct autoscale_carrier **out,
                                     const struct autoscale_decider_options *o, struct pr_err *err)
{
    struct autoscale_carrier *c = calloc(1, sizeof *c);
    if (c == NULL)
        return pr_fail(err, PR_ENOMEM, "carrier");
    *out = c;
    c->o = *o;
    c->fleets.quiet = true; /* the decider says it */
    enum pr_code rc = pr_db_open(&c->db, o->svc->common.db_uri, "prism-autoscale-carrier", err);
    if (rc != PR_OK)
        return rc;
    c->runs = pthread_create(&c->thread, NULL, run, c) == 0;
    return c->runs ? PR_OK : pr_fail(err, PR_ENOMEM, "no thread to carry decisions out");
}

void autoscale_carrier_stop(struct autoscale_carrier *c)
{
    if (c == NULL)
        return;
    atomic_store(&c->stopping, true);
    if (c->runs)
        pthread_join(c->thread, NULL);
    autoscale_fleets_done(&c->fleets, gone, c);
    free(c->one);
    pr_db_close(c->db);
    free(c);
}
