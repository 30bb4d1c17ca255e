/* A cluster is restored because a row asks for it: by the service, which may be killed at it. */
#include "dr_restore_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct own_cluster own;
static char dir[64];

static int open_all(void **state)
{
    (void)dr_stage_open(state);
    (void)snprintf(dir, sizeof dir, "/tmp/prism-dr-XXXXXX");
    assert_non_null(mkdtemp(dir));
    dr_stage_set("PRISM_DR_DRILL_CRON", "");
    dr_stage_set("PRISM_DR_SCRATCH_PATH", dir);
    dr_stage_set("PRISM_DR_RESTORE_USER", "default");
    dr_stage_set("PRISM_DR_RESTORE_PASSWORD", "any");
    dr_stage_write(1, 20000);
    dr_stage_start();
    dr_stage_write(2, 1000);
    dr_stage_await_durable();
    own_cluster_start(&own);
    return 0;
}

static int close_all(void **state)
{
    const char *rm[] = { "/bin/rm", "-rf", dir, NULL };
    own_cluster_stop(&own);
    const int rc = dr_stage_close(state);
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
    return rc;
}

/* --- rows ----------------------------------------------------------------------------------- */

static long ask(bool over_existing, bool canceled)
{
    return dr_stage_number("INSERT INTO dr_cluster_restores (target, over_existing, asked_by, "
                           "canceled_by) VALUES ('%s', %s, 'test', %s) RETURNING id",
                           own.seeds, over_existing ? "true" : "false",
                           canceled ? "'somebody'" : "NULL");
}

static bool ended(void *id)
{
    return dr_stage_number("SELECT count(*) FROM dr_cluster_restores WHERE id = %ld AND "
                           "state = 'done'",
                           *(long *)id) == 1;
}

static bool is_held(void *id)
{
    (void)id;
    return dr_stage_number("SELECT count(*) FROM pg_stat_activity WHERE datname = "
                           "current_database() AND wait_event = 'PgSleep'") == 1;
}

static void await(bool (*is)(void *), long id)
{
    char text[2048];
    if (it_await(is, &id, DR_AWAIT_MS))
        return;
    dr_stage_text(text, sizeof text, "SELECT r::text FROM dr_cluster_restores r WHERE id = %ld",
                  id);
    fail_msg("it does not come to that: %s", text);
}

static void expect_end(long id, const char *outcome, const char *reason, long attempts)
{
    char got[64], why[2048];
    await(ended, id);
    dr_stage_text(got, sizeof got, "SELECT outcome FROM dr_cluster_restores WHERE id = %ld", id);
    dr_stage_text(why, sizeof why, "SELECT reason FROM dr_cluster_restores WHERE id = %ld", id);
    if (strcmp(got, outcome) != 0 || strstr(why, reason) == NULL)
        fail_msg("%s: %s", got, why);
    assert_int_equal(dr_stage_number("SELECT attempts FROM dr_cluster_restores WHERE id = %ld", id),
                     attempts);
}

static void expect_all_there(long id)
{
    char version[128];
    const long keys = own_cluster_keys(&own);
    assert_true(keys > 1000);
    /* less by those whose time was up since */
    assert_in_range(keys, 1000,
                    dr_stage_number("SELECT (report->>'copied_keys')::bigint FROM "
                                    "dr_cluster_restores WHERE id = %ld",
                                    id));
    for (int i = 0; i < OWN_PRIMARIES; i++) {
        own_cluster_version(&own, i, version, sizeof version);
        assert_string_equal(version, "OK 1");
    }
}

static void restart(void)
{
    dr_stage_end_leases();
    dr_stage_start();
}

/* --- tests ---------------------------------------------------------------------------------- */

static void a_row_brings_every_shard_back(void **state)
{
    (void)state;
    const long id = ask(false, false);
    expect_end(id, "good", "", 1);
    expect_all_there(id);
    assert_int_equal(
        dr_stage_number("SELECT count(*) FROM dr_cluster_restores WHERE id = %ld AND "
                        "fetched = shards AND shards = json_array_length((report->'shards')::json) "
                        "AND started_at <= finished_at AND step = 'unseal'",
                        id),
        1);
}

