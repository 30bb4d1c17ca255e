#include "io/actuators/aws_private.h"

#include "prism/io/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Source: LifecycleState of DescribeAutoScalingGroups, Amazon EC2 Auto Scaling API Reference.
 * A state that is not here counts as coming: neither in service nor gone. */
enum autoscale_life aws_life(const char *state)
{
    static const struct {
        const char *begin;
        enum autoscale_life life;
    } STATE[] = {
        { "Pending", AUTOSCALE_COMING },          { "InService", AUTOSCALE_IN_SERVICE },
        { "Terminating", AUTOSCALE_LEAVING },     { "Detaching", AUTOSCALE_LEAVING },
        { "Terminated", AUTOSCALE_GONE },         { "Detached", AUTOSCALE_GONE },
        { "EnteringStandby", AUTOSCALE_STANDBY }, { "Standby", AUTOSCALE_STANDBY },
        { "Warmed", AUTOSCALE_STANDBY },
    };

    for (size_t i = 0; i < PR_COUNT(STATE); i++) {
        const size_t n = strlen(STATE[i].begin);
        if (strncmp(state, STATE[i].begin, n) == 0 && (state[n] == '\0' || state[n] == ':'))
            return STATE[i].life;
    }
    return AUTOSCALE_COMING;
}

enum autoscale_problem aws_problem(const char *message)
{
    static const struct {
        const char *words;
        enum autoscale_problem problem;
    } SAYS[] = {
        /* The limits first: their texts speak of capacity, too. */
        { "LimitExceeded", AUTOSCALE_QUOTA },
        { "capacity than your current", AUTOSCALE_QUOTA },
        { "limit", AUTOSCALE_QUOTA },
        { "quota", AUTOSCALE_QUOTA },
        { "InsufficientInstanceCapacity", AUTOSCALE_NO_CAPACITY },
        { "InsufficientReservedInstanceCapacity", AUTOSCALE_NO_CAPACITY },
        { "not have sufficient", AUTOSCALE_NO_CAPACITY },
        { "no Spot capacity", AUTOSCALE_NO_CAPACITY },
        { "insufficient capacity", AUTOSCALE_NO_CAPACITY },
    };

    for (size_t i = 0; i < PR_COUNT(SAYS); i++)
        if (strcasestr(message, SAYS[i].words) != NULL)
            return SAYS[i].problem;
    return AUTOSCALE_OTHER_PROBLEM;
}

static bool number(const struct pr_xml *x, const char *name, int *out)
{
    const char *text = pr_xml_text(x, name);
    char *end = NULL;

    errno = 0;
    const long n = strtol(text, &end, 10);
    if (text[0] == '\0' || *end != '\0' || errno != 0 || n < 0 || n > 1000000)
        return false;
    *out = (int)n;
    return true;
}

static enum pr_code read_instance(const struct pr_xml *x, size_t target, size_t first,
                                  struct autoscale_report *out, struct pr_err *err)
{
    const char *id = pr_xml_text(x, "InstanceId");
    const char *state = pr_xml_text(x, "LifecycleState");
    struct autoscale_instance i = {
        .life = aws_life(state),
        .healthy = strcmp(pr_xml_text(x, "HealthStatus"), "Healthy") == 0,
        .target = target,
    };

    if (id[0] == '\0' || strlen(id) >= sizeof i.id || state[0] == '\0')
        return pr_fail(err, PR_EDATA, "an instance without InstanceId or LifecycleState");
    for (size_t k = first; k < out->instances; k++) /* the group's own */
        if (strcmp(out->instance[k].id, id) == 0)
            return pr_fail(err, PR_EDATA, "instance %.40s is listed twice", id);
    (void)snprintf(i.id, sizeof i.id, "%s", id);
    (void)snprintf(i.place, sizeof i.place, "%s", pr_xml_text(x, "AvailabilityZone"));
    (void)snprintf(i.state, sizeof i.state, "%s", state);
    return autoscale_report_add(out, &i, err);
}

