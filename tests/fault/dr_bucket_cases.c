/* The bucket refuses, stalls, lies and goes away. */
#include "dr_scene.h"

#include <stdio.h>
#include <string.h>

static const char SENDING[] = "slowdown,error,error200,reset,stall,deaf,lost,done503,silence",
                  READING[] = "slowdown,error,reset,stall,lost,done503,silence,truncate,hang,slow,"
                              "range,whole";

/* Every kind of call that the service makes: what is shipped, taken over, scrubbed. */
static const struct {
    const char *match, *faults;
} CALL[] = {
    { "method=PUT path=/log/", SENDING },        { "method=PUT path=/base/", SENDING },
    { "method=PUT path=/gen/", SENDING },        { "method=GET path=/log/", READING },
    { "method=GET path=/base/", READING },       { "method=GET path=/gen/", READING },
    { "method=GET query=list-type=2", READING },
};

enum { ANEW = 20 };

/* Another bucket: a pass of the scrub reads all that is there, bases first, and a bucket with a new
 * base every second is soon so full that the next one does not come in time. */
static void begin_anew(void)
{
    dr_rules("%s", "");
    dr_ledger_stop();
    dr_kill();
    dr_fresh();
    dr_serve();
    dr_ledger_await_acked(20);
}

/* New bases and scrubs all the time: every kind of call is made every few seconds, and those of a
 * take-over when it is killed. */
void dr_bucket_fails_at_any_call(void **state)
{
    (void)state;
    const long strikes = dr_strikes(70);
    dr_stage_set("PRISM_DR_REBASE_MS", "1000");
    dr_stage_set("PRISM_DR_SCRUB_MS", "1000");
    dr_stage_write(1, 100);
    dr_serve();
    dr_ledger_await_acked(20);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("bucket fails", i);
        const size_t call = ((size_t)i + (size_t)dr_counts.seed) % PR_COUNT(CALL);
        dr_rules("%s %s first=%u times=%u ms=%u seed=%llu", CALL[call].faults, CALL[call].match,
                 1 + (unsigned)pr_rng_below(&rng, 3), 1 + (unsigned)pr_rng_below(&rng, 3),
                 100 + (unsigned)pr_rng_below(&rng, 1000), (unsigned long long)pr_rng_next(&rng));
        if (i % 10 == 9) { /* with it under way */
            dr_kill();
            dr_stage_start();
        }
        if (!dr_rule_hit(
                15000)) { /* after a base that failed the next waits: a new turn does not */
            dr_kill();
            dr_stage_start();
            if (!dr_rule_hit(15000))
                fail_msg("no call of \"%s\" came", CALL[call].match);
        }
        dr_ledger_await_acked(5);
        dr_struck(DR_RESUMED);
        if (i % 5 == 4)
            dr_check(i);
        if (i % ANEW == ANEW - 1 && i + 1 < strikes)
            begin_anew();
    }
    dr_rules("%s", "");
    dr_ends_well();
}

/* Until somebody is called; then everything that waited is shipped. */
void dr_bucket_stays_away(void **state)
{
    (void)state;
    static const char *const fault[] = { "slowdown", "reset", "deaf ms=60000", "error200" };
    static char alarm[] = "lag";
    const long strikes = dr_strikes(4);
    dr_serve();
    dr_ledger_await_acked(20);
    for (long i = 0; i < strikes; i++) {
        const size_t k = ((size_t)i + (size_t)dr_counts.seed) % PR_COUNT(fault);
        dr_rules("%s method=PUT", fault[k]);
        if (!it_await(dr_stage_raised, alarm, 30000))
            fail_msg("no alarm though the bucket answers with %s", fault[k]);
        dr_alarmed();
        const uint64_t before = dr_ledger_acked();
        dr_rules("%s", "");
        dr_ledger_await_acked(20);
        assert_true(dr_ledger_acked() > before);
        assert_true(it_await(dr_stage_not_raised, alarm, 30000));
        dr_check(i);
        dr_struck(DR_RESUMED);
    }
}

/* --- it may not ----------------------------------------------------------------------------- */

static bool says(void *ctx)
{
    return dr_stage_number("SELECT count(*) FROM dr_groups WHERE error LIKE '%s'",
                           (const char *)ctx) == 1;
}

static bool measured(void *ctx)
{
    static char metrics[1 << 17];
    (void)ctx;
    return it_http(dr.dr.port, "GET", "/metrics", NULL, NULL, metrics, sizeof metrics) == 200 &&
           strstr(metrics, "prism_dr_alarm{alarm=\"bucket\"} 1") != NULL;
}

/* A setting that is wrong, and what the bucket says to it. */
static const struct {
    const char *name, *value;
    char words[16];
} WRONG[] = {
    { "PRISM_DR_S3_SECRET_ACCESS_KEY", "wrong", "%%403%%" },
    { "PRISM_DR_S3_ACCESS_KEY_ID", "NOBODY", "%%403%%" },
    { "PRISM_DR_S3_BUCKET", "prism-nobody", "%%404%%" },
};

static void set_right(void)
{
    dr_stage_set("PRISM_DR_S3_SECRET_ACCESS_KEY", it_env("IT_S3_SECRET"));
    dr_stage_set("PRISM_DR_S3_ACCESS_KEY_ID", it_env("IT_S3_ACCESS"));
    dr_stage_set("PRISM_DR_S3_BUCKET", it_env("IT_S3_BUCKET"));
}

void dr_bucket_refuses(void **state)
{
    (void)state;
    const long strikes = dr_strikes(6);
    dr_serve();
    dr_ledger_await_acked(20);
    for (long i = 0; i < strikes; i++) {
        const size_t k = ((size_t)i + (size_t)dr_counts.seed) % PR_COUNT(WRONG);
        char words[16];
        memcpy(words, WRONG[k].words, sizeof words);
        dr_kill();
        dr_stage_set(WRONG[k].name, WRONG[k].value);
        it_service(&dr.dr, "dr", dr.uri, dr.env);
        if (!it_await(says, words, 20000) || !it_await(measured, NULL, 10000))
            fail_msg("%s=%s: no alarm", WRONG[k].name, WRONG[k].value);
        dr_alarmed();
        dr_kill();
        set_right();
        dr_stage_start();
        dr_ledger_await_acked(5);
        dr_check(i);
        dr_struck(DR_REFUSED);
    }
}

/* --- restores ----------------------------------------------------------------------------------
 */

void dr_restore_from_a_bad_bucket(void **state)
{
    (void)state;
    const long strikes = dr_strikes(30);
    dr_stage_write(2, 100);
    dr_serve();
    dr_ledger_await_acked(60);
    dr_ledger_stop();
    dr_kill();
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("bad restore", i);
        struct dr_tried t;
        const size_t shard = (size_t)i % dr_ledger_shards();
        dr_rules("%s share=0.%u ms=200 bps=200000 seed=%llu", READING,
                 1 + (unsigned)pr_rng_below(&rng, 4), (unsigned long long)pr_rng_next(&rng));
        dr_try(shard, &t);
        dr_struck(dr_judge(&t, dr_ledger_acked_of(shard), 0, true));
    }
}
