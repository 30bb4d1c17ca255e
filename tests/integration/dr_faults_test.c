/* The dr service while things go wrong: a bucket that refuses, stalls and lies, kill -9 between its
 * requests, two shippers of which one was stopped, PostgreSQL away, a source that hangs up. However
 * it goes: what was said to be durable is in a restore, without a hole. */
#include "dr_ledger.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct it_proxy proxy;

/* How much of what can be repeated: 1 in every run, more in the slow suite. */
static unsigned effort(void)
{
    const char *text = getenv("PRISM_DR_EFFORT");
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : 1;
}

static void fresh(void)
{
    dr_stage_fresh();
    dr_ledger_forget();
}

static int open_all(void **state)
{
    const int rc = dr_stage_open(state);
    it_proxy(&proxy, atoi(strrchr(it_env("IT_S3_URL"), ':') + 1));
    dr_stage_set("PRISM_DR_S3_ENDPOINT", proxy.url);
    dr_stage_set("PRISM_DR_LEASE_TTL_MS", "2000");
    dr_stage_set("PRISM_DR_PART_BYTES", "65536");
    return rc;
}

static int begin(void **state)
{
    (void)state;
    it_proxy_rules(&proxy, "");
    dr_stage_set("PRISM_DR_S3_SECRET_ACCESS_KEY", it_env("IT_S3_SECRET"));
    dr_stage_set("PRISM_DR_S3_BUCKET", it_env("IT_S3_BUCKET"));
    dr_stage_set("PRISM_DR_GROUPS", "1");
    dr_stage_set("PRISM_DR_SPOOL_BYTES", "67108864");
    dr_stage_set("PRISM_DR_CUT_BYTES", "4194304");
    fresh();
    return 0;
}

static int end(void **state)
{
    (void)state;
    dr_ledger_stop();
    if (dr.dr.pid > 0 && it_alive(dr.dr.pid))
        it_kill(dr.dr.pid);
    dr_stage_end_leases();
    return 0;
}

/* Nobody writes any more; all of it is in the bucket, and comes back as it is. */
static void ends_well(void)
{
    dr_ledger_stop();
    dr_stage_await_durable();
    dr_ledger_check(DR_LEDGER_ALL, true);
}

static long generations(void)
{
    return dr_stage_number("SELECT sum(generation_epoch * 65536 + generation_n) FROM dr_shards");
}

/* --- the bucket ------------------------------------------------------------------------------- */

static void a_bad_bucket_loses_nothing(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 2 * effort(); seed++) {
        char rules[256];
        (void)snprintf(rules, sizeof rules,
                       "slowdown,error,error200,reset,lost,done503,truncate,silence,stall,hang "
                       "share=0.3 ms=400 seed=%u",
                       seed);
        it_proxy_rules(&proxy, rules);
        dr_stage_start();
        dr_ledger_start(seed);
        dr_ledger_await_acked(600);
        it_kill(dr.dr.pid); /* with what is under way */
        dr_ledger_stop();
        it_proxy_rules(&proxy, "");
        dr_ledger_check((int)seed, false);
        dr_stage_end_leases();
    }
    dr_stage_start();
    ends_well();
}

static bool says(void *ctx)
{
    return dr_stage_number("SELECT count(*) FROM dr_groups WHERE error LIKE '%s'",
                           (const char *)ctx) == 1;
}

static bool measured(void *ctx)
{
    static char metrics[1 << 17];
    return it_http(dr.dr.port, "GET", "/metrics", NULL, NULL, metrics, sizeof metrics) == 200 &&
           strstr(metrics, ctx) != NULL;
}
static char bucket_alarm[] = "prism_dr_alarm{alarm=\"bucket\"} 1";
static char no_bucket_alarm[] = "prism_dr_alarm{alarm=\"bucket\"} 0";

