#include "io/decider.h"

#include "io/clock.h"
#include "io/decisions.h"
#include "io/gather.h"
#include "io/samples.h"
#include "io/view.h"
#include "json/json.h"
#include "json/since.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TURN_MS = 100,
    FLEETS_US = 2000000, /* settings are looked at again */
    KEEP_US = 60000000,  /* partitions */
    FORGET_US = 600000000,
};

struct one { /* what a fleet's thread of decisions remembers */
    const struct autoscale_fleet_row *of;
    struct autoscale_gather gather;
    struct autoscale_clock_watch clock;
    char alarm[300], trouble[256]; /* what was said last */
};

struct autoscale_decider {
    struct autoscale_decider_options o;
    struct pr_db *db;
    struct autoscale_fleets fleets;
    struct autoscale_gather_ctx gather;
    struct one *one; /* [ones] */
    size_t ones;
    int64_t fleets_us, keep_us, forget_us; /* when that is due again */
    uint64_t epoch;                        /* under which this is remembered */
    char trouble[256];
    atomic_bool stopping;
    pthread_t thread;
    bool runs;
};

/* --- fleets ------------------------------------------------------------------------------ */

static void gone(void *ctx, const struct autoscale_fleet_row *old)
{
    struct autoscale_decider *d = ctx;
    for (size_t i = 0; i < d->ones; i++)
        if (d->one[i].of == old) {
            autoscale_gather_done(&d->one[i].gather);
            d->one[i] = d->one[--d->ones];
            return;
        }
}

static struct one *find(struct autoscale_decider *d, const struct autoscale_fleet_row *f)
{
    for (size_t i = 0; i < d->ones; i++)
        if (d->one[i].of == f)
            return &d->one[i];
    struct one *grown = reallocarray(d->one, d->ones + 1, sizeof *grown);
    if (grown == NULL)
        return NULL;
    d->one = grown;
    grown[d->ones] = (struct one){ .of = f };
    return &grown[d->ones++];
}

/* Two replicas do not report the same fleet. label: of one; NULL: all. */
static void drop_gauges(const struct autoscale_decider *d, const char *label)
{
    static const int of_fleets[] = { M_ALARM, M_DESIRED, M_SERVING, M_BEHIND };
    for (size_t i = 0; i < PR_COUNT(of_fleets); i++)
        pr_metrics_drop(d->o.svc->metrics, of_fleets[i], label);
    if (label == NULL)
        pr_metrics_drop(d->o.svc->metrics, M_FLEETS, NULL);
}

static void count_fleets(const struct autoscale_decider *d)
{
    int act = 0, advise = 0, off = 0, unfit = 0;
    for (size_t i = 0; i < d->fleets.n; i++) {
        const struct autoscale_fleet_row *f = d->fleets.fleet[i];
        if (f->setup == NULL || f->shared[0] != '\0')
            unfit++;
        else if (!f->enabled)
            off++;
        else if (autoscale_setup_acts(f->setup))
            act++;
        else
            advise++;
    }
    struct pr_metrics *m = d->o.svc->metrics;
    pr_metrics_set(m, M_FLEETS, "act", act);
    pr_metrics_set(m, M_FLEETS, "advise", advise);
    pr_metrics_set(m, M_FLEETS, "disabled", off);
    pr_metrics_set(m, M_FLEETS, "unfit", unfit);
}

/* --- one decision ------------------------------------------------------------------------ */

struct deciding {
    struct autoscale_decider *d;
    struct one *one;
    const struct autoscale_fleet_row *f;
    const struct pr_lease *lease;
    struct autoscale_input *in;
    struct autoscale_decision *decision;
    struct autoscale_memory *after;
};

/* Memory of other policies, or of another version: they begin anew. */
static enum pr_code read_memory(struct deciding *x, const struct autoscale_known *k,
                                struct pr_err *err)
{
    json_t *o = NULL;
    struct pr_err why = { 0 };
    if (k->memory == NULL)
        return PR_OK;
    enum pr_code rc = autoscale_json_parse(k->memory, strlen(k->memory), &o, err);
    if (rc != PR_OK)
        return rc;
    rc = autoscale_json_memory_read(o, &x->in->settings, x->in->memory, &why);
    json_decref(o);
    if (rc != PR_EINVAL)
        return rc;
    memset(x->in->memory, 0, sizeof x->in->memory);
    pr_info(PR_EV("fleet.policies_begin_anew"), PR_S("fleet", x->f->name), PR_E(&why));
    return PR_OK;
}

/* An alarm is said once, and not every minute because it is a minute older. */
static void without_numbers(char *to, size_t room, const char *from)
{
    size_t n = 0;
    for (; *from != '\0' && n + 1 < room; from++)
        if (*from < '0' || *from > '9')
            to[n++] = *from;
    to[n] = '\0';
}

