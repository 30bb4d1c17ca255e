#include "prism/io/log.h"
#include "service_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PRISM_VERSION
#error "PRISM_VERSION comes from the build"
#endif

#define CONFIG(...) PR_CFG_ROW(struct pr_common_config, __VA_ARGS__)
static const struct pr_cfg_row common_rows[] = {
#include "prism/io/common_config.def"
};
#undef CONFIG

static void print_rows(const struct pr_cfg_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)printf("  %-32s %s", rows[i].name, rows[i].help);
        if (rows[i].unit[0] != '\0')
            (void)printf(", %s", rows[i].unit);
        if (rows[i].dflt == NULL)
            (void)printf(" (required)\n");
        else
            (void)printf(" (default %s)\n", rows[i].dflt[0] == '\0' ? "empty" : rows[i].dflt);
    }
}

static void print_help(const struct pr_service_def *def)
{
    (void)printf("Usage: prism-%s [--help | --version | --print-config]\n\n"
                 "Settings come from the environment; NAME_FILE names a file that holds the\n"
                 "value of NAME. --print-config tells type, range and present value of each.\n\n",
                 def->name);
    print_rows(common_rows, PR_COUNT(common_rows));
    print_rows(def->config, def->n_config);
}

static void print_settings(const struct pr_service *svc)
{
    (void)printf("# Settings of prism-%s %s\n\n", svc->def.name, PRISM_VERSION);
    pr_config_print(common_rows, PR_COUNT(common_rows), &svc->common, stdout);
    if (svc->def.n_config > 0)
        (void)putchar('\n');
    pr_config_print(svc->def.config, svc->def.n_config, svc->def.config_out, stdout);
}

static int count_lines(const struct pr_buf *b)
{
    int n = 0;
    for (size_t i = 0; i < b->len; i++)
        n += b->data[i] == '\n';
    return n;
}

/* Every setting, own and common; all problems together. */
static void load_settings(struct pr_service *svc, enum pr_level *level, struct pr_buf *problems)
{
    enum pr_code rc =
        pr_config_load(common_rows, PR_COUNT(common_rows), &svc->common, getenv, problems);
    if (svc->def.n_config > 0 && pr_config_load(svc->def.config, svc->def.n_config,
                                                svc->def.config_out, getenv, problems) != PR_OK)
        rc = PR_EINVAL;
    const char *name = svc->common.log_level;
    if (name != NULL && !pr_log_level_parse(name, level))
        pr_buf_printf(problems, "PRISM_LOG_LEVEL: \"%s\" is not debug, info, warn or error\n",
                      name);
    (void)rc; /* whether there are problems is what counts */
}

enum pr_code pr_service_args(struct pr_service *svc, int argc, char **argv, struct pr_err *err)
{
    const char *arg = argc > 1 ? argv[1] : "";
    bool print = strcmp(arg, "--print-config") == 0;
    if (argc > 2 ||
        (arg[0] != '\0' && !print && strcmp(arg, "--help") != 0 && strcmp(arg, "--version") != 0)) {
        (void)fprintf(stderr, "prism-%s: unknown argument %s; see --help\n", svc->def.name,
                      argc > 2 ? argv[2] : arg);
        return pr_fail(err, PR_EINVAL, "unknown argument %.100s", argc > 2 ? argv[2] : arg);
    }
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "--version") == 0) {
        if (arg[2] == 'h')
            print_help(&svc->def);
        else
            (void)printf("prism-%s %s\n", svc->def.name, PRISM_VERSION);
        return pr_fail(err, PR_ECANCELED, "%s", arg);
    }

    enum pr_level level = PR_INFO;
    enum pr_code rc = PR_OK;
    struct pr_buf problems;
    pr_buf_init(&problems, 0);
    load_settings(svc, &level, &problems);
    if (print)
        print_settings(svc);
    if (problems.len > 0) {
        int n = count_lines(&problems);
        (void)fflush(stdout);
        (void)fprintf(stderr, "prism-%s: %d bad setting%s:\n%s", svc->def.name, n,
                      n == 1 ? "" : "s", problems.data);
        rc = pr_fail(err, PR_EINVAL, "%d bad settings", n);
    } else if (problems.failed)
        rc = pr_fail(err, PR_ENOMEM, "settings: out of memory");
    pr_buf_done(&problems);
    if (print)
        return pr_fail(err, PR_ECANCELED, "%s", arg);
    pr_log_init(svc->def.name, level);
    return rc;
}

void pr_service_free_settings(struct pr_service *svc)
{
    pr_config_free(common_rows, PR_COUNT(common_rows), &svc->common);
    if (svc->def.config_out != NULL)
        pr_config_free(svc->def.config, svc->def.n_config, svc->def.config_out);
}
