#include "cli/args.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct cli_args cli_defaults(void)
{
    return (struct cli_args){
        .output = "table",
        .method = "leiden",
        .zones = 0, /* as many as --capacity names, else 3 */
        .seed = 1,
        .seeds = 3,
        .move_cap = UINT64_MAX,
        .imbalance = 0.05,
        .reference_ratio = -1,
        .lost_ratio = 0.2,
        .keep_ratio = 0.02,
        .resolution = 1,
    };
}

static enum pr_code set_whole(const struct cli_option *o, const char *text, uint64_t *to,
                              struct pr_err *err)
{
    char *end = NULL;
    uint64_t v = 0;
    const bool digits = text[0] >= '0' && text[0] <= '9';
    if (digits)
        v = strtoull(text, &end, 10);
    const bool over = digits && v == UINT64_MAX && strcmp(text, "18446744073709551615") != 0;
    if (!digits || *end != '\0' || over || (double)v < o->min || (double)v > o->max)
        return pr_fail(err, PR_EINVAL, "%s takes a whole number from %.0f to %.0f, not %.40s",
                       o->name, o->min, o->max, text);
    *to = v;
    return PR_OK;
}

static enum pr_code set_real(const struct cli_option *o, const char *text, double *to,
                             struct pr_err *err)
{
    char *end = NULL;
    const double v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v >= o->min && v <= o->max))
        return pr_fail(err, PR_EINVAL, "%s takes a number from %g to %g, not %.40s", o->name,
                       o->min, o->max, text);
    *to = v;
    return PR_OK;
}

static enum pr_code set(const struct cli_option *o, const char *text, struct cli_args *out,
                        struct pr_err *err)
{
    char *at = (char *)out + o->at;
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)(void *)at = true;
        return PR_OK;
    case CLI_TEXT:
        if (text[0] == '\0')
            return pr_fail(err, PR_EINVAL, "%s needs %s", o->name, o->value);
        *(const char **)(void *)at = text;
        return PR_OK;
    case CLI_WHOLE:
        return set_whole(o, text, (uint64_t *)(void *)at, err);
    case CLI_REAL:
        return set_real(o, text, (double *)(void *)at, err);
    }
    return PR_OK;
}

/* The option that arg begins with: "--name" or "--name=value". */
static const struct cli_option *find(const struct cli_command *c, const char *arg, const char **eq)
{
    for (size_t i = 0; i < c->options; i++) {
        const size_t n = strlen(c->option[i].name);
        if (strncmp(arg, c->option[i].name, n) != 0)
            continue;
        *eq = arg[n] == '=' ? arg + n + 1 : NULL;
        if (arg[n] == '\0' || arg[n] == '=')
            return &c->option[i];
    }
    return NULL;
}

static enum pr_code take(const struct cli_command *c, int argc, char **argv, int *i,
                         struct cli_args *out, struct pr_err *err)
{
    const char *eq = NULL;
    const struct cli_option *o = find(c, argv[*i], &eq);
    if (o == NULL)
        return pr_fail(err, PR_EINVAL, "unknown option %.60s", argv[*i]);
    if (o->kind == CLI_FLAG && eq != NULL)
        return pr_fail(err, PR_EINVAL, "%s takes no value", o->name);
    if (o->kind == CLI_FLAG || eq != NULL)
        return set(o, eq, out, err);
    if (*i + 1 >= argc)
        return pr_fail(err, PR_EINVAL, "%s needs %s", o->name, o->value);
    return set(o, argv[++*i], out, err);
}

static enum pr_code check_needed(const struct cli_command *c, const struct cli_args *a,
                                 struct pr_err *err)
{
    for (size_t i = 0; i < c->options; i++) {
        const struct cli_option *o = &c->option[i];
        if (o->needed && *(const char *const *)(const void *)((const char *)a + o->at) == NULL)
            return pr_fail(err, PR_EINVAL, "%s %s is needed", o->name, o->value);
    }
    if (c->operand != NULL && a->operand == NULL)
        return pr_fail(err, PR_EINVAL, "%s is needed", c->operand);
    if (strcmp(a->output, "table") != 0 && strcmp(a->output, "json") != 0)
        return pr_fail(err, PR_EINVAL, "-o takes table or json, not %.40s", a->output);
    return PR_OK;
}

