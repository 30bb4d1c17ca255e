/* The results, for people and for programs. */
#ifndef PRISM_BENCH_REPORT_H
#define PRISM_BENCH_REPORT_H

#include "verdict.h"

#include <stdio.h>

/* Markdown: verdicts, then a table for each kind of measurement. command: what
 * was asked for, as it could be typed. */
void report_print(FILE *f, const struct plan *p, const struct plan_options *o,
                  const struct verdict *v, unsigned n, const char *command);

/* Every outcome, and the verdicts. */
PR_CHECKED enum pr_code report_json(const char *path, const struct plan *p,
                                    const struct plan_options *o, const struct verdict *v,
                                    unsigned n, struct pr_err *err);

/* One line each; "unknown" where the machine does not say. */
struct machine {
    char cpu[128], system[128];
    long cores;
    double memory_gib;
};
struct machine report_machine(void);

#endif
