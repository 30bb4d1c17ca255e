/* Whether the engine is what it was promised to be. Pure. */
#ifndef PRISM_BENCH_VERDICT_H
#define PRISM_BENCH_VERDICT_H

#include "plan.h"

enum judged { NOT_JUDGED, PASS, MISS };
extern const char *const judged_name[]; /* "-", "PASS", "MISS" */

struct verdict {
    const char *what;
    const char *must, *aim; /* in words; NULL: none */
    char measured[160];
    enum judged must_is, aim_is;
};

enum { MOST_VERDICTS = 16 };
/* Returns how many. */
unsigned verdicts_of(const struct plan *p, struct verdict out[MOST_VERDICTS]);
bool verdicts_hold(const struct verdict *v, unsigned n); /* no must is missed */

/* Geometric means and worst cases over graphs. */
struct mean {
    double log_sum, least, most;
    unsigned n;
};
void mean_add(struct mean *m, double x);
double mean_of(const struct mean *m);

#endif
