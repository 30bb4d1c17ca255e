#include "io/pg/primary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a receiver there is at most one that streams by the slot; pg_receivewal knows no timeline of
 * its own. */
static const char LOOK[] =
    "SELECT (SELECT system_identifier FROM pg_control_system()), "                 /* 0 */
    "pg_walfile_name(pg_current_wal_flush_lsn()), pg_current_wal_flush_lsn(), "    /* 1 2 */
    "r.flush_lsn, coalesce(r.sync_state IN ('sync', 'quorum'), false), "           /* 3 4 */
    "s.wal_status, coalesce(s.active, false), "                                    /* 5 6 */
    "coalesce(pg_current_wal_flush_lsn() - s.restart_lsn, 0), "                    /* 7 */
    "coalesce(s.safe_wal_size, -1), "                                              /* 8 */
    "(SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'), " /* 9 */
    "coalesce(a.last_archived_wal, ''), "                                          /* 10 */
    "coalesce(a.last_failed_time > a.last_archived_time, "
    "         a.last_failed_time IS NOT NULL), "        /* 11 */
    "pg_size_bytes(current_setting('wal_keep_size')), " /* 12 */
    "pg_size_bytes(current_setting('max_wal_size')), "  /* 13 */
    "CASE current_setting('max_slot_wal_keep_size') WHEN '-1' THEN -1 "
    "     ELSE pg_size_bytes(current_setting('max_slot_wal_keep_size')) END, "              /* 14 */
    "current_setting('archive_mode') <> 'off', "                                            /* 15 */
    "current_setting('wal_level') <> 'minimal', "                                           /* 16 */
    "current_setting('full_page_writes') = 'on', "                                          /* 17 */
    "current_setting('data_checksums') = 'on' OR current_setting('wal_log_hints') = 'on', " /* 18 */
    "strpos(current_setting('synchronous_standby_names'), '" DR_PG_STANDBY "') > 0 "        /* 19 */
    "FROM pg_stat_archiver a "
    "LEFT JOIN pg_replication_slots s ON s.slot_name = '" DR_PG_STANDBY "' "
    "LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid AND r.state = 'streaming'";

static enum dr_pg_slot slot_of(const char *status)
{
    for (int i = DR_PG_SLOT_RESERVED; status != NULL && i <= DR_PG_SLOT_LOST; i++)
        if (strcmp(status, dr_pg_slot_name((enum dr_pg_slot)i)) == 0)
            return (enum dr_pg_slot)i;
    return DR_PG_SLOT_NONE;
}

static bool read_look(const PGresult *r, struct dr_pg_server *s)
{
    char timeline[9] = "";
    const char *flushed = pr_cell(r, 0, 3);
    if (PQntuples(r) != 1)
        return false;
    s->system_id = strtoull(PQgetvalue(r, 0, 0), NULL, 10);
    memcpy(timeline, PQgetvalue(r, 0, 1), strnlen(PQgetvalue(r, 0, 1), 8));
    s->timeline = (uint32_t)strtoul(timeline, NULL, 16);
    s->attached = flushed != NULL;
    s->synchronous = pr_cell_bool(r, 0, 4);
    s->slot = slot_of(pr_cell(r, 0, 5));
    s->slot_active = pr_cell_bool(r, 0, 6);
    s->slot_kept_bytes = pr_cell_i64(r, 0, 7);
    s->slot_safe_bytes = pr_cell_i64(r, 0, 8);
    s->archive_waiting = pr_cell_i64(r, 0, 9);
    (void)snprintf(s->archived, sizeof s->archived, "%s", PQgetvalue(r, 0, 10));
    s->archive_failing = pr_cell_bool(r, 0, 11);
    s->wal_keep_bytes = pr_cell_i64(r, 0, 12);
    s->max_wal_bytes = pr_cell_i64(r, 0, 13);
    s->slot_cap_bytes = pr_cell_i64(r, 0, 14);
    s->archiving = pr_cell_bool(r, 0, 15);
    s->replica_level = pr_cell_bool(r, 0, 16);
    s->full_page_writes = pr_cell_bool(r, 0, 17);
    s->rewindable = pr_cell_bool(r, 0, 18);
    s->named = pr_cell_bool(r, 0, 19);
    return dr_pg_lsn_parse(PQgetvalue(r, 0, 2), &s->lsn) &&
           (flushed == NULL || dr_pg_lsn_parse(flushed, &s->flushed_lsn));
}

