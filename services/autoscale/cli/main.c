/* prism-autoscale's commands: which one, and how they are used. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} command[] = {
    { "backtest", "what every policy would have done on a recorded load", autoscale_cli_backtest },
    { "cases", "runs conformance cases", autoscale_cli_cases },
    { "decide", "one decision, JSON in and out; or the same one again", autoscale_cli_decide },
    { "replay", "a decision that the service has stored, decided again", autoscale_cli_replay },
};

static void usage(FILE *to)
{
    (void)fprintf(to, "usage: prism-autoscale COMMAND ...\n");
    for (size_t i = 0; i < sizeof command / sizeof command[0]; i++)
        (void)fprintf(to, "  %-9s %s\n", command[i].name, command[i].about);
    (void)fprintf(to, "prism-autoscale COMMAND --help tells more; without a command it is the "
                      "service, see prism-autoscale --help.\n");
}

int autoscale_cli(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof command / sizeof command[0]; i++)
        if (strcmp(name, command[i].name) == 0)
            return command[i].run(argc, argv);
    const int help = strcmp(name, "help") == 0;
    if (!help)
        (void)fprintf(stderr, "prism-autoscale: no command \"%.40s\"\n", name);
    usage(help ? stdout : stderr);
    return help ? 0 : 2;
}
