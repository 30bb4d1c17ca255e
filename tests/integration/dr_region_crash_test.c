/* kill -9 behind every object of the journal: somebody else goes on, and all is there. */
#include "dr_region_stage.h"

#include "core/region.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char out[REGION_OUT];
static struct it_proxy proxy;

static int open_all(void **state)
{
    const int rc = region_stage_open(state);
    it_proxy(&proxy, atoi(strrchr(it_env("IT_S3_URL"), ':') + 1));
    return rc;
}

/* Records that the bucket took since the log was emptied. */
static int records(void)
{
    static char log[1 << 20];
    int n = 0;
    char *save = NULL;
    it_proxy_log(&proxy, log, sizeof log);
    for (char *line = strtok_r(log, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
        n += strstr(line, " PUT ") != NULL && strstr(line, "/failover/") != NULL &&
             strstr(line, " 200") != NULL;
    return n;
}

struct run {
    int n;
    pid_t pid;
};

static bool so_many_or_over(void *ctx)
{
    const struct run *r = ctx;
    return records() >= r->n || !it_alive(r->pid);
}

/* A run that is killed when its n-th record is there. False: it wrote fewer, as the one before had
 * ended all before its kill came. */
static bool run_and_kill(const char *const *arg, int n)
{
    it_proxy_rules(&proxy, "");
    struct run r = { .n = n, .pid = region_failover_spawn(arg, proxy.url) };
    if (!it_await(so_many_or_over, &r, REGION_AWAIT_MS))
        fail_msg("record %d of %s did not come", n, arg[0]);
    it_kill(r.pid);
    if (records() >= n)
        return true;
    assert_int_equal(region_failover(out, (const char *const[]){ "status", NULL }), 0);
    if (strstr(out, "\"state\":\"done\",\"attempt\"") == NULL)
        fail_msg("%s ended before record %d: %s", arg[0], n, out);
    return false;
}

/* BEGIN; then of every step its INTENT; and of the next run its DONE. */
static void killed_behind_every_record_it_ends_as_it_should(void **state)
{
    (void)state;
    static const char *const EXECUTE[] = { "execute", "--to", "west", NULL };
    static const char *const RESUME[] = { "resume", NULL };
    dr_ledger_start(1);
    dr_ledger_await_acked(50);
    assert_true(run_and_kill(EXECUTE, 1));
    int killed = 0;
    for (; killed < 2 * DR_REGION_STEPS; killed++)          /* ATTEMPT, INTENT, and then DONE */
        if (!run_and_kill(RESUME, killed % 2 == 0 ? 2 : 3)) /* a step may be quicker than a kill */
            break;
    print_message("%d kills\n", killed);
    assert_true(killed >= DR_REGION_STEPS);
    /* The last one may have written the end as well before the kill came. */
    const int last = region_failover(out, RESUME);
    if (last == 3)
        assert_int_equal(region_failover(out, (const char *const[]){ "status", NULL }), 0);
    else
        assert_int_equal(last, 0);
    assert_non_null(strstr(out, "\"state\":\"done\""));
    assert_non_null(strstr(out, "\"owner\":\"west\",\"epoch\":1,"));
    assert_non_null(strstr(out, "\"rpo_ms\":0,"));
    dr_ledger_stop();
    assert_true(region_locked_out(region_east()));
    region_check(region_west(), region_east());
    assert_int_equal(dr_stage_number("SELECT count(*) FROM dr_failovers"), 1);
}

/* At random moments, not only behind records: in the midst of locking out and of filling. */
static void killed_anywhere_it_ends_as_it_should(void **state)
{
    (void)state;
    static const char *const RESUME[] = { "resume", NULL };
    const char *arg[] = { "execute", "--to", "west", NULL };
    struct pr_rng rng;
    int kills = 0, status = -1;
    const uint64_t seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    pr_rng_init(&rng, seed);
    region_stage_fresh();
    dr_stage_write(seed, 300);
    dr_ledger_start(seed);
    dr_ledger_await_acked(50);
    for (const char *const *what = arg; status != 0;) {
        const pid_t pid = region_failover_spawn(what, NULL);
        const int64_t ms = 300 + (int64_t)pr_rng_below(&rng, 4000) + (int64_t)3000 * kills;
        const struct timespec pause = { ms / 1000, (ms % 1000) * 1000000 };
        nanosleep(&pause, NULL); /* the moment is what is tried */
        status = it_alive(pid) ? -1 : it_wait(pid, REGION_AWAIT_MS);
        if (status == -1) {
            it_kill(pid);
            kills++;
        } else if (status != 0 && status != 3)
            fail_msg("it ended with %d", status);
        assert_int_equal(region_failover(out, (const char *const[]){ "status", NULL }), 0);
        if (strstr(out, "\"failover\":null") == NULL)
            what = RESUME;
        if (strstr(out, "\"state\":\"done\",\"attempt\"") != NULL)
            break;
    }
    print_message("%d kills\n", kills);
    dr_ledger_stop();
    assert_true(region_locked_out(region_east()));
    region_check(region_west(), region_east());
}

static bool is_there(void *path)
{
    return access(path, F_OK) == 0;
}

/* While a base is awaited that does not come: not after it. */
static void told_to_stop_it_stops_within_the_restore(void **state)
{
    (void)state;
    char rule[200], seen[128];
    region_stage_fresh();
    dr_ledger_start(1);
    dr_ledger_await_acked(50);
    (void)snprintf(seen, sizeof seen, "%s/base-is-asked-for", region.dir);
    (void)snprintf(rule, sizeof rule, "stall method=GET path=/base/ ms=60000 touch=%s", seen);
    it_proxy_rules(&proxy, rule);
    const pid_t pid =
        region_failover_spawn((const char *const[]){ "execute", "--to", "west", NULL }, proxy.url);
    if (!it_await(is_there, seen, REGION_AWAIT_MS))
        fail_msg("no base is asked for");
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(it_wait(pid, 15000), 4);
    it_proxy_rules(&proxy, "");
    assert_int_equal(region_failover(out, (const char *const[]){ "status", NULL }), 0);
    assert_non_null(strstr(out, "{\"step\":\"drain\",\"state\":\"done\""));
    assert_null(strstr(out, "{\"step\":\"redis\",\"state\":\"done\""));
    assert_int_equal(region_failover(out, (const char *const[]){ "resume", NULL }), 0);
    dr_ledger_stop();
    region_check(region_west(), region_east());
}

int main(int argc, char **argv)
{
    if (argc > 1) /* a pattern: those alone */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_behind_every_record_it_ends_as_it_should),
        cmocka_unit_test(killed_anywhere_it_ends_as_it_should),
        cmocka_unit_test(told_to_stop_it_stops_within_the_restore),
    };
    return cmocka_run_group_tests_name("dr region crash", tests, open_all, region_stage_close);
}
