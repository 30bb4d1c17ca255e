/* What goes wrong around PostgreSQL's safety: its receiver, the service, the primary and the bucket
 * are struck while somebody writes, and every row whose commit was acknowledged is in what is
 * restored after. Restores are killed, get no room, or are told wrong: then there is no directory.
 *
 *   test_fault_dr_pg [seed=N] [strikes=N] [only=PATTERN]      as test_fault_dr
 */
#include "dr_cases.h"

#include "dr_pg_stage.h"

#include "prism/io/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct pg_writer writer; /* and its ledger: rows 1 to acked were acknowledged */
static int64_t took_ms = 5000;  /* the last restore */

/* --- the stage -----------------------------------------------------------------------------------
 */

static int open_all(void **state)
{
    const int rc = pg_stage_open(state);
    pg_service_start();
    pg_await("attached AND synchronous AND full_at IS NOT NULL");
    return rc;
}

static int close_all(void **state)
{
    dr_table_print();
    return pg_stage_close(state);
}

static int begin(void **state)
{
    dr_table_begin(*state);
    pg_writer_start(&writer, &pg.a);
    pg_writer_await(&writer, 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (!atomic_load(&writer.stop))
        (void)pg_writer_stop(&writer);
    dr_table_end();
    return 0;
}

/* Every row that was acknowledged, and at most the one that was under way. */
static void check(void)
{
    static unsigned times;
    struct pg_server b;
    char name[32];
    const int64_t begun_us = pr_mono_us();
    const long acked = pg_writer_stop(&writer);
    (void)snprintf(name, sizeof name, "check%u", ++times);
    pg_restore(name, NULL, &b);
    took_ms = (pr_mono_us() - begun_us) / 1000;
    const long last = pg_number(&b, "SELECT max(id) FROM t");
    if (last < acked || last > acked + 1 || pg_number(&b, "SELECT count(*) FROM t") != last)
        fail_msg("%ld rows were acknowledged, row %ld is the last of %ld", acked, last,
                 pg_number(&b, "SELECT count(*) FROM t"));
    dr_compared((uint64_t)acked);
    pg_server_stop(&b, "immediate");
}

/* In the short run two restores are enough: they see what all cases before have left. */
static void check_often(void)
{
    if (dr_counts.strikes > 1)
        check();
}

/* --- struck while somebody writes ----------------------------------------------------------------
 */

static bool somebody_receives(void *ctx)
{
    (void)ctx;
    return pg_receiver_pid() > 1;
}

static void receiver_is_killed(void **state)
{
    (void)state;
    const long strikes = dr_strikes(10);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("receiver killed", i);
        assert_true(it_await(somebody_receives, NULL, PG_AWAIT_MS));
        assert_int_equal(kill((pid_t)pg_receiver_pid(), SIGKILL), 0);
        pg_writer_await(&writer, 1 + (long)pr_rng_below(&rng, 40)); /* commits wait, and go on */
        dr_struck(DR_RESUMED);
    }
    check_often();
}

static void service_is_killed(void **state)
{
    (void)state;
    const long strikes = dr_strikes(5);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("service killed", i);
        it_kill(pg.service.pid);
        pg.service.pid = 0;
        pg_service_start();
        pg_writer_await(&writer, 1 + (long)pr_rng_below(&rng, 40));
        dr_struck(DR_RESUMED);
    }
    pg_await("attached AND synchronous");
    check_often();
}

/* Past its lease, too: the receiver is a process of its own, and commits go on. */
static void service_is_stopped(void **state)
{
    (void)state;
    enum { LONG_ROWS = 300 };
    const long strikes = dr_strikes(3);
    for (long i = 0; i < strikes; i++) {
        assert_int_equal(kill(pg.service.pid, SIGSTOP), 0);
        pg_writer_await(&writer, LONG_ROWS);
        assert_int_equal(kill(pg.service.pid, SIGCONT), 0);
        pg_writer_await(&writer, 20);
        dr_struck(DR_RESUMED);
    }
    check_often();
}

/* Its children end when they see that it is gone; only then can it be started again. */
static bool nobody_serves(void *ctx)
{
    char text[64];
    (void)ctx;
    const char *look[] = { "/bin/sh", "-c",
                           "for p in /proc/[0-9]*; do [ \"$(readlink $p/cwd)\" = \"$0\" ] && echo "
                           "$p; done; true",
                           pg.a.dir, NULL };
    assert_int_equal(it_run(NULL, look, text, sizeof text, 5000), 0);
    return text[0] == '\0';
}

/* What is restored then is all that was acknowledged, though the last of it is in no archive. */
static void primary_is_killed(void **state)
{
    (void)state;
    const long strikes = dr_strikes(4);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("primary killed", i);
        pg_writer_await(&writer, 1 + (long)pr_rng_below(&rng, 200));
        it_kill(pg.a.pid);
        pg.a.pid = 0;
        check();
        assert_true(it_await(nobody_serves, NULL, PG_AWAIT_MS));
        pg_server_start(&pg.a);
        pg_writer_start(&writer, &pg.a);
        pg_writer_await(&writer, 5);
        dr_struck(DR_RESUMED);
    }
    pg_await("attached AND synchronous");
}

