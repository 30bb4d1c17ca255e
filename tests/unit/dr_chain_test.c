/* Routes through pieces: forks, gaps, breaks, points in time. Offsets count from the base's, 100;
 * times are offsets. */
#include "t.h"

#include "dr_make.h"

#include "core/chain.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 8 };

struct part { /* a piece, by what it follows */
    uint64_t epoch;
    int after; /* index of a piece above, or -1: the base */
    uint64_t to;
};

static struct dr_generation base(void)
{
    struct dr_generation g = { .cluster = "c",
                               .shard = "s",
                               .id = { 1, 1 },
                               .replid = DR_REPLID_A,
                               .offset = 100,
                               .ended_ms = 100 };
    dr_generation_seal(&g);
    return g;
}

static void make(const struct dr_generation *g, const struct part *part, size_t n,
                 struct dr_located *piece)
{
    for (size_t i = 0; i < n; i++) {
        const struct dr_piece *b = part[i].after >= 0 ? &piece[part[i].after].piece : NULL;
        struct dr_piece p = { .generation = g->id,
                              .replid = DR_REPLID_B,
                              .from = b != NULL ? b->to : g->offset,
                              .to = part[i].to };
        (void)strcpy(p.shard, g->shard);
        p.first_ms = (int64_t)p.from;
        p.last_ms = (int64_t)p.to;
        p.sha256[0] = (uint8_t)part[i].epoch; /* other epochs, other bytes */
        dr_chain_hash(b != NULL ? b->chain : g->chain, &p, p.chain);
        piece[i] = (struct dr_located){ .piece = p, .epoch = part[i].epoch, .seq = i };
    }
}

static void expect(const struct dr_route *r, const char *take)
{
    char got[MOST + 1] = "";
    for (size_t i = 0; i < r->n; i++)
        got[i] = (char)('0' + r->take[i]);
    assert_string_equal(got, take);
}

static void leads_to_the_newest_epoch_and_on(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct part part[MOST];
        const char *take;
    } row[] = {
        { "nothing", { { 0 } }, "" },
        { "one", { { 1, -1, 110 } }, "0" },
        { "one behind another", { { 1, -1, 110 }, { 1, 0, 120 }, { 1, 1, 130 } }, "012" },
        { "a late upload of an older epoch, longer",
          { { 1, -1, 110 }, { 1, 0, 150 }, { 2, 0, 115 }, { 2, 2, 120 } },
          "023" },
        { "the newer epoch went on from the late upload", { { 1, -1, 110 }, { 2, 0, 120 } }, "01" },
        { "a very late upload where an older one was followed by the newest",
          { { 1, -1, 110 }, { 1, 0, 120 }, { 3, 1, 130 }, { 2, 0, 150 } },
          "012" },
        { "the newest epoch is deep, and ends early",
          { { 1, -1, 110 }, { 4, 0, 111 }, { 3, -1, 105 }, { 3, 2, 200 } },
          "01" },
        { "behind the newest epoch, as far as there is",
          { { 1, -1, 110 }, { 2, 0, 120 }, { 1, 1, 130 }, { 1, 2, 140 } },
          "0123" },
        { "epochs may fall on the way", { { 5, -1, 110 }, { 4, 0, 120 } }, "01" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct dr_generation g = base();
        struct dr_located piece[MOST];
        struct dr_route r;
        struct pr_err err;
        size_t n = 0;
        while (n < MOST && row[i].part[n].epoch > 0)
            n++;
        make(&g, row[i].part, n, piece);
        assert_ok(dr_chain_route(&g, piece, n, INT64_MAX, &r, &err), &err);
        expect(&r, row[i].take);
        const struct dr_piece *last = r.n > 0 ? &piece[r.take[r.n - 1]].piece : NULL;
        assert_int_equal(r.to, last != NULL ? last->to : 100);
        assert_int_equal(r.last_ms, last != NULL ? last->last_ms : 100);
        assert_string_equal(r.replid, last != NULL ? DR_REPLID_B : DR_REPLID_A);
        assert_memory_equal(r.chain, last != NULL ? last->chain : g.chain, DR_HASH);
        assert_false(r.gap || r.reached);
        assert_non_null(strstr(r.why, "no more pieces"));
        free(r.take);
    }
}

