/* What may be deleted: floors of shards, and containers. Times are in hours. */
#include "t.h"

#include "dr_make.h"

#include "core/retention.h"

#include <stdlib.h>
#include <string.h>

#define H INT64_C(3600000)
enum { MOST = 6 };

static const struct dr_retention rule = { .now_ms = 1000 * H, .keep_ms = 168 * H }; /* from 832 */

struct gen { /* generation n is of epoch n; its base took an hour */
    int ended, verified;
    bool damaged;
};

static size_t make(const char *shard, const struct gen *g, struct dr_kept *out)
{
    size_t n = 0;
    for (; n < MOST && g[n].ended != 0; n++) {
        out[n] = (struct dr_kept){ .id = { n + 1, 1 },
                                   .begun_ms = (int64_t)(g[n].ended - 1) * H,
                                   .ended_ms = (int64_t)g[n].ended * H,
                                   .verified_ms = (int64_t)g[n].verified * H,
                                   .damaged = g[n].damaged };
        (void)snprintf(out[n].shard, DR_NAME, "%s", shard);
    }
    return n;
}

static void keeps_from_the_newest_verified_before_the_window(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct gen g[MOST];
        uint64_t floor; /* 0: none */
    } row[] = {
        { "one, verified, old", { { 700, 701, false } }, 1 },
        { "one, never verified", { { 700, 0, false } }, 0 },
        { "one, young", { { 900, 901, false } }, 0 },
        { "ended when the window begins", { { 700, 833, false }, { 832, 833, false } }, 2 },
        { "ended 1 h later", { { 700, 833, false }, { 833, 833, false } }, 1 },
        { "the newer is not verified", { { 700, 801, false }, { 800, 0, false } }, 1 },
        { "the newer is damaged", { { 700, 801, false }, { 800, 801, true } }, 1 },
        { "verified before the successor's base ended",
          { { 700, 799, false }, { 800, 0, false } },
          0 },
        { "verified at that moment", { { 700, 800, false }, { 800, 0, false } }, 1 },
        { "damaged since", { { 700, 801, true }, { 800, 0, false } }, 0 },
        { "all verified: the newest before the window",
          { { 600, 900, false }, { 700, 900, false }, { 800, 900, false }, { 900, 901, false } },
          3 },
        { "newer ones are damaged, all of them",
          { { 600, 900, false }, { 700, 900, true }, { 800, 900, true }, { 990, 991, true } },
          1 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_kept kept[MOST];
        struct dr_floor floor[MOST];
        size_t floors;
        const size_t n = make("s", row[i].g, kept);
        dr_retention_floors(&rule, kept, n, floor, &floors);
        assert_int_equal(floors, 1);
        if (floor[0].some != (row[i].floor > 0) ||
            (floor[0].some && floor[0].id.epoch != row[i].floor))
            fail_msg("%s: floor %d, epoch %d", row[i].what, floor[0].some, (int)floor[0].id.epoch);
        for (size_t g = 0; g < n; g++)
            assert_int_equal(dr_retention_drops(floor, 1, "s", &kept[g].id),
                             kept[g].id.epoch < row[i].floor);
    }
}

static void shards_do_not_count_for_each_other(void **state)
{
    (void)state;
    static const struct gen old[MOST] = { { 700, 990, false }, { 800, 990, false } },
                            young[MOST] = { { 900, 990, false } };
    struct dr_kept kept[2 * MOST];
    struct dr_floor floor[2 * MOST];
    size_t floors, n = make("b", old, kept);
    n += make("a", young, kept + n);
    dr_retention_floors(&rule, kept, n, floor, &floors);
    assert_int_equal(floors, 2);
    assert_string_equal(floor[0].shard, "a");
    assert_false(floor[0].some);
    assert_true(floor[1].some);
    const struct dr_generation_id one = { 1, 1 };
    assert_true(dr_retention_drops(floor, floors, "b", &one));
    assert_false(dr_retention_drops(floor, floors, "a", &one));
    assert_false(dr_retention_drops(floor, floors, "c", &one)); /* nobody knows it */
    dr_retention_floors(&rule, kept, 0, floor, &floors);
    assert_int_equal(floors, 0);
    assert_false(dr_retention_drops(floor, 0, "b", &one));
}

