/* The dr service against a real cluster and a real S3 server: what was written is in the bucket,
 * and comes back as it was. */
#include "dr_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[64];

static void restores_every_shard(const char *until)
{
    struct dr_shard_at shard[IT_MAX_NODES];
    const size_t n = dr_stage_shards(shard);
    (void)snprintf(dir, sizeof dir, "/tmp/prism-dr-XXXXXX");
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < n; i++) {
        char out[2048], want[64], got[64];
        pid_t pid;
        if (dr_stage_restore(shard[i].id, dir, until, out, sizeof out) != 0)
            fail_msg("shard %s is not restored: %s", shard[i].id, out);
        const int port = dr_stage_serve(dir, shard[i].id, &pid);
        dr_stage_digest(shard[i].port, false, want);
        dr_stage_digest(port, true, got);
        assert_string_equal(want, got);
        (void)it_stop(pid);
    }
    const char *rm[] = { "/bin/rm", "-rf", dir, NULL };
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
}

static void what_was_there_and_what_comes_is_shipped(void **state)
{
    (void)state;
    dr_stage_write(1, 2000); /* in the base */
    dr_stage_start();
    dr_stage_write(2, 5000); /* in the stream */
    dr_stage_await_durable();
    restores_every_shard(NULL);
}

static void a_killed_shipper_goes_on_where_it_was(void **state)
{
    (void)state;
    const long generations =
        dr_stage_number("SELECT count(DISTINCT generation_epoch) FROM dr_shards");
    dr_stage_write(3, 1000);
    it_kill(dr.dr.pid);
    dr_stage_write(4, 1000);
    dr_stage_start();
    dr_stage_write(5, 1000);
    dr_stage_await_durable();
    assert_int_equal(dr_stage_number("SELECT count(DISTINCT generation_epoch) FROM dr_shards"),
                     generations); /* no base was written anew */
    restores_every_shard(NULL);
}

static bool young(void *ctx)
{
    (void)ctx; /* of every shard, though nobody writes */
    return dr_stage_number("SELECT count(*) FROM dr_shards WHERE beat_at IS NULL OR "
                           "beat_at < now() - interval '3 s'") == 0;
}

static void an_idle_shard_has_an_age(void **state)
{
    (void)state;
    assert_int_equal(it_stop(dr.dr.pid), 0);
    dr_stage_set("PRISM_DR_BEAT_MS", "500");
    dr_stage_start();
    assert_true(it_await(young, NULL, 20000));
}

static bool kept_the_hour(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_rpo WHERE worst_ms BETWEEN 3600000 AND "
                           "3700000") == dr_stage_number("SELECT count(*) FROM dr_shards");
}
static bool nothing_old(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_rpo WHERE shard_id = 'gone'") == 0;
}

/* As if dr had been away for an hour: what is durable has no age from then, and that is not
 * forgotten once it is young again. What is more than a day old is. */
static void how_old_it_was_is_kept_for_a_day(void **state)
{
    (void)state;
    assert_int_equal(it_stop(dr.dr.pid), 0);
    assert_true(dr_stage_number("SELECT count(*) FROM dr_rpo WHERE worst_ms < 3600000") > 0);
    (void)dr_stage_number(
        "WITH x AS (INSERT INTO dr_rpo VALUES ('gone', now() - interval '26 hours', 1)) "
        "SELECT 0");
    (void)dr_stage_number("WITH x AS (UPDATE dr_shards SET beat_at = now() - interval '1 hour') "
                          "SELECT 0");
    dr_stage_start();
    assert_true(it_await(kept_the_hour, NULL, 20000));
    assert_true(it_await(young, NULL, 20000));
    assert_true(kept_the_hour(NULL));
    assert_true(it_await(nothing_old, NULL, 20000));
}

static bool saved_since(void *at)
{
    return dr_stage_number("SELECT count(*) FROM dr_shards WHERE updated_at <= to_timestamp(%ld)",
                           *(const long *)at) == 0;
}
static bool ages_of_all(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_rpo") ==
           dr_stage_number("SELECT count(*) FROM dr_shards");
}
static void execute(const char *sql)
{
    char none[64];
    it_sql(dr.uri, sql, none, sizeof none);
}

/* What is durable stays young while rows cannot be written: they are late, the copy is not. */
static void rows_that_wait_make_nothing_older(void **state)
{
    (void)state;
    execute("DELETE FROM dr_rpo");
    execute("DO $$ BEGIN LOCK TABLE dr_shards; PERFORM pg_sleep(15); END $$");
    assert_true(it_await(young, NULL, 20000));
    assert_true(it_await(ages_of_all, NULL, 20000));
    assert_int_equal(dr_stage_number("SELECT count(*) FROM dr_rpo WHERE worst_ms >= 14000"), 0);
}

/* Where how old it was cannot be written, all else goes on. */
static void a_chart_is_in_nobodys_way(void **state)
{
    (void)state;
    execute("ALTER TABLE dr_rpo RENAME TO dr_rpo_away");
    long at = dr_stage_number("SELECT ceil(extract(epoch FROM now())) + 3");
    const bool goes_on = it_await(saved_since, &at, 30000);
    execute("ALTER TABLE dr_rpo_away RENAME TO dr_rpo");
    assert_true(goes_on);
    execute("DELETE FROM dr_rpo");
    assert_true(it_await(ages_of_all, NULL, 20000));
}

static void a_full_directory_is_refused(void **state)
{
    (void)state;
    struct dr_shard_at shard[IT_MAX_NODES];
    char out[2048];
    (void)dr_stage_shards(shard);
    (void)snprintf(dir, sizeof dir, "/tmp");
    assert_int_equal(dr_stage_restore("..", dir, NULL, out, sizeof out), 2);
    assert_int_equal(dr_stage_restore("nobody", dir, NULL, out, sizeof out), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_there_and_what_comes_is_shipped),
        cmocka_unit_test(a_killed_shipper_goes_on_where_it_was),
        cmocka_unit_test(an_idle_shard_has_an_age),
        cmocka_unit_test(how_old_it_was_is_kept_for_a_day),
        cmocka_unit_test(rows_that_wait_make_nothing_older),
        cmocka_unit_test(a_chart_is_in_nobodys_way),
        cmocka_unit_test(a_full_directory_is_refused),
    };
    return cmocka_run_group_tests_name("dr ship", tests, dr_stage_open, dr_stage_close);
}