/* Somebody told the group to launch nothing: then nothing comes, without any failure. */
static void read_suspended(const struct pr_xml *x, struct autoscale_reported *r)
{
    const struct pr_xml *p = pr_xml_child(pr_xml_child(x, "SuspendedProcesses"), "member");

    for (; p != NULL; p = pr_xml_next(p)) {
        if (strcmp(pr_xml_text(p, "ProcessName"), "Launch") != 0)
            continue;
        r->problem = AUTOSCALE_SUSPENDED;
        (void)snprintf(r->problem_text, sizeof r->problem_text, "Launch is suspended: %s",
                       pr_xml_text(p, "SuspensionReason"));
    }
}

static enum pr_code read_group(const struct pr_xml *x, const struct aws *a, size_t target,
                               struct autoscale_report *out, struct pr_err *err)
{
    struct autoscale_reported *r = &out->target[target];
    const char *status = pr_xml_text(x, "Status"); /* only while it is deleted */
    const size_t first = out->instances;

    *r = (struct autoscale_reported){ .members_known = true };
    if (!number(x, "DesiredCapacity", &r->desired) || !number(x, "MinSize", &r->min) ||
        !number(x, "MaxSize", &r->max))
        return pr_fail(err, PR_EDATA, "DesiredCapacity, MinSize or MaxSize is no number");
    const struct pr_xml *i = pr_xml_child(pr_xml_child(x, "Instances"), "member");
    for (; i != NULL; i = pr_xml_next(i)) {
        enum pr_code rc = read_instance(i, target, first, out, err);
        if (rc != PR_OK)
            return rc;
    }
    read_suspended(x, r);
    if (status[0] != '\0') {
        r->code = PR_ENOTFOUND;
        (void)snprintf(r->problem_text, sizeof r->problem_text, "aws group %.90s: %.60s",
                       a->base.target[target].name, status);
    }
    return PR_OK;
}

enum pr_code aws_read_groups(const struct aws *a, const struct pr_xml *root,
                             struct autoscale_report *out, bool *seen, struct pr_err *err)
{
    const struct pr_xml *list =
        pr_xml_at(root, "DescribeAutoScalingGroupsResult/AutoScalingGroups");

    if (list == NULL)
        return pr_fail(err, PR_EDATA, "aws: DescribeAutoScalingGroups: an answer without groups");
    for (const struct pr_xml *g = pr_xml_child(list, "member"); g != NULL; g = pr_xml_next(g)) {
        const char *name = pr_xml_text(g, "AutoScalingGroupName");
        size_t t = 0;
        while (t < a->base.targets && strcmp(a->base.target[t].name, name) != 0)
            t++;
        if (t == a->base.targets)
            continue; /* not asked for */
        if (seen[t])
            return pr_fail(err, PR_EDATA, "aws group %.90s: described twice", name);
        seen[t] = true;
        enum pr_code rc = read_group(g, a, t, out, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "aws group %.90s", name);
    }
    return PR_OK;
}

void aws_read_activities(const struct pr_xml *root, int64_t since_ms, struct autoscale_reported *r)
{
    const struct pr_xml *list = pr_xml_at(root, "DescribeScalingActivitiesResult/Activities");

    /* Newest first. */
    for (const struct pr_xml *x = pr_xml_child(list, "member"); x != NULL; x = pr_xml_next(x)) {
        const char *status = pr_xml_text(x, "StatusCode");
        const char *message = pr_xml_text(x, "StatusMessage");
        int64_t at_ms = 0;

        if (strcmp(status, "Failed") != 0 && strcmp(status, "Cancelled") != 0)
            continue;
        if (!pr_time_parse(pr_xml_text(x, "StartTime"), &at_ms) || at_ms < since_ms)
            continue;
        r->problem = aws_problem(message);
        (void)snprintf(r->problem_text, sizeof r->problem_text, "%s",
                       message[0] != '\0' ? message : pr_xml_text(x, "Description"));
        return;
    }
}
