#include "io/actuators/kube_private.h"

#include <stdio.h>
#include <string.h>

void kube_who(const struct kube *k, size_t target, char who[AUTOSCALE_TARGET_NAME + 16])
{
    (void)snprintf(who, AUTOSCALE_TARGET_NAME + 16, "kubernetes %s", k->base.target[target].name);
}

/* Source: "API Concepts" and the Status object, Kubernetes documentation. */
static enum pr_code code_of(long status)
{
    switch (status) {
    case 401:
    case 403:
        return PR_EDENIED;
    case 404:
    case 410:
        return PR_ENOTFOUND;
    case 409:
        return PR_ECONFLICT;
    default:
        return autoscale_status_later(status) ? PR_EUNAVAIL : PR_EINVAL;
    }
}

/* An answer that is no success: its Status object's words into err. */
static enum pr_code refused(const struct kube_question *q, long status, long retry_after_s,
                            const json_t *says, struct autoscale_try *t, bool *unsure,
                            struct pr_err *err)
{
    const char *reason = json_string_value(json_object_get(says, "reason"));
    const char *message = json_string_value(json_object_get(says, "message"));
    const json_t *after = json_object_get(json_object_get(says, "details"), "retryAfterSeconds");
    const enum pr_code rc = code_of(status);

    t->again = rc == PR_EUNAVAIL || rc == PR_ECONFLICT;
    t->at_least_ms = (int64_t)retry_after_s * 1000;
    if (retry_after_s == 0 && json_is_integer(after) && json_integer_value(after) > 0 &&
        json_integer_value(after) < 86400)
        t->at_least_ms = json_integer_value(after) * 1000;
    *unsure = status >= 500;
    return pr_fail(err, rc, "%.80s: %s: HTTP status %ld %s%s%.100s", q->who, q->method, status,
                   reason != NULL ? reason : "", message != NULL ? ": " : "",
                   message != NULL ? message : "");
}

enum pr_code kube_ask(struct kube *k, const struct kube_question *q, struct autoscale_try *t,
                      json_t **out, bool *unsure, struct pr_err *err)
{
    static const char *const HEADER[] = { "Accept: application/json",
                                          "Content-Type: application/merge-patch+json" };
    char url[2048];
    *unsure = false;
    *out = NULL;
    const int n = snprintf(url, sizeof url, "%s%s", k->endpoint, q->path);
    if (n < 0 || (size_t)n >= sizeof url)
        return pr_fail(err, PR_EINVAL, "%.80s: the address is too long", q->who);
    const struct pr_web_request request = {
        .method = q->method,
        .url = url,
        .body = q->body,
        .header = HEADER,
        .headers = q->body != NULL ? 2 : 1,
        .timeout_ms = autoscale_timeout_ms(&k->pace, t),
        .ca_file = k->ca_file[0] != '\0' ? k->ca_file : NULL,
        .bearer_file = k->token_file[0] != '\0' ? k->token_file : NULL,
    };
    struct pr_web_response r;
    enum pr_code rc = pr_web_ask(&request, &r, err);
    if (rc != PR_OK) {
        t->again = pr_retryable(rc);
        *unsure = t->again || rc == PR_EDATA;
        return pr_wrap(err, rc, "%.80s", q->who);
    }
    json_error_t where;
    json_t *j = json_loadb(r.body.data != NULL ? r.body.data : "", r.body.len, 0, &where);
    if (r.status < 200 || r.status > 299) {
        rc = refused(q, r.status, r.retry_after_s, j, t, unsure, err);
    } else if (!json_is_object(j)) {
        *unsure = true;
        rc = pr_fail(err, PR_EDATA, "%.80s: %s: not a JSON object, line %d: %.60s", q->who,
                     q->method, where.line, j == NULL ? where.text : "");
    }
    pr_buf_done(&r.body);
    if (rc == PR_OK)
        *out = j;
    else
        json_decref(j);
    return rc;
}

/* --- the scale subresource -------------------------------------------------------- */