static void what_holds_keys_is_left_alone_unless_told(void **state)
{
    (void)state;
    const long keys = own_cluster_keys(&own);
    expect_end(ask(false, false), "refused", "nothing is restored over them unless told to", 1);
    assert_int_equal(own_cluster_keys(&own), keys);
    expect_end(ask(true, true), "canceled", "by somebody", 0);
    it_sql(
        dr.uri,
        "INSERT INTO leases VALUES ('rebalance-executor', 'somebody', 1, now() + interval '1 h') "
        "ON CONFLICT (name) DO UPDATE SET expires_at = excluded.expires_at",
        NULL, 0);
    const long routes = dr_stage_number(
        "INSERT INTO dr_cluster_restores (target, over_existing, write_routes, asked_by) "
        "VALUES ('%s', true, true, 'test') RETURNING id",
        own.seeds);
    expect_end(routes, "refused", "may execute plans: stop the rebalance service", 1);
    assert_int_equal(own_cluster_keys(&own), keys);
}

static void a_killed_one_is_begun_again(void **state)
{
    (void)state;
    char version[128];
    it_sql(dr.uri,
           "CREATE FUNCTION hold() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; "
           "END $$ LANGUAGE plpgsql; CREATE TRIGGER hold BEFORE UPDATE ON dr_cluster_restores "
           "FOR EACH ROW WHEN (NEW.step = 'unseal') EXECUTE FUNCTION hold()",
           NULL, 0);
    const long id = ask(true, false);
    await(is_held, id); /* all is copied, and nothing of it served */
    it_kill(dr.dr.pid);
    it_sql(dr.uri,
           "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
           "current_database() AND wait_event = 'PgSleep'; "
           "DROP TRIGGER hold ON dr_cluster_restores",
           NULL, 0);
    assert_int_equal(dr_stage_number("SELECT count(*) FROM dr_cluster_restores WHERE id = %ld "
                                     "AND step IN ('copy', 'compare') AND outcome IS NULL",
                                     id),
                     1);
    own_cluster_version(&own, 0, version, sizeof version);
    assert_non_null(strstr(version, "RESTORING"));
    restart();
    expect_end(id, "good", "", 2);
    expect_all_there(id);
}

/* Its replica dies after it was unsealed, and before the row says so: somebody writes there. */
static void what_was_unsealed_is_not_filled_again(void **state)
{
    (void)state;
    redisContext *c = redisConnect("127.0.0.1", own.port[0]);
    redisReply *r = redisCommand(c, "SET {p0}new 1");
    for (int i = 1; i < OWN_PRIMARIES && r->type == REDIS_REPLY_ERROR; i++) {
        freeReplyObject(r);
        redisFree(c);
        c = redisConnect("127.0.0.1", own.port[i]);
        r = redisCommand(c, "SET {p0}new 1");
    }
    assert_int_equal(r->type, REDIS_REPLY_STATUS);
    freeReplyObject(r);
    const long id = dr_stage_number("SELECT max(id) FROM dr_cluster_restores");
    it_kill(dr.dr.pid);
    it_sql(dr.uri,
           "UPDATE dr_cluster_restores SET state = 'running', outcome = NULL, attempts = 1 "
           "WHERE id = (SELECT max(id) FROM dr_cluster_restores)",
           NULL, 0);
    restart();
    expect_end(id, "good", "", 2);
    r = redisCommand(c, "GET {p0}new");
    assert_string_equal(r->str, "1");
    freeReplyObject(r);
    redisFree(c);
}

static void it_ends_when_somebody_wants_it(void **state)
{
    (void)state;
    /* the very moment it has begun */
    it_sql(dr.uri,
           "CREATE FUNCTION want() RETURNS trigger AS $$ BEGIN NEW.canceled_by := 'me'; "
           "RETURN NEW; END $$ LANGUAGE plpgsql; CREATE TRIGGER want BEFORE UPDATE ON "
           "dr_cluster_restores FOR EACH ROW WHEN (OLD.state = 'queued') EXECUTE FUNCTION want()",
           NULL, 0);
    expect_end(ask(true, false), "canceled", "", 1);
    it_sql(dr.uri, "DROP TRIGGER want ON dr_cluster_restores", NULL, 0);
    /* sealed or not: it may be filled again */
    const long again = ask(true, false);
    expect_end(again, "good", "", 1);
    expect_all_there(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_brings_every_shard_back),
        cmocka_unit_test(what_holds_keys_is_left_alone_unless_told),
        cmocka_unit_test(a_killed_one_is_begun_again),
        cmocka_unit_test(what_was_unsealed_is_not_filled_again),
        cmocka_unit_test(it_ends_when_somebody_wants_it),
    };
    return cmocka_run_group_tests_name("dr orders", tests, open_all, close_all);
}
