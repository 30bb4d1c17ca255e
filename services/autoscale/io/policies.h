/* Settings of fleets, in versions. The version is the ETag: who changes settings says which
 * ones were seen. Every version is kept: decisions name theirs.
 * Source: migrations, autoscale_fleets and autoscale_settings. */
#ifndef AUTOSCALE_POLICIES_H
#define AUTOSCALE_POLICIES_H

#include "prism/arena.h"
#include "prism/io/db.h"

#include <stdbool.h>

struct autoscale_policy_row {
    const char *fleet;
    int64_t version;
    const char *settings; /* JSON; as PostgreSQL orders it */
    bool enabled;
    const char *changed_by;
    int64_t changed_ms;
};

/* By name, those after `after` (NULL: from the first on); limit 1..1000. */
PR_CHECKED enum pr_code autoscale_policies_list(struct pr_db *db, struct pr_arena *arena,
                                                const char *after, int limit,
                                                struct autoscale_policy_row **row, size_t *n,
                                                struct pr_err *err);
/* version 0: what holds now; else as it was. PR_ENOTFOUND. */
PR_CHECKED enum pr_code autoscale_policy_load(struct pr_db *db, struct pr_arena *arena,
                                              const char *fleet, int64_t version,
                                              struct autoscale_policy_row *out, struct pr_err *err);
/* Newest first, those before version `before` (0: from the newest on); limit 1..1000. */
PR_CHECKED enum pr_code autoscale_policy_history(struct pr_db *db, struct pr_arena *arena,
                                                 const char *fleet, int64_t before, int limit,
                                                 struct autoscale_policy_row **row, size_t *n,
                                                 struct pr_err *err);

struct autoscale_policy_change {
    const char *fleet, *settings; /* a JSON object */
    bool enabled;
    const char *by;
    int64_t if_version; /* the version that was seen; 0: there must be none yet */
};
/* *version: of the fleet afterwards. Settings that are the same make no new version.
 * PR_EEXISTS: made anew, but it is there. PR_ECONFLICT: somebody changed it meanwhile (names
 * the version that holds), or it is no name or no object. PR_ENOTFOUND. PR_EINVAL: not JSON.
 * By the API's role: the service may only read. */
PR_CHECKED enum pr_code autoscale_policy_save(struct pr_db *db,
                                              const struct autoscale_policy_change *change,
                                              int64_t *version, struct pr_err *err);

#endif
