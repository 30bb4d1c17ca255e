/* The ledger of acknowledged writes. */
#include "prism/dp/ledger.h"
#include "t.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void values_grow_per_vertex_and_writer(void **state)
{
    (void)state;
    struct dp_ledger l;
    uint64_t v;
    size_t e, other;
    dp_ledger_init(&l, 100, false);
    assert_int_equal(dp_ledger_attempt(&l, "7", "w0", &v, &e), PR_OK);
    assert_int_equal(v, 101);
    dp_ledger_acked(&l, e);
    assert_int_equal(dp_ledger_attempt(&l, "7", "w0", &v, &e), PR_OK);
    assert_int_equal(v, 102);
    assert_int_equal(dp_ledger_attempt(&l, "7", "w1", &v, &other), PR_OK);
    assert_int_equal(v, 101);
    assert_true(other != e);
    assert_int_equal(l.entry[e].acked, 101);
    assert_int_equal(l.entry[e].attempted, 102);
    assert_int_equal(l.entry[other].acked, 0);
    dp_ledger_done(&l);
}

static void one_write_of_a_vertex_is_in_flight_at_a_time(void **state)
{
    (void)state;
    struct dp_ledger l;
    uint64_t v;
    size_t e;
    dp_ledger_init(&l, 0, false);
    assert_int_equal(dp_ledger_attempt(&l, "7", "w", &v, &e), PR_OK);
    assert_int_equal(dp_ledger_attempt(&l, "7", "w", &v, &e), PR_ECONFLICT);
    dp_ledger_refused(&l, e);
    assert_int_equal(dp_ledger_attempt(&l, "7", "w", &v, &e), PR_OK);
    assert_int_equal(v, 2); /* a refused value is not used again */
    dp_ledger_done(&l);
}

static void a_write_of_unknown_effect_closes_its_vertex(void **state)
{
    (void)state;
    struct dp_ledger l;
    uint64_t v;
    size_t e;
    dp_ledger_init(&l, 0, false);
    assert_int_equal(dp_ledger_attempt(&l, "7", "w", &v, &e), PR_OK);
    dp_ledger_acked(&l, e);
    assert_int_equal(dp_ledger_attempt(&l, "7", "w", &v, &e), PR_OK);
    dp_ledger_unknown(&l, e);
    assert_int_equal(dp_ledger_attempt(&l, "7", "w", &v, &e), PR_ECONFLICT);
    assert_int_equal(dp_ledger_judge(&l.entry[e], true, 1), DP_KEPT); /* either is right */
    assert_int_equal(dp_ledger_judge(&l.entry[e], true, 2), DP_KEPT);
    dp_ledger_done(&l);
}

static void judges_what_the_store_holds(void **state)
{
    (void)state;
    static const struct {
        uint64_t attempted, acked, value;
        bool found;
        enum dp_verdict want;
    } row[] = {
        { 5, 5, 5, true, DP_KEPT },  { 5, 5, 4, true, DP_LOST },     { 5, 5, 0, true, DP_LOST },
        { 5, 5, 5, false, DP_LOST }, { 5, 3, 3, true, DP_KEPT },     { 5, 3, 5, true, DP_KEPT },
        { 5, 3, 2, true, DP_LOST },  { 5, 3, 6, true, DP_INVENTED }, { 5, 0, 0, true, DP_KEPT },
        { 5, 0, 5, true, DP_KEPT },  { 5, 0, 0, false, DP_LOST }, /* the vertex itself is gone */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct dp_entry e = { .attempted = row[i].attempted, .acked = row[i].acked };
        assert_int_equal(dp_ledger_judge(&e, row[i].found, row[i].value), row[i].want);
    }
}

static void many_vertices_keep_their_own_values(void **state)
{
    (void)state;
    struct dp_ledger l;
    dp_ledger_init(&l, 0, false);
    for (int round = 1; round <= 3; round++)
        for (int i = 0; i < 5000; i++) {
            char id[16];
            uint64_t v;
            size_t e;
            (void)snprintf(id, sizeof id, "%d", i);
            assert_int_equal(dp_ledger_attempt(&l, id, "w", &v, &e), PR_OK);
            assert_int_equal(v, round);
            assert_string_equal(l.entry[e].vertex, id);
            dp_ledger_acked(&l, e);
        }
    assert_int_equal(l.n, 5000);
    dp_ledger_done(&l);
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void a_file_gives_back_what_was_flushed(void **state)
{
    (void)state;
    char path[] = "/tmp/ledger_test.XXXXXX";
    const int fd = mkstemp(path);
    struct dp_ledger l, back;
    struct pr_err err;
    uint64_t v;
    size_t e;
    assert_true(fd >= 0);
    dp_ledger_init(&l, 10, true);
    assert_int_equal(dp_ledger_attempt(&l, "a", "w0", &v, &e), PR_OK);
    assert_ok(dp_ledger_flush(&l, fd, path, &err), &err);
    dp_ledger_acked(&l, e);
    assert_int_equal(dp_ledger_attempt(&l, "a", "w0", &v, &e), PR_OK);
    assert_int_equal(dp_ledger_attempt(&l, "b", "w0", &v, &e), PR_OK);
    assert_ok(dp_ledger_flush(&l, fd, path, &err), &err);
    put(fd, "A b w0 9"); /* cut off by a crash */

    dp_ledger_init(&back, 0, false);
    assert_ok(dp_ledger_read(&back, path, &err), &err);
    assert_int_equal(back.n, 2);
    assert_string_equal(back.entry[0].vertex, "a");
    assert_int_equal(back.entry[0].attempted, 12);
    assert_int_equal(back.entry[0].acked, 11);
    assert_int_equal(back.entry[1].attempted, 11);
    assert_int_equal(back.entry[1].acked, 0);
    dp_ledger_done(&back);

    put(fd, "\nnonsense\n");
    dp_ledger_init(&back, 0, false);
    assert_int_equal(dp_ledger_read(&back, path, &err), PR_EDATA);
    assert_non_null(strstr(err.text, "line 6"));
    assert_non_null(strstr(err.text, path));
    dp_ledger_done(&back);
    dp_ledger_done(&l);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
    dp_ledger_init(&back, 0, false);
    assert_ok(dp_ledger_read(&back, path, &err), &err); /* missing is empty */
    assert_int_equal(back.n, 0);
    dp_ledger_done(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_grow_per_vertex_and_writer),
        cmocka_unit_test(one_write_of_a_vertex_is_in_flight_at_a_time),
        cmocka_unit_test(a_write_of_unknown_effect_closes_its_vertex),
        cmocka_unit_test(judges_what_the_store_holds),
        cmocka_unit_test(many_vertices_keep_their_own_values),
        cmocka_unit_test(a_file_gives_back_what_was_flushed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