enum pr_code cli_parse(const struct cli_command *c, int argc, char **argv, struct cli_args *out,
                       bool *help, struct pr_err *err)
{
    bool only_operands = false;
    *out = cli_defaults();
    *help = false;
    for (int i = 0; i < argc; i++) {
        const bool option = !only_operands && argv[i][0] == '-' && argv[i][1] != '\0';
        enum pr_code rc = PR_OK;
        if (option && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0))
            *help = true;
        else if (option && strcmp(argv[i], "--") == 0)
            only_operands = true;
        else if (option)
            rc = take(c, argc, argv, &i, out, err);
        else if (c->operand == NULL || out->operand != NULL)
            rc = pr_fail(err, PR_EINVAL, "unexpected argument %.60s", argv[i]);
        else
            out->operand = argv[i];
        if (rc != PR_OK)
            return rc;
    }
    if (*help)
        return PR_OK;
    enum pr_code rc = check_needed(c, out, err);
    return rc != PR_OK || c->check == NULL ? rc : c->check(out, err);
}

static int width_of(const struct cli_option *o)
{
    return (int)(strlen(o->name) + (o->value == NULL ? 0 : 1 + strlen(o->value)));
}

void cli_help(const struct cli_command *c, struct pr_buf *to)
{
    int width = 0;
    pr_buf_printf(to, "usage: prism-placement %s", c->name);
    for (size_t i = 0; i < c->options; i++) {
        if (c->option[i].needed)
            pr_buf_printf(to, " %s %s", c->option[i].name, c->option[i].value);
        if (width_of(&c->option[i]) > width)
            width = width_of(&c->option[i]);
    }
    pr_buf_printf(to, "%s%s [options]\n%s\n", c->operand == NULL ? "" : " ",
                  c->operand == NULL ? "" : c->operand, c->about);
    for (size_t i = 0; i < c->options; i++) {
        const struct cli_option *o = &c->option[i];
        pr_buf_printf(to, "  %s%s%s%*s%s\n", o->name, o->value == NULL ? "" : " ",
                      o->value == NULL ? "" : o->value, width - width_of(o) + 2, "", o->help);
    }
    pr_buf_str(to, "Exit status: 0; 1 it failed (one line says why); 2 bad arguments; 130 "
                   "interrupted.\n");
}

enum pr_code cli_zones(const char *text, struct cli_zone *zone, uint32_t max, uint32_t *n,
                       struct pr_err *err)
{
    *n = 0;
    while (true) {
        const size_t bytes = strcspn(text, "=,");
        char *end = NULL;
        if (bytes == 0 || bytes > 31 || text[bytes] != '=')
            return pr_fail(err, PR_EINVAL, "--capacity takes NAME=RATIO,..., not %.60s", text);
        if (*n == max)
            return pr_fail(err, PR_EINVAL, "--capacity names more than %u zones", max);
        struct cli_zone *z = &zone[*n];
        *z = (struct cli_zone){ .name = text, .bytes = (int)bytes };
        z->ratio = strtod(text + bytes + 1, &end);
        if (end == text + bytes + 1 || !(z->ratio >= 0) || !isfinite(z->ratio) ||
            (*end != ',' && *end != '\0'))
            return pr_fail(err, PR_EINVAL, "--capacity: %.60s: a ratio is 0 or more", text);
        for (uint32_t i = 0; i < *n; i++)
            if (zone[i].bytes == z->bytes && memcmp(zone[i].name, z->name, bytes) == 0)
                return pr_fail(err, PR_EINVAL, "--capacity names zone %.*s twice", z->bytes,
                               z->name);
        ++*n;
        if (*end == '\0')
            return PR_OK;
        text = end + 1;
    }
}