static void a_container_goes_when_nobody_needs_it(void **state)
{
    (void)state;
    static const struct gen a[MOST] = { { 600, 990, false }, { 700, 990, false } }, /* from 699 */
        b[MOST] = { { 600, 990, false }, { 800, 990, false } },                     /* from 799 */
        none[MOST] = { { 700, 0, false } };
    static const struct dr_piece old_a = { .shard = "a", .generation = { 1, 1 } },
                                 new_a = { .shard = "a", .generation = { 2, 1 } },
                                 old_b = { .shard = "b", .generation = { 1, 9 } },
                                 of_c = { .shard = "c", .generation = { 0, 1 } };
    const struct {
        int modified;
        bool newest, c; /* a shard without a floor is there, too */
        struct dr_piece piece[2];
        size_t pieces;
        enum dr_verdict read, unread;
    } row[] = {
        { 698, false, false, { old_a, old_b }, 2, DR_GOES, DR_GOES },
        { 698, true, false, { old_a, old_b }, 2, DR_STAYS, DR_STAYS },
        { 698, false, true, { old_a, old_b }, 2, DR_GOES, DR_LOOK },
        { 699, false, false, { old_a, old_b }, 2, DR_GOES, DR_LOOK },
        { 830, false, false, { old_a, old_b }, 2, DR_GOES, DR_LOOK },
        { 831, false, false, { old_a, old_b }, 2, DR_GOES, DR_LOOK },
        { 832, false, false, { old_a, old_b }, 2, DR_STAYS, DR_STAYS }, /* within the window */
        { 750, false, false, { old_a, new_a }, 2, DR_STAYS, DR_LOOK },
        { 750, false, false, { old_b, new_a }, 2, DR_STAYS, DR_LOOK },
        { 750, false, true, { old_b, of_c }, 2, DR_STAYS, DR_LOOK },
        { 750, false, false, { old_b, of_c }, 2, DR_STAYS, DR_LOOK }, /* a stranger's */
        { 750, false, false, { { .from = 0 } }, 0, DR_GOES, DR_LOOK },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_kept kept[3 * MOST];
        struct dr_floor floor[3 * MOST];
        size_t floors, n = make("a", a, kept);
        n += make("b", b, kept + n);
        n += row[i].c ? make("c", none, kept + n) : 0;
        dr_retention_floors(&rule, kept, n, floor, &floors);
        struct dr_held c = { .modified_ms = (int64_t)row[i].modified * H, .newest = row[i].newest };
        const enum dr_verdict unread = dr_retention_container(&rule, floor, floors, &c);
        c.piece = row[i].piece;
        c.pieces = row[i].pieces;
        const enum dr_verdict read = dr_retention_container(&rule, floor, floors, &c);
        if (unread != row[i].unread || read != row[i].read)
            fail_msg("row %zu: %d unread, %d read", i, (int)unread, (int)read);
    }
    const struct dr_held c = { .modified_ms = 0 };
    assert_int_equal(dr_retention_container(&rule, NULL, 0, &c), DR_LOOK); /* nothing is known */
}

static void a_base_of_a_lost_lease_is_heeded(void **state)
{
    (void)state; /* epoch 2's base began before epoch 1's: what epoch 2 shipped then stays */
    struct dr_kept kept[] = {
        { "a", { 1, 1 }, 700 * H, 710 * H, 990 * H, false },
        { "a", { 2, 1 }, 600 * H, 610 * H, 0, false },
    };
    struct dr_floor floor[2];
    size_t floors;
    dr_retention_floors(&rule, kept, 2, floor, &floors);
    assert_true(floor[0].some && floor[0].id.epoch == 1);
    assert_int_equal(floor[0].begun_ms, 600LL * H);
}

static void parts_without_a_manifest_go_after_a_day(void **state)
{
    (void)state;
    assert_false(dr_retention_orphan(&rule, rule.now_ms));
    assert_false(dr_retention_orphan(&rule, rule.now_ms - 24 * H));
    assert_true(dr_retention_orphan(&rule, rule.now_ms - 24 * H - 1));
}

static void an_object_of_taken_slots_goes_months_before_all_floors(void **state)
{
    (void)state;
    const struct dr_floor floor[] = { { .shard = "a", .some = true, .begun_ms = 9000 * H },
                                      { .shard = "b", .some = true, .begun_ms = 8000 * H } },
                          none[] = { floor[0], { .shard = "b", .some = false } };
    const int64_t last = 8000 * H - DR_SKEW_MS - DR_MAP_MS;
    const struct {
        const char *what;
        const struct dr_floor *floor;
        size_t floors;
        uint64_t live;
        struct dr_held_map m;
        bool goes;
    } row[] = {
        { "old enough", floor, 2, 0, { 7, last, false }, true },
        { "a moment too young", floor, 2, 0, { 7, last + 1, false }, false },
        { "the newest", floor, 2, 0, { 7, last, true }, false },
        { "below those on their way", floor, 2, 8, { 7, last, false }, true },
        { "on its way", floor, 2, 7, { 7, last, false }, false },
        { "begun after one on its way", floor, 2, 6, { 7, last, false }, false },
        { "a shard keeps everything", none, 2, 0, { 7, last, false }, false },
        { "no shard", floor, 0, 0, { 7, last, false }, false },
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        if (dr_retention_map(row[i].floor, row[i].floors, row[i].live, &row[i].m) != row[i].goes)
            fail_msg("%s", row[i].what);
}

static void an_earlier_life_goes_when_this_one_has_the_window(void **state)
{
    (void)state;
    const struct dr_floor floor[] = { { .shard = "a", .some = true },
                                      { .shard = "b", .some = true },
                                      { .shard = "c", .some = false } };
    const int64_t last = rule.now_ms - rule.keep_ms - DR_SKEW_MS - 1;
    const struct {
        const char *what;
        size_t floors;
        bool bare;
        int64_t claim_ms;
        bool goes;
    } row[] = {
        { "long ago", 2, false, last, true },
        { "within the window", 2, false, last + 1, false },
        { "a shard is not verified yet", 3, false, last, false },
        { "a shard has no generation yet", 2, true, last, false },
        { "nothing is shipped here yet", 0, false, last, false },
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        if (dr_retention_life(&rule, floor, row[i].floors, row[i].bare, row[i].claim_ms) !=
            row[i].goes)
            fail_msg("%s", row[i].what);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_from_the_newest_verified_before_the_window),
        cmocka_unit_test(shards_do_not_count_for_each_other),
        cmocka_unit_test(a_container_goes_when_nobody_needs_it),
        cmocka_unit_test(a_base_of_a_lost_lease_is_heeded),
        cmocka_unit_test(parts_without_a_manifest_go_after_a_day),
        cmocka_unit_test(an_earlier_life_goes_when_this_one_has_the_window),
        cmocka_unit_test(an_object_of_taken_slots_goes_months_before_all_floors),
    };
    return cmocka_run_group_tests_name("dr retention", tests, NULL, NULL);
}
