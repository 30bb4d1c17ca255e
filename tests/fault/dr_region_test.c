/* What goes wrong while a store is brought up at another site: whoever does it is killed between
 * any two calls, the bucket fails, two do it at once, the old side comes back, replicas of the
 * service that do it are killed and stopped. After every fault somebody goes on; in the end the new
 * side has what was said to be durable, without a hole, and nobody gets in at the old one.
 *
 *   test_fault_dr_region [seed=N] [strikes=N] [only=PATTERN]
 *
 * Words as of test_fault_dr. */
#include "dr_region_stage.h"

#include "dr_cases.h"

#include "prism/io/bus.h"
#include "prism/io/clock.h"
#include "prism/v1/dr.pb-c.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Exit status of prism-dr failover, as its help says. */
enum { DONE = 0, NOT_BEGUN = 1, REFUSED = 3, STOPPED = 4, TAKEN_OVER = 5 };

static const char *const EXECUTE[] = { "execute", "--to", "west", NULL };
static const char *const RESUME[] = { "resume", NULL };
static const char *const DOWN[] = { "resume", "--old-side-is-down", NULL };
static const char *const STATUS[] = { "status", NULL };

static char out[REGION_OUT];
static struct it_proxy proxy;
static struct it_service second; /* of west, beside region.service */
static struct pr_bus *bus;

/* --- the stage ---------------------------------------------------------------------------------
 */

static int open_all(void **state)
{
    const int rc = region_stage_open(state);
    struct pr_err err = { 0 };
    const struct pr_bus_options o = { .url = it_env("IT_NATS_URL"),
                                      .user = it_env("IT_METADATA_API_NATS_USER"),
                                      .password = it_env("IT_METADATA_API_NATS_PASSWORD"),
                                      .name = "operator" };
    it_proxy(&proxy, atoi(strrchr(it_env("IT_S3_URL"), ':') + 1));
    assert_ok(pr_bus_open(&bus, &o, &err), &err);
    return rc;
}

static int close_all(void **state)
{
    dr_table_print();
    pr_bus_close(bus);
    return region_stage_close(state);
}

static int case_begin(void **state)
{
    dr_table_begin(*state);
    return 0;
}

static int case_end(void **state)
{
    (void)state;
    dr_ledger_stop();
    it_proxy_rules(&proxy, "");
    dr_table_end();
    return 0;
}

/* A store in east that is written to and shipped. */
static void begin(long round)
{
    it_proxy_rules(&proxy, "");
    region_stage_fresh();
    dr_stage_write(dr_counts.seed + (uint64_t)round, 200);
    dr_ledger_start(dr_counts.seed + (uint64_t)round);
    dr_ledger_await_acked(30);
}

static bool state_is(const char *state)
{
    char text[64];
    (void)snprintf(text, sizeof text, "\"state\":\"%s\",\"attempt\"", state);
    if (region_failover(out, STATUS) != 0)
        fail_msg("status: %s", out);
    return strstr(out, text) != NULL;
}

static bool is_begun(void)
{
    if (region_failover(out, STATUS) != 0)
        fail_msg("status: %s", out);
    return strstr(out, "\"failover\":null") == NULL;
}

/* Whatever was left half done: it is gone on with, and all is there. of: a side that must not have
 * more; NULL: it may. */
static void ends_well(const int *of)
{
    it_proxy_rules(&proxy, "");
    if (!state_is("done")) {
        const int status = region_failover(out, is_begun() ? RESUME : EXECUTE);
        if (status != DONE)
            fail_msg("it ends with %d: %s", status, out);
    }
    assert_true(state_is("done"));
    assert_non_null(strstr(out, "\"owner\":\"west\","));
    dr_ledger_stop();
    if (!it_await(region_locked_out, region_east(), 20000))
        fail_msg("the old side is not locked out");
    region_check(region_west(), of);
    dr_compared(dr_ledger_acked());
}

