/* A run's report as JSON; its fields are listed in README.md. */
#ifndef PLACEMENT_REPORT_JSON_H
#define PLACEMENT_REPORT_JSON_H

#include "core/run.h"
#include "engine/community.h"
#include "io/settings.h"
#include "io/source.h"

#include <stdint.h>

struct placement_report_input {
    enum placement_kind kind;
    const struct placement_graph *graph;
    const struct placement_store *store;
    const struct placement_params *params;
    const struct placement_result *result;
    const struct placement_communities *communities; /* of that kind */
    const struct placement_config *cfg;
    const double *phase_s; /* [PLACEMENT_WRITE] seconds of each phase before it */
    unsigned threads;
    uint64_t peak_memory_bytes, estimate_bytes, budget_bytes;
};

/* Compact JSON, malloc; NULL without memory. */
char *placement_report_json(const struct placement_report_input *in);

#endif
