#include "io/policies.h"

#define MS(col) "(extract(epoch FROM " col ") * 1000)::bigint"
#define COLUMNS "version, settings, enabled, changed_by, " MS("changed_at")

/* --- reading ------------------------------------------------------------- */

static enum pr_code read_row(struct pr_arena *arena, const PGresult *r, int i,
                             struct autoscale_policy_row *out, struct pr_err *err)
{
    *out = (struct autoscale_policy_row){
        .fleet = pr_arena_strdup(arena, pr_cell(r, i, 0)),
        .version = pr_cell_i64(r, i, 1),
        .settings = pr_arena_strdup(arena, pr_cell(r, i, 2)),
        .enabled = pr_cell_bool(r, i, 3),
        .changed_by = pr_arena_strdup(arena, pr_cell(r, i, 4)),
        .changed_ms = pr_cell_i64(r, i, 5),
    };
    return out->fleet != NULL && out->settings != NULL && out->changed_by != NULL
               ? PR_OK
               : pr_fail(err, PR_ENOMEM, "no memory for the settings of %s", pr_cell(r, i, 0));
}

static enum pr_code read_rows(struct pr_arena *arena, const PGresult *r,
                              struct autoscale_policy_row **row, size_t *n, struct pr_err *err)
{
    const int rows = PQntuples(r);
    enum pr_code rc = PR_OK;
    *row = pr_arena_alloc(arena, ((size_t)rows + 1) * sizeof **row);
    if (*row == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the settings of %d fleets", rows);
    for (int i = 0; i < rows && rc == PR_OK; i++)
        rc = read_row(arena, r, i, &(*row)[i], err);
    *n = rc == PR_OK ? (size_t)rows : 0;
    return rc;
}

static enum pr_code check_limit(int limit, struct pr_err *err)
{
    return limit >= 1 && limit <= 1000
               ? PR_OK
               : pr_fail(err, PR_EINVAL, "a page of %d rows: want 1 to 1000", limit);
}

enum pr_code autoscale_policies_list(struct pr_db *db, struct pr_arena *arena, const char *after,
                                     int limit, struct autoscale_policy_row **row, size_t *n,
                                     struct pr_err *err)
{
    PGresult *got = NULL;
    *n = 0;
    enum pr_code rc = check_limit(limit, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "SELECT name, " COLUMNS " FROM autoscale_fleets "
                        "WHERE name > coalesce($1, '') ORDER BY name LIMIT $2::int",
                        PR_ARGS(pr_text(after), pr_i64(limit)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "fleets");
    PR_AUTO(PGresult) *res = got;
    return read_rows(arena, res, row, n, err);
}

enum pr_code autoscale_policy_load(struct pr_db *db, struct pr_arena *arena, const char *fleet,
                                   int64_t version, struct autoscale_policy_row *out,
                                   struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        version == 0
            ? pr_db_exec(db, "SELECT name, " COLUMNS " FROM autoscale_fleets WHERE name = $1",
                         PR_ARGS(pr_text(fleet)), &got, err)
            : pr_db_exec(db,
                         "SELECT fleet, " COLUMNS " FROM autoscale_settings "
                         "WHERE fleet = $1 AND version = $2::bigint",
                         PR_ARGS(pr_text(fleet), pr_i64(version)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "settings of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 1)
        return read_row(arena, res, 0, out, err);
    return version == 0 ? pr_fail(err, PR_ENOTFOUND, "no fleet %s", fleet)
                        : pr_fail(err, PR_ENOTFOUND, "no version %lld of the settings of fleet %s",
                                  (long long)version, fleet);
}

enum pr_code autoscale_policy_history(struct pr_db *db, struct pr_arena *arena, const char *fleet,
                                      int64_t before, int limit, struct autoscale_policy_row **row,
                                      size_t *n, struct pr_err *err)
{
    PGresult *got = NULL;
    *n = 0;
    enum pr_code rc = check_limit(limit, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "SELECT fleet, " COLUMNS " FROM autoscale_settings WHERE fleet = $1 "
                        "AND ($2::bigint = 0 OR version < $2) ORDER BY version DESC LIMIT $3::int",
                        PR_ARGS(pr_text(fleet), pr_i64(before), pr_i64(limit)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "settings of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    return read_rows(arena, res, row, n, err);
}

/* --- changing ------------------------------------------------------------ */

struct save {
    const struct autoscale_policy_change *change;
    int64_t version;
};

static enum pr_code make(struct pr_db *db, struct save *s, struct pr_err *err)
{
    const struct autoscale_policy_change *c = s->change;
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "INSERT INTO autoscale_fleets (name, settings, enabled, changed_by) "
        "VALUES ($1, $2::jsonb, $3, $4) ON CONFLICT (name) DO NOTHING RETURNING version",
        PR_ARGS(pr_text(c->fleet), pr_text(c->settings), pr_bool(c->enabled), pr_text(c->by)), &got,
        err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return pr_fail(err, PR_EEXISTS, "there is a fleet of that name");
    s->version = pr_cell_i64(res, 0, 0);
    return PR_OK;
}

static enum pr_code change(struct pr_db *db, struct save *s, struct pr_err *err)
{
    const struct autoscale_policy_change *c = s->change;
    PGresult *seen = NULL, *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT version, settings = $2::jsonb AND enabled = $3::boolean FROM autoscale_fleets "
        "WHERE name = $1 FOR UPDATE",
        PR_ARGS(pr_text(c->fleet), pr_text(c->settings), pr_bool(c->enabled)), &seen, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *was = seen;
    if (PQntuples(was) == 0)
        return pr_fail(err, PR_ENOTFOUND, "there is no such fleet");
    s->version = pr_cell_i64(was, 0, 0);
    if (s->version != c->if_version)
        return pr_fail(err, PR_ECONFLICT, "version %lld holds, not %lld: somebody changed it",
                       (long long)s->version, (long long)c->if_version);
    if (pr_cell_bool(was, 0, 1))
        return PR_OK;
    rc = pr_db_exec(
        db,
        "UPDATE autoscale_fleets SET settings = $2::jsonb, enabled = $3, changed_by = $4 "
        "WHERE name = $1 RETURNING version",
        PR_ARGS(pr_text(c->fleet), pr_text(c->settings), pr_bool(c->enabled), pr_text(c->by)), &got,
        err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    s->version = pr_cell_i64(res, 0, 0);
    return PR_OK;
}

static enum pr_code save(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct save *s = ctx;
    return s->change->if_version == 0 ? make(db, s, err) : change(db, s, err);
}

enum pr_code autoscale_policy_save(struct pr_db *db, const struct autoscale_policy_change *wanted,
                                   int64_t *version, struct pr_err *err)
{
    struct save s = { .change = wanted };
    enum pr_code rc = pr_db_tx(db, save, &s, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "settings of fleet %.63s", wanted->fleet);
    *version = s.version;
    return PR_OK;
}