static void nap_ms(uint64_t ms)
{
    const struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
    (void)nanosleep(&t, NULL); /* the moment is what is tried */
}

/* --- killed ------------------------------------------------------------------------------------
 */

/* Before or after a call to the bucket: mostly one that writes to the journal. False: it ended
 * before, well. */
static bool run_and_kill(const char *const *arg, struct pr_rng *rng)
{
    char rule[160];
    const bool any = pr_rng_below(rng, 3) == 0;
    const pid_t pid = region_failover_spawn(arg, proxy.url);
    (void)snprintf(rule, sizeof rule, "pass %s first=%u times=1 when=%s pid=%d signal=9",
                   any ? "" : "method=PUT path=/failover/",
                   1 + (unsigned)pr_rng_below(rng, any ? 60 : 4),
                   pr_rng_below(rng, 2) == 0 ? "before" : "after", (int)pid);
    it_proxy_rules(&proxy, rule);
    const int status = it_wait(pid, REGION_AWAIT_MS);
    if (status != -SIGKILL && status != DONE && status != REFUSED)
        fail_msg("it ends with %d", status);
    return status == -SIGKILL;
}

static void region_killed_between_any_two_calls(void **state)
{
    (void)state;
    const long strikes = dr_strikes(80);
    for (long i = 0, round = 0; i < strikes; round++) {
        begin(round);
        for (bool over = false; !over && i < strikes; i++) {
            struct pr_rng rng = dr_rng("region killed", i);
            const bool killed = run_and_kill(is_begun() ? RESUME : EXECUTE, &rng);
            if (killed)
                dr_struck(DR_RESUMED);
            over = state_is("done");
        }
        ends_well(region_east());
    }
}

/* --- the bucket --------------------------------------------------------------------------------
 */

static const struct {
    const char *match, *faults;
} CALL[] = {
    { "method=PUT path=/failover/", "slowdown,error,error200,reset,stall,deaf,lost,done503" },
    { "method=PUT path=/site/", "slowdown,error,error200,reset,lost,done503,silence" },
    { "method=GET path=/failover/", "slowdown,error,reset,stall,lost,truncate,slow" },
    { "method=GET path=/site/", "slowdown,error,reset,stall,lost,truncate" },
    { "method=GET path=/gen/", "slowdown,error,reset,stall,lost,truncate,whole" },
    { "method=GET path=/log/", "slowdown,error,reset,stall,lost,truncate,range,whole,corrupt" },
    { "method=GET path=/base/", "slowdown,error,reset,stall,lost,truncate,range,whole,corrupt" },
    { "method=GET query=list-type=2", "slowdown,error,reset,stall,lost,truncate,silence" },
};

static void set_faults(struct pr_rng *rng)
{
    char text[2048];
    size_t n = 0;
    for (size_t i = 0; i < PR_COUNT(CALL); i++)
        n += (size_t)snprintf(
            text + n, sizeof text - n, "%s %s first=%u times=%u ms=%u bps=100000 seed=%llu\n",
            CALL[i].faults, CALL[i].match, 1 + (unsigned)pr_rng_below(rng, 4),
            1 + (unsigned)pr_rng_below(rng, 2), 100 + (unsigned)pr_rng_below(rng, 800),
            (unsigned long long)pr_rng_next(rng));
    assert_true(n < sizeof text);
    it_proxy_rules(&proxy, text);
}

