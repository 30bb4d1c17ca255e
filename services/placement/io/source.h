/* What a run's row asks for, checked: which file, with which parameters. */
#ifndef PLACEMENT_SOURCE_H
#define PLACEMENT_SOURCE_H

#include "core/run.h"
#include "io/settings.h"
#include "prism/graph_read.h"

#include <limits.h>

struct placement_source {
    char path[PATH_MAX]; /* resolved: no symbolic links, inside an allowed directory */
    enum graph_format format;
    struct placement_params params;
};

/* source: {"file": "/path", "format": "snap"}; format may be absent, then it
 * is told by the name. params: {"seed", "seeds", "imbalance"}, each may be
 * absent.
 * PR_EINVAL: malformed, or a value out of range (named); PR_EDENIED: the file
 * is outside PRISM_PLACEMENT_DATA_DIRS; PR_ENOTFOUND: it does not exist. */
PR_CHECKED enum pr_code placement_source_parse(const char *source, const char *params,
                                               const struct placement_config *cfg,
                                               struct placement_source *out, struct pr_err *err);

/* Resolves path and checks that it lies in one of the colon-separated dirs. */
PR_CHECKED enum pr_code placement_source_resolve(const char *path, const char *dirs,
                                                 char resolved[PATH_MAX], struct pr_err *err);

#endif