static void say(struct deciding *x, const struct autoscale_decision_row *row)
{
    const struct autoscale_decision *d = x->decision;
    struct pr_metrics *m = x->d->o.svc->metrics;
    pr_metrics_add(m, M_DECISIONS, row->move, 1);
    pr_metrics_set(m, M_ALARM, x->f->name, d->alarm);
    pr_metrics_set(m, M_DESIRED, x->f->name, row->advice ? row->from : row->to);
    pr_metrics_set(m, M_SERVING, x->f->name, x->in->view.serving);
    if (row->from != row->to)
        pr_info(PR_EV("decision.made"), PR_S("fleet", x->f->name), PR_I("decision", row->id),
                PR_S("move", row->move), PR_I("from", row->from), PR_I("to", row->to),
                PR_S("why", row->why), PR_S("mode", row->advice ? "advise" : "act"));
    char alarm[sizeof x->one->alarm];
    without_numbers(alarm, sizeof alarm, d->alarm ? d->alarm_why : "");
    if (strcmp(x->one->alarm, alarm) == 0)
        return;
    memcpy(x->one->alarm, alarm, sizeof alarm);
    if (d->alarm)
        pr_warn(PR_EV("decision.alarm"), PR_S("fleet", x->f->name), PR_I("decision", row->id),
                PR_S("why", d->alarm_why));
    else
        pr_info(PR_EV("decision.alarm_over"), PR_S("fleet", x->f->name));
}

static enum pr_code store(struct deciding *x, const struct autoscale_known *k, int64_t at_ms,
                          struct pr_err *err)
{
    const struct autoscale_decision *d = x->decision;
    const bool moves = d->move == AUTOSCALE_OUT || d->move == AUTOSCALE_IN;
    const bool acts = autoscale_setup_acts(x->f->setup);
    char *input = autoscale_json_text(autoscale_json_input_write(x->in), false);
    char *decision = autoscale_json_text(autoscale_json_decision_write(x->in, d), false);
    char *memory =
        autoscale_json_text(autoscale_json_memory_write(&x->in->settings, x->after), false);
    char *members =
        k->dated ? autoscale_json_text(autoscale_json_sinces_write(&k->since), false) : NULL;
    struct autoscale_state after = { .desired = moves && acts ? d->to : x->in->view.desired,
                                     .memory = memory,
                                     .evaluated_ms = at_ms,
                                     .members = members };
    struct autoscale_decision_row row = {
        .fleet = x->f->name,
        .at_ms = at_ms,
        .settings_version = x->f->version,
        .from = d->from,
        .to = d->to,
        .move = autoscale_move_name(d->move),
        .why = d->why,
        .alarm = d->alarm,
        .alarm_why = d->alarm_why,
        .input = input,
        .decision = decision,
        .advice = !acts,
        .after = &after,
    };
    enum pr_code rc =
        input == NULL || decision == NULL || memory == NULL || (k->dated && members == NULL)
            ? pr_fail(err, PR_ENOMEM, "a decision")
            : autoscale_decision_put(x->d->db, x->lease, &row, err);
    if (rc == PR_OK)
        say(x, &row);
    free(input);
    free(decision);
    free(memory);
    free(members);
    return rc;
}

static enum pr_code decide(struct deciding *x, struct autoscale_known *k, int64_t at_ms,
                           struct pr_err *err)
{
    enum pr_code rc = autoscale_view_fill(k, x->d->db, x->f, at_ms, x->in, err);
    if (rc == PR_OK)
        rc = read_memory(x, k, err);
    if (rc == PR_OK)
        rc = autoscale_decide(x->in, x->after, x->decision, err);
    return rc == PR_OK ? store(x, k, at_ms, err) : rc;
}

static enum pr_code evaluate(struct deciding *x, struct autoscale_known *k, int64_t at_ms,
                             struct pr_err *err)
{
    const int64_t begin_us = pr_mono_us();
    x->in = calloc(1, sizeof *x->in);
    x->decision = calloc(1, sizeof *x->decision);
    x->after = calloc(AUTOSCALE_POLICIES, sizeof *x->after);
    enum pr_code rc = x->in == NULL || x->decision == NULL || x->after == NULL
                          ? pr_fail(err, PR_ENOMEM, "a decision")
                          : decide(x, k, at_ms, err);
    free(x->in);
    free(x->decision);
    free(x->after);
    pr_metrics_observe(x->d->o.svc->metrics, M_EVALUATE_SECONDS, NULL,
                       (double)(pr_mono_us() - begin_us) / 1e6);
    return rc;
}

/* --- one turn of a fleet ----------------------------------------------------------------- */

