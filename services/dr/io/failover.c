#include "io/failover.h"

#include "io/region/region.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"
#include "prism/v1/dr.pb-c.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A request is answered once the work is under way, or this late: whoever asks has a time limit.
 * Being stopped, dr gives a step so long to end and be noted; it would be done again otherwise. */
enum { BEGIN_MS = 15000, STOP_MS = 5000, NAME = 64, KEY = 256 };

typedef Prism__V1__DrFailoverRequest request;

enum verb { STATUS, PLAN, EXECUTE, RESUME, ABORT, VERBS };
static const char *const verb_name[VERBS] = { "status", "plan", "execute", "resume", "abort" };

struct job {
    enum verb verb;
    char to[NAME], by[NAME], key[KEY];
    bool old_side_is_down, over_existing, accept_loss;
    int64_t wait_ms;
};

struct dr_failover {
    const struct dr_config *cfg;
    const char *db_uri;
    atomic_bool cancel; /* what runs stops after its step, which is written to the journal */
    atomic_bool cut;    /* no request to the bucket is waited for any more */
    pthread_mutex_t mu; /* all below */
    pthread_cond_t changed;
    pthread_t thread;
    bool started;         /* the thread has to be joined */
    bool busy, under_way; /* it works; and has said that it is past its checks */
    bool stopping;
    struct job job; /* of busy */
    enum pr_code ended;
    struct pr_err why;
};

/* --- the work --------------------------------------------------------------------------------- */

/* The checks come first and change nothing; whatever is told after them is work. */
static void told(void *ctx, const char *step, const char *state, const char *text)
{
    struct dr_failover *f = ctx;
    (void)text; /* the engine logs them */
    if (strcmp(step, "check") == 0 && strcmp(state, "done") != 0)
        return;
    pthread_mutex_lock(&f->mu);
    f->under_way = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mu);
}

/* Only looks: what somebody else's work was told does not concern it. */
static struct dr_region_run look_of(const struct dr_failover *f)
{
    return (struct dr_region_run){ .cfg = f->cfg, .db_uri = f->db_uri, .cut = &f->cut };
}

static struct dr_region_run run_of(struct dr_failover *f)
{
    struct dr_region_run run = look_of(f);
    run.progress = told;
    run.ctx = f;
    run.cancel = &f->cancel;
    return run;
}

static void *work(void *arg)
{
    struct dr_failover *f = arg;
    const struct job *j = &f->job; /* nobody changes it while busy */
    const struct dr_region_run run = run_of(f);
    const struct dr_region_order order = { .to = j->to[0] != '\0' ? j->to : NULL,
                                           .by = j->by,
                                           .old_side_is_down = j->old_side_is_down,
                                           .over_existing = j->over_existing,
                                           .accept_loss = j->accept_loss,
                                           .wait_ms = j->wait_ms,
                                           .key = j->key };
    struct pr_err err = { 0 };
    struct pr_buf out;
    pr_buf_init(&out, 0);
    const enum pr_code rc = j->verb == EXECUTE  ? dr_region_execute(&run, &order, &out, &err)
                            : j->verb == RESUME ? dr_region_resume(&run, &order, &out, &err)
                                                : dr_region_abort(&run, &order, &out, &err);
    pr_buf_done(&out); /* the journal says the same */
    if (rc == PR_OK)
        pr_info(PR_EV("dr.failover.ended"), PR_S("by", j->by));
    else
        pr_error(PR_EV("dr.failover.stopped"), PR_S("code", pr_code_name(rc)), PR_E(&err));
    pthread_mutex_lock(&f->mu);
    f->busy = false;
    f->ended = rc;
    f->why = err;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mu);
    return NULL;
}

/* --- one request ------------------------------------------------------------------------------ */

static void keep(char *to, size_t n, const char *text)
{
    (void)snprintf(to, n, "%s", text);
}

/* The lock is held; nothing is at work. */
static enum pr_code begin(struct dr_failover *f, enum verb verb, const request *q,
                          struct pr_err *err)
{
    if (f->started)
        pthread_join(f->thread, NULL); /* it has ended: busy is false */
    f->started = false;
    if (f->stopping)
        return pr_fail(err, PR_EUNAVAIL, "dr is being stopped");
    f->job = (struct job){ .verb = verb,
                           .old_side_is_down = q->old_side_is_down,
                           .over_existing = q->over_existing,
                           .accept_loss = q->accept_loss,
                           .wait_ms = q->wait_ms };
    keep(f->job.to, sizeof f->job.to, q->to);
    keep(f->job.by, sizeof f->job.by, q->by);
    keep(f->job.key, sizeof f->job.key, q->key);
    f->under_way = false;
    f->ended = PR_OK;
    atomic_store(&f->cancel, false);
    const int failed = pthread_create(&f->thread, NULL, work, f);
    if (failed != 0)
        return pr_fail(err, PR_ENOMEM, "no thread for the fail-over: %s", strerror(failed));
    f->started = f->busy = true;
    pr_warn(PR_EV("dr.failover.begins"), PR_S("verb", q->verb), PR_S("to", q->to),
            PR_S("by", q->by), PR_I("old_side_is_down", q->old_side_is_down),
            PR_I("over_existing", q->over_existing), PR_I("accept_loss", q->accept_loss));
    return PR_OK;
}

