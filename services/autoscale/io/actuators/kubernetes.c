/* Kubernetes' scale subresource of Deployments and StatefulSets, one of them for each zone.
 * Needs: get and patch on deployments/scale or statefulsets/scale. Better with: list on pods
 * (who is ready), get on deployments (why none come), patch on pods (which one goes). */
#include "io/actuators/kube_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

/* --- describe ------------------------------------------------------------------ */

static enum pr_code look_at(struct kube *k, size_t target, struct autoscale_try *t,
                            struct kube_scale *scale, struct autoscale_report *out,
                            struct pr_err *err)
{
    struct autoscale_reported *r = &out->target[target];
    enum pr_code rc = kube_read_scale(k, target, t, scale, err);

    if (rc != PR_OK)
        return rc;
    *r = (struct autoscale_reported){ .desired = scale->wanted,
                                      .in_service = scale->runs,
                                      .max = -1 };
    if (scale->selector[0] == '\0')
        return PR_OK;
    rc = kube_read_pods(k, target, scale->selector, t, out, err);
    return rc == PR_EDENIED ? PR_OK : rc; /* that we may not list them is no failure */
}

struct look {
    struct kube *k;
    struct autoscale_report *out;
    size_t next;
    size_t answered;
};

static enum pr_code describe_once(void *ctx, struct autoscale_try *t, struct pr_err *err)
{
    struct look *l = ctx;

    for (; l->next < l->k->base.targets; l->next++) {
        struct autoscale_reported *r = &l->out->target[l->next];
        struct kube_scale scale;
        enum pr_code rc = look_at(l->k, l->next, t, &scale, l->out, err);
        if (rc == PR_OK && r->problem == AUTOSCALE_NO_PROBLEM &&
            r->in_service + r->coming < r->desired) {
            rc = kube_read_reason(l->k, l->next, t, r, err);
            if (rc == PR_EDENIED)
                rc = PR_OK;
        }
        if (rc != PR_OK && t->again)
            return rc;
        if (rc != PR_OK) { /* this one's own trouble */
            *r = (struct autoscale_reported){ .code = rc };
            (void)snprintf(r->problem_text, sizeof r->problem_text, "%s", err->text);
        }
        l->answered += rc == PR_OK;
    }
    return PR_OK;
}

static enum pr_code kube_describe(struct autoscale_actuator *base, int64_t since_ms,
                                  struct autoscale_report *out, struct pr_err *err)
{
    (void)since_ms; /* conditions are of now */
    struct kube *k = (struct kube *)base;
    struct pr_err own = { 0 }, *const e = err != NULL ? err : &own;
    struct look l = { .k = k, .out = out };
    enum pr_code rc = autoscale_report_init(out, base->targets, e);

    if (rc != PR_OK)
        return rc;
    rc = autoscale_retry(&k->pace, describe_once, &l, e);
    for (size_t i = l.next; rc != PR_OK && i < base->targets; i++) {
        out->target[i] = (struct autoscale_reported){ .code = rc };
        (void)snprintf(out->target[i].problem_text, sizeof out->target[i].problem_text, "%s",
                       e->text);
    }
    if (l.answered > 0 || base->targets == 0)
        return PR_OK;
    return rc != PR_OK ? rc : pr_fail(e, out->target[0].code, "%s", out->target[0].problem_text);
}

/* --- orders -------------------------------------------------------------------- */

struct order {
    struct kube *k;
    size_t target;
    const char *id; /* terminate; NULL: set the number */
    int n;
    bool *sent;
    bool known;
    struct kube_scale scale;
};

static enum pr_code look_first(struct order *o, struct autoscale_try *t, struct pr_err *err)
{
    enum pr_code rc = o->known ? PR_OK : kube_read_scale(o->k, o->target, t, &o->scale, err);

    o->known = rc == PR_OK;
    return rc;
}

static enum pr_code write_once(struct order *o, struct autoscale_try *t, struct pr_err *err)
{
    bool unsure = false;
    struct kube_scale scale = o->scale;
    enum pr_code rc = kube_write_scale(o->k, o->target, o->n, t, &scale, &unsure, err);

    if (rc == PR_OK || unsure)
        *o->sent = true;
    if (unsure || rc == PR_ECONFLICT) /* read it again before the next try */
        o->known = false;
    return rc;
}

static enum pr_code set_once(void *ctx, struct autoscale_try *t, struct pr_err *err)
{
    struct order *o = ctx;
    enum pr_code rc = look_first(o, t, err);

    if (rc != PR_OK || o->scale.wanted == o->n)
        return rc;
    return write_once(o, t, err);
}