/* While the clock is wrong nothing is decided, so that the alarm is not a decision's. */
static enum pr_code look_at_clock(struct autoscale_decider *d, struct one *one,
                                  const struct pr_lease *lease, int64_t now_ms, bool *right,
                                  struct pr_err *err)
{
    enum autoscale_clock is = AUTOSCALE_CLOCK_WAIT;
    const bool waited = one->clock.why[0] != '\0';
    const enum pr_code rc = autoscale_clock_look(&one->clock, d->db, lease, one->of->name, now_ms,
                                                 pr_now_ms(), &is, err);
    if (rc != PR_OK)
        return rc;
    *right = is == AUTOSCALE_CLOCK_RIGHT;
    one->gather.waits = is == AUTOSCALE_CLOCK_WAIT;
    one->gather.looked_ms = now_ms;
    if (is == AUTOSCALE_CLOCK_ASIDE)
        one->gather.merged_ms = 0;
    if (waited || one->gather.waits)
        pr_metrics_set(d->o.svc->metrics, M_ALARM, one->of->name, one->gather.waits);
    return PR_OK;
}

static enum pr_code merge_and_decide(struct autoscale_decider *d, struct one *one,
                                     const struct pr_lease *lease, int64_t now_ms,
                                     struct pr_err *err)
{
    struct deciding x = { .d = d, .one = one, .f = one->of, .lease = lease };
    struct autoscale_known k;
    const char **expected = NULL;
    size_t members = 0;
    int64_t at_ms = 0;
    enum pr_code rc = autoscale_known_open(&k, d->db, d->o.seen, x.f, err);
    if (rc == PR_OK)
        rc = autoscale_known_expected(&k, x.f, &expected, &members, err);
    if (rc == PR_OK)
        rc = autoscale_gather_merge(&one->gather, &d->gather, lease, x.f, expected, members, now_ms,
                                    &at_ms, err);
    if (rc == PR_OK && at_ms > k.evaluated_ms)
        rc = evaluate(&x, &k, at_ms, err);
    autoscale_known_done(&k);
    return rc;
}

/* What is asked of the database happens once a minute: not in every turn. */
static enum pr_code fleet_turn(struct autoscale_decider *d, struct one *one,
                               const struct pr_lease *lease, struct pr_err *err)
{
    const int64_t now_ms = autoscale_fleet_time(d->o.cfg, one->of, pr_now_ms());
    const bool due = autoscale_gather_due(&one->gather, one->of, now_ms);
    bool right = !one->gather.waits;
    enum pr_code rc = due ? look_at_clock(d, one, lease, now_ms, &right, err) : PR_OK;
    if (rc == PR_OK && right)
        rc = autoscale_gather_turn(&one->gather, &d->gather, one->of, now_ms, err);
    if (rc == PR_OK && right && due)
        rc = merge_and_decide(d, one, lease, now_ms, err);
    if (one->gather.merged_ms != 0)
        pr_metrics_set(d->o.svc->metrics, M_BEHIND, one->of->name,
                       (double)(now_ms - one->gather.merged_ms) / 1000);
    return rc;
}

static void trouble(char *last, size_t room, const char *fleet, enum pr_code rc,
                    const struct pr_err *err)
{
    const char *now = rc == PR_OK ? "" : err->text;
    if (strncmp(last, now, room - 1) == 0)
        return;
    (void)snprintf(last, room, "%s", now);
    if (rc != PR_OK)
        pr_warn(PR_EV("decider.waiting"), PR_S("fleet", fleet), PR_S("code", pr_code_name(rc)),
                PR_E(err));
}

/* --- beside ------------------------------------------------------------------------------ */

static enum pr_code keep_partitions(struct autoscale_decider *d, struct pr_err *err)
{
    const struct autoscale_retention keep = { .samples_days = d->o.cfg->samples_days,
                                              .readings_hours = d->o.cfg->readings_hours };
    const int64_t now_ms = pr_now_ms();
    int dropped = 0;
    enum pr_code rc = autoscale_partitions_keep(d->db, now_ms, &keep, &dropped, err);
    for (size_t i = 0; rc == PR_OK && d->o.cfg->clock_rate > 1 && i < d->fleets.n; i++)
        rc = autoscale_partitions_keep(d->db,
                                       autoscale_fleet_time(d->o.cfg, d->fleets.fleet[i], now_ms),
                                       &keep, &dropped, err);
    pr_service_not_ready(d->o.svc, "partitions", rc == PR_OK ? NULL : err->text);
    if (rc == PR_OK && dropped > 0)
        pr_info(PR_EV("samples.dropped"), PR_I("partitions", dropped));
    return rc;
}

static enum pr_code forget(struct autoscale_decider *d, const struct pr_lease *lease,
                           struct pr_err *err)
{
    int64_t deleted = 0, all = 0;
    enum pr_code rc = PR_OK;
    do {
        rc = autoscale_decisions_forget(d->db, lease, pr_now_ms(), d->o.cfg->decisions_days,
                                        &deleted, err);
        all += deleted;
    } while (rc == PR_OK && deleted >= AUTOSCALE_FORGET_ROWS && !atomic_load(&d->stopping));
    if (all > 0)
        pr_info(PR_EV("decisions.forgotten"), PR_I("rows", all));
    return rc;
}

