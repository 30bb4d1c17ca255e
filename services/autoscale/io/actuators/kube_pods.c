#include "io/actuators/kube_private.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kubelet's own measure: who has run for ten minutes begins anew, without a pause. */
enum { PAGES = 200, RESTARTS = 3, LOOP_MS = 10 * 60 * 1000 };

/* Beside the cost itself, which others may set as well. */
#define COST "controller.kubernetes.io/pod-deletion-cost"
#define MARK "prism/leaves"

static const char *str(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));

    return s != NULL ? s : "";
}

/* A condition of that type, or NULL. */
static const json_t *condition(const json_t *status, const char *type)
{
    const json_t *all = json_object_get(status, "conditions");
    size_t i;
    json_t *one;

    json_array_foreach(all, i, one) if (strcmp(str(one, "type"), type) == 0) return one;
    return NULL;
}

static int64_t time_of(const json_t *j, const char *name)
{
    int64_t ms = 0;

    return pr_time_parse(str(j, name), &ms) && ms > 0 ? ms : 0;
}

/* No node has room for it: the cluster may yet grow, so the pod still counts as coming. */
static void note_unschedulable(const json_t *status, const char *pod, struct autoscale_reported *r)
{
    const json_t *c = condition(status, "PodScheduled");

    if (r->problem != AUTOSCALE_NO_PROBLEM || strcmp(str(c, "status"), "False") != 0 ||
        strcmp(str(c, "reason"), "Unschedulable") != 0)
        return;
    r->problem = AUTOSCALE_NO_CAPACITY;
    (void)snprintf(r->problem_text, sizeof r->problem_text, "%.60s: %s", pod, str(c, "message"));
}

/* It has ended just now, and not for the first time, after a short run. How often it did in its
 * whole life says nothing: pods live for months. */
static bool loops(const json_t *container, int64_t now_ms)
{
    const json_t *last = json_object_get(json_object_get(container, "lastState"), "terminated");
    const int64_t began_ms = time_of(last, "startedAt"), ended_ms = time_of(last, "finishedAt");

    return !json_is_true(json_object_get(container, "ready")) &&
           json_integer_value(json_object_get(container, "restartCount")) >= RESTARTS &&
           ended_ms != 0 && now_ms - ended_ms < LOOP_MS && ended_ms - began_ms < LOOP_MS;
}

/* Not ready, and not on its way there: its container does not come up. "": it may yet. */
static const char *stuck(const json_t *status)
{
    static const char *const reasons[] = {
        "CrashLoopBackOff",  "ImagePullBackOff",           "ErrImagePull",
        "InvalidImageName",  "CreateContainerConfigError", "CreateContainerError",
        "RunContainerError",
    };
    size_t i;
    json_t *one;

    json_array_foreach(json_object_get(status, "containerStatuses"), i, one)
    {
        const char *why = str(json_object_get(json_object_get(one, "state"), "waiting"), "reason");
        for (size_t r = 0; r < PR_COUNT(reasons); r++)
            if (strcmp(why, reasons[r]) == 0)
                return reasons[r];
        if (loops(one, pr_now_ms()))
            return "restarts again and again";
    }
    return "";
}

/* In which order a ReplicaSet's controller takes them, before it looks at marks: no node yet, then
 * by phase, then not ready. */
static int goes(const struct autoscale_instance *i, const char *phase)
{
    return i->place[0] == '\0'             ? 1
           : strcmp(phase, "Pending") == 0 ? 2
           : strcmp(phase, "Running") != 0 ? 3
           : !i->healthy                   ? 4
                                           : 5;
}

static enum pr_code read_pod(const struct kube *k, const json_t *pod, size_t target,
                             struct autoscale_report *out, struct pr_err *err)
{
    const json_t *meta = json_object_get(pod, "metadata");
    const json_t *status = json_object_get(pod, "status");
    const char *name = str(meta, "name"), *phase = str(status, "phase"), *why = stuck(status);
    const bool going = json_object_get(meta, "deletionTimestamp") != NULL;
    struct autoscale_instance i = { .target = target };

    if (name[0] == '\0' || strlen(name) >= sizeof i.id)
        return pr_fail(err, PR_EDATA, "a pod without a name");
    (void)snprintf(i.id, sizeof i.id, "%s", name);
    (void)snprintf(i.place, sizeof i.place, "%s", str(json_object_get(pod, "spec"), "nodeName"));
    (void)snprintf(i.state, sizeof i.state, "%s",
                   going            ? "Terminating"
                   : why[0] != '\0' ? why
                                    : phase);
    i.marked = strcmp(str(json_object_get(meta, "annotations"), MARK), k->owner) == 0;
    i.healthy = strcmp(str(condition(status, "Ready"), "status"), "True") == 0;
    i.goes = goes(&i, phase);
    i.started_ms = time_of(status, "startTime");
    i.ready_since_ms = time_of(condition(status, "Ready"), "lastTransitionTime");
    if (going)
        i.life = AUTOSCALE_LEAVING;
    else if (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0)
        i.life = AUTOSCALE_GONE;
    else if (strcmp(phase, "Running") == 0 && i.healthy)
        i.life = AUTOSCALE_IN_SERVICE;
    else if (why[0] != '\0') { /* whatever else its conditions say */
        i.life = AUTOSCALE_IN_SERVICE;
        i.healthy = false;
    } else
        i.life = AUTOSCALE_COMING; /* Pending; or running, and not ready */
    note_unschedulable(status, name, &out->target[target]);
    return autoscale_report_add(out, &i, err);
}

