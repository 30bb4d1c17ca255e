/* What a run's row asks for, checked: which file, with which parameters. */
#ifndef PLACEMENT_SOURCE_H
#define PLACEMENT_SOURCE_H

#include "core/run.h"
#include "io/pins.h"
#include "io/settings.h"
#include "prism/graph_read.h"

#include <limits.h>

/* PLACEMENT_RUN gives targets; the others only measure. */
enum placement_kind { PLACEMENT_RUN, PLACEMENT_COMMUNITIES, PLACEMENT_EVALUATE };
const char *placement_kind_name(enum placement_kind kind);

struct placement_source {
    char path[PATH_MAX]; /* resolved: no symbolic links, inside an allowed directory */
    enum graph_format format;
    enum placement_kind kind;
    struct placement_params params;
    struct placement_pins pins;                          /* owned */
    char fixed_path[PATH_MAX];                           /* resolved; "": none */
    struct placement_zone capacity[PLACEMENT_MAX_ZONES]; /* instead of the zones' own */
    uint32_t capacities;
};

/* source: {"file": "/path", "format": "snap"}; format may be absent, then it
 * is told by the name. params: {"kind", "mode", "parts", "seed", "seeds", "imbalance",
 * "move_price", "move_cap", "capacity": {zone: ratio}, "fixed": {vertex: zone},
 * "fixed_file"}, each may be absent.
 * PR_EINVAL: malformed, or a value out of range (named); PR_EDENIED: a file
 * is outside PRISM_PLACEMENT_DATA_DIRS; PR_ENOTFOUND: it does not exist. */
PR_CHECKED enum pr_code placement_source_parse(const char *source, const char *params,
                                               const struct placement_config *cfg,
                                               struct placement_source *out, struct pr_err *err);
void placement_source_done(struct placement_source *s);

/* Gives the store's zones the capacities that the run wants. PR_EINVAL: no such zone. */
PR_CHECKED enum pr_code placement_source_capacity(const struct placement_source *s,
                                                  struct placement_store *store,
                                                  struct pr_err *err);

/* Resolves path and checks that it lies in one of the colon-separated dirs. */
PR_CHECKED enum pr_code placement_source_resolve(const char *path, const char *dirs,
                                                 char resolved[PATH_MAX], struct pr_err *err);

#endif
