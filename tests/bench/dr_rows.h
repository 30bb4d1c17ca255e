/* Rows of medians for the benches of the dr service. */
#ifndef DR_ROWS_H
#define DR_ROWS_H

#include <stdio.h>
#include <stdlib.h>

enum { MAX_ROUNDS = 25 };

struct row {
    double v[MAX_ROUNDS];
    int n;
};

static inline int row_by_value(const void *a, const void *c)
{
    const double x = *(const double *)a, y = *(const double *)c;
    return (x > y) - (x < y);
}

static inline void row_head(void)
{
    printf("| %-44s | %14s | %-20s | %-8s |\n", "what", "median", "least .. most", "goal");
}

static inline void row_print(const char *what, struct row *r, const char *unit, const char *goal)
{
    qsort(r->v, (size_t)r->n, sizeof r->v[0], row_by_value);
    printf("| %-44s | %9.1f %-4s | %8.1f .. %-8.1f | %-8s |\n", what, r->v[r->n / 2], unit, r->v[0],
           r->v[r->n - 1], goal);
}

#endif
