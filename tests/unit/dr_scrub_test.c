/* Following pieces in the order in which they are read. */
#include "t.h"

#include "dr_make.h"

#include "core/scrub.h"

#include <string.h>

enum { N = 5 };

static void make(struct dr_generation *g, struct dr_piece *p)
{
    static const char raw[] = "some bytes";
    *g = (struct dr_generation){
        .cluster = "c", .shard = "s", .id = { 3, 1 }, .replid = DR_REPLID_A, .offset = 100
    };
    dr_generation_seal(g);
    for (int i = 0; i < N; i++)
        p[i] = dr_make_piece("s", i > 0 ? p[i - 1].to : g->offset, raw, sizeof raw,
                             i > 0 ? p[i - 1].chain : g->chain);
}

static void is_sure_of_what_hangs_together(void **state)
{
    (void)state;
    static const struct {
        const char *order;
        int reached; /* pieces, while sure */
        bool unsure;
    } row[] = {
        { "", 0, false },    { "01234", 5, false }, { "012", 3, false }, /* the end is open */
        { "0134", 2, true }, { "1234", 0, true },   { "0011", 1, true },
        { "10", 1, true }, /* out of turn: the chain will tell */
    };
    struct dr_generation g;
    struct dr_piece p[N];
    make(&g, p);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_follow f;
        dr_follow_init(&f, &g);
        for (const char *c = row[i].order; *c != '\0'; c++)
            dr_follow_piece(&f, &p[*c - '0']);
        const uint64_t to = row[i].reached > 0 ? p[row[i].reached - 1].to : g.offset;
        if (f.unsure != row[i].unsure || (!f.unsure && f.to != to))
            fail_msg("%s: unsure %d at %llu", row[i].order, f.unsure, (unsigned long long)f.to);
    }
}

static void another_chain_is_not_followed(void **state)
{
    (void)state;
    struct dr_generation g;
    struct dr_piece p[N];
    struct dr_follow f;
    make(&g, p);
    p[1].chain[DR_HASH - 1] ^= 1;
    dr_follow_init(&f, &g);
    dr_follow_piece(&f, &p[0]);
    assert_false(f.unsure);
    dr_follow_piece(&f, &p[1]);
    assert_true(f.unsure);
    assert_int_equal(f.to, p[0].to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_sure_of_what_hangs_together),
        cmocka_unit_test(another_chain_is_not_followed),
    };
    return cmocka_run_group_tests_name("dr scrub", tests, NULL, NULL);
}