/* The lock is held. Until what was begun is under way or over, or time is up: then it goes on. */
static enum pr_code await_begun(struct dr_failover *f, struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + BEGIN_MS * 1000;
    while (f->busy && !f->under_way && pr_cond_until(&f->changed, &f->mu, until_us))
        ;
    if (!f->busy && !f->under_way && f->ended != PR_OK)
        return pr_fail(err, f->ended, "%s", f->why.text);
    return PR_OK;
}

/* The lock is held. Abort may be asked for while it runs: it stops first. */
static enum pr_code await_idle(struct dr_failover *f, struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + BEGIN_MS * 1000;
    atomic_store(&f->cancel, true);
    while (f->busy && pr_cond_until(&f->changed, &f->mu, until_us))
        ;
    return !f->busy ? PR_OK
                    : pr_fail(err, PR_ECONFLICT,
                              "it was told to stop and is still in a step that cannot be cut "
                              "short: ask again");
}

static enum pr_code act(struct dr_failover *f, enum verb verb, const request *q, struct pr_err *err)
{
    pthread_mutex_lock(&f->mu);
    enum pr_code rc = PR_OK;
    const bool again =
        f->busy && verb == f->job.verb && q->key[0] != '\0' && strcmp(q->key, f->job.key) == 0;
    if (f->busy && !again && verb == ABORT && f->job.verb != ABORT)
        rc = await_idle(f, err);
    else if (f->busy && !again)
        rc = pr_fail(err, PR_ECONFLICT, "a fail-over is carried out here already");
    if (rc == PR_OK && !again)
        rc = begin(f, verb, q, err);
    if (rc == PR_OK)
        rc = await_begun(f, err);
    pthread_mutex_unlock(&f->mu);
    return rc;
}

static bool is_busy(struct dr_failover *f)
{
    pthread_mutex_lock(&f->mu);
    const bool busy = f->busy;
    pthread_mutex_unlock(&f->mu);
    return busy;
}

/* *j: owned. */
static enum pr_code read_status(struct dr_failover *f, json_t **j, struct pr_err *err)
{
    const struct dr_region_run run = look_of(f);
    struct pr_buf out;
    pr_buf_init(&out, 0);
    const enum pr_code rc = dr_region_status(&run, &out, err);
    *j = rc == PR_OK ? json_loadb(out.data, out.len, 0, NULL) : NULL;
    pr_buf_done(&out);
    return rc == PR_OK && *j == NULL ? pr_fail(err, PR_EDATA, "failover: no status") : rc;
}

bool dr_failover_settled(struct dr_failover *f, uint64_t number)
{
    struct pr_err err = { 0 };
    json_t *j = NULL;
    bool settled = !is_busy(f) && read_status(f, &j, &err) == PR_OK;
    const json_t *failover = json_object_get(j, "failover");
    const char *state = json_string_value(json_object_get(failover, "state"));
    const json_int_t newest = json_integer_value(json_object_get(failover, "number"));
    if (settled && json_is_object(failover) && (uint64_t)newest == number)
        settled = state != NULL && (strcmp(state, "done") == 0 || strcmp(state, "aborted") == 0);
    json_decref(j);
    return settled;
}

/* Whoever resumes or aborts means the one that they have seen. */
static enum pr_code is_meant(struct dr_failover *f, const request *q, struct pr_err *err)
{
    json_t *j = NULL;
    enum pr_code rc = read_status(f, &j, err);
    const json_t *failover = json_object_get(j, "failover");
    const uint64_t number = (uint64_t)json_integer_value(json_object_get(failover, "number"));
    if (rc == PR_OK && number != q->number)
        rc = pr_fail(err, number < q->number ? PR_ENOTFOUND : PR_ECONFLICT,
                     "fail-over %llu is not the newest one: that is %llu",
                     (unsigned long long)q->number, (unsigned long long)number);
    json_decref(j);
    return rc;
}

