#include "cli/cli.h"

#include <stdio.h>

int dr_cli_wrong(const struct dr_cli_use *use, const char *why)
{
    (void)fprintf(stderr, "prism-dr %s: %s\n%s", use->command, why, use->usage);
    return 2;
}

bool dr_cli_options(const struct dr_cli_use *use, const struct option *options,
                    const char *(*take)(void *ctx, int c), void *ctx, int argc, char **argv,
                    int *status)
{
    int c;
    optind = 2;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'h') {
            (void)fputs(use->usage, stdout);
            *status = 0;
            return false;
        }
        const char *why = c == '?' ? "see above" : take(ctx, c);
        if (why != NULL) {
            *status = dr_cli_wrong(use, why);
            return false;
        }
    }
    return true;
}