static void a_bucket_that_refuses_is_named(void **state)
{
    (void)state;
    static char denied[] = "%%403%%", missing[] = "%%404%%";
    dr_stage_set("PRISM_DR_S3_SECRET_ACCESS_KEY", "wrong");
    it_service(&dr.dr, "dr", dr.uri, dr.env);
    assert_true(it_await(says, denied, 20000));
    assert_true(it_await(measured, bucket_alarm, 10000));
    assert_int_equal(it_stop(dr.dr.pid), 0);
    dr_stage_set("PRISM_DR_S3_SECRET_ACCESS_KEY", it_env("IT_S3_SECRET"));
    dr_stage_set("PRISM_DR_S3_BUCKET", "prism-nobody");
    it_service(&dr.dr, "dr", dr.uri, dr.env);
    assert_true(it_await(says, missing, 20000));
    assert_int_equal(it_stop(dr.dr.pid), 0);
    dr_stage_set("PRISM_DR_S3_BUCKET", it_env("IT_S3_BUCKET"));
    dr_stage_start();
    assert_int_equal(dr_stage_number("SELECT count(*) FROM dr_groups WHERE error <> ''"), 0);
}

/* The bucket takes nothing; the spool fills, and the source is hung up on; then it goes on from the
 * backlog. A transaction that is larger than the spool passes, too. */
static void a_full_spool_goes_on_from_the_backlog(void **state)
{
    (void)state;
    struct dr_shard_at shard[IT_MAX_NODES];
    static char alarm[] = "spool";
    char tag[16];
    (void)dr_stage_shards(shard);
    dr_stage_tag(&shard[0], tag);
    dr_stage_config("repl-backlog-size", "67108864");
    dr_stage_set("PRISM_DR_SPOOL_BYTES", "1048576");
    dr_stage_set("PRISM_DR_CUT_BYTES", "65536");
    dr_stage_start();
    dr_ledger_start(7);
    dr_ledger_await_acked(50);
    const long before = generations();

    it_proxy_rules(&proxy, "slowdown method=PUT");
    dr_stage_write(8, 3000); /* some 5 MB a shard */
    assert_true(it_await(dr_stage_raised, alarm, 20000));
    it_proxy_rules(&proxy, "");
    assert_true(it_await(dr_stage_not_raised, alarm, 40000));

    redisContext *c = it_redis_admin(shard[0].port);
    char *big = malloc(5 << 20);
    assert_non_null(big);
    memset(big, 'x', 5 << 20);
    redisReply *r = redisCommand(c, "SET {%s}big %b", tag, big, (size_t)5 << 20);
    assert_true(r != NULL && r->type == REDIS_REPLY_STATUS);
    freeReplyObject(r);
    free(big);
    redisFree(c);
    ends_well();
    assert_int_equal(generations(), before);
}

/* --- kill -9 -------------------------------------------------------------------------------------
 */

/* Before and after the n-th PUT: within bases, at manifests, between containers. */
static void killed_at_any_request(void **state)
{
    (void)state;
    const unsigned cases = 12 * effort();
    struct pr_rng rng;
    pr_rng_init(&rng, 11);
    dr_ledger_start(9);
    for (unsigned k = 1; k <= cases; k++) {
        char rules[128];
        /* Fewer at first: a base of a shard has some five requests, and there are three shards. */
        const unsigned n = 1 + (unsigned)pr_rng_below(&rng, k < cases / 2 ? 18 : 40);
        it_service_launch(&dr.dr, "dr", dr.uri, dr.env, it_free_port());
        (void)snprintf(rules, sizeof rules,
                       "pass method=PUT first=%u times=1 when=%s pid=%d signal=9", n,
                       k % 2 == 0 ? "after" : "before", (int)dr.dr.pid);
        it_proxy_rules(&proxy, rules);
        if (it_wait(dr.dr.pid, DR_AWAIT_MS) != -SIGKILL)
            fail_msg("case %u: it was not killed at PUT %u", k, n);
        dr_stage_end_leases();
        if (dr_ledger_acked() > 0)
            dr_ledger_check((int)k, false);
    }
    it_proxy_rules(&proxy, "");
    dr_stage_start();
    dr_ledger_await_acked(20);
    ends_well();
}