enum pr_code dr_pg_look(struct pr_db *db, int64_t now_ms, struct dr_pg_server *out,
                        struct pr_err *err)
{
    PR_AUTO(PGresult) *r = NULL;
    struct dr_pg_server s = { .at_ms = now_ms };
    const enum pr_code rc = pr_db_exec(db, LOOK, NULL, 0, &r, err);
    if (rc != PR_OK)
        return rc;
    if (!read_look(r, &s))
        return pr_fail(err, PR_EDATA, "the primary's state is not as expected");
    if (!s.attached) /* what it had flushed stays flushed */
        s.flushed_lsn = out->system_id == s.system_id ? out->flushed_lsn : 0;
    *out = s;
    return PR_OK;
}

enum pr_code dr_pg_slot_make(struct pr_db *db, struct pr_err *err)
{
    static const char SQL[] =
        "SELECT pg_create_physical_replication_slot('" DR_PG_STANDBY "', true) "
        "WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '" DR_PG_STANDBY "')";
    return pr_db_exec(db, SQL, NULL, 0, NULL, err);
}

enum pr_code dr_pg_slot_drop(struct pr_db *db, struct pr_err *err)
{
    static const char SQL[] = "SELECT pg_drop_replication_slot(slot_name) "
                              "FROM pg_replication_slots WHERE slot_name = '" DR_PG_STANDBY "'";
    return pr_db_exec(db, SQL, NULL, 0, NULL, err);
}

/* --- locking out -------------------------------------------------------------------------------
 */

/* Who was locked out is a setting of the database: it goes with the lock in one transaction, and
 * wherever the database goes. Nothing reads it but admit. */
static const char NOTE[] =
    "DO $$ "
    "DECLARE db text := current_setting('prism.lock_database'); who text; was text; "
    "BEGIN "
    "  SELECT substr(c, strpos(c, '=') + 1) INTO was FROM pg_db_role_setting s "
    "    JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c "
    "   WHERE d.datname = db AND s.setrole = 0 AND c LIKE 'prism.locked_out=%'; "
    "  IF was IS NULL THEN "
    "    SELECT coalesce(string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC' "
    "           ELSE quote_ident(pg_get_userbyid(a.grantee)) END, ', '), '') INTO was "
    "      FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a "
    "     WHERE d.datname = db AND a.privilege_type = 'CONNECT'; "
    "    EXECUTE format('ALTER DATABASE %I SET prism.locked_out = %L', db, was); "
    "  END IF; "
    "  FOR who IN SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' "
    "           ELSE quote_ident(pg_get_userbyid(a.grantee)) END "
    "      FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a "
    "     WHERE d.datname = db AND a.privilege_type = 'CONNECT' "
    "  LOOP EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM %s CASCADE', db, who); END LOOP; "
    "END $$";

static const char ADMIT[] =
    "DO $$ "
    "DECLARE db text := current_setting('prism.lock_database'); was text; "
    "BEGIN "
    "  SELECT substr(c, strpos(c, '=') + 1) INTO was FROM pg_db_role_setting s "
    "    JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c "
    "   WHERE d.datname = db AND s.setrole = 0 AND c LIKE 'prism.locked_out=%'; "
    "  IF was IS NOT NULL THEN "
    "    IF was <> '' THEN EXECUTE format('GRANT CONNECT ON DATABASE %I TO %s', db, was); END IF; "
    "    EXECUTE format('ALTER DATABASE %I RESET prism.locked_out', db); "
    "  END IF; "
    "END $$";