/* The number in NAME-7; -1: no such name. */
static long ordinal(const char *set, const char *pod)
{
    const size_t n = strlen(set);
    char *end = NULL;

    if (strncmp(pod, set, n) != 0 || pod[n] != '-' || pod[n + 1] < '0' || pod[n + 1] > '9')
        return -1;
    const long number = strtol(pod + n + 1, &end, 10);
    return *end == '\0' ? number : -1;
}

/* A StatefulSet takes its highest number: is it the one that is meant? */
static enum pr_code check_last(const struct order *o, const struct autoscale_report *report,
                               struct pr_err *err)
{
    const char *set = strchr(o->k->base.target[o->target].name, '/') + 1;
    const long number = ordinal(set, o->id);
    long last = o->scale.wanted - 1; /* where we may not list the pods */

    if (report->target[o->target].members_known)
        for (size_t i = 0; i < report->instances; i++) {
            const long one = ordinal(set, report->instance[i].id);
            last = i == 0 || one > last ? one : last;
        }
    return number == last
               ? PR_OK
               : pr_fail(err, PR_ECONFLICT, "kubernetes %.90s: %s-%ld goes first, not %.60s",
                         o->k->base.target[o->target].name, set, last, o->id);
}

/* Of a Deployment's pods a mark tells apart those that are in the same way not ready, or ready. */
static enum pr_code mark_first(const struct order *o, const struct autoscale_report *report,
                               struct autoscale_try *t, struct pr_err *err)
{
    const char *const name = o->k->base.target[o->target].name;
    const struct autoscale_instance *pod = autoscale_report_find(report, o->target, o->id);

    if (!report->target[o->target].members_known)
        return pr_fail(err, PR_EDENIED,
                       "kubernetes %.90s: without leave to list pods none can be chosen", name);
    if (pod == NULL || pod->life == AUTOSCALE_LEAVING)
        return pr_fail(err, PR_ECONFLICT, "kubernetes %.90s: %.60s is %s, and %d are wanted", name,
                       o->id, pod != NULL ? pod->state : "not there", o->scale.wanted);
    for (size_t i = 0; i < report->instances; i++) {
        const struct autoscale_instance *other = &report->instance[i];
        if (other->life != AUTOSCALE_LEAVING && other->target == o->target &&
            other->goes < pod->goes)
            return pr_fail(err, PR_ECONFLICT,
                           "kubernetes %.90s: %.60s is not ready and would go first", name,
                           other->id);
    }
    return kube_mark(o->k, o->target, o->id, true, t, err);
}

static enum pr_code terminate_once(void *ctx, struct autoscale_try *t, struct pr_err *err)
{
    struct order *o = ctx;
    struct autoscale_report report;
    bool already = false;

    /* Kubernetes takes the pod some time after the number fell: who is still there says
     * nothing of whether it did. */
    enum pr_code rc = look_first(o, t, err);
    if (rc == PR_OK) {
        rc = autoscale_may_lower(o->scale.wanted, o->n, &already, err);
        if (rc != PR_OK)
            rc = pr_wrap(err, rc, "kubernetes %.90s", o->k->base.target[o->target].name);
    }
    if (rc != PR_OK || already)
        return rc;
    rc = autoscale_report_init(&report, o->k->base.targets, err);
    if (rc != PR_OK)
        return rc;
    rc = look_at(o->k, o->target, t, &o->scale, &report, err);
    if (rc == PR_OK && o->scale.wanted != o->n + 1) {
        o->known = false; /* changed while we looked */
        t->again = true;
        rc = pr_fail(err, PR_ECONFLICT, "kubernetes %.90s: %d are wanted now",
                     o->k->base.target[o->target].name, o->scale.wanted);
    }
    if (rc == PR_OK)
        rc = strncmp(o->k->base.target[o->target].name, "stateful", 8) == 0
                 ? check_last(o, &report, err)
                 : mark_first(o, &report, t, err);
    autoscale_report_done(&report);
    return rc == PR_OK ? write_once(o, t, err) : rc;
}

static enum pr_code run(struct order *o, autoscale_try_fn *once, struct pr_err *err)
{
    *o->sent = false;
    if (o->target >= o->k->base.targets || o->n < 0)
        return pr_fail(err, PR_EINVAL, "kubernetes: target %zu of %zu, %d replicas", o->target,
                       o->k->base.targets, o->n);
    return autoscale_retry(&o->k->pace, once, o, err);
}

static enum pr_code kube_set_desired(struct autoscale_actuator *base, size_t target, int n,
                                     bool *sent, struct pr_err *err)
{
    struct order o = { .k = (struct kube *)base, .target = target, .n = n, .sent = sent };

    return run(&o, set_once, err);
}

static bool is_name(const char *s)
{
    const size_t n = strlen(s);

    return n > 0 && n < 254 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == n &&
           strstr(s, "..") == NULL;
}

