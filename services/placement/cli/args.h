/* Command lines of the offline commands: a table of options each. Pure. */
#ifndef PLACEMENT_CLI_ARGS_H
#define PLACEMENT_CLI_ARGS_H

#include "prism/buf.h"
#include "prism/err.h"
#include "prism/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every option of every command; what a command does not take keeps its default. */
struct cli_args {
    const char *graph, *format, *out, *to_format, *output;
    const char *fixed, *fixed_parts, *warm, *assignment, *before, *capacity, *method;
    const char *operand; /* VERTEX of explain */
    uint64_t zones, parts, seed, seeds, threads, memory_mib, move_cap, min_size, max_size;
    double imbalance, move_price, reference_ratio, lost_ratio, keep_ratio, resolution;
    bool coded, quiet, progress;
};

enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_WHOLE, CLI_REAL };
struct cli_option {
    const char *name, *value; /* "--graph", "FILE"; value NULL: a flag */
    enum cli_kind kind;
    size_t at;       /* of the member of struct cli_args */
    double min, max; /* of a number */
    bool needed;
    const char *help;
};
#define CLI_OPTION(name, value, kind, member, lo, hi, needed, help)                                \
    {                                                                                              \
        name, value, kind, offsetof(struct cli_args, member), lo, hi, needed, help                 \
    }

/* What several commands take alike. */
#define CLI_OPTIONS_WORK                                                                           \
    CLI_OPTION("--threads", "T", CLI_WHOLE, threads, 1, PR_POOL_MAX, false,                        \
               "default: as many as processors; the result does not depend on it"),                \
        CLI_OPTION("--memory", "MIB", CLI_WHOLE, memory_mib, 1, 1e9, false,                        \
                   "refuse what needs more (default: nine tenths of what is free)"),               \
        CLI_OPTION("--coded", NULL, CLI_FLAG, coded, 0, 0, false,                                  \
                   "keep the graph gap-coded: less memory, more time; without edge weights only")
#define CLI_OPTIONS_TALK                                                                           \
    CLI_OPTION("-o", "FORMAT", CLI_TEXT, output, 0, 0, false,                                      \
               "table or json: the report (table)"),                                               \
        CLI_OPTION("--progress", NULL, CLI_FLAG, progress, 0, 0, false,                            \
                   "on standard error even when it is no terminal"),                               \
        CLI_OPTION("--quiet", NULL, CLI_FLAG, quiet, 0, 0, false, "no progress")

struct cli_command {
    const char *name, *operand; /* operand NULL: none */
    const char *about;          /* a sentence or two */
    const struct cli_option *option;
    size_t options;
    /* What options say together; PR_EINVAL is a bad command line. NULL: nothing. */
    enum pr_code (*check)(const struct cli_args *args, struct pr_err *err);
    enum pr_code (*run)(const struct cli_args *args, struct pr_err *err);
};

struct cli_args cli_defaults(void);

/* argv: what follows the command's name. *help: --help was there. PR_EINVAL:
 * what is wrong, one line. Text is borrowed from argv. */
PR_CHECKED enum pr_code cli_parse(const struct cli_command *c, int argc, char **argv,
                                  struct cli_args *out, bool *help, struct pr_err *err);
void cli_help(const struct cli_command *c, struct pr_buf *to);

/* "a=1,b=0.5": names (borrowed from text, not terminated: see bytes) and ratios. */
struct cli_zone {
    const char *name;
    int bytes;
    double ratio;
};
PR_CHECKED enum pr_code cli_zones(const char *text, struct cli_zone *zone, uint32_t max,
                                  uint32_t *n, struct pr_err *err);

#endif