/* --- two of them
 * ---------------------------------------------------------------------------------- */

struct holder {
    const char *not_this;
};

static bool led_by_another(void *ctx)
{
    const struct holder *h = ctx;
    return dr_stage_number("SELECT count(*) FROM dr_groups WHERE holder <> '%s' AND "
                           "updated_at > now() - interval '2 s'",
                           h->not_this) == 1;
}

static void a_stopped_shipper_that_comes_back_harms_nobody(void **state)
{
    (void)state;
    struct it_service second;
    char first[128];
    for (unsigned round = 1; round <= effort(); round++) {
        dr_stage_start();
        dr_ledger_start(20 + round);
        dr_ledger_await_acked(50);
        dr_stage_text(first, sizeof first, "SELECT holder FROM dr_groups");
        it_service(&second, "dr", dr.uri, dr.env);
        assert_int_equal(kill(dr.dr.pid, SIGSTOP), 0);
        struct holder h = { first };
        assert_true(it_await(led_by_another, &h, 20000));
        dr_ledger_await_acked(50);
        assert_int_equal(kill(dr.dr.pid, SIGCONT), 0); /* whatever it had on its way goes on */
        dr_ledger_await_acked(100);
        dr_ledger_check((int)round, false);
        assert_true(led_by_another(&h));
        assert_int_equal(it_stop(second.pid), 0); /* and back */
        dr_ledger_await_acked(50);
        dr_stage_text(first, sizeof first, "SELECT holder = '%s' FROM dr_groups", first);
        assert_string_equal(first, "t");
        ends_well();
        it_kill(dr.dr.pid);
        dr_stage_end_leases();
    }
}

/* Whose bucket refused, and who was passed over then, says nothing of a bucket that is not his. */
static void who_no_longer_leads_raises_no_alarm(void **state)
{
    (void)state;
    struct it_service second;
    char first[128];
    dr_stage_set("PRISM_DR_S3_SECRET_ACCESS_KEY", "wrong");
    it_service(&dr.dr, "dr", dr.uri, dr.env);
    assert_true(it_await(measured, bucket_alarm, 20000));
    dr_stage_text(first, sizeof first, "SELECT holder FROM dr_groups");
    assert_int_equal(kill(dr.dr.pid, SIGSTOP), 0);
    dr_stage_set("PRISM_DR_S3_SECRET_ACCESS_KEY", it_env("IT_S3_SECRET"));
    it_service(&second, "dr", dr.uri, dr.env);
    struct holder h = { first };
    const bool led = it_await(led_by_another, &h, 20000);
    assert_int_equal(kill(dr.dr.pid, SIGCONT), 0);
    const bool silent = it_await(measured, no_bucket_alarm, 10000);
    assert_int_equal(it_stop(second.pid), 0);
    assert_true(led && silent);
}

static void other_numbers_of_groups_wait(void **state)
{
    (void)state;
    struct it_service other;
    static char refused[] = "%%PRISM_DR_GROUPS is 2%%";
    dr_stage_start();
    dr_ledger_start(30);
    dr_ledger_await_acked(30);
    dr_stage_set("PRISM_DR_GROUPS", "2");
    it_service(&other, "dr", dr.uri, dr.env);
    assert_true(it_await(says, refused, 20000)); /* g1 is free, and not led */
    assert_int_equal(it_stop(dr.dr.pid), 0);
    const long before = generations();
    dr_ledger_await_acked(60); /* by the other; shards go on from the group that they were of */
    dr_stage_await_streaming();
    dr.dr = other;
    ends_well();
    assert_int_equal(generations(), before);
    assert_int_equal(dr_stage_number("SELECT count(*) FROM dr_groups WHERE groups = 2"), 2);
}

