/* What goes wrong around PostgreSQL: settings that would bite later, a receiver that is killed,
 * dies with its service, stays away; and a time that is restored. */
#include "dr_pg_stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MB = 1 << 20 };

static void set(const char *setting)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "ALTER SYSTEM SET %s", setting);
    pg_sql(&pg.a, sql, NULL, 0);
    pg_sql(&pg.a, "SELECT pg_reload_conf()", NULL, 0);
}

static void a_primary_that_could_not_be_rewound_is_refused(void **state)
{
    (void)state;
    set("synchronous_standby_names = ''"); /* nobody comes */
    set("wal_keep_size = '16MB'");
    pg_service_start();
    pg_await("'settings' = ANY (alarms) AND 'receiver' = ANY (alarms) AND slot = 'none' AND "
             "error LIKE 'wal_keep_size is 16 MiB, less than max_wal_size 64 MiB%'");
    set("wal_keep_size = '64MB'");
    pg_await("attached AND NOT 'settings' = ANY (alarms)");
    set("max_slot_wal_keep_size = -1"); /* of one that runs: an alarm */
    pg_await("attached AND 'settings' = ANY (alarms) AND error LIKE 'max_slot_wal_keep_size%'");
    set("max_slot_wal_keep_size = '256MB'");
    set("synchronous_standby_names = 'prism_dr'");
    pg_await("alarms = '{}' AND full_at IS NOT NULL");
}

static void a_time_is_restored_row_by_row(void **state)
{
    struct pg_server at;
    char until[64], out[2048];
    (void)state;
    pg_sql(&pg.a, "INSERT INTO t SELECT g FROM generate_series(1, 100) g", NULL, 0);
    /* --until has whole seconds: one that begins after those rows */
    pg_sql(&pg.a,
           "SELECT pg_sleep(extract(epoch FROM date_trunc('second', clock_timestamp()) "
           "+ interval '1.05 s' - clock_timestamp()))",
           NULL, 0);
    pg_sql(&pg.a,
           "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
           until, sizeof until);
    pg_sql(&pg.a, "SELECT pg_sleep(1)", NULL, 0);
    pg_sql(&pg.a, "INSERT INTO t SELECT g FROM generate_series(101, 200) g", NULL, 0);
    pg_restore("at", until, &at);
    assert_int_equal(pg_number(&at, "SELECT count(*) FROM t"), 100);
    assert_int_equal(pg_number(&at, "SELECT max(id) FROM t"), 100);
    pg_server_stop(&at, "immediate");

    char dir[160];
    (void)snprintf(dir, sizeof dir, "%s/never", pg.dir);
    const char *before[] = { "restore", "--dir", dir, "--until", "2020-01-01T00:00:00Z", NULL };
    assert_int_equal(pg_command(out, sizeof out, before), 1);
    assert_non_null(strstr(out, "is before the oldest backup"));
    const char *over[] = { "restore", "--dir", at.dir, NULL };
    assert_int_equal(pg_command(out, sizeof out, over), 1);
    assert_non_null(strstr(out, "is not empty"));
}

/* --- the receiver -------------------------------------------------------------------------------
 */

static bool somebody_receives(void *ctx)
{
    (void)ctx;
    return pg_receiver_pid() > 1;
}

static bool nobody_receives(void *ctx)
{
    (void)ctx;
    return pg_receiver_pid() == 0;
}

static void a_killed_receiver_comes_back(void **state)
{
    struct pg_writer w;
    (void)state;
    pg_writer_start(&w, &pg.a);
    pg_writer_await(&w, 50);
    for (int i = 0; i < 3; i++) {
        assert_true(it_await(somebody_receives, NULL, PG_AWAIT_MS));
        assert_int_equal(kill((pid_t)pg_receiver_pid(), SIGKILL), 0);
        pg_writer_await(&w, 50); /* commits wait for it, and go on */
    }
    (void)pg_writer_stop(&w);
    pg_await("attached AND synchronous");
}

static void the_receiver_dies_with_the_service(void **state)
{
    (void)state;
    assert_true(it_await(somebody_receives, NULL, PG_AWAIT_MS));
    it_kill(pg.service.pid);
    pg.service.pid = 0;
    assert_true(it_await(nobody_receives, NULL, 10000));
}

static bool slot_lost(void *ctx)
{
    (void)ctx;
    pg_sql(&pg.a, "INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t", NULL, 0);
    pg_sql(&pg.a, "SELECT pg_switch_wal()", NULL, 0);
    pg_sql(&pg.a, "CHECKPOINT", NULL, 0);
    return pg_number(&pg.a, "SELECT count(*) FROM pg_replication_slots "
                            "WHERE wal_status = 'lost'") == 1;
}

/* The service is down since the test before. */
static void a_slot_that_stays_behind_is_cut_and_the_archive_has_the_rest(void **state)
{
    struct pg_server b;
    char out[64];
    (void)state;
    set("synchronous_standby_names = ''");
    set("max_slot_wal_keep_size = '64MB'");
    assert_true(it_await(slot_lost, NULL, PG_AWAIT_MS));
    pg_sql(&pg.a, "SELECT sum(size) FROM pg_ls_waldir()", out, sizeof out);
    assert_in_range(strtol(out, NULL, 10), 1, 400 * MB); /* what was kept for it is bounded */
    set("synchronous_standby_names = 'prism_dr'");
    pg_service_start();
    pg_await("attached AND synchronous AND slot = 'reserved'");
    pg_sql(&pg.a, "INSERT INTO t SELECT max(id) + 1 FROM t", NULL, 0);
    const long last = pg_number(&pg.a, "SELECT max(id) FROM t");
    pg_restore("b", NULL, &b);
    assert_int_equal(pg_number(&b, "SELECT max(id) FROM t"), last);
    assert_int_equal(pg_number(&b, "SELECT count(*) FROM t"),
                     pg_number(&pg.a, "SELECT count(*) FROM t"));
    pg_server_stop(&b, "immediate");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_that_could_not_be_rewound_is_refused),
        cmocka_unit_test(a_time_is_restored_row_by_row),
        cmocka_unit_test(a_killed_receiver_comes_back),
        cmocka_unit_test(the_receiver_dies_with_the_service),
        cmocka_unit_test(a_slot_that_stays_behind_is_cut_and_the_archive_has_the_rest),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("dr_pg_fault", tests, pg_stage_open, pg_stage_close);
}
