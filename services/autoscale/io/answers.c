#include "io/answers.h"

#include "io/fleets.h"
#include "io/replay.h"
#include "io/simulate.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/v1/autoscale.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct autoscale_answers {
    struct pr_service *svc;
    const struct autoscale_config *cfg;
    pthread_mutex_t lock; /* guards db: one answer at a time, each is short */
    struct pr_db *db;
    struct pr_db *what_if; /* of the thread that simulates: that may take long */
    atomic_bool stopping;
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
    enum pr_code rc = pr_db_open(&a->db, svc->common.db_uri, "prism-autoscale-answers", err);
    if (rc == PR_OK)
        rc = pr_db_open(&a->what_if, svc->common.db_uri, "prism-autoscale-simulate", err);
    return rc;
}

void autoscale_answers_stop(struct autoscale_answers *a)
{
    if (a != NULL)
        atomic_store(&a->stopping, true);
}

void autoscale_answers_close(struct autoscale_answers *a)
{
    if (a == NULL)
        return;
    pr_db_close(a->db);
    pr_db_close(a->what_if);
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

static enum pr_code check(struct autoscale_answers *a, const Prism__V1__AutoscaleCheckRequest *r,
                          void **reply, size_t *len, struct pr_err *err)
{
    Prism__V1__AutoscaleCheckResponse out = PRISM__V1__AUTOSCALE_CHECK_RESPONSE__INIT;
    struct autoscale_setup *setup = calloc(1, sizeof *setup);
    struct pr_err why = { 0 };
    char path[160] = "";
    const char *words = "";
    if (setup == NULL)
        return pr_fail(err, PR_ENOMEM, "the settings of a fleet");
    enum pr_code rc = autoscale_fleet_settings(r->fleet, r->settings, a->cfg, setup, &why);
    if (rc == PR_OK) {
        pthread_mutex_lock(&a->lock);
        rc = autoscale_fleets_has_room(a->db, a->cfg, r->fleet, setup, &why);
        pthread_mutex_unlock(&a->lock);
    }
    autoscale_setup_done(setup);
    free(setup);
    if (rc != PR_OK && rc != PR_EINVAL && rc != PR_EDATA)
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

/* What a person has to know is an answer; what may go away is an error of ours. */
static bool is_answer(enum pr_code rc)
{
    return rc == PR_EINVAL || rc == PR_ENOTFOUND || rc == PR_EDATA || rc == PR_ECONFLICT;
}

struct limit {
    struct autoscale_answers *a;
    int64_t until_us;
};

static bool too_long(void *ctx)
{
    const struct limit *l = ctx;
    return atomic_load(&l->a->stopping) || pr_mono_us() > l->until_us;
}

static enum pr_code answer_simulate(struct autoscale_answers *a,
                                    const Prism__V1__AutoscaleSimulateRequest *r, void **reply,
                                    size_t *len, struct pr_err *err)
{
    Prism__V1__AutoscaleSimulateResponse out = PRISM__V1__AUTOSCALE_SIMULATE_RESPONSE__INIT;
    struct limit limit = { a, pr_mono_us() + a->cfg->simulate_ms * 1000 };
    const struct autoscale_what_if ask = { .fleet = r->fleet,
                                           .settings = r->settings,
                                           .from_ms = r->from_ms,
                                           .to_ms = r->to_ms,
                                           .until_us = limit.until_us,
                                           .stop = too_long,
                                           .stop_ctx = &limit };
    char *text = NULL;
    enum pr_code rc = autoscale_simulate(a->what_if, a->cfg, &ask, &text, err);
    if (rc == PR_ECANCELED)
        return atomic_load(&a->stopping)
                   ? pr_fail(err, PR_EUNAVAIL, "the service stops")
                   : pr_fail(
                         err, PR_ETIMEOUT,
                         "fleet %s: the simulation takes longer than %lld ms: ask for a shorter "
                         "time or fewer policies",
                         r->fleet, (long long)a->cfg->simulate_ms);
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
    return rc;
}

enum pr_code autoscale_answers_simulate(void *ctx, const struct pr_msg *msg, void **reply,
                                        size_t *len, struct pr_err *err)
{
    struct autoscale_answers *a = ctx;
    const int64_t begin_us = pr_mono_us();
    Prism__V1__AutoscaleSimulateRequest *r =
        prism__v1__autoscale_simulate_request__unpack(NULL, msg->len, msg->data);
    const enum pr_code rc =
        r == NULL ? pr_fail(err, PR_EDATA, "not an AutoscaleSimulateRequest (%zu bytes)", msg->len)
                  : answer_simulate(a, r, reply, len, err);
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