/* One page; *next: where the following one begins, "" at the end. */
static enum pr_code read_page(struct kube *k, size_t target, const char *selector,
                              struct pr_buf *next, struct autoscale_try *t,
                              struct autoscale_report *out, struct pr_err *err)
{
    char who[AUTOSCALE_TARGET_NAME + 16];
    struct kube_question q = { .method = "GET", .who = who };
    struct pr_buf path;
    json_t *j = NULL, *pod;
    size_t i;
    bool unsure;

    kube_who(k, target, who);
    pr_buf_init(&path, 0);
    pr_buf_printf(&path, "/api/v1/namespaces/%s/pods?limit=500&labelSelector=", k->space);
    pr_web_encode(&path, selector);
    if (next->len > 0) {
        pr_buf_str(&path, "&continue=");
        pr_web_encode(&path, next->data);
    }
    q.path = path.data;
    enum pr_code rc =
        path.failed ? pr_fail(err, PR_ENOMEM, "no memory") : kube_ask(k, &q, t, &j, &unsure, err);
    pr_buf_done(&path);
    const json_t *items = json_object_get(j, "items");
    if (rc == PR_OK && !json_is_array(items) && !json_is_null(items))
        rc = pr_fail(err, PR_EDATA, "%.80s: pods: no list of items", who);
    json_array_foreach(items, i, pod)
    {
        if (rc == PR_OK) {
            rc = read_pod(k, pod, target, out, err);
            if (rc != PR_OK)
                rc = pr_wrap(err, rc, "%.80s", who);
        }
    }
    pr_buf_reset(next);
    if (rc == PR_OK) {
        pr_buf_str(next, str(json_object_get(j, "metadata"), "continue"));
        if (next->failed)
            rc = pr_fail(err, PR_ENOMEM, "no memory");
    }
    json_decref(j);
    return rc;
}

enum pr_code kube_read_pods(struct kube *k, size_t target, const char *selector,
                            struct autoscale_try *t, struct autoscale_report *out,
                            struct pr_err *err)
{
    struct autoscale_reported *r = &out->target[target];
    const struct autoscale_reported before = *r;
    const size_t instances = out->instances;
    struct pr_buf next;
    enum pr_code rc;
    int pages = 0;

    pr_buf_init(&next, 64 << 10);
    r->in_service = 0;
    r->members_known = true;
    do {
        rc = read_page(k, target, selector, &next, t, out, err);
        if (rc == PR_OK && next.len > 0 && ++pages == PAGES)
            rc = pr_fail(err, PR_EDATA, "kubernetes %.80s: pods: pages without an end",
                         k->base.target[target].name);
    } while (rc == PR_OK && next.len > 0);
    pr_buf_done(&next);
    if (rc != PR_OK) {
        *r = before;
        out->instances = instances;
    }
    return rc;
}

enum pr_code kube_mark(struct kube *k, size_t target, const char *pod, bool first,
                       struct autoscale_try *t, struct pr_err *err)
{
    char path[512], who[AUTOSCALE_TARGET_NAME + 16];
    json_t *j = NULL,
           *body = json_pack("{s:{s:{s:s?, s:s?}}}", "metadata", "annotations", COST,
                             first ? "-2147483648" : NULL, MARK, first ? k->owner : NULL);
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    const struct kube_question q = { .method = "PATCH", .path = path, .who = who, .body = text };
    bool unsure;

    json_decref(body);
    if (text == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory");
    kube_who(k, target, who);
    (void)snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods/%s", k->space, pod);
    enum pr_code rc = kube_ask(k, &q, t, &j, &unsure, err);
    json_decref(j);
    free(text);
    return rc;
}

enum pr_code kube_read_reason(struct kube *k, size_t target, struct autoscale_try *t,
                              struct autoscale_reported *r, struct pr_err *err)
{
    char path[512], who[AUTOSCALE_TARGET_NAME + 16];
    const struct kube_question q = { .method = "GET", .path = path, .who = who };
    json_t *j = NULL;
    bool unsure;

    if (strncmp(k->base.target[target].name, "deployments/", 12) != 0)
        return PR_OK; /* a StatefulSet's conditions say nothing of it */
    kube_who(k, target, who);
    (void)snprintf(path, sizeof path, "/apis/apps/v1/namespaces/%s/%s", k->space,
                   k->base.target[target].name);
    enum pr_code rc = kube_ask(k, &q, t, &j, &unsure, err);
    if (rc != PR_OK)
        return rc;
    const json_t *c = condition(json_object_get(j, "status"), "ReplicaFailure");
    if (strcmp(str(c, "status"), "True") == 0) {
        const char *says = str(c, "message");
        r->problem = strstr(says, "quota") != NULL || strstr(says, "limit") != NULL
                         ? AUTOSCALE_QUOTA
                         : AUTOSCALE_OTHER_PROBLEM;
        (void)snprintf(r->problem_text, sizeof r->problem_text, "%s", says);
    }
    json_decref(j);
    return PR_OK;
}