/* --- PostgreSQL, and what it says
 * ------------------------------------------------------------------ */

static size_t put_requests(void)
{
    static char log[1 << 20];
    size_t n = 0;
    it_proxy_log(&proxy, log, sizeof log);
    for (const char *p = log; (p = strstr(p, " PUT ")) != NULL; p++)
        n++;
    return n;
}

static bool many_puts(void *ctx)
{
    return put_requests() >= *(const size_t *)ctx;
}

static void without_postgres_it_ships_and_promises_nothing(void **state)
{
    (void)state;
    dr_stage_start();
    dr_ledger_start(40);
    dr_ledger_await_acked(50);
    const long before = generations();
    it_server_kill("postgres", true);
    it_proxy_rules(&proxy, "");
    size_t want = 40; /* at 10 a second: the lease has run out by then */
    const bool shipped = it_await(many_puts, &want, 30000);
    const uint64_t promised = dr_ledger_acked();
    want = put_requests() + 10;
    const bool went_on = it_await(many_puts, &want, 30000);
    const uint64_t still = dr_ledger_acked();
    it_server_up("postgres");
    assert_true(shipped && went_on);
    assert_int_equal(still, promised);
    dr_ledger_await_acked(50);
    ends_well();
    assert_int_equal(generations(), before);
}

static bool shards_are(void *ctx)
{
    return dr_stage_number("SELECT count(*) FROM dr_shards WHERE streaming AND "
                           "updated_at > now() - interval '3 s'") == *(const long *)ctx;
}

/* The topology was looked at more than once since then. */
static bool saved_since(void *ctx)
{
    return dr_stage_number("SELECT count(*) FROM dr_groups WHERE updated_at > "
                           "timestamptz '%s' + interval '3 s'",
                           (const char *)ctx) == 1;
}

static void shards_come_and_go_alone(void **state)
{
    (void)state;
    char one[64];
    dr_stage_start();
    long all = dr_stage_number("SELECT count(*) FROM shards WHERE slots > 0"), fewer = all - 1;
    const long before = generations();
    assert_int_equal(kill(dr.rebalance.pid, SIGSTOP), 0); /* who would mend the table */
    dr_stage_text(one, sizeof one, "SELECT min(id) FROM shards WHERE slots > 0");
    it_sql(dr.uri, "CREATE TABLE was AS SELECT id, slots FROM shards", NULL, 0);
    it_sql(dr.uri,
           "UPDATE shards SET slots = 0 WHERE id = (SELECT min(id) FROM shards WHERE slots > 0)",
           NULL, 0);
    const bool left = it_await(shards_are, &fewer, 20000);
    it_sql(dr.uri, "UPDATE shards SET slots = 0", NULL, 0); /* all: that is no topology */
    char began[64];
    dr_stage_text(began, sizeof began, "SELECT now()");
    const bool stayed = it_await(saved_since, began, 20000) && shards_are(&fewer);
    it_sql(dr.uri, "UPDATE shards SET slots = was.slots FROM was WHERE was.id = shards.id", NULL,
           0);
    it_sql(dr.uri, "DROP TABLE was", NULL, 0);
    const bool back = it_await(shards_are, &all, 20000);
    assert_int_equal(kill(dr.rebalance.pid, SIGCONT), 0);
    assert_true(left && stayed && back);
    dr_stage_await_durable();
    /* Only the one that came back has a new base. */
    assert_int_equal(
        dr_stage_number("SELECT count(*) FROM dr_shards WHERE generation_n > %ld", all), 1);
    assert_true(generations() > before);
}

/* --- durable?
 * -------------------------------------------------------------------------------------- */

