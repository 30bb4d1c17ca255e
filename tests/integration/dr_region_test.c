/* Region fail-over: planned, back, two at once, aborted, the old side down and alive again. */
#include "dr_region_stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const TO_WEST[] = { "execute", "--to", "west", NULL };
static char out[REGION_OUT];

static long number(const char *name)
{
    char text[64];
    region_json(out, name, text, sizeof text);
    return strtol(text, NULL, 10);
}

static void has(const char *text)
{
    if (strstr(out, text) == NULL)
        fail_msg("no %s in %s", text, out);
}

static void run_ok(const char *const *arg)
{
    const int status = region_failover(out, arg);
    if (status != 0)
        fail_msg("%s ended with %d: %s", arg[0], status, out);
}

static void status(void)
{
    run_ok((const char *const[]){ "status", NULL });
}

/* Where PRISM_DB_URI is not set, but this is; NULL: nothing. */
static int with_database(const char *setting, const char *const *arg)
{
    static const char uri[] = "PRISM_DB_URI=";
    size_t i = 0;
    while (strncmp(dr.env[i], uri, strlen(uri)) != 0)
        i++;
    const char *keep = dr.env[i];
    dr.env[i] = setting != NULL ? setting : "NO_DATABASE=";
    const int status = region_failover(out, arg);
    dr.env[i] = keep;
    return status;
}

/* --- there and back ----------------------------------------------------------------------------
 */

static void a_plan_changes_nothing(void **state)
{
    (void)state;
    status();
    has("\"failover\":null");
    dr_ledger_start(1);
    dr_ledger_await_acked(20);
    run_ok((const char *const[]){ "plan", "--to", "west", NULL });
    has("\"ready\":true");
    has("\"problems\":[]");
    has("\"step\":\"lockout\"");
    assert_in_range(number("expected_rpo_ms"), 0, 5000);
    status();
    has("\"failover\":null");
    dr_ledger_await_acked(20);
    assert_int_equal(region_failover(out, (const char *const[]){ "plan", "--to", "north", NULL }),
                     2);
    assert_int_equal(region_failover(out, (const char *const[]){ "resume", NULL }), 3);
    assert_int_equal(region_failover(out, (const char *const[]){ "abort", NULL }), 3);
}

static void without_a_database_nothing_is_begun(void **state)
{
    (void)state;
    assert_int_equal(with_database(NULL, (const char *const[]){ "plan", "--to", "west", NULL }), 3);
    has("\"ready\":false");
    has("neither PRISM_DB_URI nor PRISM_DB_URI_FILE is set");
    assert_int_equal(with_database(NULL, TO_WEST), 3);
    assert_string_equal(out, "");
    status();
    has("\"failover\":null");
    dr_ledger_await_acked(10); /* nobody is locked out */
}

/* By the services' setting, which may be in a file. */
static void a_planned_one_loses_nothing(void **state)
{
    (void)state;
    char setting[128];
    const char *path = setting + strlen("PRISM_DB_URI_FILE=");
    (void)snprintf(setting, sizeof setting, "PRISM_DB_URI_FILE=%s/db-uri", region.dir);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fprintf(f, "%s\n", dr.role);
    assert_int_equal(fclose(f), 0);
    dr_stage_write(11, 800);
    dr_ledger_await_acked(50);
    if (with_database(setting, TO_WEST) != 0)
        fail_msg("it has failed: %s", out);
    has("\"state\":\"done\"");
    has("\"owner\":\"west\",\"epoch\":1,");
    print_message("fail-over: RPO %ld ms, RTO %ld ms\n", number("rpo_ms"), number("rto_ms"));
    assert_int_equal(number("rpo_ms"), 0);
    assert_int_equal(number("missing"), 0);
    assert_in_range(number("rto_ms"), 1, 120000);
    dr_ledger_stop();
    assert_true(region_locked_out(region_east()));
    region_check(region_west(), region_east());
    assert_int_equal(dr_stage_number("SELECT count(*) FROM dr_failovers WHERE id = 1 AND "
                                     "to_site = 'west' AND rpo_ms = 0 AND rto_ms > 0 AND "
                                     "report->'failover'->>'number' = '1'"),
                     1);
    assert_int_equal(dr_stage_number("SELECT count(*) FROM nodes WHERE id LIKE 'w%%'"), OWN_NODES);
    assert_int_equal(dr_stage_number("SELECT count(*) FROM nodes WHERE id LIKE 'n%%'"), 0);
}

