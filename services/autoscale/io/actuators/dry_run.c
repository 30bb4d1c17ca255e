/* Says what it would do, and does nothing. What it describes is what runs beneath. */
#include "io/actuators/retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dry {
    struct autoscale_actuator base;
    struct autoscale_actuator *beneath; /* NULL: nothing is known */
    void (*say)(void *ctx, const char *what);
    void *ctx;
    char said[AUTOSCALE_TARGETS][128]; /* the last of each target: not said twice */
};

static unsigned dry_can(const struct autoscale_actuator *a, size_t target)
{
    const struct dry *d = (const struct dry *)a;

    return d->beneath != NULL ? d->beneath->can(d->beneath, target) & ~(unsigned)AUTOSCALE_CAN_ACT
                              : AUTOSCALE_CAN_TERMINATE;
}

static enum pr_code dry_describe(struct autoscale_actuator *a, int64_t since_ms,
                                 struct autoscale_report *out, struct pr_err *err)
{
    struct dry *d = (struct dry *)a;

    if (d->beneath != NULL)
        return d->beneath->describe(d->beneath, since_ms, out, err);
    enum pr_code rc = autoscale_report_init(out, a->targets, err);
    if (rc == PR_OK)
        autoscale_report_fail(out, PR_EUNAVAIL, "dry-run: there is no provider to ask");
    if (rc != PR_OK || a->targets == 0)
        return rc;
    return pr_fail(err, PR_EUNAVAIL, "dry-run: there is no provider to ask");
}

static void say(struct dry *d, size_t target, const char *fmt, ...) PR_PRINTF(3, 4);
static void say(struct dry *d, size_t target, const char *fmt, ...)
{
    char what[sizeof d->said[0]], line[AUTOSCALE_TARGET_NAME + sizeof what + 32];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (strcmp(what, d->said[target]) == 0)
        return;
    (void)snprintf(d->said[target], sizeof d->said[target], "%s", what);
    (void)snprintf(line, sizeof line, "dry-run: %s: would %s", d->base.target[target].name, what);
    d->say(d->ctx, line);
}

/* What is wanted there now; -1: not known. Only a limit or a group that is not there is an
 * error here: what else went wrong would have kept nobody from saying it. */
static enum pr_code wanted_now(struct dry *d, size_t target, int n, int *now, struct pr_err *err)
{
    struct autoscale_report report;
    enum pr_code rc = PR_OK;

    *now = -1;
    if (target >= d->base.targets || n < 0)
        return pr_fail(err, PR_EINVAL, "dry-run: group %zu of %zu, %d members", target,
                       d->base.targets, n);
    if (d->beneath == NULL)
        return PR_OK;
    rc = d->beneath->describe(d->beneath, 0, &report, err);
    if (rc == PR_OK) {
        const struct autoscale_reported *r = &report.target[target];
        if (r->code != PR_OK)
            rc = pr_fail(err, r->code, "%s", r->problem_text);
        else if (r->max >= 0 && (n < r->min || n > r->max))
            rc = pr_fail(err, PR_EFULL, "%s %.90s: %d members wanted, its limits are %d..%d",
                         d->beneath->provider, d->base.target[target].name, n, r->min, r->max);
        else
            *now = r->desired;
    }
    autoscale_report_done(&report);
    return rc;
}

static enum pr_code dry_set_desired(struct autoscale_actuator *a, size_t target, int n, bool *sent,
                                    struct pr_err *err)
{
    struct dry *d = (struct dry *)a;
    int now = -1;

    *sent = false;
    enum pr_code rc = wanted_now(d, target, n, &now, err);
    if (rc != PR_OK)
        return rc;
    if (now == n)
        d->said[target][0] = '\0';
    else if (now >= 0)
        say(d, target, "set the desired number from %d to %d", now, n);
    else
        say(d, target, "set the desired number to %d", n);
    return PR_OK;
}

static enum pr_code dry_terminate(struct autoscale_actuator *a, size_t target, const char *id,
                                  int desired_after, bool *sent, struct pr_err *err)
{
    struct dry *d = (struct dry *)a;
    int now = -1;

    *sent = false;
    enum pr_code rc = wanted_now(d, target, desired_after, &now, err);
    if (rc == PR_OK && now != desired_after)
        say(d, target, "terminate %.60s and want %d from then on", id, desired_after);
    return rc;
}

static void dry_close(struct autoscale_actuator *a)
{
    struct dry *d = (struct dry *)a;

    autoscale_actuator_close(d->beneath);
    free((void *)(uintptr_t)a->target);
    free(d);
}

static void say_nothing(void *ctx, const char *what)
{
    (void)ctx, (void)what;
}

enum pr_code autoscale_dry_run_open(const struct autoscale_provider *p,
                                    struct autoscale_actuator **out, struct pr_err *err)
{
    struct dry *d = calloc(1, sizeof *d);
    struct autoscale_target *targets = calloc(p->targets + 1, sizeof *targets);

    if (d == NULL || targets == NULL) {
        free(d);
        free(targets);
        return pr_fail(err, PR_ENOMEM, "no memory");
    }
    if (p->targets > 0)
        memcpy(targets, p->target, p->targets * sizeof *targets);
    *d = (struct dry){ .beneath = p->beneath,
                       .say = p->say != NULL ? p->say : say_nothing,
                       .ctx = p->say_ctx };
    d->base = (struct autoscale_actuator){ .provider = "dry-run",
                                           .target = targets,
                                           .targets = p->targets,
                                           .can = dry_can,
                                           .describe = dry_describe,
                                           .set_desired = dry_set_desired,
                                           .terminate = dry_terminate,
                                           .close = dry_close };
    *out = &d->base;
    return PR_OK;
}
