#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAILED = 1, USAGE = 2, INTERRUPTED = 130 };

static const struct cli_command *const commands[] = { &cli_run, &cli_communities, &cli_evaluate,
                                                      &cli_convert, &cli_explain };

static void usage(FILE *to)
{
    (void)fprintf(to, "usage: prism-placement                      the service\n"
                      "       prism-placement COMMAND [OPTIONS]    without a server:\n");
    for (size_t i = 0; i < PR_COUNT(commands); i++)
        (void)fprintf(to, "  %-12s %.*s\n", commands[i]->name,
                      (int)strcspn(commands[i]->about, "\n"), commands[i]->about);
    (void)fprintf(to, "prism-placement COMMAND --help tells the options.\n");
}

static int complain(const char *command, const struct pr_err *err)
{
    (void)fprintf(stderr, "prism-placement%s%s: %s\n", command == NULL ? "" : " ",
                  command == NULL ? "" : command, err->text);
    return FAILED;
}

static int show_help(const struct cli_command *c)
{
    struct pr_buf text;
    pr_buf_init(&text, 0);
    cli_help(c, &text);
    const bool ok = !text.failed && fwrite(text.data, 1, text.len, stdout) == text.len;
    pr_buf_done(&text);
    return ok ? EXIT_SUCCESS : FAILED;
}

static int run(const struct cli_command *c, int argc, char **argv)
{
    struct pr_err err = { 0 };
    struct cli_args args;
    bool help;
    if (cli_parse(c, argc, argv, &args, &help, &err) != PR_OK) {
        (void)complain(c->name, &err);
        (void)fprintf(stderr, "prism-placement %s --help tells the options\n", c->name);
        return USAGE;
    }
    if (help)
        return show_help(c);
    const enum pr_code rc = c->run(&args, &err);
    if (rc == PR_OK)
        return EXIT_SUCCESS;
    if (rc != PR_ECANCELED || !cli_interrupted())
        return complain(c->name, &err);
    (void)pr_fail(&err, rc, "interrupted");
    (void)complain(c->name, &err);
    return INTERRUPTED;
}

int placement_cli(int argc, char **argv)
{
    int status = -1;
    if (strcmp(argv[1], "help") == 0) {
        usage(stdout);
        status = EXIT_SUCCESS;
    }
    for (size_t i = 0; i < PR_COUNT(commands) && status < 0; i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            status = run(commands[i], argc - 2, argv + 2);
    if (status < 0) {
        (void)fprintf(stderr, "prism-placement: unknown command %.60s\n", argv[1]);
        usage(stderr);
        return USAGE;
    }
    if (fflush(stdout) != 0 && status == EXIT_SUCCESS) {
        (void)fprintf(stderr, "prism-placement: standard output: %s\n", strerror(errno));
        return FAILED;
    }
    return status;
}