static const char LOCKED[] =
    "SELECT (SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = "
    "s.setdatabase, "
    "          unnest(s.setconfig) c, regexp_split_to_table(substr(c, strpos(c, '=') + 1), ', ') "
    "         WHERE d.datname = $1 AND c LIKE 'prism.locked_out=%'), "
    "(SELECT count(*) FROM pg_prepared_xacts WHERE database = $1), "
    "(SELECT string_agg(rolname, ', ') FROM pg_roles WHERE rolcanlogin AND NOT rolsuper "
    "   AND has_database_privilege(oid, $1, 'CONNECT')), "
    "(SELECT string_agg(coalesce(usename, '?') || ' ' || pid, ', ') FROM pg_stat_activity "
    "  WHERE datname = $1 AND backend_type = 'client backend')";

static const char END_ALL[] =
    "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
    "WHERE datname = $1 AND backend_type = 'client backend'";

struct about {
    const char *database, *sql;
};

static enum pr_code about_database(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct about *a = ctx;
    const enum pr_code rc = pr_db_exec(db, "SELECT set_config('prism.lock_database', $1, true)",
                                       PR_ARGS(pr_text(a->database)), NULL, err);
    return rc == PR_OK ? pr_db_exec(db, a->sql, NULL, 0, NULL, err) : rc;
}

static enum pr_code verify(struct pr_db *db, const char *database, struct dr_pg_locked *out,
                           struct pr_err *err)
{
    PR_AUTO(PGresult) *r = NULL;
    const enum pr_code rc = pr_db_exec(db, LOCKED, PR_ARGS(pr_text(database)), &r, err);
    if (rc != PR_OK)
        return rc;
    out->grants = pr_cell_i64(r, 0, 0);
    out->prepared = pr_cell_i64(r, 0, 1);
    if (pr_cell(r, 0, 2) != NULL)
        return pr_fail(err, PR_ECONFLICT, "%s may still be connected to by %.100s", database,
                       pr_cell(r, 0, 2));
    if (pr_cell(r, 0, 3) != NULL)
        return pr_fail(err, PR_ECONFLICT, "%s still has sessions: %.100s", database,
                       pr_cell(r, 0, 3));
    return PR_OK;
}

static enum pr_code exists(struct pr_db *db, const char *database, struct pr_err *err)
{
    PR_AUTO(PGresult) *r = NULL;
    const enum pr_code rc = pr_db_exec(db, "SELECT 1 FROM pg_database WHERE datname = $1",
                                       PR_ARGS(pr_text(database)), &r, err);
    if (rc == PR_OK && PQntuples(r) == 0)
        return pr_fail(err, PR_ENOTFOUND, "there is no database %s", database);
    return rc;
}

enum pr_code dr_pg_lock_out(struct pr_db *db, const char *database, struct dr_pg_locked *out,
                            struct pr_err *err)
{
    struct about a = { database, NOTE };
    PR_AUTO(PGresult) *r = NULL;
    *out = (struct dr_pg_locked){ 0 };
    enum pr_code rc = exists(db, database, err);
    if (rc == PR_OK)
        rc = pr_db_tx(db, about_database, &a, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, END_ALL, PR_ARGS(pr_text(database)), &r, err);
    if (rc != PR_OK)
        return rc;
    out->ended = pr_cell_i64(r, 0, 0);
    return verify(db, database, out, err);
}

enum pr_code dr_pg_is_locked(struct pr_db *db, const char *database, bool *is, struct pr_err *err)
{
    PR_AUTO(PGresult) *r = NULL;
    const enum pr_code rc = pr_db_exec(db, LOCKED, PR_ARGS(pr_text(database)), &r, err);
    *is = rc == PR_OK && pr_cell(r, 0, 2) == NULL;
    return rc;
}

enum pr_code dr_pg_admit(struct pr_db *db, const char *database, int64_t *grants,
                         struct pr_err *err)
{
    struct about a = { database, ADMIT };
    struct dr_pg_locked before = { 0 };
    enum pr_code rc = exists(db, database, err);
    (void)verify(db, database, &before, NULL); /* to count; who is connected does not matter */
    if (rc == PR_OK)
        rc = pr_db_tx(db, about_database, &a, err);
    *grants = rc == PR_OK ? before.grants : 0;
    return rc;
}
