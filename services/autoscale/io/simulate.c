#include "io/simulate.h"

#include "core/backtest.h"
#include "io/fleets.h"
#include "io/policies.h"
#include "io/samples.h"
#include "json/json.h"

#include "prism/io/clock.h"

#include <math.h>
#include <stdlib.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS, MOST_MINUTES = 400 * 24 * 60 };

struct simulation {
    struct pr_db *db;
    const struct autoscale_config *cfg;
    const struct autoscale_what_if *r;
    struct pr_arena arena;
    struct autoscale_setup *setup;
    struct autoscale_backtest how;
    struct autoscale_trace trace;
    double *load; /* of trace; owned */
    size_t missing, saturated;
};

/* Members at 100 % CPU: where CPU stands at its end, more may have been asked for. */
static double load_of(const struct autoscale_sample *s, bool *saturated)
{
    *saturated = isnan(s->load) && s->cpu_pct >= 100;
    if (!isnan(s->load))
        return s->load;
    return s->serving > 0 ? s->cpu_pct / 100 * s->serving : NAN;
}

struct loading { /* of a transaction, which may be begun again */
    struct simulation *x;
    struct autoscale_sample *sample; /* [n] */
    size_t n;
};

/* What is asked of the database next ends with the simulation's time. */
static enum pr_code bound(struct simulation *x, struct pr_db *db, struct pr_err *err)
{
    const int64_t left_ms = (x->r->until_us - pr_mono_us() + 999) / 1000;
    if (x->r->until_us == 0)
        return PR_OK;
    if (left_ms <= 0)
        return pr_fail(err, PR_ETIMEOUT, "no time is left");
    return pr_db_exec(db, "SELECT set_config('statement_timeout', $1::bigint::text, true)",
                      PR_ARGS(pr_i64(left_ms)), NULL, err);
}

/* Their number is known before they are loaded: there is one a minute. */
static enum pr_code load_samples(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct loading *l = ctx;
    const struct autoscale_what_if *r = l->x->r;
    const int64_t from_ms = r->from_ms > 0 ? r->from_ms : 0,
                  to_ms = r->to_ms > 0 ? r->to_ms : INT64_C(16725225600000);
    int64_t oldest_ms = 0, newest_ms = 0;
    enum pr_code rc = bound(l->x, db, err);
    if (rc == PR_OK)
        rc = autoscale_samples_range(db, r->fleet, from_ms, to_ms, &oldest_ms, &newest_ms, err);
    if (rc == PR_OK && newest_ms / MINUTE - oldest_ms / MINUTE >= MOST_MINUTES)
        return pr_fail(err, PR_EINVAL, "fleet %s: more than %d minutes", r->fleet, MOST_MINUTES);
    if (rc == PR_OK)
        rc = bound(l->x, db, err);
    return rc == PR_OK ? autoscale_samples_load(db, &l->x->arena, r->fleet, from_ms, to_ms,
                                                &l->sample, &l->n, err)
                       : rc;
}

static enum pr_code load_trace(struct simulation *x, struct pr_err *err)
{
    struct loading l = { .x = x };
    enum pr_code rc = pr_db_tx(x->db, load_samples, &l, err);
    const struct autoscale_sample *s = l.sample;
    const size_t n = l.n;
    if (rc == PR_ETIMEOUT && x->r->until_us != 0 && pr_mono_us() >= x->r->until_us)
        return pr_fail(err, PR_ECANCELED, "while samples were loaded");
    if (rc != PR_OK)
        return rc;
    if (x->r->stop != NULL && x->r->stop(x->r->stop_ctx))
        return pr_fail(err, PR_ECANCELED, "when samples were loaded");
    if (n == 0)
        return pr_fail(err, PR_ENOTFOUND, "fleet %s: no sample is in that time", x->r->fleet);
    const int64_t first = s[0].at_ms / MINUTE, last = s[n - 1].at_ms / MINUTE;
    x->trace.minutes = (size_t)(last - first + 1);
    x->trace.begin_ms = first * MINUTE;
    x->load = malloc(x->trace.minutes * sizeof *x->load);
    x->trace.load = x->load;
    if (x->load == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu minutes", x->trace.minutes);
    for (size_t i = 0; i < x->trace.minutes; i++)
        x->load[i] = NAN;
    for (size_t i = 0; i < n; i++) {
        bool saturated = false;
        x->load[s[i].at_ms / MINUTE - first] = load_of(&s[i], &saturated);
        x->saturated += saturated;
    }
    for (size_t i = 0; i < x->trace.minutes; i++)
        x->missing += isnan(x->load[i]) ? 1 : 0;
    return PR_OK;
}

static enum pr_code load_settings(struct simulation *x, struct pr_err *err)
{
    struct autoscale_policy_row row;
    const char *text = x->r->settings;
    enum pr_code rc = autoscale_policy_load(x->db, &x->arena, x->r->fleet, 0, &row, err);
    if (rc == PR_OK && text[0] == '\0')
        text = row.settings;
    if (rc == PR_OK)
        rc = autoscale_fleet_settings(x->r->fleet, text, x->cfg, x->setup, err);
    if (rc != PR_OK)
        return rc;
    const struct autoscale_fleet *f = &x->setup->fleet;
    const int64_t boot = (f->boot_ms + f->move_ms + MINUTE - 1) / MINUTE;
    autoscale_backtest_default(&x->how);
    x->how.boot_minutes = boot < 24 * 60 ? (int)boot : 24 * 60;
    x->how.min = f->min;
    x->how.max = f->max;
    x->how.price_hour = f->types > 0 ? f->ladder[f->type].price_hour : 0;
    x->how.fleet = f;
    x->how.stop = x->r->stop;
    x->how.stop_ctx = x->r->stop_ctx;
    return PR_OK;
}

static json_t *result_json(const char *name, const struct autoscale_result *r)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "policy", name,
                     "short_minutes_per_day", r->short_minutes_per_day, "over_minutes_per_day",
                     r->over_minutes_per_day, "lost_load_ratio", r->lost_load_ratio,
                     "instance_hours", r->instance_hours, "hours_ratio", r->hours_ratio,
                     "actions_per_day", r->actions_per_day, "flaps_per_day", r->flaps_per_day,
                     "cost", r->cost);
}

