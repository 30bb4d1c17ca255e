/* AWS Auto Scaling over its Query API. Source: Amazon EC2 Auto Scaling API Reference,
 * version 2011-01-01. */
#include "io/actuators/aws_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 50, PAGES = 100, XML_MAX = 256 << 20, ACTIVITIES = 20 };

/* --- describe ----------------------------------------------------------------- */

/* Goes on, try after try, from the page that failed. */
struct look {
    struct aws *a;
    size_t only; /* a target; SIZE_MAX: all */
    int64_t since_ms;
    struct autoscale_report *out;
    bool seen[AUTOSCALE_TARGETS];
    size_t from;        /* first target of the chunk */
    struct pr_buf next; /* token of the page; empty: the chunk's first */
    int pages;
    size_t reasons; /* targets below this one have been asked why members are missing */
};

static size_t chunk_end(const struct look *l)
{
    if (l->only != SIZE_MAX)
        return l->only + 1;
    return l->from + NAMES < l->a->base.targets ? l->from + NAMES : l->a->base.targets;
}

static enum pr_code one_page(struct look *l, struct autoscale_try *t, struct pr_arena *arena,
                             struct pr_err *err)
{
    struct aws_question q = { .who = "aws", .action = "DescribeAutoScalingGroups" };
    const struct pr_xml *root = NULL;
    char name[48], who[AUTOSCALE_TARGET_NAME + 16];
    bool unsure;

    if (l->only != SIZE_MAX) {
        (void)snprintf(who, sizeof who, "aws group %s", l->a->base.target[l->only].name);
        q.who = who;
    }
    for (size_t i = l->from; i < chunk_end(l); i++) {
        (void)snprintf(name, sizeof name, "AutoScalingGroupNames.member.%zu", i - l->from + 1);
        aws_param(&q, name, l->a->base.target[i].name);
    }
    aws_param(&q, "MaxRecords", "100");
    if (l->next.len > 0)
        aws_param(&q, "NextToken", l->next.data);
    enum pr_code rc = aws_ask(l->a, &q, t, arena, &root, &unsure, err);
    pr_buf_done(&q.more);
    if (rc != PR_OK)
        return rc;
    rc = aws_read_groups(l->a, root, l->out, l->seen, err);
    if (rc != PR_OK)
        return rc;

    const char *next = pr_xml_text(root, "DescribeAutoScalingGroupsResult/NextToken");
    if (next[0] != '\0' &&
        (++l->pages == PAGES || (l->next.len > 0 && strcmp(next, l->next.data) == 0)))
        return pr_fail(err, PR_EDATA, "%.90s: DescribeAutoScalingGroups: pages without an end",
                       q.who);
    pr_buf_reset(&l->next);
    pr_buf_str(&l->next, next);
    if (l->next.failed)
        return pr_fail(err, PR_ENOMEM, "no memory");
    if (next[0] == '\0')
        l->from = chunk_end(l);
    return PR_OK;
}

/* Why fewer run than are wanted: asked of such groups alone. That it may not be asked is
 * part of the answer, and no reason to know nothing. */
static enum pr_code one_reason(struct look *l, size_t target, struct autoscale_try *t,
                               struct pr_arena *arena, struct pr_err *err)
{
    struct autoscale_reported *r = &l->out->target[target];
    struct aws_question q = { .action = "DescribeScalingActivities" };
    const struct pr_xml *root = NULL;
    char who[AUTOSCALE_TARGET_NAME + 16], records[16];
    bool unsure;

    if (r->code != PR_OK || r->in_service + r->coming >= r->desired ||
        r->problem != AUTOSCALE_NO_PROBLEM)
        return PR_OK;
    (void)snprintf(who, sizeof who, "aws group %s", l->a->base.target[target].name);
    (void)snprintf(records, sizeof records, "%d", ACTIVITIES);
    q.who = who;
    aws_param(&q, "AutoScalingGroupName", l->a->base.target[target].name);
    aws_param(&q, "MaxRecords", records);
    enum pr_code rc = aws_ask(l->a, &q, t, arena, &root, &unsure, err);
    pr_buf_done(&q.more);
    if (rc == PR_OK)
        aws_read_activities(root, l->since_ms, r);
    if (rc != PR_OK && !t->again) {
        (void)snprintf(r->problem_text, sizeof r->problem_text, "why is not known: %.200s",
                       err != NULL ? err->text : "");
        return PR_OK;
    }
    return rc;
}

static enum pr_code look_on(void *ctx, struct autoscale_try *t, struct pr_err *err)
{
    struct look *l = ctx;
    const size_t end = l->only != SIZE_MAX ? l->only + 1 : l->a->base.targets;
    enum pr_code rc = PR_OK;
    struct pr_arena arena;

    pr_arena_init(&arena, XML_MAX);
    while (rc == PR_OK && l->from < end) {
        rc = one_page(l, t, &arena, err);
        pr_arena_reset(&arena);
    }
    for (; rc == PR_OK && l->reasons < end; l->reasons += rc == PR_OK) {
        rc = l->seen[l->reasons] ? one_reason(l, l->reasons, t, &arena, err) : PR_OK;
        pr_arena_reset(&arena);
    }
    pr_arena_done(&arena);
    return rc;
}

