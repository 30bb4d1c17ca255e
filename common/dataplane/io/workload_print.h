/* How prism-workload speaks: JSON lines, or a table. */
#ifndef PRISM_DP_WORKLOAD_PRINT_H
#define PRISM_DP_WORKLOAD_PRINT_H

#include "prism/dp/workload.h"

#include <stdio.h>

void workload_print_progress(bool json, FILE *to, const struct dp_tally *t, double seconds);
void workload_print_json(FILE *to, const struct dp_workload_report *r, const struct dp_zones *z);
void workload_print_table(FILE *to, const struct dp_workload_report *r, const struct dp_zones *z);
/* One line a finding. */
void workload_print_findings(FILE *to, const struct dp_workload_report *r);

#endif