static enum pr_code run_one(struct simulation *x, const struct autoscale_settings *s,
                            const char *name, json_t *policies, double *oracle_hours,
                            struct pr_err *err)
{
    struct autoscale_result result;
    const enum pr_code rc = autoscale_backtest_run(&x->how, s, &x->trace, &result, NULL, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "%s", name);
    *oracle_hours = result.oracle_hours;
    return json_object_set_new(policies, name, result_json(name, &result)) == 0
               ? PR_OK
               : pr_fail(err, PR_ENOMEM, "the result");
}

/* All of them together as they are set, and each alone. */
static enum pr_code run_all(struct simulation *x, json_t *policies, double *oracle_hours,
                            struct pr_err *err)
{
    struct autoscale_settings *one = malloc(sizeof *one);
    if (one == NULL)
        return pr_fail(err, PR_ENOMEM, "the result");
    enum pr_code rc = run_one(x, &x->setup->settings, "settings", policies, oracle_hours, err);
    for (size_t i = 0; rc == PR_OK && i < x->setup->settings.policies; i++) {
        char name[32];
        const char *kind = autoscale_kind_name(x->setup->settings.policy[i].kind);
        *one = x->setup->settings;
        one->policy[0] = one->policy[i];
        one->policies = 1;
        (void)snprintf(name, sizeof name, "%s", kind);
        for (int again = 2; json_object_get(policies, name) != NULL; again++)
            (void)snprintf(name, sizeof name, "%s %d", kind, again);
        rc = run_one(x, one, name, policies, oracle_hours, err);
    }
    free(one);
    return rc;
}

static enum pr_code simulate(struct simulation *x, char **text, struct pr_err *err)
{
    double oracle = 0;
    enum pr_code rc = load_settings(x, err);
    if (rc == PR_OK)
        rc = load_trace(x, err);
    if (rc != PR_OK)
        return rc;
    json_t *policies = json_object();
    rc = policies == NULL ? pr_fail(err, PR_ENOMEM, "the result")
                          : run_all(x, policies, &oracle, err);
    json_t *o = json_pack(
        "{s:{s:s, s:I, s:I, s:I, s:f, s:I, s:I}, s:{s:i, s:i, s:i, s:f, s:f, s:i, s:f}, s:{s:f, "
        "s:f}, s:o}",
        "trace", "fleet", x->r->fleet, "minutes", (json_int_t)x->trace.minutes, "missing_minutes",
        (json_int_t)x->missing, "saturated_minutes", (json_int_t)x->saturated, "days",
        (double)x->trace.minutes / (24 * 60), "from_ms", (json_int_t)x->trace.begin_ms, "to_ms",
        (json_int_t)(x->trace.begin_ms + (int64_t)(x->trace.minutes - 1) * MINUTE), "model",
        "boot_minutes", x->how.boot_minutes, "min", x->how.min, "max", x->how.max, "short_pct",
        x->how.short_pct, "oracle_pct", x->how.oracle_pct, "flap_minutes", x->how.flap_minutes,
        "price_hour", x->how.price_hour, "oracle", "instance_hours", oracle, "cost",
        oracle * x->how.price_hour, "policies", policies);
    if (rc == PR_OK) {
        *text = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
        rc = *text == NULL ? pr_fail(err, PR_ENOMEM, "the result") : PR_OK;
    }
    json_decref(o);
    return rc;
}

enum pr_code autoscale_simulate(struct pr_db *db, const struct autoscale_config *cfg,
                                const struct autoscale_what_if *ask, char **text,
                                struct pr_err *err)
{
    struct simulation x = { .db = db, .cfg = cfg, .r = ask, .setup = calloc(1, sizeof *x.setup) };
    if (x.setup == NULL)
        return pr_fail(err, PR_ENOMEM, "a simulation");
    pr_arena_init(&x.arena, 0);
    const enum pr_code rc = simulate(&x, text, err);
    free(x.load);
    autoscale_setup_done(x.setup);
    free(x.setup);
    pr_arena_done(&x.arena);
    return rc;
}