static void answers_are_about_that_history(void **state)
{
    (void)state;
    struct dr_shard_at shard[IT_MAX_NODES];
    struct dr_answer a;
    char replid[64];
    uint64_t offset;
    dr_stage_start();
    (void)dr_stage_shards(shard);
    dr_ledger_start(60);
    dr_ledger_await_acked(20);
    dr_ledger_stop();
    dr_ledger_history(shard[0].port, replid, &offset);
    dr_ledger_ask(shard[0].id, replid, offset, 5000, &a);
    assert_int_equal(a.rc, PR_OK);
    assert_true(a.reached);
    assert_string_equal(a.replid, replid);
    assert_int_equal(strlen(a.generation), 21);
    dr_ledger_ask(shard[0].id, replid, offset + 100000, 300, &a); /* nobody wrote that yet */
    assert_int_equal(a.rc, PR_OK);
    assert_false(a.reached);
    dr_ledger_ask(shard[0].id, "0123456789012345678901234567890123456789", 1, 300, &a);
    assert_int_equal(a.rc, PR_OK);
    assert_false(a.reached);
    assert_string_equal(a.why, "that history is not known");
    dr_ledger_ask(shard[0].id, "nonsense", 1, 300, &a);
    assert_int_equal(a.rc, PR_EINVAL);
    dr_ledger_ask("nobody", replid, 1, 300, &a); /* whose it is would answer */
    assert_int_equal(a.rc, PR_ETIMEOUT);
}

enum { WAITERS = 200 };

struct asker {
    const char *shard, *replid;
    uint64_t offset;
    struct dr_answer a;
};

static void *ask_and_wait(void *arg)
{
    struct asker *q = arg;
    dr_ledger_ask(q->shard, q->replid, q->offset, 25000, &q->a);
    return NULL;
}

static void many_wait_and_nobody_is_held_up(void **state)
{
    (void)state;
    static struct asker q[WAITERS];
    pthread_t thread[WAITERS];
    struct dr_shard_at shard[IT_MAX_NODES];
    struct dr_answer a;
    char replid[64];
    uint64_t before, offset;
    dr_stage_start();
    (void)dr_stage_shards(shard);
    dr_ledger_start(61);
    dr_ledger_await_acked(20);
    dr_ledger_stop();
    dr_stage_await_durable();
    dr_ledger_history(shard[0].port, replid, &before);
    it_proxy_rules(&proxy, "slowdown method=PUT");
    dr_stage_write(62, 10);
    dr_ledger_history(shard[0].port, replid, &offset);
    assert_true(offset > before);
    for (int i = 0; i < WAITERS; i++) {
        q[i] = (struct asker){ .shard = shard[0].id, .replid = replid, .offset = offset };
        assert_int_equal(pthread_create(&thread[i], NULL, ask_and_wait, &q[i]), 0);
    }
    for (int i = 0; i < 20; i++) { /* while they wait, others are answered */
        dr_ledger_ask(shard[0].id, replid, before, 0, &a);
        assert_int_equal(a.rc, PR_OK);
        assert_true(a.reached);
        dr_ledger_ask(shard[0].id, replid, offset, 0, &a);
        assert_int_equal(a.rc, PR_OK);
        assert_false(a.reached);
    }
    it_proxy_rules(&proxy, "");
    int reached = 0;
    for (int i = 0; i < WAITERS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        reached += q[i].a.reached;
    }
    assert_int_equal(reached, WAITERS);
}

int main(int argc, char **argv)
{
    if (argc > 1) /* a pattern: those alone */
        cmocka_set_test_filter(argv[1]);
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(answers_are_about_that_history),
        T(many_wait_and_nobody_is_held_up),
        T(a_bad_bucket_loses_nothing),
        T(a_bucket_that_refuses_is_named),
        T(a_full_spool_goes_on_from_the_backlog),
        T(killed_at_any_request),
        T(a_stopped_shipper_that_comes_back_harms_nobody),
        T(who_no_longer_leads_raises_no_alarm),
        T(other_numbers_of_groups_wait),
        T(without_postgres_it_ships_and_promises_nothing),
        T(shards_come_and_go_alone),
    };
    return cmocka_run_group_tests_name("dr faults", tests, open_all, dr_stage_close);
}