/* The service of east still runs: it ships, and says nothing. */
static void the_old_side_says_nothing_more(void **state)
{
    (void)state;
    struct dr_ledger_line line[DR_LEDGER_SHARDS];
    struct dr_answer a;
    char replid[64];
    redisContext *c = region_redis(region.east[0]);
    redisReply *r = redisCommand(c, "INFO replication");
    assert_int_equal(sscanf(strstr(r->str, "master_replid:"), "master_replid:%63[0-9a-f]", replid),
                     1);
    freeReplyObject(r);
    redisFree(c);
    const size_t n = dr_ledger_lines(line);
    for (size_t i = 0; i < n; i++) {
        dr_ledger_ask(line[i].shard, replid, 1, 500, &a);
        assert_false(a.reached);
    }
    /* A node that comes back with its users from the file is locked out again. */
    c = region_redis(region.east[0]);
    freeReplyObject(redisCommand(c, "ACL SETUSER admin on"));
    redisFree(c);
    if (!it_await(region_locked_out, region_east(), 20000))
        fail_msg("the old side is not locked out again");
    region_service_stop();
    /* And without: not before the service runs. */
    c = region_redis(region.east[0]);
    freeReplyObject(redisCommand(c, "ACL SETUSER admin on"));
    redisFree(c);
    assert_false(region_locked_out(region_east()));
    it_service(&region.service, "dr", dr.uri, dr.env);
    if (!it_await(region_locked_out, region_east(), 20000))
        fail_msg("a service that starts does not lock the old side out");
    region_service_stop();
}

static void it_fails_back(void **state)
{
    (void)state;
    static const char *const BACK[] = { "execute", "--to", "east", NULL };
    static const char *const BACK_OVER[] = { "execute", "--to", "east", "--over-existing", NULL };
    region_service_start("west");
    dr_stage_await_durable();
    dr_ledger_anew();
    dr_ledger_start(2);
    dr_ledger_await_acked(30);
    assert_int_equal(region_failover(out, BACK), 3); /* east holds keys */
    dr_ledger_await_acked(10);
    run_ok(BACK_OVER);
    has("\"owner\":\"east\",\"epoch\":2,");
    has("\"state\":\"done\"");
    print_message("failback: RPO %ld ms, RTO %ld ms\n", number("rpo_ms"), number("rto_ms"));
    assert_int_equal(number("rpo_ms"), 0);
    dr_ledger_stop();
    assert_true(region_locked_out(region_west()));
    assert_true(region_user_gets_in(region.east[0])); /* whom the first one had turned off */
    region_check(region_east(), region_west());
    region_service_stop();
    region_service_start("east");
    dr_ledger_anew();
    dr_ledger_start(3);
    dr_ledger_await_acked(10);
    dr_ledger_stop();
}

/* --- two at once ---------------------------------------------------------------------------------
 */

static void of_two_at_once_one_is_refused(void **state)
{
    (void)state;
    region_stage_fresh();
    dr_stage_write(5, 200);
    const pid_t a = region_failover_spawn(TO_WEST, NULL), b = region_failover_spawn(TO_WEST, NULL);
    const int one = it_wait(a, REGION_AWAIT_MS), two = it_wait(b, REGION_AWAIT_MS);
    if (!((one == 0 && two == 3) || (one == 3 && two == 0)))
        fail_msg("they ended with %d and %d", one, two);
    status();
    has("\"state\":\"done\"");
    has("\"number\":1,");
    has("\"attempt\":1,");
}

static bool is_there(void *path)
{
    return access(path, F_OK) == 0;
}

