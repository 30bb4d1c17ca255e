#include "prism/io/cli.h"

#include <stdio.h>
#include <string.h>

static void usage(FILE *to, const char *program, const struct pr_cli_command *command, size_t n)
{
    size_t width = 0;
    for (size_t i = 0; i < n; i++)
        width = strlen(command[i].name) > width ? strlen(command[i].name) : width;
    (void)fprintf(to, "usage: %s COMMAND ...\n", program);
    for (size_t i = 0; i < n; i++)
        (void)fprintf(to, "  %-*s %s\n", (int)width, command[i].name, command[i].about);
    (void)fprintf(to,
                  "%s COMMAND --help tells more; without a command it is the service, see %s "
                  "--help.\n",
                  program, program);
}

int pr_cli(const char *program, const struct pr_cli_command *command, size_t n, int argc,
           char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, command[i].name) == 0)
            return command[i].run(argc, argv);
    const int help = strcmp(name, "help") == 0;
    if (!help)
        (void)fprintf(stderr, "%s: no command \"%.40s\"\n", program, name);
    usage(help ? stdout : stderr, program, command, n);
    return help ? 0 : 2;
}
