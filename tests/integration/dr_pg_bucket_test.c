/* A bucket that goes away under PostgreSQL's archive, and keys that do not fit. The primary is
 * served all the while. */
#include "dr_pg_stage.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Segments of write-ahead log, each with a row of its own. */
static void write_segments(int n)
{
    for (int i = 0; i < n; i++) {
        pg_sql(&pg.a, "INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t", NULL, 0);
        pg_sql(&pg.a, "SELECT pg_switch_wal()", NULL, 0);
    }
}

static long in_wal_dir(void)
{
    char pattern[160];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "%s/dr/wal/*/000000??????????????????", pg.dir);
    const long n = glob(pattern, 0, NULL, &found) == 0 ? (long)found.gl_pathc : 0;
    globfree(&found);
    return n;
}

static bool all_went(void *ctx)
{
    (void)ctx; /* only what is in the repository goes */
    return in_wal_dir() == 0;
}

static double metric(const char *name)
{
    char text[65536], line[128];
    (void)it_http(pg.service.port, "GET", "/metrics", NULL, NULL, text, sizeof text);
    (void)snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(text, line);
    return at != NULL ? strtod(at + strlen(line), NULL) : 0;
}

static bool settled(void *ctx)
{
    (void)ctx; /* information, check, a list */
    return metric("prism_dr_pg_jobs_total{outcome=\"ok\"}") >= 3;
}

static bool pushed(void *ctx)
{
    (void)ctx;
    return metric("prism_dr_pg_pushed_total") >= 1;
}

/* The archiver tries when there is something new, and pgBackRest, when it begins, drops what is too
 * much for the queue. */
static bool dropped(void *ctx)
{
    time_t *next = ctx;
    if (pg_number(&pg.a, "SELECT archive_waiting FROM dr_pg") < 3)
        return true;
    if (time(NULL) >= *next) {
        *next = time(NULL) + 10;
        write_segments(1);
    }
    return false;
}

static void a_bucket_that_goes_away_holds_nobody_up(void **state)
{
    struct pg_server b;
    struct pg_writer w;
    time_t next = 0;
    (void)state;
    pg_stage_set("PRISM_DR_PG_QUEUE_BYTES", "33554432"); /* two segments */
    pg_stage_set("PRISM_DR_PG_KEEP_BYTES", "0");
    pg_service_start();
    assert_true(it_await(settled, NULL, PG_AWAIT_MS));
    pg_await("alarms = '{}'");
    pg_relay(false);
    write_segments(8);
    pg_await("'archive' = ANY (alarms)");
    pg_await("'repository' = ANY (alarms)");
    pg_writer_start(&w, &pg.a);
    pg_writer_await(&w, 200);
    (void)pg_writer_stop(&w);
    assert_true(it_await(dropped, &next, 3 * PG_AWAIT_MS));
    pg_relay(true);
    pg_await("alarms = '{}'");
    write_segments(1); /* the archiver goes past what it dropped */
    assert_true(it_await(pushed, NULL, PG_AWAIT_MS));
    assert_true(it_await(all_went, NULL, PG_AWAIT_MS));
    const long rows = pg_number(&pg.a, "SELECT count(*) FROM t");
    pg_restore("c", NULL, &b); /* from the backup before, through all that the archive missed */
    assert_int_equal(pg_number(&b, "SELECT count(*) FROM t"), rows);
    pg_server_stop(&b, "immediate");
}

static void what_does_not_fit_is_named(void **state)
{
    static const struct {
        const char *name, *value, *words;
    } row[] = {
        { "PRISM_DR_S3_SECRET_ACCESS_KEY", "wrong",
          "the secret of the bucket's access key is wrong" },
        { "PRISM_DR_S3_ACCESS_KEY_ID", "NOBODY", "the bucket's access key is not known" },
        { "PRISM_DR_S3_BUCKET", "no-such-bucket", "the bucket does not exist" },
        { "PRISM_DR_KEY_PATH", "", "the repository's key is wrong" },
        { "PRISM_DR_S3_ENDPOINT", "http://localhost:1", "by https://host[:port] only" },
        { "PRISM_DR_PG_BACKEND", "none", "there is no \"none\"" },
        { "PRISM_DR_PG_URI", "postgresql://postgres@127.0.0.1:1/app", "Connection refused" },
    };
    char out[4096];
    (void)state;
    pg_service_stop();
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const char *status[] = { "status", NULL };
        char before[320] = "", other[160];
        for (size_t k = 0; pg.env[k] != NULL; k++)
            if (strncmp(pg.env[k], row[i].name, strlen(row[i].name)) == 0)
                (void)snprintf(before, sizeof before, "%s", strchr(pg.env[k], '=') + 1);
        (void)snprintf(other, sizeof other, "%s", row[i].value);
        pg_stage_set(row[i].name, other);
        if (pg_command(out, sizeof out, status) != 1 || strstr(out, row[i].words) == NULL)
            fail_msg("%s=%s: %s", row[i].name, row[i].value, out);
        pg_stage_set(row[i].name, before[0] != '\0' ? before : "self");
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_that_goes_away_holds_nobody_up),
        cmocka_unit_test(what_does_not_fit_is_named),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("dr_pg_bucket", tests, pg_stage_open, pg_stage_close);
}