static void write_hook(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fprintf(f, "#!/bin/sh\n%s\n", text);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

/* It hangs in its hook; somebody else takes it over and finishes it. What the first does next is
 * nothing. */
static void who_was_taken_over_stops(void **state)
{
    (void)state;
    char hook[128], here[128], go[128], text[700];
    region_stage_fresh();
    (void)snprintf(hook, sizeof hook, "%s/switch", region.dir);
    (void)snprintf(here, sizeof here, "%s/here", region.dir);
    (void)snprintf(go, sizeof go, "%s/go", region.dir);
    (void)snprintf(text, sizeof text,
                   "[ -z \"$PRISM_DR_S3_SECRET_ACCESS_KEY\" ] || exit 9\n"
                   "[ \"$PRISM_FAILOVER_TO $1\" = 'west switch' ] || exit 8\n"
                   "if [ -e %s ]; then exit 0; fi\n: > %s\n"
                   "while [ ! -e %s ]; do sleep 0.05; done",
                   here, here, go);
    write_hook(hook, text);
    region_sites(hook, false);
    const pid_t first = region_failover_spawn(TO_WEST, NULL);
    if (!it_await(is_there, here, REGION_AWAIT_MS))
        fail_msg("the hook is not called");
    assert_int_equal(region_failover(out, (const char *const[]){ "abort", NULL }), 3); /* late */
    run_ok((const char *const[]){ "resume", NULL });
    has("\"state\":\"done\"");
    has("\"attempt\":2,");
    FILE *f = fopen(go, "we");
    assert_int_equal(fclose(f), 0);
    assert_int_equal(it_wait(first, REGION_AWAIT_MS), 5);
    status();
    has("\"state\":\"done\"");
    has("\"attempt\":2,");
    (void)unlink(here);
    (void)unlink(go);
}

/* --- abort ---------------------------------------------------------------------------------------
 */

static void an_abort_gives_the_old_side_back(void **state)
{
    (void)state;
    region_stage_fresh();
    region_sites(NULL, true); /* a node that never answers may serve somebody */
    dr_ledger_start(4);
    dr_ledger_await_acked(20);
    assert_int_equal(region_failover(out, TO_WEST), 4);
    has("\"state\":\"stopped\"");
    has("may serve somebody");
    has("\"can_abort\":true");
    assert_true(region_locked_out(region_east()));
    assert_int_equal(region_failover(out, TO_WEST), 3); /* one is under way */
    assert_int_equal(
        with_database(NULL, (const char *const[]){ "resume", "--old-side-is-down", NULL }), 2);
    status();
    has("\"attempt\":1,");
    assert_int_equal(region_failover(out, (const char *const[]){ "abort", NULL }), 4);
    has("\"can_abort\":true"); /* stuck: that node may be locked */
    assert_int_equal(region_failover(out, (const char *const[]){ "resume", NULL }), 3);
    run_ok((const char *const[]){ "abort", "--old-side-is-down", NULL });
    has("\"owner\":\"east\",\"epoch\":2,");
    has("\"state\":\"aborted\"");
    assert_true(region_user_gets_in(region.east[0]));
    dr_ledger_await_acked(50); /* written, and said to be durable, as before */
    region_sites(NULL, false);
    run_ok((const char *const[]){ "plan", "--to", "west", NULL });
    has("\"ready\":true");
    has("\"epoch\":3,");
    run_ok(TO_WEST);
    assert_int_equal(number("rpo_ms"), 0);
    dr_ledger_stop();
    region_check(region_west(), region_east());
}

/* --- a side that is down, and comes back ---------------------------------------------------------
 */

static void an_old_side_that_comes_back_stays_out(void **state)
{
    (void)state;
    static const char *const DOWN[] = { "resume", "--old-side-is-down", NULL };
    region_stage_fresh();
    dr_ledger_start(6);
    dr_ledger_await_acked(50);
    region_service_stop();
    dr_ledger_stop();
    region_east_down();
    assert_int_equal(region_failover(out, TO_WEST), 4);
    has("do not answer");
    run_ok(DOWN);
    print_message("old side down: RPO %ld ms, RTO %ld ms\n", number("rpo_ms"), number("rto_ms"));
    assert_in_range(number("rpo_ms"), 0, 60000);
    region_check(region_west(), NULL);
    region_east_up();
    it_cluster_await(DR_AWAIT_MS);
    assert_true(region_user_gets_in(region.east[0])); /* they have their users from the file */
    dr_stage_set("PRISM_DR_SITE", "east");
    it_service(&region.service, "dr", dr.uri, dr.env);
    if (!it_await(region_locked_out, region_east(), 20000))
        fail_msg("an old side that came back is not locked out");
    region_service_stop();
}

/* A command of one key; false: its owner has none. */
static bool on_west(const char *command)
{
    for (const int *p = region_west(); *p != 0; p++) {
        redisContext *c = region_redis(*p);
        redisReply *r = redisCommand(c, command);
        const int type = r != NULL ? r->type : REDIS_REPLY_ERROR;
        freeReplyObject(r);
        redisFree(c);
        if (type != REDIS_REPLY_ERROR) /* MOVED */
            return type != REDIS_REPLY_NIL;
    }
    fail_msg("nobody in west takes %s", command);
    return false;
}

/* Somebody's keys, put there after the check: no second try makes them ours. */
static void a_refused_overwrite_stays_refused(void **state)
{
    (void)state;
    static const char *const DOWN[] = { "resume", "--old-side-is-down", NULL };
    static const char *const RESUME[] = { "resume", NULL };
    static const char *const OVER[] = { "resume", "--over-existing", NULL };
    static const char *const ABORT[] = { "abort", NULL };
    region_stage_fresh();
    region_sites(NULL, true); /* stops at a node that never answers */
    dr_ledger_start(7);
    dr_ledger_await_acked(20);
    assert_int_equal(region_failover(out, TO_WEST), 4);
    dr_ledger_stop();
    assert_true(on_west("SET somebodys 1"));
    assert_int_equal(region_failover(out, DOWN), 4);
    has("nothing is restored over them");
    assert_int_equal(region_failover(out, RESUME), 4);
    has("nothing is restored over them");
    assert_true(on_west("GET somebodys"));
    has("\"can_abort\":false"); /* rows may be the new side's */
    assert_int_equal(region_failover(out, ABORT), 3);
    run_ok(OVER);
    assert_false(on_west("GET somebodys"));
    region_sites(NULL, false);
    region_check(region_west(), region_east());
}

int main(int argc, char **argv)
{
    if (argc > 1) /* a pattern: those alone */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_changes_nothing),
        cmocka_unit_test(without_a_database_nothing_is_begun),
        cmocka_unit_test(a_planned_one_loses_nothing),
        cmocka_unit_test(the_old_side_says_nothing_more),
        cmocka_unit_test(it_fails_back),
        cmocka_unit_test(of_two_at_once_one_is_refused),
        cmocka_unit_test(who_was_taken_over_stops),
        cmocka_unit_test(an_abort_gives_the_old_side_back),
        cmocka_unit_test(a_refused_overwrite_stays_refused),
        cmocka_unit_test(an_old_side_that_comes_back_stays_out),
    };
    return cmocka_run_group_tests_name("dr region", tests, region_stage_open, region_stage_close);
}
