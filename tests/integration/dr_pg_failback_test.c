/* From A to B and back to A: lock out, restore, promote, rewind, promote. */
#include "dr_pg_stage.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

static struct pg_server b;

/* As the application, which is no superuser. */
static bool app_gets_in(const struct pg_server *s)
{
    char uri[IT_URI];
    (void)snprintf(uri, sizeof uri, "postgresql://app_user:app@127.0.0.1:%d/app", s->port);
    PGconn *c = PQconnectdb(uri);
    const bool ok = PQstatus(c) == CONNECTION_OK;
    if (!ok && strstr(PQerrorMessage(c), "permission denied for database") == NULL)
        fail_msg("%s", PQerrorMessage(c));
    PQfinish(c);
    return ok;
}

static void the_old_primary_is_locked_out(void **state)
{
    char uri[IT_URI], out[2048];
    const char *lockout[] = { "lockout", NULL };
    (void)state;
    pg_service_start();
    pg_await("attached AND synchronous AND full_at IS NOT NULL");
    pg_sql(&pg.a, "INSERT INTO t SELECT g FROM generate_series(1, 100) g", NULL, 0);
    pg_sql(&pg.a, "GRANT CONNECT ON DATABASE app TO app_user", NULL, 0);
    assert_true(app_gets_in(&pg.a));
    (void)snprintf(uri, sizeof uri, "postgresql://app_user:app@127.0.0.1:%d/app", pg.a.port);
    PGconn *session = PQconnectdb(uri);
    assert_int_equal(PQstatus(session), CONNECTION_OK);
    pg_service_stop();            /* it has sessions there, too */
    for (int i = 0; i < 2; i++) { /* again is harmless */
        pg_command_ok(out, sizeof out, lockout);
        assert_non_null(strstr(out, "\"locked_out\":3")); /* all, the owner, app_user */
        assert_non_null(strstr(out, i == 0 ? "\"sessions_ended\":1" : "\"sessions_ended\":0"));
        assert_false(app_gets_in(&pg.a));
    }
    PQclear(PQexec(session, "SELECT 1"));
    assert_int_equal(PQstatus(session), CONNECTION_BAD);
    PQfinish(session);
}

/* What was locked out was received, too: the lock comes along, and goes with the promotion. */
static void what_was_restored_leads_and_lets_in(void **state)
{
    (void)state;
    char out[2048], port[32];
    const char *command[] = { "restore", "--dir", b.dir, "--set", port, NULL };
    const char *promote[] = { "promote", "--dir", b.dir, "--wait", "60", NULL };
    pg_server_stop(&pg.a, "fast"); /* its last segment goes to the archive */
    b.port = it_free_port();
    (void)snprintf(b.dir, sizeof b.dir, "%s/b", pg.dir);
    (void)snprintf(b.uri, sizeof b.uri, "%.*s:%d/app", (int)(strrchr(pg.a.uri, ':') - pg.a.uri),
                   pg.a.uri, b.port);
    (void)snprintf(port, sizeof port, "port=%d", b.port);
    pg_command_ok(out, sizeof out, command);
    pg_stage_set("PRISM_DR_PG_DATA_PATH", b.dir);
    pg_stage_set("PRISM_DR_PG_URI", b.uri);
    pg_stage_set("PRISM_DB_URI", b.uri);
    pg_command_ok(out, sizeof out, promote);
    assert_non_null(strstr(out, "\"timeline\":2"));
    assert_non_null(strstr(out, "\"admitted\":3"));
    assert_true(app_gets_in(&b));
    assert_int_equal(pg_number(&b, "SELECT count(*) FROM t"), 100);
    pg_sql(&b, "INSERT INTO t SELECT g FROM generate_series(101, 200) g", NULL, 0);
}

/* A had gone on alone: those rows are on no other server, and must go. */
static void the_old_primary_follows_the_new(void **state)
{
    char out[2048];
    struct pg_server a = pg.a;
    const char *rewind[] = { "rewind", "--dir", a.dir, "--wait", "60", NULL };
    (void)state;
    pg_server_start(&a);
    pg_sql(&a, "ALTER SYSTEM SET synchronous_standby_names = ''", NULL, 0);
    pg_sql(&a, "SELECT pg_reload_conf()", NULL, 0);
    pg_sql(&a, "INSERT INTO t SELECT g FROM generate_series(901, 1000) g", NULL, 0);
    assert_int_equal(pg_command(out, sizeof out, rewind), 1);
    assert_non_null(strstr(out, "runs: stop it first"));
    pg_server_stop(&a, "immediate");
    pg_command_ok(out, sizeof out, rewind);
    pg.a.pid = 0;
    assert_int_equal(pg_number(&a, "SELECT pg_is_in_recovery()::int"), 1);
    assert_int_equal(pg_number(&a, "SELECT count(*) FROM t"), 200);
    assert_int_equal(pg_number(&a, "SELECT max(id) FROM t"), 200);
    assert_int_equal(pg_number(&a, "SELECT current_setting('port')::int"), a.port); /* its own */
}

static void and_leads_again_with_all_rows(void **state)
{
    char out[2048];
    const char *lockout[] = { "lockout", NULL };
    const char *promote[] = { "promote", "--dir", pg.a.dir, "--wait", "60", NULL };
    (void)state;
    pg_sql(&b, "INSERT INTO t SELECT g FROM generate_series(201, 300) g", NULL, 0);
    pg_command_ok(out, sizeof out, lockout);
    assert_false(app_gets_in(&b));
    pg_command_ok(out, sizeof out, promote); /* waits for what B has */
    assert_non_null(strstr(out, "\"timeline\":3"));
    assert_true(app_gets_in(&pg.a));
    assert_false(app_gets_in(&b));
    assert_int_equal(pg_number(&pg.a, "SELECT count(*) FROM t"), 300);
    pg_server_stop(&b, "immediate");
    pg_stage_set("PRISM_DR_PG_DATA_PATH", pg.a.dir);
    pg_stage_set("PRISM_DR_PG_URI", pg.a.uri);
    pg_stage_set("PRISM_DB_URI", pg.a.uri);
    pg_sql(&pg.a, "ALTER SYSTEM SET synchronous_standby_names = 'prism_dr'", NULL, 0);
    pg_sql(&pg.a, "SELECT pg_reload_conf()", NULL, 0);
    pg_service_start();
    pg_await("attached AND synchronous AND timeline = 3");
    pg_sql(&pg.a, "INSERT INTO t VALUES (301)", NULL, 0);
}

/* A row that only the receiver has, of the third timeline. */
static void and_is_safe_again(void **state)
{
    struct pg_server c;
    (void)state;
    pg_restore("c", NULL, &c);
    assert_int_equal(pg_number(&c, "SELECT count(*) FROM t"), 301);
    pg_server_stop(&c, "immediate");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_old_primary_is_locked_out),
        cmocka_unit_test(what_was_restored_leads_and_lets_in),
        cmocka_unit_test(the_old_primary_follows_the_new),
        cmocka_unit_test(and_leads_again_with_all_rows),
        cmocka_unit_test(and_is_safe_again),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("dr_pg_failback", tests, pg_stage_open, pg_stage_close);
}
