/* Keys on both sides after a fault: whose copy counts. */
#include "t.h"

#include "core/slot/drain.h"

#include <string.h>

#define STR  REBALANCE_TYPE_STRING
#define SET  REBALANCE_TYPE_SET
#define HASH REBALANCE_TYPE_HASH

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

/* A key whose MIGRATE was answered, and that the restarted source has again. */
static void restarted_source_overwrites_nothing_that_it_had_given(void **state)
{
    (void)state;
    static const enum rebalance_key_type type[] = { STR, HASH, SET, REBALANCE_TYPE_LIST };
    for (size_t i = 0; i < PR_COUNT(type); i++)
        for (int flags = 0; flags < 16; flags++) {
            struct rebalance_conflict c = { .source_restarted = true,
                                            .in_flight = flags & 1,
                                            .unanswered = flags & 2,
                                            .strings_are_set = flags & 4,
                                            .served_on = flags & 8,
                                            .source = copy(type[i]),
                                            .target = copy(type[i]) };
            assert_int_equal(resolve(c), c.unanswered     ? REBALANCE_KEEP_SOURCE
                                         : type[i] == SET ? REBALANCE_UNION_SETS
                                                          : REBALANCE_STOP);
            c.equal = true;
            assert_int_equal(resolve(c), REBALANCE_EITHER);
        }

    struct rebalance_conflict v = { .source_restarted = true,
                                    .in_flight = true,
                                    .source_as_sent = true,
                                    .source = vertex(3),
                                    .target = vertex(3) };
    v.target.version = v.source.version + 1;
    assert_int_equal(resolve(v), REBALANCE_KEEP_TARGET);
    v.source_as_sent = false; /* both may have been written */
    assert_int_equal(resolve(v), REBALANCE_STOP);
    v.source_as_sent = true;
    v.in_flight = false; /* of an older batch: the print is another's */
    assert_int_equal(resolve(v), REBALANCE_STOP);
    v.unanswered = true;
    assert_int_equal(resolve(v), REBALANCE_KEEP_SOURCE);
    v.source_failed_over = true; /* that counts for more */
    v.unanswered = false;
    assert_int_not_equal(resolve(v), REBALANCE_KEEP_SOURCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(source_that_stayed_keeps_its_copy),
        cmocka_unit_test(failed_over_source_is_judged_by_window_and_evidence),
        cmocka_unit_test(cut_migrate_is_known_by_a_key_that_stayed),
        cmocka_unit_test(print_tells_which_copy_of_a_vertex_was_written),
        cmocka_unit_test(prints_decide_for_nothing_that_does_not_count_its_writes),
        cmocka_unit_test(restarted_source_overwrites_nothing_that_it_had_given),
        cmocka_unit_test(kept_copy_wins_where_nothing_else_is_known),
        cmocka_unit_test(counter_made_anew_is_left_to_a_person),
        cmocka_unit_test(vertices_are_united_only_when_one_was_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