static enum pr_code look(struct dr_failover *f, enum verb verb, const request *q,
                         struct pr_buf *out, struct pr_err *err)
{
    const struct dr_region_run run = look_of(f);
    if (verb != PLAN)
        return dr_region_status(&run, out, err);
    const struct dr_region_order order = { .to = q->to,
                                           .by = q->by,
                                           .old_side_is_down = q->old_side_is_down,
                                           .over_existing = q->over_existing,
                                           .accept_loss = q->accept_loss,
                                           .wait_ms = q->wait_ms };
    return dr_region_plan(&run, &order, out, err);
}

static enum pr_code pack(struct dr_failover *f, struct pr_buf *out, void **reply, size_t *len,
                         struct pr_err *err)
{
    Prism__V1__DrFailoverResponse r = PRISM__V1__DR_FAILOVER_RESPONSE__INIT;
    char *result = out->failed ? NULL : strndup(out->data != NULL ? out->data : "", out->len);
    r.result = result;
    r.executing = is_busy(f);
    *reply =
        result != NULL ? malloc(prism__v1__dr_failover_response__get_packed_size(&r) + 1) : NULL;
    if (*reply != NULL)
        *len = prism__v1__dr_failover_response__pack(&r, *reply);
    free(result);
    return *reply != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "no memory for the answer");
}

static enum pr_code answer(struct dr_failover *f, const request *q, void **reply, size_t *len,
                           struct pr_err *err)
{
    enum verb verb = STATUS;
    while (verb < VERBS && strcmp(q->verb, verb_name[verb]) != 0)
        verb++;
    if (f->cfg->sites_file[0] == '\0')
        return pr_fail(err, PR_ECONFLICT, "no sites are described here: PRISM_DR_SITES_PATH");
    if (verb == VERBS)
        return pr_fail(err, PR_EINVAL, "failover: no verb \"%.20s\"", q->verb);
    if (strlen(q->to) >= NAME || strlen(q->by) >= NAME || strlen(q->key) >= KEY)
        return pr_fail(err, PR_EINVAL, "failover: a name is too long");
    if ((verb == EXECUTE || verb == PLAN) && q->to[0] == '\0')
        return pr_fail(err, PR_EINVAL, "failover: the site that takes over is needed");
    const bool acts = verb >= EXECUTE, knows = verb >= RESUME;
    enum pr_code rc = knows && q->number != 0 ? is_meant(f, q, err) : PR_OK;
    if (rc == PR_OK && acts)
        rc = act(f, verb, q, err);
    struct pr_buf out;
    pr_buf_init(&out, 0);
    if (rc == PR_OK)
        rc = look(f, verb, q, &out, err);
    if (rc == PR_OK)
        rc = pack(f, &out, reply, len, err);
    pr_buf_done(&out);
    return rc;
}

enum pr_code dr_failover_ask(void *failover, const struct pr_msg *msg, void **reply, size_t *len,
                             struct pr_err *err)
{
    struct dr_failover *f = failover;
    request *q = prism__v1__dr_failover_request__unpack(NULL, msg->len, msg->data);
    if (q == NULL)
        return pr_fail(err, PR_EINVAL, "failover: not a request");
    const enum pr_code rc = answer(f, q, reply, len, err);
    prism__v1__dr_failover_request__free_unpacked(q, NULL);
    return rc;
}

/* --- start and stop --------------------------------------------------------------------------- */

enum pr_code dr_failover_open(struct dr_failover **out, const struct dr_config *cfg,
                              const char *db_uri, struct pr_err *err)
{
    struct dr_failover *f = calloc(1, sizeof *f);
    if (f == NULL)
        return pr_fail(err, PR_ENOMEM, "failover: no memory");
    f->cfg = cfg;
    f->db_uri = db_uri;
    pthread_mutex_init(&f->mu, NULL);
    pr_cond_init(&f->changed);
    *out = f;
    return PR_OK;
}

void dr_failover_stop(struct dr_failover *f)
{
    if (f == NULL)
        return;
    pthread_mutex_lock(&f->mu);
    f->stopping = true;
    const bool started = f->started;
    const int64_t until_us = pr_mono_us() + STOP_MS * 1000;
    f->started = false;
    atomic_store(&f->cancel, true);
    while (f->busy && pr_cond_until(&f->changed, &f->mu, until_us))
        ;
    atomic_store(&f->cut, true);
    pthread_mutex_unlock(&f->mu);
    if (started)
        pthread_join(f->thread, NULL);
}

void dr_failover_close(struct dr_failover *f)
{
    if (f == NULL)
        return;
    dr_failover_stop(f);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mu);
    free(f);
}