static void stops_at_the_point_in_time(void **state)
{
    (void)state;
    static const struct part part[] = {
        { 1, -1, 110 }, { 1, 0, 120 }, { 2, 1, 130 }, { 1, 1, 125 }
    }; /* the last one is stale */
    static const struct {
        int64_t until;
        const char *take;
        bool reached;
    } row[] = {
        { 99, "", false },    { 100, "", true },     { 109, "", true },
        { 110, "0", true },   { 111, "0", true },    { 127, "01", true }, /* not by the stale one */
        { 130, "012", true }, { 131, "012", false }, { INT64_MAX, "012", false },
    };
    const struct dr_generation g = base();
    struct dr_located piece[MOST];
    make(&g, part, PR_COUNT(part), piece);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_route r;
        struct pr_err err;
        assert_ok(dr_chain_route(&g, piece, PR_COUNT(part), row[i].until, &r, &err), &err);
        expect(&r, row[i].take);
        assert_int_equal(r.reached, row[i].reached);
        assert_int_equal(r.why[0] == '\0', row[i].reached);
        assert_false(r.gap);
        free(r.take);
    }
}

/* Of seven pieces, one each of epochs 1 1 1 2 2 2 2. */
static void says_where_it_breaks_off(void **state)
{
    (void)state;
    static const struct part part[] = { { 1, -1, 110 }, { 1, 0, 120 }, { 1, 1, 130 }, { 2, 2, 140 },
                                        { 2, 3, 150 },  { 2, 4, 160 }, { 1, 2, 145 } };
    static const struct {
        const char *what;
        int without, spoil; /* piece, -1: none */
        int64_t until;
        uint64_t to;
        bool reached, gap;
        const char *why;
    } row[] = {
        { "whole", -1, -1, INT64_MAX, 160, false, false, "no more pieces behind offset 160" },
        { "a hole", 4, -1, INT64_MAX, 140, false, true,
          "gap at offset 140: the next piece is of 150" },
        { "behind the hole", 4, -1, 155, 140, false, true, "gap at offset 140" },
        { "in the hole", 4, -1, 145, 140, false, true, "gap at offset 140" },
        { "before the hole", 4, -1, 140, 140, true, false, "" },
        { "before it, too", 4, -1, 139, 130, true, false, "" },
        { "damaged chain", -1, 4, INT64_MAX, 140, false, true, "breaks at offset 140" },
        { "the first is gone", 0, -1, INT64_MAX, 100, false, true, "gap at offset 100" },
        { "the newest epoch hangs in the air", 3, -1, INT64_MAX, 145, false, true,
          "breaks at offset 145: a piece of 140 to 150" },
        { "an older one hangs in the air", 6, -1, INT64_MAX, 160, false, false, "no more" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct dr_generation g = base();
        struct dr_located piece[MOST];
        struct dr_route r;
        struct pr_err err;
        size_t n = PR_COUNT(part);
        make(&g, part, n, piece);
        if (row[i].spoil >= 0)
            piece[row[i].spoil].piece.chain[DR_HASH - 1] ^= 1;
        if (row[i].without >= 0)
            piece[row[i].without] = piece[--n];
        assert_ok(dr_chain_route(&g, piece, n, row[i].until, &r, &err), &err);
        if (r.to != row[i].to || r.reached != row[i].reached || r.gap != row[i].gap ||
            strstr(r.why, row[i].why) == NULL)
            fail_msg("%s: to %d, reached %d, gap %d, \"%s\"", row[i].what, (int)r.to, r.reached,
                     r.gap, r.why);
        free(r.take);
    }
}

static void left_behind_pieces_are_no_gap(void **state)
{
    (void)state;
    static const struct part part[] = {
        { 1, -1, 110 }, { 1, 0, 120 }, { 1, 1, 150 }, { 2, 0, 115 }
    };
    const struct dr_generation g = base();
    struct dr_located piece[MOST];
    struct dr_route r;
    struct pr_err err;
    make(&g, part, PR_COUNT(part), piece);
    piece[1] = piece[3]; /* so that the one up to 150 hangs in the air, of epoch 1 */
    assert_ok(dr_chain_route(&g, piece, 3, INT64_MAX, &r, &err), &err);
    expect(&r, "01");
    assert_false(r.gap);
    free(r.take);
    piece[2].epoch = 2; /* were it of the newest, something would be missing */
    assert_ok(dr_chain_route(&g, piece, 3, INT64_MAX, &r, &err), &err);
    expect(&r, "01");
    assert_true(r.gap);
    free(r.take);
}

static void the_same_piece_twice_counts_once(void **state)
{
    (void)state;
    static const struct part part[] = { { 1, -1, 110 }, { 1, 0, 120 }, { 1, 1, 130 } };
    const struct dr_generation g = base();
    struct dr_located piece[MOST];
    struct dr_route r;
    struct pr_err err;
    make(&g, part, PR_COUNT(part), piece);
    piece[3] = piece[1]; /* written again, the same bytes, by the next epoch */
    piece[3].epoch = 2;
    assert_ok(dr_chain_route(&g, piece, 4, INT64_MAX, &r, &err), &err);
    expect(&r, "032");
    free(r.take);
}

static void others_pieces_do_not_count(void **state)
{
    (void)state;
    static const struct part part[] = { { 1, -1, 110 }, { 1, 0, 120 } };
    const struct dr_generation g = base();
    for (int other = 0; other < 4; other++) {
        struct dr_located piece[MOST];
        struct dr_route r;
        struct pr_err err;
        make(&g, part, PR_COUNT(part), piece);
        if (other == 0)
            (void)strcpy(piece[1].piece.shard, "t");
        else if (other == 1)
            piece[1].piece.generation.epoch++;
        else if (other == 2)
            piece[1].piece.generation.n++;
        assert_ok(dr_chain_route(&g, piece, 2, INT64_MAX, &r, &err), &err);
        expect(&r, other < 3 ? "0" : "01");
        assert_false(r.gap);
        free(r.take);
    }
}

static void a_newer_generation_beyond_is_seen(void **state)
{
    (void)state;
    static const struct part part[] = { { 1, -1, 110 } };
    static const struct {
        struct dr_generation_id id;
        uint64_t to; /* where the route ends */
        const char *shard;
        bool seen;
    } row[] = {
        { { 1, 1 }, 105, "s", false }, /* its own */
        { { 0, 9 }, 105, "s", false }, { { 1, 2 }, 109, "s", true },  { { 2, 1 }, 109, "s", true },
        { { 2, 1 }, 110, "s", false }, { { 2, 1 }, 105, "t", false },
    };
    const struct dr_generation g = base();
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_located piece[1];
        make(&g, part, 1, piece);
        piece[0].piece.generation = row[i].id;
        (void)strcpy(piece[0].piece.shard, row[i].shard);
        assert_int_equal(dr_chain_newer(&g, piece, 1, row[i].to), row[i].seen);
    }
}