static long count_faults(void)
{
    static char log[1 << 20];
    long n = 0;
    char *save = NULL;
    it_proxy_log(&proxy, log, sizeof log);
    for (char *line = strtok_r(log, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char fault[32];
        n += sscanf(line, "%*u %*s %*s %31s", fault) == 1 && strcmp(fault, "pass") != 0;
    }
    return n;
}

static void region_bucket_fails_meanwhile(void **state)
{
    (void)state;
    const long strikes = dr_strikes(80);
    for (long i = 0, round = 0; i < strikes; round++) {
        begin(1000 + round);
        for (bool over = false; !over && i < strikes;) {
            struct pr_rng rng = dr_rng("region bucket", i);
            set_faults(&rng);
            const pid_t pid = region_failover_spawn(is_begun() ? RESUME : EXECUTE, proxy.url);
            const int status = it_wait(pid, 2 * REGION_AWAIT_MS);
            if (status != DONE && status != NOT_BEGUN && status != STOPPED)
                fail_msg("it ends with %d", status);
            const long hit = count_faults();
            assert_true(hit > 0);
            for (long k = 0; k < hit; k++, i++)
                dr_struck(status == DONE || k + 1 < hit ? DR_RESUMED : DR_REFUSED);
            over = status == DONE;
        }
        ends_well(region_east());
    }
}

/* --- two operators -----------------------------------------------------------------------------
 */

/* One of them at the most carries it out; the other is refused, or taken over. */
static bool two_at_once(struct pr_rng *rng)
{
    const char *const *arg = is_begun() ? RESUME : EXECUTE;
    const pid_t first = region_failover_spawn(arg, NULL);
    nap_ms(pr_rng_below(rng, 1500));
    const pid_t other = region_failover_spawn(is_begun() ? RESUME : EXECUTE, NULL);
    const bool kill_one = pr_rng_below(rng, 2) == 0;
    if (kill_one) {
        nap_ms(pr_rng_below(rng, 1500));
        (void)kill(pr_rng_below(rng, 2) == 0 ? first : other, SIGKILL);
    }
    const int a = it_wait(first, REGION_AWAIT_MS), b = it_wait(other, REGION_AWAIT_MS);
    if (a == DONE && b == DONE) /* then one of them found nothing to do, and says so otherwise */
        fail_msg("both carried it out");
    for (int i = 0; i < 2; i++) {
        const int s = i == 0 ? a : b;
        if (s != DONE && s != REFUSED && s != STOPPED && s != TAKEN_OVER && s != -SIGKILL)
            fail_msg("it ends with %d", s);
    }
    dr_struck(DR_REFUSED);
    if (kill_one)
        dr_struck(DR_RESUMED);
    return state_is("done");
}

static void region_has_two_operators(void **state)
{
    (void)state;
    const long strikes = dr_strikes(10);
    for (long i = 0, round = 0; i < strikes; round++) {
        begin(2000 + round);
        for (bool over = false; !over && i < strikes; i++) {
            struct pr_rng rng = dr_rng("region two", i);
            over = two_at_once(&rng);
        }
        ends_well(region_east());
    }
}

/* --- the old side ------------------------------------------------------------------------------
 */

static void east_comes_back(void)
{
    region_east_up();
    dr_stage_set("PRISM_DR_SITE", "east");
    it_service(&region.service, "dr", dr.uri, dr.env);
}

/* All of east dies at once; it comes back alive while the fail-over goes on, or after it. */
static void region_old_side_comes_back_alive(void **state)
{
    (void)state;
    const long strikes = dr_strikes(8);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("region back", i);
        begin(3000 + i);
        it_kill(region.service.pid);
        region.service.pid = 0;
        dr_ledger_stop();
        region_east_down();
        const int status = region_failover(out, EXECUTE);
        if (status != STOPPED)
            fail_msg("a side that may serve somebody: it ends with %d: %s", status, out);
        const pid_t pid = region_failover_spawn(DOWN, NULL);
        nap_ms(pr_rng_below(&rng, 6000));
        east_comes_back();
        const int ended = it_wait(pid, REGION_AWAIT_MS);
        if (ended != DONE && ended != STOPPED)
            fail_msg("it ends with %d", ended);
        dr_struck(ended == DONE ? DR_RESUMED : DR_REFUSED);
        ends_well(NULL);
        dr_struck(DR_REFUSED); /* nobody gets in */
        region_service_stop();
    }
}

/* --- carried out by the service ----------------------------------------------------------------
 */

