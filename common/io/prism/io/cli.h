/* The commands of a program that is a service as well. */
#ifndef PRISM_IO_CLI_H
#define PRISM_IO_CLI_H

#include <stddef.h>

struct pr_cli_command {
    const char *name, *about;
    int (*run)(int argc, char **argv); /* argv[1] is its name; the exit status */
};

/* Runs the command that argv[1] names. "help": lists them to stdout. Any other: to stderr, and the
 * exit status is 2. */
int pr_cli(const char *program, const struct pr_cli_command *command, size_t n, int argc,
           char **argv);

#endif