static bool count(const json_t *j, bool may_miss, int *out)
{
    if (j == NULL && may_miss) {
        *out = 0;
        return true;
    }
    if (!json_is_integer(j) || json_integer_value(j) < 0 || json_integer_value(j) > 1000000)
        return false;
    *out = (int)json_integer_value(j);
    return true;
}

static bool text(const json_t *j, char *to, size_t room)
{
    const char *s = json_string_value(j);

    return (size_t)snprintf(to, room, "%s", s != NULL ? s : "") < room;
}

static enum pr_code parse_scale(const json_t *j, const char *who, struct kube_scale *out,
                                struct pr_err *err)
{
    const json_t *spec = json_object_get(j, "spec"), *status = json_object_get(j, "status");

    /* A Scale leaves out spec.replicas when it is 0. */
    if (!json_is_object(spec) || !count(json_object_get(spec, "replicas"), true, &out->wanted))
        return pr_fail(err, PR_EDATA, "%.80s: scale: spec.replicas is no number", who);
    if (!count(json_object_get(status, "replicas"), false, &out->runs))
        return pr_fail(err, PR_EDATA, "%.80s: scale: status.replicas is no number", who);
    if (!text(json_object_get(status, "selector"), out->selector, sizeof out->selector))
        out->selector[0] = '\0'; /* longer than we can ask with: the pods stay unknown */
    if (!text(json_object_get(json_object_get(j, "metadata"), "resourceVersion"), out->version,
              sizeof out->version))
        return pr_fail(err, PR_EDATA, "%.80s: scale: resourceVersion is too long", who);
    return PR_OK;
}

static void path_of(const struct kube *k, size_t target, char *path, size_t room)
{
    (void)snprintf(path, room, "/apis/apps/v1/namespaces/%s/%s/scale", k->space,
                   k->base.target[target].name);
}

enum pr_code kube_read_scale(struct kube *k, size_t target, struct autoscale_try *t,
                             struct kube_scale *out, struct pr_err *err)
{
    char path[512], who[AUTOSCALE_TARGET_NAME + 16];
    const struct kube_question q = { .method = "GET", .path = path, .who = who };
    json_t *j = NULL;
    bool unsure;

    *out = (struct kube_scale){ 0 };
    kube_who(k, target, who);
    path_of(k, target, path, sizeof path);
    enum pr_code rc = kube_ask(k, &q, t, &j, &unsure, err);
    if (rc == PR_OK)
        rc = parse_scale(j, who, out, err);
    json_decref(j);
    return rc;
}

enum pr_code kube_write_scale(struct kube *k, size_t target, int n, struct autoscale_try *t,
                              struct kube_scale *scale, bool *unsure, struct pr_err *err)
{
    char path[512], who[AUTOSCALE_TARGET_NAME + 16];
    struct kube_question q = { .method = "PATCH", .path = path, .who = who };
    /* With the version that was read, somebody else's change meanwhile is a 409. */
    json_t *patch = scale->version[0] != '\0'
                        ? json_pack("{s:{s:s}, s:{s:i}}", "metadata", "resourceVersion",
                                    scale->version, "spec", "replicas", n)
                        : json_pack("{s:{s:i}}", "spec", "replicas", n);
    char *body = patch != NULL ? json_dumps(patch, JSON_COMPACT) : NULL;
    json_t *j = NULL;

    json_decref(patch);
    if (body == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory");
    kube_who(k, target, who);
    path_of(k, target, path, sizeof path);
    q.body = body;
    enum pr_code rc = kube_ask(k, &q, t, &j, unsure, err);
    free(body);
    if (rc == PR_OK) {
        rc = parse_scale(j, who, scale, err);
        if (rc == PR_OK && scale->wanted != n)
            rc = pr_fail(err, PR_EDATA, "%.80s: %d replicas asked for, the answer says %d", who, n,
                         scale->wanted);
        *unsure = rc != PR_OK;
    }
    json_decref(j);
    return rc;
}