static void bucket_goes_away(void **state)
{
    (void)state;
    const long strikes = dr_strikes(5);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("bucket away", i);
        pg_relay(false);
        pg_writer_await(&writer, 20 + (long)pr_rng_below(&rng, 200)); /* commits do not wait */
        pg_sql(&pg.a, "SELECT pg_switch_wal()", NULL, 0);
        pg_writer_await(&writer, 20);
        pg_relay(true);
        dr_struck(DR_RESUMED);
    }
    check_often();
}

/* --- restores ------------------------------------------------------------------------------------
 */

static void nap_ms(long ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    (void)nanosleep(&t, NULL);
}

static void restore_is_killed(void **state)
{
    (void)state;
    const long strikes = dr_strikes(8);
    char dir[160];
    (void)snprintf(dir, sizeof dir, "%s/killed", pg.dir);
    const char *arg[] = { "restore", "--dir", dir, "--scratch", NULL };
    const char *rm[] = { "/bin/rm", "-rf", dir, NULL };
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("pg restore killed", i);
        assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
        const pid_t pid = pg_command_begin(arg);
        nap_ms((long)pr_rng_below(&rng, (uint64_t)took_ms * 2 / 3));
        const bool in_time = it_alive(pid);
        const bool whole = access(dir, F_OK) == 0;
        it_kill(pid);
        if (in_time && !whole) {
            assert_int_equal(access(dir, F_OK), -1);
            dr_struck(DR_REFUSED);
        }
    }
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
    check_often(); /* what they left is in nobody's way */
}

static void restore_has_no_room(void **state)
{
    (void)state;
    const long strikes = dr_strikes(4);
    char room[160], dir[176], out[4096], size[32];
    (void)snprintf(room, sizeof room, "%s/room", pg.dir);
    (void)snprintf(dir, sizeof dir, "%s/r", room);
    const char *mk[] = { "/bin/mkdir", "-p", room, NULL };
    const char *arg[] = { "restore", "--dir", dir, "--scratch", NULL };
    const char *wrap[] = { "/usr/bin/unshare",
                           geteuid() == 0 ? "-m" : "-rm",
                           "/bin/sh",
                           "-c",
                           "mount -t tmpfs -o mode=777,size=$0 none \"$1\" || exit 99; dir=$1; "
                           "shift; \"$@\"; status=$?; ls -d \"$dir/r\"; exit $status",
                           size,
                           room,
                           NULL };
    assert_int_equal(it_run(NULL, mk, NULL, 0, 5000), 0);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("pg no room", i);
        (void)snprintf(size, sizeof size, "%llu",
                       (unsigned long long)(65536 + pr_rng_below(&rng, 16 << 20)));
        const int status = pg_command_in(wrap, out, sizeof out, arg);
        char line[200];
        (void)snprintf(line, sizeof line, "\n%s\n", dir);
        if (status != 1 || strstr(out, line) != NULL)
            fail_msg("restore in %s bytes: %d: %s", size, status, out);
        dr_struck(DR_REFUSED);
    }
    check_often();
}

static void restore_is_told_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *words;
    } WRONG[] = {
        { "PRISM_DR_S3_SECRET_ACCESS_KEY", "wrong", "secret of the bucket's access key is wrong" },
        { "PRISM_DR_S3_BUCKET", "no-such-bucket", "bucket does not exist" },
        { "PRISM_DR_KEY_PATH", "", "key is wrong" },
        { NULL, "", "is not empty" },
    };
    const long strikes = dr_strikes(8);
    for (long i = 0; i < strikes; i++) {
        const size_t k = ((size_t)i + (size_t)dr_counts.seed) % PR_COUNT(WRONG);
        char dir[160], out[4096], right[320] = "";
        (void)snprintf(dir, sizeof dir, "%s/wrong", pg.dir);
        const char *arg[] = { "restore", "--dir", WRONG[k].name != NULL ? dir : pg.a.dir,
                              "--scratch", NULL };
        for (size_t e = 0; WRONG[k].name != NULL && pg.env[e] != NULL; e++)
            if (strncmp(pg.env[e], WRONG[k].name, strlen(WRONG[k].name)) == 0)
                (void)snprintf(right, sizeof right, "%s", strchr(pg.env[e], '=') + 1);
        if (WRONG[k].name != NULL)
            pg_stage_set(WRONG[k].name, WRONG[k].value);
        const int status = pg_command(out, sizeof out, arg);
        if (WRONG[k].name != NULL)
            pg_stage_set(WRONG[k].name, right);
        if (status != 1 || strstr(out, WRONG[k].words) == NULL || access(dir, F_OK) == 0)
            fail_msg("%s=%s: %d: %s", WRONG[k].name, WRONG[k].value, status, out);
        dr_struck(DR_REFUSED);
    }
    check();
}

#define CASE(f)                                                                                    \
    {                                                                                              \
#f, f, begin, end, (void *)(uintptr_t) #f                                                  \
    }

int main(int argc, char **argv)
{
    dr_read_words(argc, argv);
    const struct CMUnitTest tests[] = {
        CASE(receiver_is_killed),  CASE(service_is_killed),     CASE(service_is_stopped),
        CASE(primary_is_killed),   CASE(bucket_goes_away),      CASE(restore_is_killed),
        CASE(restore_has_no_room), CASE(restore_is_told_wrong),
    };
    return cmocka_run_group_tests_name("fault/dr_pg", tests, open_all, close_all);
}
