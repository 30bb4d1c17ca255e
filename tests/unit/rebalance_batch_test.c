/* The packed form of a batch. */
#include "t.h"

#include "core/vertex/batch.h"

#include "prism/slot.h"

#include <string.h>

enum { PARTITIONS = 64, MAX = 16 };

static enum pr_code unpack(const struct pr_buf *b, struct rebalance_vertex *out, size_t *n,
                           struct pr_err *err)
{
    return rebalance_batch_unpack(b->data, b->len, PARTITIONS, out, MAX, n, err);
}

static void what_was_packed_is_unpacked(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        uint32_t from, to;
    } row[] = { { "1", 0, 63 }, { "alice", 7, 8 }, { "x:y", 63, 0 } };
    struct pr_buf b;
    struct rebalance_vertex v[MAX];
    struct pr_err err = { 0 };
    size_t n = 0;
    pr_buf_init(&b, 0);
    for (size_t i = 0; i < PR_COUNT(row); i++)
        rebalance_batch_add(&b, row[i].id, strlen(row[i].id), row[i].from, row[i].to);
    assert_ok(unpack(&b, v, &n, &err), &err);
    assert_int_equal(n, PR_COUNT(row));
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        size_t k = 0; /* they come in the order of hashes */
        while (k < n &&
               (v[k].id_len != strlen(row[i].id) || memcmp(v[k].id, row[i].id, v[k].id_len) != 0))
            k++;
        assert_true(k < n);
        assert_int_equal(v[k].from, row[i].from);
        assert_int_equal(v[k].to, row[i].to);
    }
    for (size_t k = 1; k < n; k++)
        assert_true(pr_vertex_hash(v[k - 1].id, v[k - 1].id_len) <
                    pr_vertex_hash(v[k].id, v[k].id_len));
    pr_buf_done(&b);
}

static void longest_id_fits(void **state)
{
    (void)state;
    char id[PR_MAX_ID_BYTES];
    struct pr_buf b;
    struct rebalance_vertex v[MAX];
    struct pr_err err = { 0 };
    size_t n = 0;
    memset(id, 'z', sizeof id);
    pr_buf_init(&b, 0);
    rebalance_batch_add(&b, id, sizeof id, 1, 2);
    assert_ok(unpack(&b, v, &n, &err), &err);
    assert_int_equal(v[0].id_len, PR_MAX_ID_BYTES);
    pr_buf_done(&b);
}

static void vertex_named_twice_is_given_once(void **state)
{
    (void)state;
    struct pr_buf b;
    struct rebalance_vertex v[MAX];
    struct pr_err err = { 0 };
    size_t n = 0;
    pr_buf_init(&b, 0);
    rebalance_batch_add(&b, "a", 1, 1, 2);
    rebalance_batch_add(&b, "b", 1, 1, 2);
    rebalance_batch_add(&b, "a", 1, 1, 2);
    assert_ok(unpack(&b, v, &n, &err), &err);
    assert_int_equal(n, 2);
    pr_buf_done(&b);
}

static void empty_batch_is_no_vertices(void **state)
{
    (void)state;
    struct rebalance_vertex v[MAX];
    struct pr_err err = { 0 };
    size_t n = 7;
    assert_ok(rebalance_batch_unpack("", 0, PARTITIONS, v, MAX, &n, &err), &err);
    assert_int_equal(n, 0);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    struct pr_buf b;
    struct rebalance_vertex v[MAX];
    struct pr_err err = { 0 };
    size_t n;
    pr_buf_init(&b, 0);
    rebalance_batch_add(&b, "abc", 3, 1, 2);
    for (size_t cut = 1; cut < b.len; cut++) {
        const enum pr_code rc = rebalance_batch_unpack(b.data, cut, PARTITIONS, v, MAX, &n, &err);
        assert_int_equal(rc, PR_EDATA);
        assert_non_null(strstr(err.text, "cut at byte 0"));
    }
    pr_buf_done(&b);
}

static void bad_entries_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        uint32_t from, to;
        const char *why;
    } row[] = { { "a", 64, 1, "partition 64" },
                { "a", 1, 64, "to 64" },
                { "a", 5, 5, "from partition 5 to 5" },
                { "a{", 1, 2, "bad vertex id" },
                { "", 1, 2, "bad vertex id" } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_buf b;
        struct rebalance_vertex v[MAX];
        struct pr_err err = { 0 };
        size_t n;
        pr_buf_init(&b, 0);
        rebalance_batch_add(&b, row[i].id, strlen(row[i].id), row[i].from, row[i].to);
        assert_int_equal(unpack(&b, v, &n, &err), PR_EDATA);
        if (strstr(err.text, row[i].why) == NULL)
            fail_msg("row %zu: %s", i, err.text);
        pr_buf_done(&b);
    }
}

static void too_many_vertices_are_refused(void **state)
{
    (void)state;
    struct pr_buf b;
    struct rebalance_vertex v[2];
    struct pr_err err = { 0 };
    size_t n;
    pr_buf_init(&b, 0);
    for (char c = 'a'; c <= 'c'; c++)
        rebalance_batch_add(&b, &c, 1, 1, 2);
    assert_int_equal(rebalance_batch_unpack(b.data, b.len, PARTITIONS, v, 2, &n, &err), PR_EFULL);
    pr_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_is_unpacked),
        cmocka_unit_test(longest_id_fits),
        cmocka_unit_test(vertex_named_twice_is_given_once),
        cmocka_unit_test(empty_batch_is_no_vertices),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(bad_entries_are_refused),
        cmocka_unit_test(too_many_vertices_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
