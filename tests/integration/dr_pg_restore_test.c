/* PostgreSQL with pgBackRest and pg_receivewal under the dr service: no acknowledged row is lost.
 */
#include "dr_pg_stage.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void backups_are_made_and_the_receiver_is_synchronous(void **state)
{
    char out[4096];
    (void)state;
    const char *incr[] = { "backup", NULL }, *status[] = { "status", NULL };
    pg_service_start();
    pg_await("attached AND synchronous");
    pg_await("full_at IS NOT NULL AND alarms = '{}'");
    pg_command_ok(out, sizeof out, incr);
    assert_non_null(strstr(out, "\"full_backups\":1,\"other_backups\":1"));
    pg_command_ok(out, sizeof out, status);
    assert_non_null(strstr(out, "\"attached\":true,\"synchronous\":true"));
    assert_null(strstr(out, "\"settings\""));
}

static void no_acknowledged_row_is_lost_when_the_primary_is_killed(void **state)
{
    struct pg_writer w;
    struct pg_server b;
    (void)state;
    pg_writer_start(&w, &pg.a);
    pg_writer_await(&w, 500);
    it_kill(pg.a.pid);
    pg.a.pid = 0;
    const long acked = pg_writer_stop(&w);
    pg_restore("b", NULL, &b);
    const long last = pg_number(&b, "SELECT max(id) FROM t");
    print_message("acknowledged %ld, restored %ld\n", acked, last);
    assert_true(last == acked || last == acked + 1); /* one was under way */
    assert_int_equal(pg_number(&b, "SELECT count(*) FROM t"), last);
    pg_server_stop(&b, "immediate");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backups_are_made_and_the_receiver_is_synchronous),
        cmocka_unit_test(no_acknowledged_row_is_lost_when_the_primary_is_killed),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("dr_pg_restore", tests, pg_stage_open, pg_stage_close);
}