static enum pr_code kube_terminate(struct autoscale_actuator *base, size_t target, const char *id,
                                   int desired_after, bool *sent, struct pr_err *err)
{
    struct order o = {
        .k = (struct kube *)base, .target = target, .id = id, .n = desired_after, .sent = sent
    };

    *sent = false;
    if (!is_name(id)) /* it becomes part of a path */
        return pr_fail(err, PR_EINVAL, "kubernetes: \"%.60s\" is no pod's name", id);
    return run(&o, terminate_once, err);
}

static enum pr_code keep_once(void *ctx, struct autoscale_try *t, struct pr_err *err)
{
    struct order *o = ctx;
    const enum pr_code rc = kube_mark(o->k, o->target, o->id, false, t, err);

    return rc == PR_ENOTFOUND ? PR_OK : rc; /* gone all the same */
}

static enum pr_code kube_keep(struct autoscale_actuator *base, size_t target, const char *id,
                              struct pr_err *err)
{
    bool sent = false;
    struct order o = { .k = (struct kube *)base, .target = target, .id = id, .sent = &sent };

    return run(&o, keep_once, err);
}

/* --- open, close ------------------------------------------------------------------ */

static unsigned kube_can(const struct autoscale_actuator *a, size_t target)
{
    const bool numbered =
        target < a->targets && strncmp(a->target[target].name, "statefulsets/", 13) == 0;

    return AUTOSCALE_CAN_ACT |
           (unsigned)(numbered ? AUTOSCALE_CAN_TERMINATE_LAST : AUTOSCALE_CAN_TERMINATE);
}

static void kube_close(struct autoscale_actuator *base)
{
    free((void *)(uintptr_t)base->target);
    free(base);
}

static enum pr_code check(const struct autoscale_provider *p, struct pr_err *err)
{
    if (p->space == NULL || !is_name(p->space) || strchr(p->space, '.') != NULL)
        return pr_fail(err, PR_EINVAL, "kubernetes: \"%.60s\" is no namespace",
                       p->space != NULL ? p->space : "");
    if (p->owner == NULL || p->owner[0] == '\0')
        return pr_fail(err, PR_EINVAL, "kubernetes: whose marks are ours is not said");
    for (size_t i = 0; i < p->targets; i++) {
        const char *name = p->target[i].name;
        const size_t n = strncmp(name, "deployments/", 12) == 0    ? 12
                         : strncmp(name, "statefulsets/", 13) == 0 ? 13
                                                                   : 0;
        if (n == 0 || !is_name(name + n))
            return pr_fail(err, PR_EINVAL,
                           "kubernetes: \"%.90s\" is neither deployments/NAME nor "
                           "statefulsets/NAME",
                           name);
    }
    return PR_OK;
}

static bool take(char *to, size_t room, const char *from, const char *otherwise)
{
    return (size_t)snprintf(to, room, "%s", from != NULL ? from : otherwise) < room;
}

enum pr_code autoscale_kubernetes_open(const struct autoscale_provider *p,
                                       struct autoscale_actuator **out, struct pr_err *err)
{
    enum pr_code rc = check(p, err);

    if (rc != PR_OK)
        return rc;
    struct kube *k = calloc(1, sizeof *k);
    struct autoscale_target *targets = calloc(p->targets + 1, sizeof *targets);
    if (k == NULL || targets == NULL) {
        free(k);
        free(targets);
        return pr_fail(err, PR_ENOMEM, "no memory");
    }
    if (p->targets > 0)
        memcpy(targets, p->target, p->targets * sizeof *targets);
    k->base = (struct autoscale_actuator){ .provider = "kubernetes",
                                           .target = targets,
                                           .targets = p->targets,
                                           .can = kube_can,
                                           .describe = kube_describe,
                                           .set_desired = kube_set_desired,
                                           .terminate = kube_terminate,
                                           .keep = kube_keep,
                                           .close = kube_close };
    k->pace = p->pace;
    autoscale_pace_fill(&k->pace);
    const char *const endpoint = p->endpoint != NULL && p->endpoint[0] != '\0' ? p->endpoint : NULL;
    if (!take(k->endpoint, sizeof k->endpoint, endpoint, "https://kubernetes.default.svc") ||
        !take(k->space, sizeof k->space, p->space, "") ||
        !take(k->owner, sizeof k->owner, p->owner, "") ||
        !take(k->token_file, sizeof k->token_file, p->token_file, ACCOUNT "token") ||
        !take(k->ca_file, sizeof k->ca_file, p->ca_file, ACCOUNT "ca.crt"))
        rc =
            pr_fail(err, PR_EINVAL, "kubernetes: endpoint, namespace, owner or a file is too long");
    for (size_t n = strlen(k->endpoint); n > 0 && k->endpoint[n - 1] == '/'; n--)
        k->endpoint[n - 1] = '\0';
    if (rc == PR_OK)
        *out = &k->base;
    else
        kube_close(&k->base);
    return rc;
}
