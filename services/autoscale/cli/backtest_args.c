#include "cli/backtest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char backtest_usage[] =
    "usage: prism-autoscale backtest --trace FILE.csv [options]\n"
    "What policies would have done on a recorded load, minute by minute: how often the fleet had\n"
    "been short, what it had cost, how often it had changed; beside somebody who knows the "
    "future.\n"
    "  --trace FILE    CSV (or CSV.xz) with a header: minute and one or more value columns\n"
    "  --column NAME   of the load (default: the first that is not minute)\n"
    "  --policy P      rules, step, target, hpa, adaptive or queue, with its defaults; again for\n"
    "                  more (default: rules, step, target, hpa, adaptive)\n"
    "  --scale PEAK    the 99.9th percentile becomes so many members at 100 % CPU (420); 0: the\n"
    "                  values are members\n"
    "  --smooth MIN    mean of so many minutes, for counts that jump (1)\n"
    "  --boot MIN      until an ordered member serves (10)\n"
    "  --min N, --max N  members (48, 1000)\n"
    "  --price USD     of a member's hour (1.008)\n"
    "  -o FORMAT       table or json (table)\n"
    "  --plot FILE     SVG: load, capacity and what was ordered, by gnuplot\n"
    "A minute is short when the load is over 85 % of what serves. The oracle keeps CPU at 70 % "
    "with\n"
    "the fewest hours. How it is counted: docs/explanation/autoscale.md.\n"
    "Exit status: 0; 1 it failed; 2 wrong arguments.\n";

static enum pr_code real(const char *name, const char *text, double least, double most, double *out,
                         struct pr_err *err)
{
    char *end = NULL;
    const double v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v >= least && v <= most))
        return pr_fail(err, PR_EINVAL, "%s takes a number from %g to %g, not %.40s", name, least,
                       most, text);
    *out = v;
    return PR_OK;
}

static enum pr_code whole(const char *name, const char *text, int least, int most, int *out,
                          struct pr_err *err)
{
    double v = 0;
    const enum pr_code rc = real(name, text, least, most, &v, err);
    if (rc == PR_OK && v != floor(v))
        return pr_fail(err, PR_EINVAL, "%s takes a whole number, not %.40s", name, text);
    *out = (int)v;
    return rc;
}

static enum pr_code add_policy(struct backtest_args *a, const char *name, struct pr_err *err)
{
    enum autoscale_kind kind;
    const enum pr_code rc = autoscale_kind_parse(name, &kind, err);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; i < a->policies; i++)
        if (a->policy[i] == kind)
            return PR_OK;
    a->policy[a->policies++] = kind;
    return PR_OK;
}

static enum pr_code format(struct backtest_args *a, const char *text, struct pr_err *err)
{
    a->json = strcmp(text, "json") == 0;
    if (!a->json && strcmp(text, "table") != 0)
        return pr_fail(err, PR_EINVAL, "-o takes table or json, not %.40s", text);
    return PR_OK;
}

static enum pr_code set(struct backtest_args *a, const char *name, const char *value,
                        struct pr_err *err)
{
    if (strcmp(name, "--trace") == 0)
        a->trace = value;
    else if (strcmp(name, "--column") == 0)
        a->column = value;
    else if (strcmp(name, "--plot") == 0)
        a->plot = value;
    else if (strcmp(name, "--policy") == 0)
        return add_policy(a, value, err);
    else if (strcmp(name, "--scale") == 0)
        return real(name, value, 0, 1e6, &a->scale, err);
    else if (strcmp(name, "--smooth") == 0)
        return whole(name, value, 1, 24 * 60, &a->smooth, err);
    else if (strcmp(name, "--boot") == 0)
        return whole(name, value, 0, 24 * 60, &a->how.boot_minutes, err);
    else if (strcmp(name, "--min") == 0)
        return whole(name, value, 0, 100000, &a->how.min, err);
    else if (strcmp(name, "--max") == 0)
        return whole(name, value, 1, 100000, &a->how.max, err);
    else if (strcmp(name, "--price") == 0)
        return real(name, value, 0, 1e6, &a->how.price_hour, err);
    else if (strcmp(name, "-o") == 0 || strcmp(name, "--output") == 0)
        return format(a, value, err);
    else
        return pr_fail(err, PR_EINVAL, "unknown option %.60s", name);
    return value[0] != '\0' ? PR_OK : pr_fail(err, PR_EINVAL, "%s is empty", name);
}

static enum pr_code complete(struct backtest_args *a, struct pr_err *err)
{
    static const enum autoscale_kind all[] = { AUTOSCALE_RULES, AUTOSCALE_STEP, AUTOSCALE_TARGET,
                                               AUTOSCALE_HPA, AUTOSCALE_ADAPTIVE };
    if (a->trace == NULL)
        return pr_fail(err, PR_EINVAL, "--trace FILE.csv is needed");
    if (a->how.min > a->how.max)
        return pr_fail(err, PR_EINVAL, "--min %d is more than --max %d", a->how.min, a->how.max);
    if (a->policies == 0) {
        memcpy(a->policy, all, sizeof all);
        a->policies = PR_COUNT(all);
    }
    return PR_OK;
}

enum pr_code backtest_parse(int argc, char **argv, struct backtest_args *out, struct pr_err *err)
{
    *out = (struct backtest_args){ .scale = 420, .smooth = 1 };
    autoscale_backtest_default(&out->how);
    for (int i = 2; i < argc; i++) {
        const char *arg = argv[i], *value = NULL;
        char name[64];
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            out->help = true;
            return PR_OK;
        }
        if (arg[0] != '-' || arg[1] == '\0')
            return pr_fail(err, PR_EINVAL, "unexpected argument %.60s", arg);
        const size_t n = strcspn(arg, "=");
        if (n >= sizeof name)
            return pr_fail(err, PR_EINVAL, "unknown option %.60s", arg);
        memcpy(name, arg, n);
        name[n] = '\0';
        if (arg[n] == '=')
            value = arg + n + 1;
        else if (i + 1 < argc)
            value = argv[++i];
        const enum pr_code rc = set(out, name, value == NULL ? "" : value, err);
        if (rc != PR_OK)
            return value != NULL ? rc
                                 : pr_fail(err, PR_EINVAL, "%s needs a value, or is unknown", name);
    }
    return complete(out, err);
}