static enum pr_code chores(struct autoscale_decider *d, const struct pr_lease *lease,
                           struct pr_err *err)
{
    const int64_t now_us = pr_mono_us();
    enum pr_code rc = PR_OK;
    if (now_us >= d->fleets_us) {
        rc = autoscale_fleets_load(&d->fleets, d->db, d->o.cfg, gone, d, err);
        if (lease->epoch != 0)
            count_fleets(d);
        d->fleets_us = now_us + FLEETS_US;
    }
    if (rc == PR_OK && now_us >= d->keep_us) {
        rc = keep_partitions(d, err);
        d->keep_us = rc == PR_OK ? now_us + KEEP_US : now_us + FLEETS_US;
    }
    if (rc == PR_OK && lease->epoch != 0 && now_us >= d->forget_us) {
        rc = forget(d, lease, err);
        d->forget_us = now_us + FORGET_US;
    }
    return rc;
}

/* Another holder may have decided meanwhile: what was remembered is old. */
static void adopt(struct autoscale_decider *d, uint64_t epoch)
{
    if (d->epoch == epoch)
        return;
    d->epoch = epoch;
    if (epoch == 0)
        drop_gauges(d, NULL);
    d->fleets_us = 0;
    for (size_t i = 0; i < d->ones; i++) {
        autoscale_gather_done(&d->one[i].gather);
        d->one[i].clock = (struct autoscale_clock_watch){ 0 };
    }
}

static enum pr_code turn(struct autoscale_decider *d, struct pr_err *err)
{
    struct pr_lease lease = { .epoch = 0 };
    struct pr_err unled;
    const bool leads = pr_tenure_lease(d->o.tenure, &lease, &unled) == PR_OK;
    adopt(d, lease.epoch);
    enum pr_code rc = chores(d, &lease, err);
    for (size_t i = 0; rc == PR_OK && leads && i < d->fleets.n; i++) {
        const struct autoscale_fleet_row *f = d->fleets.fleet[i];
        struct one *one = autoscale_fleet_on(f) ? find(d, f) : NULL;
        if (!autoscale_fleet_on(f))
            drop_gauges(d, f->name);
        if (one == NULL || atomic_load(&d->stopping))
            continue;
        struct pr_err why = { 0 };
        const enum pr_code one_rc = fleet_turn(d, one, &lease, &why);
        trouble(one->trouble, sizeof one->trouble, f->name, one_rc, &why);
        if (one_rc == PR_EFENCED) {
            pr_tenure_lost(d->o.tenure, lease.epoch);
            return PR_OK;
        }
    }
    return rc;
}

static void *run(void *arg)
{
    struct autoscale_decider *d = arg;
    while (!atomic_load(&d->stopping)) {
        struct pr_err err = { 0 };
        const enum pr_code rc = turn(d, &err);
        trouble(d->trouble, sizeof d->trouble, "", rc, &err);
        const struct timespec ts = { 0, (rc == PR_OK ? TURN_MS : 5 * TURN_MS) * 1000000L };
        (void)nanosleep(&ts, NULL);
    }
    return NULL;
}

/* --- start and stop ---------------------------------------------------------------------- */

enum pr_code autoscale_decider_start(struct autoscale_decider **out,
                                     const struct autoscale_decider_options *o, struct pr_err *err)
{
    struct autoscale_decider *d = calloc(1, sizeof *d);
    if (d == NULL)
        return pr_fail(err, PR_ENOMEM, "decider");
    *out = d;
    d->o = *o;
    pr_service_not_ready(o->svc, "partitions", "not looked at yet");
    enum pr_code rc = pr_db_open(&d->db, o->svc->common.db_uri, "prism-autoscale-decider", err);
    if (rc != PR_OK)
        return rc;
    d->gather = (struct autoscale_gather_ctx){ .svc = o->svc, .cfg = o->cfg, .db = d->db };
    d->runs = pthread_create(&d->thread, NULL, run, d) == 0;
    return d->runs ? PR_OK : pr_fail(err, PR_ENOMEM, "no thread for the decider");
}

void autoscale_decider_stop(struct autoscale_decider *d)
{
    if (d == NULL)
        return;
    atomic_store(&d->stopping, true);
    if (d->runs)
        pthread_join(d->thread, NULL);
    autoscale_fleets_done(&d->fleets, gone, d);
    for (size_t i = 0; i < d->ones; i++)
        autoscale_gather_done(&d->one[i].gather);
    free(d->one);
    pr_aws_keyring_close(d->gather.ring);
    pr_db_close(d->db);
    free(d);
}
