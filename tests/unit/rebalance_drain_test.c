/* Moving one slot's keys: sizes against what was measured, batches, conflicts
 * after faults, replicas to wait for, the record of keys in flight. */
#include "t.h"

#include "core/slot/drain.h"
#include "core/slot/flight.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct rebalance_drain_limits DEFAULTS = { 0 };

static struct rebalance_key_size key(enum rebalance_key_type t, uint64_t bytes, uint64_t elements)
{
    return (struct rebalance_key_size){ .type = t, .bytes = bytes, .elements = elements };
}

static void types_are_read_as_redis_names_them(void **state)
{
    (void)state;
    for (int t = REBALANCE_TYPE_STRING; t <= REBALANCE_TYPE_STREAM; t++) {
        const char *name = rebalance_key_type_name((enum rebalance_key_type)t);
        assert_int_equal(rebalance_key_type(name, strlen(name)), t);
    }
    assert_int_equal(rebalance_key_type("ReJSON-RL", 9), REBALANCE_TYPE_OTHER);
    assert_int_equal(rebalance_key_type("strings", 7), REBALANCE_TYPE_OTHER);
    assert_int_equal(rebalance_key_type("str", 3), REBALANCE_TYPE_OTHER);
}

/* The measured table; MEMORY USAGE of 88 bytes an element where none was noted. */
static void prediction_fits_what_was_measured(void **state)
{
    (void)state;
    static const struct {
        enum rebalance_key_type type;
        uint64_t bytes, elements;
        double ms;
    } row[] = {
        { REBALANCE_TYPE_SET, 8800000, 100000, 70 },
        { REBALANCE_TYPE_STRING, 50000000, 0, 520 },
        { REBALANCE_TYPE_SET, 88000000, 1000000, 780 },
        { REBALANCE_TYPE_ZSET, 88000000, 1000000, 770 },
        { REBALANCE_TYPE_HASH, 88000000, 1000000, 2000 },
        { REBALANCE_TYPE_HASH, 439000000, 5000000, 6600 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_key_size k = key(row[i].type, row[i].bytes, row[i].elements);
        const double ms = rebalance_key_block_ms(&k, 1);
        assert_true(fabs(ms - row[i].ms) < 0.02 * row[i].ms + 0.2);
        assert_true(fabs(rebalance_key_block_ms(&k, 2) - 2 * ms) < 1e-6);
        assert_true(fabs(rebalance_key_block_ms(&k, 0) - ms) < 1e-6); /* unknown: as measured */
    }
    /* Batches of 550 bytes a key: 0.84, 2.1 and 6.5 ms. */
    static const struct {
        size_t n;
        double ms;
    } batch[] = { { 100, 0.84 }, { 300, 2.1 }, { 1000, 6.5 } };
    static struct rebalance_key_size many[1000];
    for (size_t i = 0; i < PR_COUNT(many); i++)
        many[i] = key(REBALANCE_TYPE_STRING, 550, 0);
    for (size_t i = 0; i < PR_COUNT(batch); i++) {
        const double ms = rebalance_batch_block_ms(many, batch[i].n, 1);
        assert_true(fabs(ms - batch[i].ms) < 0.1 * batch[i].ms);
    }
}

static void heavy_elements_cost_their_bytes(void **state)
{
    (void)state;
    /* 10,000 fields of 10 KB: 100 MB travel, whatever the number of fields. */
    const struct rebalance_key_size k = key(REBALANCE_TYPE_HASH, 100000000, 10000);
    assert_true(rebalance_key_block_ms(&k, 1) > 1000);
    const struct rebalance_key_size light = key(REBALANCE_TYPE_HASH, 880000, 10000);
    assert_true(rebalance_key_block_ms(&light, 1) < 25);
}

static void verdicts_change_at_the_limits(void **state)
{
    (void)state;
    const struct rebalance_drain_limits l = { .node_timeout_ms = 5000, .block_budget_ms = 1000 };
    static const struct {
        enum rebalance_key_type type;
        uint64_t bytes, elements;
        enum rebalance_key_verdict want;
    } row[] = {
        { REBALANCE_TYPE_STRING, 550, 0, REBALANCE_KEY_NORMAL },
        { REBALANCE_TYPE_STRING, 400000, 0, REBALANCE_KEY_NORMAL },
        { REBALANCE_TYPE_STRING, 500000, 0, REBALANCE_KEY_ALONE }, /* 5.3 ms */
        { REBALANCE_TYPE_SET, 8800000, 100000, REBALANCE_KEY_ALONE },
        { REBALANCE_TYPE_STRING, 96000000, 0, REBALANCE_KEY_ALONE },           /* 999 ms */
        { REBALANCE_TYPE_STRING, 97000000, 0, REBALANCE_KEY_NEEDS_APPROVAL },  /* 1009 ms */
        { REBALANCE_TYPE_STRING, 160000000, 0, REBALANCE_KEY_NEEDS_APPROVAL }, /* 1664 ms */
        { REBALANCE_TYPE_STRING, 161000000, 0, REBALANCE_KEY_REFUSED },        /* 1675 ms */
        { REBALANCE_TYPE_HASH, 439000000, 5000000, REBALANCE_KEY_REFUSED },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_key_size k = key(row[i].type, row[i].bytes, row[i].elements);
        struct rebalance_key_judgement got;
        rebalance_key_judge("k", 1, &k, &l, &got);
        assert_int_equal(got.verdict, row[i].want);
        assert_int_equal(got.why[0] == '\0', row[i].want == REBALANCE_KEY_NORMAL);
    }
    /* A short node time-out refuses what the budget would leave to a person. */
    const struct rebalance_drain_limits tight = { .node_timeout_ms = 1500,
                                                  .block_budget_ms = 1000 };
    const struct rebalance_key_size k = key(REBALANCE_TYPE_STRING, 60000000, 0); /* 624 ms */
    struct rebalance_key_judgement got;
    rebalance_key_judge("k", 1, &k, &tight, &got);
    assert_int_equal(got.verdict, REBALANCE_KEY_REFUSED);
}

static void refusal_names_key_size_and_time(void **state)
{
    (void)state;
    const struct rebalance_drain_limits l = { .node_timeout_ms = 5000 };
    const struct rebalance_key_size k = key(REBALANCE_TYPE_HASH, 439000000, 5000000);
    struct rebalance_key_judgement got;
    rebalance_key_judge("user:\x01\"huge", 11, &k, &l, &got);
    assert_string_equal(got.why, "key \"user:?\"huge\" (hash, 5000000 elements, 439.0 MB) would "
                                 "block its source for 6600 ms: over 1667 ms, a third of "
                                 "cluster-node-timeout: refused");
    char name[300];
    memset(name, 'x', sizeof name);
    rebalance_key_judge(name, sizeof name, &k, &l, &got);
    assert_non_null(strstr(got.why, "xxx...\" (hash"));
    assert_non_null(strstr(got.why, "refused"));
}

static void batch_is_cut_by_keys_bytes_and_block(void **state)
{
    (void)state;
    static struct rebalance_key_size k[1200];
    for (size_t i = 0; i < PR_COUNT(k); i++)
        k[i] = key(REBALANCE_TYPE_STRING, 300, 0);
    const struct rebalance_drain_limits l = { .max_keys = 300, .max_bytes = 60000 };
    const struct rebalance_drain_limits many = { .max_keys = 5000, .batch_block_ms = 1000 };
    const struct rebalance_drain_limits quick = { .max_keys = 300, .batch_block_ms = 0.5 };

    assert_int_equal(rebalance_batch_cut(k, PR_COUNT(k), 1, &DEFAULTS), 200);
    assert_int_equal(rebalance_batch_cut(k, 150, 1, &DEFAULTS), 150);
    assert_int_equal(rebalance_batch_cut(k, PR_COUNT(k), 0.25, &DEFAULTS), 50);
    assert_int_equal(rebalance_batch_cut(k, PR_COUNT(k), 1, &l), 200);     /* bytes */
    assert_int_equal(rebalance_batch_cut(k, PR_COUNT(k), 0.5, &l), 100);   /* half of them */
    assert_int_equal(rebalance_batch_cut(k, PR_COUNT(k), 1, &many), 1000); /* never more */
    const size_t n = rebalance_batch_cut(k, PR_COUNT(k), 1, &quick);
    assert_true(n > 1 && n < 300);
    assert_true(rebalance_batch_block_ms(k, n, 1) <= 0.5);
    assert_true(rebalance_batch_block_ms(k, n + 1, 1) > 0.5);
    assert_int_equal(rebalance_batch_cut(k, 5, 0, &DEFAULTS), 1); /* never stalls */
    assert_int_equal(rebalance_batch_cut(k, 0, 1, &DEFAULTS), 0);
    assert_int_equal(rebalance_batch_cut(k, 5, NAN, &DEFAULTS), 1);
}

static void large_key_goes_alone(void **state)
{
    (void)state;
    struct rebalance_key_size k[4];
    for (size_t i = 0; i < PR_COUNT(k); i++)
        k[i] = key(REBALANCE_TYPE_STRING, 300, 0);
    k[2] = key(REBALANCE_TYPE_SET, 8800000, 100000);
    assert_int_equal(rebalance_batch_cut(k, 4, 1, &DEFAULTS), 2);     /* those before it */
    assert_int_equal(rebalance_batch_cut(k + 2, 2, 1, &DEFAULTS), 1); /* it */
    assert_int_equal(rebalance_batch_cut(k + 3, 1, 1, &DEFAULTS), 1);
}

static void slowness_follows_the_machine(void **state)
{
    (void)state;
    double s = 1;
    for (int i = 0; i < 60; i++)
        s = rebalance_slowness(s, 2, 6);
    assert_true(fabs(s - 3) < 0.05);
    assert_true(fabs(rebalance_slowness(3, 0, 5) - 3) < 1e-12); /* nothing predicted */
    assert_true(rebalance_slowness(1, 1, 1e9) <= 20);
    s = 1;
    for (int i = 0; i < 200; i++)
        s = rebalance_slowness(s, 100, 0.001);
    assert_true(s >= 0.2);
}

/* A target that is paused is given up before its replica can be promoted. */
static void migrate_times_out_before_a_fail_over(void **state)
{
    (void)state;
    static const struct {
        double predicted_ms;
        int64_t patience_ms, node_timeout_ms;
        int want;
    } row[] = {
        { 2.1, 0, 0, 1002 },      { 5000, 0, 0, 6000 },      { 1e9, 0, 0, 7500 },
        { 2.1, 250, 15000, 252 }, { 300, 1000, 2000, 1000 }, { 2.1, 1000, 2000, 1000 },
        { 0, 1000, 1, 1 }, /* never none at all: 0 is for ever */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_drain_limits l = { .patience_ms = row[i].patience_ms,
                                                  .node_timeout_ms = row[i].node_timeout_ms };
        assert_int_equal(rebalance_migrate_timeout_ms(row[i].predicted_ms, &l), row[i].want);
    }
}

/* What a lease can never cover is refused by name, whatever somebody approved. */
static void key_that_would_outlive_the_lease_is_refused(void **state)
{
    (void)state;
    const struct rebalance_key_size big = { .type = REBALANCE_TYPE_STRING, .bytes = 300000000 };
    struct rebalance_drain_limits l = { .lease_ms = 60000, .block_budget_ms = 4000 };
    struct rebalance_key_judgement j;
    rebalance_key_judge("big", 3, &big, &l, &j);
    assert_int_equal(j.verdict, REBALANCE_KEY_ALONE);
    const int needs_ms = 2 * rebalance_migrate_timeout_ms(j.block_ms, &l);
    l.lease_ms = needs_ms;
    rebalance_key_judge("big", 3, &big, &l, &j);
    assert_int_equal(j.verdict, REBALANCE_KEY_ALONE);
    l.lease_ms = needs_ms - 1;
    rebalance_key_judge("big", 3, &big, &l, &j);
    assert_int_equal(j.verdict, REBALANCE_KEY_REFUSED);
    char want[80];
    snprintf(want, sizeof want, "needs PRISM_REBALANCE_LEASE_TTL_MS >= %d: refused",
             needs_ms + REBALANCE_LEASE_MARGIN_MS);
    assert_non_null(strstr(j.why, want));
}

#define STR  REBALANCE_TYPE_STRING
#define SET  REBALANCE_TYPE_SET
#define HASH REBALANCE_TYPE_HASH

/* --- conflicts ---------------------------------------------------------------- */

static struct rebalance_copy copy(enum rebalance_key_type t)
{
    return (struct rebalance_copy){ .type = t, .idle_s = -1 };
}
static struct rebalance_copy vertex(uint64_t e)
{
    return (struct rebalance_copy){
        .type = REBALANCE_TYPE_HASH, .vertex = true, .epoch = e, .idle_s = -1
    };
}
static enum rebalance_resolution resolve(struct rebalance_conflict c)
{
    const char *why = NULL;
    const enum rebalance_resolution r = rebalance_conflict_resolve(&c, &why);
    assert_non_null(why);
    assert_true(strlen(why) > 0);
    return r;
}

static void source_that_stayed_keeps_its_copy(void **state)
{
    (void)state;
    for (int t = REBALANCE_TYPE_OTHER; t <= REBALANCE_TYPE_STREAM; t++)
        for (int flags = 0; flags < 8; flags++) {
            struct rebalance_conflict c = { .in_flight = flags & 1,
                                            .gap_unacknowledged = flags & 2,
                                            .equal = flags & 4,
                                            .source = copy((enum rebalance_key_type)t),
                                            .target = copy(REBALANCE_TYPE_HASH) };
            assert_int_equal(resolve(c), c.equal ? REBALANCE_EITHER : REBALANCE_KEEP_SOURCE);
        }
}

/* After a fail-over of the source. 8,000 ms ago it was promoted: an idle time of 15 s
 * is before that, of 3 s after. */
static void failed_over_source_is_judged_by_window_and_evidence(void **state)
{
    (void)state;
    static const struct {
        bool in_flight;
        enum rebalance_key_type source, target;
        int64_t source_idle_s, target_idle_s;
        bool strings_are_set;
        enum rebalance_resolution want;
    } row[] = {
        /* in flight, nothing known */
        { true, STR, STR, -1, -1, true, REBALANCE_STOP },
        { true, HASH, HASH, -1, -1, true, REBALANCE_STOP },
        { true, STR, HASH, -1, -1, true, REBALANCE_STOP },
        { true, SET, SET, -1, -1, true, REBALANCE_UNION_SETS },
        /* nobody used the promoted source's copy */
        { true, STR, STR, 15, 1, true, REBALANCE_KEEP_TARGET },
        { true, SET, SET, 15, 1, true, REBALANCE_KEEP_TARGET },
        { true, STR, HASH, 15, 1, true, REBALANCE_KEEP_TARGET },
        /* somebody did, or may have: within a tick of the promotion */
        { true, HASH, HASH, 3, 16, true, REBALANCE_STOP },
        { true, STR, STR, 3, 16, false, REBALANCE_STOP },
        { true, STR, STR, 3, 9, true, REBALANCE_STOP },
        /* of strings that are only ever set the later one is whole */
        { true, STR, STR, 3, 16, true, REBALANCE_KEEP_SOURCE },
        { true, STR, STR, 9, 16, true, REBALANCE_STOP }, /* or was it before? */
        { true, SET, SET, 3, 12, true, REBALANCE_UNION_SETS },
        /* made anew after its DEL was replicated */
        { false, STR, STR, -1, -1, true, REBALANCE_KEEP_SOURCE },
        { false, STR, STR, -1, -1, false, REBALANCE_STOP },
        { false, SET, SET, -1, -1, true, REBALANCE_UNION_SETS },
        { false, HASH, HASH, -1, -1, true, REBALANCE_OVERLAY },
        { false, REBALANCE_TYPE_LIST, REBALANCE_TYPE_LIST, -1, -1, true, REBALANCE_STOP },
        { false, REBALANCE_TYPE_ZSET, REBALANCE_TYPE_ZSET, -1, -1, true, REBALANCE_STOP },
        { false, STR, SET, -1, -1, true, REBALANCE_STOP },
        { false, STR, SET, 15, -1, true, REBALANCE_KEEP_TARGET }, /* a left-over */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct rebalance_conflict c = { .in_flight = row[i].in_flight,
                                        .source_failed_over = true,
                                        .strings_are_set = row[i].strings_are_set,
                                        .source_promoted_ms = 8000,
                                        .source = copy(row[i].source),
                                        .target = copy(row[i].target) };
        c.source.idle_s = row[i].source_idle_s;
        c.target.idle_s = row[i].target_idle_s;
        const char *why;
        if (rebalance_conflict_resolve(&c, &why) != row[i].want)
            fail_msg("row %zu: %s (%s), want %s", i,
                     rebalance_resolution_name(rebalance_conflict_resolve(&c, &why)), why,
                     rebalance_resolution_name(row[i].want));
        c.gap_unacknowledged = true; /* never stops; a union or the target's */
        const enum rebalance_resolution early = resolve(c);
        assert_int_equal(early, row[i].in_flight || row[i].want == REBALANCE_STOP
                                    ? REBALANCE_KEEP_TARGET
                                    : row[i].want);
        c.equal = true;
        assert_int_equal(resolve(c), REBALANCE_EITHER);
        if (!row[i].in_flight)
            continue;
        /* the source outlived its MIGRATE: its copy may have what the target's lacks */
        c.equal = false;
        c.served_on = true;
        assert_int_equal(resolve(c), row[i].source == SET && row[i].target == SET
                                         ? REBALANCE_UNION_SETS
                                         : REBALANCE_STOP);
    }
}

/* Sent 8,400 ms ago, promoted since 8,400 ms ago at the earliest. */
static void cut_migrate_is_known_by_a_key_that_stayed(void **state)
{
    (void)state;
    enum { N = 3 };
    static const struct {
        struct rebalance_cut_key k[N];
        int64_t sent_ms, promoted_ms;
        size_t want; /* N: none */
    } row[] = {
        /* the first is old: all are what was sent */
        { { { true, true, 71, 8 }, { true, true, 0, 8 }, { true, true, 0, 8 } }, 8400, 8400, 0 },
        /* those before the old one may have been deleted, and made anew */
        { { { true, true, 0, 8 }, { true, true, 71, 8 }, { true, true, 0, 8 } }, 8400, 8400, 1 },
        /* an old one that the target lacks was not sent, or was refused there */
        { { { true, false, 71, -1 }, { true, true, 0, 8 }, { true, true, 71, 8 } }, 8400, 8400, 2 },
        { { { true, false, 71, -1 }, { true, true, 0, 8 }, { true, true, 0, 8 } }, 8400, 8400, N },
        /* old is what was used before the fail-over by more than a tick */
        { { { true, true, 9, 8 }, { true, true, 0, 8 }, { true, true, 0, 8 } }, 8400, 8400, N },
        { { { true, true, 10, 8 }, { true, true, 0, 8 }, { true, true, 0, 8 } }, 8400, 8400, 0 },
        { { { true, true, 10, 8 }, { true, true, 0, 8 }, { true, true, 0, 8 } }, 8400, 9000, N },
        { { { true, true, -1, 8 }, { true, true, -1, 8 }, { true, true, -1, 8 } }, 8400, 8400, N },
        { { { true, true, 71, 8 }, { true, true, 0, 8 }, { true, true, 0, 8 } }, 8400, 0, N },
        /* the target's were used later than it was sent: clients were told to */
        { { { true, true, 71, 8 }, { true, true, 0, 8 }, { true, true, 0, 6 } }, 8400, 8400, N },
        { { { true, true, 71, 6 }, { true, true, 0, 8 }, { true, true, 0, 8 } }, 8000, 8000, 0 },
        { { { true, true, 71, 6 }, { true, true, 0, 8 }, { true, true, 0, 8 } }, 8001, 8001, N },
        { { { true, true, 71, 8 }, { true, true, 0, -1 }, { true, true, 0, 8 } }, 8400, 8400, N },
        /* a key on the target alone was deleted: by MIGRATE, or by a client */
        { { { true, true, 71, 8 }, { true, true, 0, 8 }, { false, true, -1, 8 } }, 8400, 8400, N },
        { { { true, true, 71, 8 }, { false, false, -1, -1 }, { true, true, 0, 8 } },
          8400,
          8400,
          0 },
        /* it was answered */
        { { { true, true, 71, 8 }, { true, true, 0, 8 }, { true, true, 0, 8 } }, 0, 8400, N },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const size_t kept = rebalance_cut_kept(row[i].k, N, row[i].sent_ms, row[i].promoted_ms);
        if (kept != row[i].want)
            fail_msg("row %zu: %zu, want %zu", i, kept, row[i].want);
    }
    assert_int_equal(rebalance_cut_kept(NULL, 0, 8400, 8400), 0);
}

static void kept_copy_wins_where_nothing_else_is_known(void **state)
{
    (void)state;
    for (int t = REBALANCE_TYPE_OTHER; t <= REBALANCE_TYPE_STREAM; t++) {
        struct rebalance_conflict c = { .in_flight = true,
                                        .source_failed_over = true,
                                        .source_promoted_ms = 8400,
                                        .kept = true,
                                        .source = copy((enum rebalance_key_type)t),
                                        .target = copy((enum rebalance_key_type)t) };
        c.source.idle_s = 0;
        c.target.idle_s = 8;
        const bool set = t == REBALANCE_TYPE_SET;
        assert_int_equal(resolve(c), set ? REBALANCE_UNION_SETS : REBALANCE_KEEP_SOURCE);
        c.kept = false;
        assert_int_equal(resolve(c), set ? REBALANCE_UNION_SETS : REBALANCE_STOP);
        c.kept = c.served_on = true; /* clients were told to ask the target after all */
        assert_int_equal(resolve(c), set ? REBALANCE_UNION_SETS : REBALANCE_STOP);
        c.served_on = false;
        /* the source may have gone on unseen: a gap after its fail-over says too little */
        c.gap_unacknowledged = c.unanswered = true;
        assert_int_equal(resolve(c), set ? REBALANCE_UNION_SETS : REBALANCE_KEEP_SOURCE);
        c.kept = false;
        assert_int_equal(resolve(c), set ? REBALANCE_UNION_SETS : REBALANCE_STOP);
        c.unanswered = false;
        assert_int_equal(resolve(c), REBALANCE_KEEP_TARGET);
        c.gap_unacknowledged = false;
        c.kept = true;
        /* the copies differ, and the source's is as it was: the target's was written */
        c.source.idle_s = 71;
        assert_int_equal(resolve(c), REBALANCE_KEEP_TARGET);
        c.source.idle_s = 0;
        c.in_flight = false; /* of keys that were in flight alone */
        assert_int_not_equal(resolve(c), REBALANCE_KEEP_SOURCE);
    }
}

/* Nothing is known but the prints. Epochs and versions: of the source's, the target's. */
static void print_tells_which_copy_of_a_vertex_was_written(void **state)
{
    (void)state;
    static const struct {
        uint64_t epoch[2], version[2];
        bool source_as_sent, target_as_sent, covers;
        enum rebalance_resolution want;
    } row[] = {
        { { 3, 3 }, { 5, 6 }, true, false, false, REBALANCE_KEEP_TARGET },
        { { 3, 3 }, { 6, 5 }, false, true, false, REBALANCE_KEEP_SOURCE },
        { { 3, 3 }, { 6, 7 }, false, false, true, REBALANCE_STOP }, /* both, or no print */
        /* what has not more writes did not come from what was printed */
        { { 3, 3 }, { 5, 4 }, true, false, true, REBALANCE_STOP },
        { { 3, 3 }, { 5, 5 }, true, false, true, REBALANCE_STOP },
        { { 3, 3 }, { 5, 5 }, false, true, true, REBALANCE_STOP },
        { { 3, 3 }, { 4, 5 }, false, true, true, REBALANCE_STOP },
        { { 3, 4 }, { 5, 6 }, true, false, true, REBALANCE_STOP },
        { { 4, 3 }, { 6, 5 }, false, true, true, REBALANCE_STOP },
        /* made anew, as it was or without what the target's has */
        { { 0, 0 }, { 5, 6 }, true, false, true, REBALANCE_STOP },
        { { 0, 0 }, { 1, 2 }, true, false, true, REBALANCE_STOP },
        { { 0, 0 }, { 6, 5 }, false, true, false, REBALANCE_STOP },
        { { 0, 0 }, { 5, 5 }, false, true, true, REBALANCE_STOP },
        { { 0, 0 }, { 6, 5 }, false, true, true, REBALANCE_KEEP_SOURCE },
        { { 0, 3 }, { 6, 5 }, false, true, true, REBALANCE_STOP },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct rebalance_conflict c = { .in_flight = true,
                                        .source_failed_over = true,
                                        .source_as_sent = row[i].source_as_sent,
                                        .target_as_sent = row[i].target_as_sent,
                                        .covers = row[i].covers,
                                        .source = vertex(row[i].epoch[0]),
                                        .target = vertex(row[i].epoch[1]) };
        c.source.version = row[i].version[0];
        c.target.version = row[i].version[1];
        for (int flags = 0; flags < 4; flags++) { /* a MIGRATE that broke off changes nothing */
            c.served_on = flags & 1;
            c.unanswered = flags & 2;
            if (resolve(c) != row[i].want)
                fail_msg("row %zu, %d: %s, want %s", i, flags,
                         rebalance_resolution_name(resolve(c)),
                         rebalance_resolution_name(row[i].want));
        }
        c.served_on = c.unanswered = false;
        c.source_failed_over = false; /* the source served clients all the time */
        assert_int_equal(resolve(c), REBALANCE_KEEP_SOURCE);
        c.source_failed_over = true;
        c.in_flight = false; /* its deletion is replicated: prints are of keys in flight alone */
        assert_int_not_equal(resolve(c), REBALANCE_KEEP_TARGET);
        c.in_flight = true;
        c.target = copy(HASH); /* one side is no vertex */
        assert_int_equal(resolve(c), REBALANCE_STOP);
    }
}

/* They may be changed and changed back, or made anew as they were: prints say nothing of them. */
static void prints_decide_for_nothing_that_does_not_count_its_writes(void **state)
{
    (void)state;
    static const enum rebalance_key_type type[] = { STR, HASH, SET, REBALANCE_TYPE_LIST,
                                                    REBALANCE_TYPE_ZSET };
    for (size_t i = 0; i < PR_COUNT(type); i++)
        for (int flags = 0; flags < 16; flags++) {
            struct rebalance_conflict c = { .in_flight = true,
                                            .source_failed_over = true,
                                            .source_as_sent = flags & 1,
                                            .target_as_sent = flags & 2,
                                            .covers = flags & 4,
                                            .strings_are_set = flags & 8,
                                            .source = copy(type[i]),
                                            .target = copy(type[i]) };
            c.source.version = flags & 2 ? 2 : 0; /* it is not asked */
            assert_int_equal(resolve(c), type[i] == SET ? REBALANCE_UNION_SETS : REBALANCE_STOP);
        }
}

static void counter_made_anew_is_left_to_a_person(void **state)
{
    (void)state;
    struct rebalance_conflict c = { .source_failed_over = true,
                                    .strings_are_set = true,
                                    .source = copy(REBALANCE_TYPE_STRING),
                                    .target = copy(REBALANCE_TYPE_STRING) };
    assert_int_equal(resolve(c), REBALANCE_KEEP_SOURCE);
    c.target.integer = true;
    assert_int_equal(resolve(c), REBALANCE_STOP);
}

/* A version does not say whose copy has all writes: both may have had some. */
static void vertices_are_united_only_when_one_was_made_anew(void **state)
{
    (void)state;
    static const struct {
        bool in_flight;
        uint64_t se, te;
        enum rebalance_resolution want;
    } row[] = {
        { true, 0, 0, REBALANCE_STOP },
        { true, 2, 1, REBALANCE_STOP },
        { false, 0, 0, REBALANCE_OVERLAY }, /* made anew: neither is whole */
        { false, 0, 4, REBALANCE_OVERLAY },
        { false, 4, 4, REBALANCE_STOP }, /* not anew: an older copy */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct rebalance_conflict c = { .in_flight = row[i].in_flight,
                                        .source_failed_over = true,
                                        .source = vertex(row[i].se),
                                        .target = vertex(row[i].te) };
        assert_int_equal(resolve(c), row[i].want);
    }
    struct rebalance_conflict c = { .source_failed_over = true,
                                    .source = vertex(0),
                                    .target = copy(REBALANCE_TYPE_HASH) };
    assert_int_equal(resolve(c), REBALANCE_STOP); /* a vertex over a foreign hash */
    c.target = vertex(0);
    c.target.vertex = false;
    c.target.odd_vertex = true;
    assert_int_equal(resolve(c), REBALANCE_STOP); /* over a stub */
}

/* --- replicas ----------------------------------------------------------------- */

static void waits_for_every_live_replica(void **state)
{
    (void)state;
    static const struct {
        int live, wanted;
        bool allowed;
        int replicas;
        bool approval;
        const char *why;
    } row[] = {
        { 2, 2, false, 2, false, "waits for its 2 replicas" },
        { 1, 2, false, 1, false, "1 of 2 replicas, the others are down" },
        { 3, 2, false, 3, false, "its 3" },
        { 0, 2, false, 0, true, "needs approval" },
        { 0, 2, true, 0, false, "allowed" },
        { 0, 0, false, 0, true, "no live replica of 0" },
        { -1, 2, false, 0, true, "no live replica" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_wait w =
            rebalance_wait_policy("n1", row[i].live, row[i].wanted, row[i].allowed);
        assert_int_equal(w.replicas, row[i].replicas);
        assert_int_equal(w.needs_approval, row[i].approval);
        assert_non_null(strstr(w.why, row[i].why));
        assert_non_null(strstr(w.why, "shard n1"));
    }
}

/* --- keys in flight ------------------------------------------------------------- */

static void keys_in_flight_come_back_as_they_went(void **state)
{
    (void)state;
    static const char odd[] = "a\0b\xff";
    struct pr_buf b;
    pr_buf_init(&b, 0);
    rebalance_in_flight_add(&b, "{p17}v:1", 8);
    rebalance_in_flight_add(&b, "", 0);
    rebalance_in_flight_add(&b, odd, sizeof odd);

    struct rebalance_in_flight r;
    struct pr_err err;
    assert_ok(rebalance_in_flight_open(b.data, b.len, &r, &err), &err);
    assert_int_equal(r.keys, 3);
    const char *k;
    size_t n;
    assert_true(rebalance_in_flight_next(&r, &k, &n));
    assert_int_equal(n, 8);
    assert_memory_equal(k, "{p17}v:1", 8);
    assert_true(rebalance_in_flight_has(&r, odd, sizeof odd)); /* whatever was read already */
    assert_true(rebalance_in_flight_has(&r, "{p17}v:1", 8));
    assert_false(rebalance_in_flight_has(&r, "{p17}v:", 7));
    assert_true(rebalance_in_flight_next(&r, &k, &n));
    assert_int_equal(n, 0);
    assert_true(rebalance_in_flight_next(&r, &k, &n));
    assert_int_equal(n, sizeof odd);
    assert_memory_equal(k, odd, sizeof odd);
    assert_false(rebalance_in_flight_next(&r, &k, &n));
    pr_buf_done(&b);

    assert_ok(rebalance_in_flight_open(NULL, 0, &r, &err), &err);
    assert_false(rebalance_in_flight_next(&r, &k, &n));
}

static void prints_stay_with_their_keys(void **state)
{
    (void)state;
    const struct rebalance_written early = { "0123456789abcdef0123456789abcdef01234567", 5 },
                                   late = { "fedcba9876543210fedcba9876543210fedcba98", 1LL << 40 };
    static const char *const name[] = { "plain", "one", "none", "" };
    struct pr_buf b;
    pr_buf_init(&b, 0);
    rebalance_in_flight_add(&b, "plain", 5);
    rebalance_in_flight_point(&b, &early);
    rebalance_in_flight_print(&b, "one", 3, UINT64_MAX);
    rebalance_in_flight_print(&b, "none", 4, 0);
    rebalance_in_flight_point(&b, &late);
    rebalance_in_flight_print(&b, "", 0, 7);

    struct rebalance_in_flight r;
    struct rebalance_sent sent;
    struct pr_err err;
    assert_ok(rebalance_in_flight_open(b.data, b.len, &r, &err), &err);
    assert_int_equal(r.keys, 4);
    assert_true(rebalance_in_flight_find(&r, "plain", 5, &sent));
    assert_true(sent.print == 0);
    assert_string_equal(sent.point.history, "");
    assert_true(rebalance_in_flight_find(&r, "one", 3, &sent));
    assert_true(sent.print == UINT64_MAX && sent.point.offset == 5);
    assert_string_equal(sent.point.history, early.history);
    assert_true(rebalance_in_flight_find(&r, "none", 4, &sent));
    assert_true(sent.print == 0);
    assert_true(rebalance_in_flight_find(&r, "", 0, &sent));
    assert_true(sent.print == 7 && sent.point.offset == 1LL << 40);
    assert_string_equal(sent.point.history, late.history);
    assert_false(rebalance_in_flight_find(&r, late.history, 40, &sent)); /* it is no key */
    size_t good = 0;
    for (size_t cut = 0; cut <= b.len; cut++)
        good += rebalance_in_flight_open(b.data, cut, &r, NULL) == PR_OK;
    assert_int_equal(good, 7); /* nothing, and after each of six */

    struct pr_buf keys, prints, plain, back;
    pr_buf_init(&keys, 0);
    pr_buf_init(&prints, 0);
    pr_buf_init(&plain, 0);
    pr_buf_init(&back, 0);
    rebalance_in_flight_part(b.data, b.len, &keys, &prints);
    for (size_t i = 0; i < 4; i++)
        rebalance_in_flight_add(&plain, name[i], strlen(name[i]));
    assert_int_equal(keys.len, plain.len); /* as an older release writes and reads it */
    assert_memory_equal(keys.data, plain.data, plain.len);
    rebalance_in_flight_join(keys.data, keys.len, prints.data, prints.len, &back);
    assert_int_equal(back.len, b.len);
    assert_memory_equal(back.data, b.data, b.len);
    for (size_t cut = 0; cut <= prints.len; cut++) { /* all, or none */
        rebalance_in_flight_join(keys.data, keys.len, prints.data, cut, &back);
        assert_int_equal(back.len, cut == prints.len ? b.len : keys.len);
    }
    pr_buf_u32le(&prints, 0); /* of one key more */
    rebalance_in_flight_join(keys.data, keys.len, prints.data, prints.len, &back);
    assert_int_equal(back.len, keys.len);
    rebalance_in_flight_join(keys.data, keys.len - 1, prints.data, prints.len, &back);
    assert_int_equal(back.len, keys.len - 1); /* malformed, and still a record */
    rebalance_in_flight_part(keys.data, keys.len, &plain, &prints);
    assert_int_equal(plain.len, keys.len);
    assert_int_equal(prints.len, 0);
    pr_buf_done(&keys);
    pr_buf_done(&prints);
    pr_buf_done(&plain);
    pr_buf_done(&back);
    pr_buf_done(&b);
}

/* Every cut of a good record that is not between two keys, and lengths that lie. */
static void malformed_record_is_refused(void **state)
{
    (void)state;
    struct pr_buf b;
    pr_buf_init(&b, 0);
    rebalance_in_flight_add(&b, "first", 5);
    rebalance_in_flight_add(&b, "second", 6);
    struct rebalance_in_flight r;
    struct pr_err err;
    for (size_t cut = 1; cut < b.len; cut++) {
        const enum pr_code rc = rebalance_in_flight_open(b.data, cut, &r, &err);
        assert_int_equal(rc, cut == 9 ? PR_OK : PR_EDATA);
        assert_int_equal(r.len, cut == 9 ? 9 : 0);
    }
    static const unsigned char lies[] = { 0xff, 0xff, 0xff, 0xff, 'x' };
    assert_int_equal(rebalance_in_flight_open(lies, sizeof lies, &r, &err), PR_EDATA);
    pr_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_read_as_redis_names_them),
        cmocka_unit_test(prediction_fits_what_was_measured),
        cmocka_unit_test(heavy_elements_cost_their_bytes),
        cmocka_unit_test(verdicts_change_at_the_limits),
        cmocka_unit_test(refusal_names_key_size_and_time),
        cmocka_unit_test(batch_is_cut_by_keys_bytes_and_block),
        cmocka_unit_test(large_key_goes_alone),
        cmocka_unit_test(slowness_follows_the_machine),
        cmocka_unit_test(migrate_times_out_before_a_fail_over),
        cmocka_unit_test(key_that_would_outlive_the_lease_is_refused),
        cmocka_unit_test(source_that_stayed_keeps_its_copy),
        cmocka_unit_test(failed_over_source_is_judged_by_window_and_evidence),
        cmocka_unit_test(cut_migrate_is_known_by_a_key_that_stayed),
        cmocka_unit_test(print_tells_which_copy_of_a_vertex_was_written),
        cmocka_unit_test(prints_decide_for_nothing_that_does_not_count_its_writes),
        cmocka_unit_test(prints_stay_with_their_keys),
        cmocka_unit_test(kept_copy_wins_where_nothing_else_is_known),
        cmocka_unit_test(counter_made_anew_is_left_to_a_person),
        cmocka_unit_test(vertices_are_united_only_when_one_was_made_anew),
        cmocka_unit_test(waits_for_every_live_replica),
        cmocka_unit_test(keys_in_flight_come_back_as_they_went),
        cmocka_unit_test(malformed_record_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
