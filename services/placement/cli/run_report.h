/* What run has found, and how it is told. */
#ifndef PLACEMENT_CLI_RUN_REPORT_H
#define PLACEMENT_CLI_RUN_REPORT_H

#include "cli/cli.h"
#include "core/parts.h"
#include "core/report.h"
#include "core/solve.h"

struct cli_run_result {
    struct cli_fleet fleet;
    struct placement_solve_result solved;
    struct placement_figures figures;
    uint16_t *zone;      /* [n] owned */
    uint32_t *partition; /* [n] owned; NULL: zones only */
    uint32_t parts;
    struct placement_parts_result divided; /* with partitions */
    uint64_t known, moved, moved_weight;   /* against --warm, vertices that it names */
    uint64_t peak_bytes;
};

json_t *cli_run_report(const struct cli_work *w, const struct placement_graph *g,
                       const struct cli_run_result *r); /* NULL: out of memory */

/* Parts that evaluate tells too. */
json_t *cli_matrix(const struct placement_figures *f, uint32_t zones);
json_t *cli_zone_rows(const struct cli_fleet *fleet, const struct placement_figures *f,
                      const double *share, const uint64_t *capacity);
json_t *cli_finite(double v); /* JSON has no infinity: null */

#endif
