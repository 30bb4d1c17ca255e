/* What a fail-over leaves in the new side's database. */
#include "io/region/private.h"

#include <inttypes.h>
#include <stdio.h>

const char *dr_region_db_uri(const struct dr_region_job *job)
{
    return job->to->pg_uri != NULL ? job->to->pg_uri : job->run->db_uri;
}

/* Offsets and generations are of streams that ended: the new side's dr begins anew, under another
 * name in the bucket. Drills stay: they are history. */
static const char *const FORGET[] = { "DELETE FROM slots",           "DELETE FROM shards",
                                      "DELETE FROM nodes",           "DELETE FROM dr_shards",
                                      "DELETE FROM dr_groups",       "DELETE FROM dr_generations",
                                      "DELETE FROM dr_bases_wanted", "DELETE FROM dr_gives" };

static enum pr_code renew(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct dr_site *s = ctx;
    enum pr_code rc = PR_OK;
    for (size_t i = 0; rc == PR_OK && i < PR_COUNT(FORGET); i++)
        rc = pr_db_exec(db, FORGET[i], NULL, 0, NULL, err);
    for (size_t i = 0; rc == PR_OK && i < s->nodes; i++) {
        const struct dr_site_node *n = &s->node[i];
        rc = pr_db_exec(db, "INSERT INTO zones (id) VALUES ($1) ON CONFLICT DO NOTHING",
                        PR_ARGS(pr_text(n->zone)), NULL, err);
        if (rc == PR_OK)
            rc = pr_db_exec(
                db, "INSERT INTO nodes (id, host, port, zone_id) VALUES ($1, $2, $3, $4)",
                PR_ARGS(pr_text(n->id), pr_text(n->host), pr_i64(n->port), pr_text(n->zone)), NULL,
                err);
    }
    return rc;
}

enum pr_code dr_region_register(const struct dr_region_job *job, struct pr_err *err)
{
    struct pr_db *db = NULL;
    enum pr_code rc = pr_db_open(&db, dr_region_db_uri(job), "prism-dr-failover", err);
    if (rc == PR_OK)
        rc = pr_db_tx(db, renew, (void *)(uintptr_t)job->to, err);
    pr_db_close(db);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "registering the nodes of %s", job->to->name);
}

static const char WRITE[] =
    "INSERT INTO dr_failovers (id, from_site, to_site, by_whom, site_epoch, begun_at, claimed_at, "
    "verified_at, rpo_ms, rto_ms, attempts, report) "
    "VALUES ($1, $2, $3, $4, $5, to_timestamp($6::double precision / 1000), "
    "to_timestamp($7::double precision / 1000), to_timestamp($8::double precision / 1000), "
    "$9, $10, $11, $12::jsonb) "
    "ON CONFLICT (id, begun_at) DO UPDATE SET report = excluded.report, attempts = "
    "excluded.attempts";

/* The database may be of a release before the table: the journal has it all the same. */
enum pr_code dr_region_report(const struct dr_region_job *job, const char *report, bool *written,
                              struct pr_err *err)
{
    const struct dr_region_facts *f = &job->journal.facts;
    const struct dr_region_state *s = &job->journal.state;
    PR_AUTO(PGresult) *there = NULL;
    struct pr_db *db = NULL;
    *written = false;
    enum pr_code rc = pr_db_open(&db, dr_region_db_uri(job), "prism-dr-failover", err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "SELECT to_regclass('dr_failovers') IS NOT NULL", NULL, 0, &there, err);
    *written = rc == PR_OK && pr_cell_bool(there, 0, 0);
    if (*written)
        rc = pr_db_exec(db, WRITE,
                        PR_ARGS(pr_i64((int64_t)job->journal.number), pr_text(f->from),
                                pr_text(f->to), pr_text(f->by), pr_i64((int64_t)f->epoch),
                                pr_i64(s->begun_ms), pr_i64(f->claim_ms), pr_i64(f->verified_ms),
                                pr_i64(f->rpo_ms > 0 ? f->rpo_ms : 0),
                                pr_i64(dr_region_rto_ms(s, f->verified_ms)), pr_i64(s->attempts),
                                pr_text(report)),
                        NULL, err);
    pr_db_close(db);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "table dr_failovers");
}
