#include "io/actuators/local.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *kind;
    enum pr_code (*open)(const struct autoscale_provider *p, struct autoscale_actuator **out,
                         struct pr_err *err);
} KIND[] = {
    { "local", autoscale_local_open },
    { "aws", autoscale_aws_open },
    { "kubernetes", autoscale_kubernetes_open },
    { "dry-run", autoscale_dry_run_open },
};

static enum pr_code check_targets(const struct autoscale_provider *p, struct pr_err *err)
{
    if (p->targets > AUTOSCALE_TARGETS)
        return pr_fail(err, PR_EINVAL, "%s: %zu groups, at most %d", p->kind, p->targets,
                       AUTOSCALE_TARGETS);
    for (size_t i = 0; i < p->targets; i++) {
        const struct autoscale_target *t = &p->target[i];
        if (t->name[0] == '\0')
            return pr_fail(err, PR_EINVAL, "%s: group %zu has no name", p->kind, i + 1);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(p->target[k].name, t->name) == 0)
                return pr_fail(err, PR_EINVAL, "%s: group %s is named twice", p->kind, t->name);
            if (p->target[k].zone == t->zone && p->target[k].group == t->group)
                return pr_fail(err, PR_EINVAL, "%s: groups %s and %s are for one place", p->kind,
                               p->target[k].name, t->name);
        }
    }
    return PR_OK;
}

enum pr_code autoscale_actuator_open(const struct autoscale_provider *p,
                                     struct autoscale_actuator **out, struct pr_err *err)
{
    char known[128] = "";

    for (size_t i = 0; i < PR_COUNT(KIND); i++) {
        if (p->kind != NULL && strcmp(p->kind, KIND[i].kind) == 0) {
            enum pr_code rc = check_targets(p, err);
            return rc == PR_OK ? KIND[i].open(p, out, err) : rc;
        }
        const size_t n = strlen(known);
        (void)snprintf(known + n, sizeof known - n, "%s%s", i > 0 ? ", " : "", KIND[i].kind);
    }
    return pr_fail(err, PR_EINVAL, "actuator \"%.40s\" is none of: %s",
                   p->kind != NULL ? p->kind : "", known);
}

void autoscale_actuator_close(struct autoscale_actuator *a)
{
    if (a != NULL)
        a->close(a);
}

int autoscale_target_find(const struct autoscale_target *t, size_t n, int zone, int group)
{
    for (size_t i = 0; i < n; i++)
        if (t[i].zone == zone && t[i].group == group)
            return (int)i;
    return -1;
}

const char *autoscale_life_name(enum autoscale_life life)
{
    static const char *const name[] = {
        [AUTOSCALE_COMING] = "coming",   [AUTOSCALE_IN_SERVICE] = "in service",
        [AUTOSCALE_LEAVING] = "leaving", [AUTOSCALE_STANDBY] = "standby",
        [AUTOSCALE_GONE] = "gone",
    };
    return (unsigned)life < PR_COUNT(name) ? name[life] : "?";
}