static void look_init(struct look *l, struct aws *a, size_t only, struct autoscale_report *out)
{
    *l = (struct look){ .a = a, .only = only, .out = out };
    l->from = l->reasons = only != SIZE_MAX ? only : 0;
    pr_buf_init(&l->next, 64 << 10);
}

static void name_missing(const struct look *l, size_t i)
{
    struct autoscale_reported *r = &l->out->target[i];

    if (l->seen[i])
        return;
    r->code = PR_ENOTFOUND;
    (void)snprintf(r->problem_text, sizeof r->problem_text,
                   "aws: there is no Auto Scaling group %.90s in %.63s", l->a->base.target[i].name,
                   l->a->region);
}

static enum pr_code aws_describe(struct autoscale_actuator *base, int64_t since_ms,
                                 struct autoscale_report *out, struct pr_err *err)
{
    struct aws *a = (struct aws *)base;
    struct pr_err own = { 0 }, *const e = err != NULL ? err : &own;
    struct look l;
    enum pr_code rc = autoscale_report_init(out, base->targets, e);

    if (rc != PR_OK || base->targets == 0)
        return rc;
    look_init(&l, a, SIZE_MAX, out);
    l.since_ms = since_ms;
    rc = autoscale_retry(&a->pace, look_on, &l, e);
    pr_buf_done(&l.next);
    if (rc != PR_OK)
        autoscale_report_fail(out, rc, e->text);
    for (size_t i = 0; rc == PR_OK && i < base->targets; i++)
        name_missing(&l, i);
    return rc;
}

/* --- orders ------------------------------------------------------------------- */

struct order {
    struct aws *a;
    size_t target;
    const char *id; /* terminate; NULL: set the number */
    int n;          /* wanted afterwards */
    bool *sent;
    bool known; /* report is what there is; false: look (again) first */
    struct autoscale_report report;
};

/* One look at the order's group, without asking why members are missing. */
static enum pr_code look_first(struct order *o, struct autoscale_try *t, struct pr_err *err)
{
    struct look l;
    struct pr_arena arena;

    autoscale_report_done(&o->report);
    enum pr_code rc = autoscale_report_init(&o->report, o->a->base.targets, err);
    if (rc != PR_OK)
        return rc;
    look_init(&l, o->a, o->target, &o->report);
    pr_arena_init(&arena, XML_MAX);
    while (rc == PR_OK && l.from <= o->target) {
        rc = one_page(&l, t, &arena, err);
        pr_arena_reset(&arena);
    }
    pr_arena_done(&arena);
    pr_buf_done(&l.next);
    if (rc != PR_OK)
        return rc;
    name_missing(&l, o->target);
    const struct autoscale_reported *r = &o->report.target[o->target];
    if (r->code != PR_OK)
        return pr_fail(err, r->code, "%s", r->problem_text);
    o->known = true;
    return PR_OK;
}

static enum pr_code send(struct order *o, struct aws_question *q, struct autoscale_try *t,
                         struct pr_err *err)
{
    const struct pr_xml *root = NULL;
    struct pr_arena arena;
    char who[AUTOSCALE_TARGET_NAME + 16];
    bool unsure = false;

    (void)snprintf(who, sizeof who, "aws group %s", o->a->base.target[o->target].name);
    q->who = who;
    pr_arena_init(&arena, XML_MAX);
    enum pr_code rc = aws_ask(o->a, q, t, &arena, &root, &unsure, err);
    pr_arena_done(&arena);
    pr_buf_done(&q->more);
    if (rc == PR_OK || unsure)
        *o->sent = true;
    if (unsure || rc == PR_ECONFLICT)
        o->known = false;
    return rc;
}

static enum pr_code within_limits(const struct order *o, const struct autoscale_reported *r,
                                  struct pr_err *err)
{
    if (o->n >= r->min && o->n <= r->max)
        return PR_OK;
    return pr_fail(err, PR_EFULL, "aws group %.90s: %d members wanted, its limits are %d..%d",
                   o->a->base.target[o->target].name, o->n, r->min, r->max);
}

static enum pr_code set_once(void *ctx, struct autoscale_try *t, struct pr_err *err)
{
    struct order *o = ctx;
    struct aws_question q = { .action = "SetDesiredCapacity" };
    char n[16];
    enum pr_code rc = o->known ? PR_OK : look_first(o, t, err);

    if (rc != PR_OK)
        return rc;
    const struct autoscale_reported *r = &o->report.target[o->target];
    rc = within_limits(o, r, err);
    if (rc != PR_OK || r->desired == o->n)
        return rc;
    (void)snprintf(n, sizeof n, "%d", o->n);
    aws_param(&q, "AutoScalingGroupName", o->a->base.target[o->target].name);
    aws_param(&q, "DesiredCapacity", n);
    aws_param(&q, "HonorCooldown", "false"); /* cooldowns are the decider's */
    return send(o, &q, t, err);
}