static void the_newest_whole_base_before_the_time_is_chosen(void **state)
{
    (void)state;
    const struct dr_generation g[] = {
        { .id = { 2, 1 }, .ended_ms = 300 },
        { .id = { 1, 2 }, .ended_ms = 200 },
        { .id = { 3, 1 }, .ended_ms = 400 },
        { .id = { 1, 1 }, .ended_ms = 100 },
    };
    static const struct {
        int64_t until;
        bool skip[4];
        size_t want;
    } row[] = {
        { INT64_MAX, { 0 }, 2 },
        { 400, { 0 }, 2 },
        { 399, { 0 }, 0 },
        { 300, { true }, 1 },
        { INT64_MAX, { false, false, true }, 0 },
        { 150, { 0 }, 3 },
        { 100, { 0 }, 3 },
        { 99, { 0 }, SIZE_MAX },
        { INT64_MAX, { true, true, true, true }, SIZE_MAX },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(dr_generation_choose(g, PR_COUNT(g), row[i].skip, row[i].until),
                         row[i].want);
    assert_int_equal(dr_generation_choose(g, PR_COUNT(g), NULL, 399), 0);
    assert_int_equal(dr_generation_choose(g, 0, NULL, INT64_MAX), SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leads_to_the_newest_epoch_and_on),
        cmocka_unit_test(stops_at_the_point_in_time),
        cmocka_unit_test(says_where_it_breaks_off),
        cmocka_unit_test(left_behind_pieces_are_no_gap),
        cmocka_unit_test(the_same_piece_twice_counts_once),
        cmocka_unit_test(others_pieces_do_not_count),
        cmocka_unit_test(a_newer_generation_beyond_is_seen),
        cmocka_unit_test(the_newest_whole_base_before_the_time_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
