#include "prism/io/lease.h"

/* Takes the row when nobody holds it, when its time is up, or when it is ours
 * (same holder and same epoch). The epoch grows on every change of hands. */
static const char HOLD[] =
    "INSERT INTO leases AS l (name, holder, epoch, expires_at) "
    "VALUES ($1, $2, 1, clock_timestamp() + $3::bigint * interval '1 millisecond') "
    "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, "
    "epoch = l.epoch + CASE WHEN l.holder = $2 AND l.epoch = $4::bigint THEN 0 ELSE 1 END, "
    "expires_at = clock_timestamp() + $3::bigint * interval '1 millisecond' "
    "WHERE l.expires_at <= clock_timestamp() OR (l.holder = $2 AND l.epoch = $4::bigint) "
    "RETURNING epoch";

static enum pr_code name_holder(struct pr_db *db, const struct pr_lease *l, struct pr_err *err)
{
    PGresult *found = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT holder, epoch, (extract(epoch FROM expires_at - clock_timestamp()) * 1000)::bigint "
        "FROM leases WHERE name = $1",
        PR_ARGS(pr_text(l->name)), &found, err);
    if (rc != PR_OK)
        return rc;

    PR_AUTO(PGresult) *res = found;
    if (PQntuples(res) == 0)
        return pr_fail(err, PR_ECONFLICT, "lease %s: changed hands just now", l->name);
    return pr_fail(err, PR_ECONFLICT, "lease %s: held by %s, epoch %s, for %s ms more", l->name,
                   pr_cell(res, 0, 0), pr_cell(res, 0, 1), pr_cell(res, 0, 2));
}

enum pr_code pr_lease_hold(struct pr_db *db, struct pr_lease *l, struct pr_err *err)
{
    PGresult *held = NULL;
    enum pr_code rc = pr_db_exec(
        db, HOLD,
        PR_ARGS(pr_text(l->name), pr_text(l->holder), pr_i64(l->ttl_ms), pr_i64((int64_t)l->epoch)),
        &held, err);
    if (rc != PR_OK)
        return rc; /* l->epoch stays: it may be held yet, and every write checks it */

    PR_AUTO(PGresult) *res = held;
    if (PQntuples(res) == 1) {
        l->epoch = (uint64_t)pr_cell_i64(res, 0, 0);
        return PR_OK;
    }
    l->epoch = 0;
    return name_holder(db, l, err);
}

void pr_lease_release(struct pr_db *db, struct pr_lease *l)
{
    if (l->epoch == 0)
        return;
    /* When this fails the lease runs out by itself. */
    enum pr_code rc = pr_db_exec(
        db,
        "UPDATE leases SET expires_at = '-infinity' "
        "WHERE name = $1 AND holder = $2 AND epoch = $3::bigint",
        PR_ARGS(pr_text(l->name), pr_text(l->holder), pr_i64((int64_t)l->epoch)), NULL, NULL);
    (void)rc;
    l->epoch = 0;
}

/* A holder that is stopped within a transaction would keep the row locked, and
 * with it everybody who wants to take over: PostgreSQL ends such a transaction when
 * the lease runs out. */
enum pr_code pr_lease_check(struct pr_db *db, const struct pr_lease *l, struct pr_err *err)
{
    PGresult *found = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT epoch, holder, expires_at > clock_timestamp(), "
        "set_config('idle_in_transaction_session_timeout', greatest($2::bigint, 1000)::text, true) "
        "FROM leases WHERE name = $1 FOR SHARE",
        PR_ARGS(pr_text(l->name), pr_i64(l->ttl_ms)), &found, err);
    if (rc != PR_OK)
        return rc;

    PR_AUTO(PGresult) *res = found;
    if (l->epoch == 0 || PQntuples(res) == 0)
        return pr_fail(err, PR_EFENCED, "lease %s: not held", l->name);
    if ((uint64_t)pr_cell_i64(res, 0, 0) != l->epoch)
        return pr_fail(err, PR_EFENCED, "lease %s: our epoch %llu, newest %s (%s)", l->name,
                       (unsigned long long)l->epoch, pr_cell(res, 0, 0), pr_cell(res, 0, 1));
    if (!pr_cell_bool(res, 0, 2))
        return pr_fail(err, PR_EFENCED, "lease %s: epoch %llu has expired", l->name,
                       (unsigned long long)l->epoch);
    return PR_OK;
}
