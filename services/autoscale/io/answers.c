#include "io/answers.h"

#include "core/backtest.h"
#include "io/fleets.h"
#include "io/policies.h"
#include "io/replay.h"
#include "io/samples.h"
#include "json/json.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/v1/autoscale.pb-c.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS, MOST_MINUTES = 400 * 24 * 60 };

struct autoscale_answers {
    struct pr_service *svc;
    const struct autoscale_config *cfg;
    pthread_mutex_t lock; /* guards db: one answer at a time */
    struct pr_db *db;
};

enum pr_code autoscale_answers_open(struct autoscale_answers **out, struct pr_service *svc,
                                    const struct autoscale_config *cfg, struct pr_err *err)
{
    struct autoscale_answers *a = calloc(1, sizeof *a);
    if (a == NULL)
        return pr_fail(err, PR_ENOMEM, "answers");
    *out = a;
    a->svc = svc;
    a->cfg = cfg;
    pthread_mutex_init(&a->lock, NULL);
    return pr_db_open(&a->db, svc->common.db_uri, "prism-autoscale-answers", err);
}

void autoscale_answers_close(struct autoscale_answers *a)
{
    if (a == NULL)
        return;
    pr_db_close(a->db);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static void counted(struct autoscale_answers *a, enum pr_code rc, int64_t begin_us,
                    const struct pr_err *err)
{
    pr_metrics_add(a->svc->metrics, M_ANSWERS, rc == PR_OK ? "ok" : "error", 1);
    pr_metrics_observe(a->svc->metrics, M_ANSWER_SECONDS, NULL,
                       (double)(pr_mono_us() - begin_us) / 1e6);
    if (rc != PR_OK && rc != PR_ENOTFOUND && rc != PR_EINVAL)
        pr_warn(PR_EV("answer.failed"), PR_E(err));
}

static char *chars(const char *s) /* protobuf-c's strings are not const */
{
    return (char *)(uintptr_t)s;
}

/* --- check ------------------------------------------------------------------------------- */

/* "policies[0].target_pct: 140 is not within ...": a path is before the first colon and has no
 * blank. */
static void split(const char *text, char path[160], const char **words)
{
    const char *colon = strstr(text, ": ");
    const size_t n = colon == NULL ? 0 : (size_t)(colon - text);
    *words = text;
    (void)snprintf(path, 160, "settings");
    if (n == 0 || n >= 160 || memchr(text, ' ', n) != NULL)
        return;
    (void)snprintf(path, 160, "%.*s", (int)n, text);
    *words = colon + 2;
}

static enum pr_code check(const struct autoscale_answers *a,
                          const Prism__V1__AutoscaleCheckRequest *r, void **reply, size_t *len,
                          struct pr_err *err)
{
    Prism__V1__AutoscaleCheckResponse out = PRISM__V1__AUTOSCALE_CHECK_RESPONSE__INIT;
    struct autoscale_setup *setup = calloc(1, sizeof *setup);
    struct pr_err why = { 0 };
    char path[160] = "";
    const char *words = "";
    if (setup == NULL)
        return pr_fail(err, PR_ENOMEM, "the settings of a fleet");
    const enum pr_code rc = autoscale_fleet_settings(r->fleet, r->settings, a->cfg, setup, &why);
    autoscale_setup_done(setup);
    free(setup);
    if (rc == PR_ENOMEM)
        return pr_fail(err, rc, "%s", why.text);
    if (rc != PR_OK)
        split(why.text, path, &words);
    out.path = path;
    out.error = chars(words);
    *reply = malloc(prism__v1__autoscale_check_response__get_packed_size(&out) + 1);
    if (*reply == NULL)
        return pr_fail(err, PR_ENOMEM, "an answer");
    *len = prism__v1__autoscale_check_response__pack(&out, *reply);
    return PR_OK;
}

enum pr_code autoscale_answers_check(void *ctx, const struct pr_msg *msg, void **reply, size_t *len,
                                     struct pr_err *err)
{
    struct autoscale_answers *a = ctx;
    const int64_t begin_us = pr_mono_us();
    Prism__V1__AutoscaleCheckRequest *r =
        prism__v1__autoscale_check_request__unpack(NULL, msg->len, msg->data);
    const enum pr_code rc =
        r == NULL ? pr_fail(err, PR_EDATA, "not an AutoscaleCheckRequest (%zu bytes)", msg->len)
                  : check(a, r, reply, len, err);
    prism__v1__autoscale_check_request__free_unpacked(r, NULL);
    counted(a, rc, begin_us, err);
    return rc;
}

/* --- simulate ---------------------------------------------------------------------------- */

struct simulation {
    struct autoscale_answers *a;
    const Prism__V1__AutoscaleSimulateRequest *r;
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

static enum pr_code load_trace(struct simulation *x, struct pr_err *err)
{
    struct autoscale_sample *s = NULL;
    size_t n = 0;
    const int64_t to = x->r->to_ms > 0 ? x->r->to_ms : INT64_C(16725225600000);
    enum pr_code rc = autoscale_samples_load(
        x->a->db, &x->arena, x->r->fleet, x->r->from_ms > 0 ? x->r->from_ms : 0, to, &s, &n, err);
    if (rc != PR_OK)
        return rc;
    if (n == 0)
        return pr_fail(err, PR_ENOTFOUND, "fleet %s: no sample is in that time", x->r->fleet);
    const int64_t first = s[0].at_ms / MINUTE, last = s[n - 1].at_ms / MINUTE;
    if (last - first >= MOST_MINUTES)
        return pr_fail(err, PR_EINVAL, "fleet %s: more than %d minutes", x->r->fleet, MOST_MINUTES);
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
    enum pr_code rc = autoscale_policy_load(x->a->db, &x->arena, x->r->fleet, 0, &row, err);
    if (rc == PR_OK && text[0] == '\0')
        text = row.settings;
    if (rc == PR_OK)
        rc = autoscale_fleet_settings(x->r->fleet, text, x->a->cfg, x->setup, err);
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

/* What a person has to know is an answer; what may go away is an error of ours. */
static bool is_answer(enum pr_code rc)
{
    return rc == PR_EINVAL || rc == PR_ENOTFOUND || rc == PR_EDATA || rc == PR_ECONFLICT;
}

static enum pr_code answer_simulate(struct autoscale_answers *a,
                                    const Prism__V1__AutoscaleSimulateRequest *r, void **reply,
                                    size_t *len, struct pr_err *err)
{
    Prism__V1__AutoscaleSimulateResponse out = PRISM__V1__AUTOSCALE_SIMULATE_RESPONSE__INIT;
    struct simulation x = { .a = a, .r = r, .setup = calloc(1, sizeof *x.setup) };
    char *text = NULL;
    if (x.setup == NULL)
        return pr_fail(err, PR_ENOMEM, "a simulation");
    pr_arena_init(&x.arena, 0);
    enum pr_code rc = simulate(&x, &text, err);
    if (rc == PR_OK)
        out.result = text;
    else if (is_answer(rc))
        out.error = err->text;
    if (rc == PR_OK || is_answer(rc)) {
        *reply = malloc(prism__v1__autoscale_simulate_response__get_packed_size(&out) + 1);
        rc = *reply == NULL ? pr_fail(err, PR_ENOMEM, "an answer") : PR_OK;
        *len = rc == PR_OK ? prism__v1__autoscale_simulate_response__pack(&out, *reply) : 0;
    }
    free(text);
    free(x.load);
    autoscale_setup_done(x.setup);
    free(x.setup);
    pr_arena_done(&x.arena);
    return rc;
}

enum pr_code autoscale_answers_simulate(void *ctx, const struct pr_msg *msg, void **reply,
                                        size_t *len, struct pr_err *err)
{
    struct autoscale_answers *a = ctx;
    const int64_t begin_us = pr_mono_us();
    Prism__V1__AutoscaleSimulateRequest *r =
        prism__v1__autoscale_simulate_request__unpack(NULL, msg->len, msg->data);
    enum pr_code rc = PR_EDATA;
    if (r == NULL) {
        (void)pr_fail(err, rc, "not an AutoscaleSimulateRequest (%zu bytes)", msg->len);
    } else {
        pthread_mutex_lock(&a->lock);
        rc = answer_simulate(a, r, reply, len, err);
        pthread_mutex_unlock(&a->lock);
    }
    prism__v1__autoscale_simulate_request__free_unpacked(r, NULL);
    counted(a, rc, begin_us, err);
    return rc;
}

/* --- replay ------------------------------------------------------------------------------ */

static enum pr_code answer_replay(struct autoscale_answers *a, uint64_t id, void **reply,
                                  size_t *len, struct pr_err *err)
{
    Prism__V1__AutoscaleReplayResponse out = PRISM__V1__AUTOSCALE_REPLAY_RESPONSE__INIT;
    struct pr_buf difference;
    bool same = false;
    pr_buf_init(&difference, 256 << 10); /* of a message */
    enum pr_code rc = autoscale_decision_replay(a->db, id > INT64_MAX ? INT64_MAX : (int64_t)id,
                                                &same, &difference, err);
    if (rc == PR_OK && !same)
        out.difference = difference.data;
    else if (is_answer(rc))
        out.error = err->text;
    if (rc == PR_OK || is_answer(rc)) {
        *reply = malloc(prism__v1__autoscale_replay_response__get_packed_size(&out) + 1);
        rc = *reply == NULL ? pr_fail(err, PR_ENOMEM, "an answer") : PR_OK;
        *len = rc == PR_OK ? prism__v1__autoscale_replay_response__pack(&out, *reply) : 0;
    }
    pr_buf_done(&difference);
    return rc;
}

enum pr_code autoscale_answers_replay(void *ctx, const struct pr_msg *msg, void **reply,
                                      size_t *len, struct pr_err *err)
{
    struct autoscale_answers *a = ctx;
    const int64_t begin_us = pr_mono_us();
    Prism__V1__AutoscaleReplayRequest *r =
        prism__v1__autoscale_replay_request__unpack(NULL, msg->len, msg->data);
    enum pr_code rc = PR_EDATA;
    if (r == NULL) {
        (void)pr_fail(err, rc, "not an AutoscaleReplayRequest (%zu bytes)", msg->len);
    } else {
        pthread_mutex_lock(&a->lock);
        rc = answer_replay(a, r->decision_id, reply, len, err);
        pthread_mutex_unlock(&a->lock);
    }
    prism__v1__autoscale_replay_request__free_unpacked(r, NULL);
    counted(a, rc, begin_us, err);
    return rc;
}