static enum pr_code terminate_once(void *ctx, struct autoscale_try *t, struct pr_err *err)
{
    struct order *o = ctx;
    const char *const group = o->a->base.target[o->target].name;
    struct aws_question q = { .action = "TerminateInstanceInAutoScalingGroup" };
    bool lowered = false;
    enum pr_code rc = o->known ? PR_OK : look_first(o, t, err);

    if (rc != PR_OK)
        return rc;
    const struct autoscale_reported *r = &o->report.target[o->target];
    rc = autoscale_may_lower(r->desired, o->n, &lowered, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "aws group %.90s", group);
    const struct autoscale_instance *i = autoscale_report_find(&o->report, o->target, o->id);
    const bool there = i != NULL && i->life != AUTOSCALE_LEAVING;
    if (!there && lowered)
        return PR_OK;
    if (!there || i->life == AUTOSCALE_STANDBY)
        return pr_fail(err, PR_ECONFLICT, "aws group %.90s: %.40s is %s, and the group wants %d",
                       group, o->id, i != NULL ? i->state : "not in it", r->desired);
    if (!lowered) {
        rc = within_limits(o, r, err);
        if (rc != PR_OK)
            return rc;
    }
    aws_param(&q, "InstanceId", o->id);
    /* Where the number is lowered already, lowering it again would cost another member. */
    aws_param(&q, "ShouldDecrementDesiredCapacity", lowered ? "false" : "true");
    return send(o, &q, t, err);
}

static enum pr_code run(struct autoscale_actuator *base, struct order *o, autoscale_try_fn *once,
                        struct pr_err *err)
{
    *o->sent = false;
    if (o->target >= base->targets || o->n < 0)
        return pr_fail(err, PR_EINVAL, "aws: group %zu of %zu, %d members", o->target,
                       base->targets, o->n);
    enum pr_code rc = autoscale_retry(&o->a->pace, once, o, err);
    autoscale_report_done(&o->report);
    return rc;
}

static enum pr_code aws_set_desired(struct autoscale_actuator *base, size_t target, int n,
                                    bool *sent, struct pr_err *err)
{
    struct order o = { .a = (struct aws *)base, .target = target, .n = n, .sent = sent };

    return run(base, &o, set_once, err);
}

static enum pr_code aws_terminate(struct autoscale_actuator *base, size_t target, const char *id,
                                  int desired_after, bool *sent, struct pr_err *err)
{
    struct order o = {
        .a = (struct aws *)base, .target = target, .id = id, .n = desired_after, .sent = sent
    };

    return run(base, &o, terminate_once, err);
}

/* --- open, close ---------------------------------------------------------------- */

static unsigned aws_can(const struct autoscale_actuator *a, size_t target)
{
    (void)a, (void)target;
    return AUTOSCALE_CAN_ACT | AUTOSCALE_CAN_TERMINATE;
}

static void aws_close(struct autoscale_actuator *base)
{
    struct aws *a = (struct aws *)base;

    pr_aws_keyring_close(a->ring);
    free((void *)(uintptr_t)base->target);
    free(a);
}

static bool fits(char *to, size_t room, const char *from)
{
    return (size_t)snprintf(to, room, "%s", from != NULL ? from : "") < room;
}

enum pr_code autoscale_aws_open(const struct autoscale_provider *p, struct autoscale_actuator **out,
                                struct pr_err *err)
{
    if (p->region == NULL || p->region[0] == '\0')
        return pr_fail(err, PR_EINVAL, "aws: no region is set");
    struct aws *a = calloc(1, sizeof *a);
    struct autoscale_target *targets = calloc(p->targets + 1, sizeof *targets);
    if (a == NULL || targets == NULL) {
        free(a);
        free(targets);
        return pr_fail(err, PR_ENOMEM, "no memory");
    }
    if (p->targets > 0)
        memcpy(targets, p->target, p->targets * sizeof *targets);
    a->base = (struct autoscale_actuator){ .provider = "aws",
                                           .target = targets,
                                           .targets = p->targets,
                                           .can = aws_can,
                                           .describe = aws_describe,
                                           .set_desired = aws_set_desired,
                                           .terminate = aws_terminate,
                                           .close = aws_close };
    a->pace = p->pace;
    autoscale_pace_fill(&a->pace);
    enum pr_code rc = pr_aws_keyring_open(&p->keys, &a->ring, err);
    bool fit = fits(a->region, sizeof a->region, p->region) &&
               fits(a->endpoint, sizeof a->endpoint, p->endpoint) &&
               fits(a->ca_file, sizeof a->ca_file, p->ca_file);
    if (fit && a->endpoint[0] == '\0') /* China has its own domain */
        fit = snprintf(a->endpoint, sizeof a->endpoint, "https://autoscaling.%s.amazonaws.com%s/",
                       a->region, strncmp(a->region, "cn-", 3) == 0 ? ".cn" : "") > 0;
    if (rc == PR_OK && !fit)
        rc = pr_fail(err, PR_EINVAL, "aws: region, endpoint or CA file is too long");
    if (rc == PR_OK)
        *out = &a->base;
    else
        aws_close(&a->base);
    return rc;
}
