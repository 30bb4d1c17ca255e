/* Lines up the columns of Markdown tables, for reading in a terminal. */
#ifndef PRISM_BENCH_ALIGN_H
#define PRISM_BENCH_ALIGN_H

#include <stdio.h>

void align_tables(FILE *f, const char *markdown);

#endif