/* Whichever replica takes it. Says whether it was taken. */
static bool order(const char *verb)
{
    Prism__V1__DrFailoverRequest q = PRISM__V1__DR_FAILOVER_REQUEST__INIT;
    uint8_t packed[512];
    void *reply = NULL;
    size_t n = 0;
    struct pr_err err = { 0 };
    q.verb = (char *)(uintptr_t)verb;
    q.to = strcmp(verb, "execute") == 0 ? (char *)(uintptr_t) "west" : (char *)(uintptr_t) "";
    q.by = (char *)(uintptr_t) "test";
    const enum pr_code rc =
        pr_bus_request(bus, "prism.rpc.dr.failover", packed,
                       prism__v1__dr_failover_request__pack(&q, packed), 20000, &reply, &n, &err);
    free(reply);
    return rc == PR_OK;
}

static void west_start(struct it_service *s)
{
    dr_stage_set("PRISM_DR_SITE", "west");
    it_service(s, "dr", dr.uri, dr.env);
}

/* One of the two dies, or is stopped for a while and comes back to find itself taken over. */
static void strike_one(struct pr_rng *rng)
{
    struct it_service *s = pr_rng_below(rng, 2) == 0 ? &region.service : &second;
    nap_ms(pr_rng_below(rng, 2500));
    if (pr_rng_below(rng, 3) > 0) {
        it_kill(s->pid);
        (void)order("resume"); /* refused, where the other one is at it */
        west_start(s);
    } else {
        assert_int_equal(kill(s->pid, SIGSTOP), 0);
        for (int i = 0; i < 3 && !order("resume"); i++)
            ;
        assert_int_equal(kill(s->pid, SIGCONT), 0);
    }
    dr_struck(DR_RESUMED);
}

/* Gone on with where nothing has been written for a while: a resume takes it over from whoever is
 * at it, who then stops. */
static bool is_done(void *ctx)
{
    int64_t *since_us = ctx;
    static char seen[64];
    char written[64];
    if (state_is("done"))
        return true;
    region_json(out, "written_ms", written, sizeof written);
    if (strcmp(written, seen) != 0 || *since_us == 0)
        *since_us = pr_mono_us();
    memcpy(seen, written, sizeof seen);
    if (pr_mono_us() - *since_us > 15000000) {
        (void)order("resume");
        *since_us = 0;
    }
    return false;
}

static void region_is_carried_out_by_two_replicas(void **state)
{
    (void)state;
    const long strikes = dr_strikes(16);
    for (long i = 0, round = 0; i < strikes; round++) {
        begin(4000 + round);
        dr_ledger_stop();
        region_service_stop(); /* a request would be taken by it as well; it ships what is left */
        west_start(&region.service);
        west_start(&second);
        if (!order("execute") && !is_begun())
            fail_msg("nobody begins it");
        for (bool over = false; !over && i < strikes; i++) {
            struct pr_rng rng = dr_rng("region replicas", i);
            strike_one(&rng);
            over = state_is("done");
        }
        int64_t since_us = 0;
        if (!it_await(is_done, &since_us, REGION_AWAIT_MS))
            fail_msg("it does not end: %s", out);
        it_kill(second.pid);
        region_service_stop();
        ends_well(region_east());
    }
}

#define CASE(f)                                                                                    \
    {                                                                                              \
        "dr_" #f, f, case_begin, case_end, (void *)(uintptr_t) #f                                  \
    }

int main(int argc, char **argv)
{
    dr_read_words(argc, argv);
    const struct CMUnitTest tests[] = {
        CASE(region_killed_between_any_two_calls),
        CASE(region_bucket_fails_meanwhile),
        CASE(region_has_two_operators),
        CASE(region_old_side_comes_back_alive),
        CASE(region_is_carried_out_by_two_replicas),
    };
    return cmocka_run_group_tests_name("fault/dr_region", tests, open_all, close_all);
}
