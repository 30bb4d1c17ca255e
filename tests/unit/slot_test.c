#include "t.h"

#include "prism/slot.h"

#include <stdio.h>
#include <string.h>

static void crc16_matches_the_specification(void **state)
{
    (void)state;
    assert_int_equal(pr_crc16("123456789", 9), 0x31c3); /* Redis Cluster specification */
    assert_int_equal(pr_crc16("", 0), 0);
}

static void only_the_first_nonempty_tag_counts(void **state)
{
    (void)state;
    static const struct {
        const char *key, *hashed;
    } row[] = {
        { "foo", "foo" },
        { "{user1000}.following", "user1000" },
        { "foo{}{bar}", "foo{}{bar}" },
        { "foo{{bar}}zap", "{bar" },
        { "foo{bar}{zap}", "bar" },
        { "open{never", "open{never" },
        { "}{a}", "a" },
        { "", "" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(pr_slot_of_key(row[i].key, strlen(row[i].key)),
                         pr_crc16(row[i].hashed, strlen(row[i].hashed)) % PR_SLOTS);
}

static void a_partitions_keys_are_in_its_slot(void **state)
{
    (void)state;
    static const uint32_t row[] = { 0, 9, 10, 4095, 63999, PR_MAX_PARTITIONS - 1 };
    char key[PR_MAX_KEY_BYTES];
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        size_t n = pr_key_vertex(key, row[i], "42", 2);
        assert_int_equal(pr_slot_of_key(key, n), pr_partition_slot(row[i]));
        n = pr_key_staging(key, row[i], "42", 2, 7);
        assert_int_equal(pr_slot_of_key(key, n), pr_partition_slot(row[i]));
    }
}

static void keys_have_the_contracts_form(void **state)
{
    (void)state;
    char key[PR_MAX_KEY_BYTES], id[PR_MAX_ID_BYTES];
    assert_int_equal(pr_key_vertex(key, 17, "ab", 2), strlen("{p17}v:ab"));
    assert_string_equal(key, "{p17}v:ab");
    pr_key_staging(key, 0, "x", 1, UINT64_MAX);
    assert_string_equal(key, "{p0}g:x:18446744073709551615");

    memset(id, 'z', sizeof id); /* the longest key there can be */
    size_t n = pr_key_staging(key, PR_MAX_PARTITIONS - 1, id, sizeof id, UINT64_MAX);
    assert_true(n < PR_MAX_KEY_BYTES);
}

static void vertex_keys_parse_back(void **state)
{
    (void)state;
    char key[PR_MAX_KEY_BYTES];
    uint32_t p;
    const char *id;
    size_t id_len;
    size_t n = pr_key_vertex(key, 4095, "user:1", 6);
    assert_true(pr_key_parse_vertex(key, n, &p, &id, &id_len));
    assert_int_equal(p, 4095);
    assert_int_equal(id_len, 6);
    assert_memory_equal(id, "user:1", 6);
}

static void staging_keys_parse_back(void **state)
{
    (void)state;
    static const struct {
        const char *key, *id;
        uint32_t p;
        uint64_t epoch;
    } row[] = {
        { "{p7}g:user:1:42", "user:1", 7, 42 },
        { "{p7}g:user:1:0", "user:1", 7, 0 },
        { "{p1}g:a:9007199254740991", "a", 1, 9007199254740991 },
        /* none */
        { "{p7}g:user:", NULL, 0, 0 },
        { "{p7}g::1", NULL, 0, 0 },
        { "{p7}g:a", NULL, 0, 0 },
        { "{p7}g:1", NULL, 0, 0 },
        { "{p7}g:a:07", NULL, 0, 0 },
        { "{p7}v:a:7", NULL, 0, 0 },
        { "{p7}g:a b:7", NULL, 0, 0 },
        { "{p7}g:a:10000000000000000", NULL, 0, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        uint32_t p;
        uint64_t epoch;
        const char *id;
        size_t n;
        const bool is = pr_key_parse_staging(row[i].key, strlen(row[i].key), &p, &id, &n, &epoch);
        assert_int_equal(is, row[i].id != NULL);
        if (!is)
            continue;
        assert_int_equal(p, row[i].p);
        assert_int_equal(epoch, row[i].epoch);
        assert_int_equal(n, strlen(row[i].id));
        assert_memory_equal(id, row[i].id, n);
    }
}

static void other_keys_are_not_vertices(void **state)
{
    (void)state;
    static const char *const row[] = { "",
                                       "{p1}v:",
                                       "{p1}g:a:3",
                                       "{p}v:a",
                                       "{p01}v:a",
                                       "{p-1}v:a",
                                       "{p1048576}v:a",
                                       "{q1}v:a",
                                       "{p1}v:a b",
                                       "p1}v:a",
                                       "{p1}v:{x}",
                                       "{p1}w:a",
                                       "{p99999999999999999999}v:a" };
    uint32_t p;
    const char *id;
    size_t n;
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (pr_key_parse_vertex(row[i], strlen(row[i]), &p, &id, &n))
            fail_msg("row %zu was taken for a vertex key: %s", i, row[i]);
}

static void ids_are_bounded_and_printable(void **state)
{
    (void)state;
    char id[PR_MAX_ID_BYTES + 1];
    memset(id, 'a', sizeof id);
    assert_true(pr_vertex_id_valid(id, PR_MAX_ID_BYTES));
    assert_false(pr_vertex_id_valid(id, PR_MAX_ID_BYTES + 1));
    assert_false(pr_vertex_id_valid(id, 0));
    assert_false(pr_vertex_id_valid("a b", 3));
    assert_false(pr_vertex_id_valid("a\0b", 3));
    assert_false(pr_vertex_id_valid("{a", 2));
    assert_false(pr_vertex_id_valid("\xc3\xa9", 2));
    assert_true(pr_vertex_id_valid("user:42/x~!", 11));
}

static void hash_is_xxh64_seed_0(void **state)
{
    (void)state;
    assert_true(pr_vertex_hash("", 0) == 0xef46db3751d8e999ULL);
    assert_true(pr_vertex_hash("a", 1) == 0xd24ec4f1a98c6e5bULL);
    assert_int_equal(pr_home_partition(0xef46db3751d8e999ULL, 4096), 0x999);
    assert_int_equal(pr_home_partition(UINT64_MAX, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc16_matches_the_specification),
        cmocka_unit_test(only_the_first_nonempty_tag_counts),
        cmocka_unit_test(a_partitions_keys_are_in_its_slot),
        cmocka_unit_test(keys_have_the_contracts_form),
        cmocka_unit_test(vertex_keys_parse_back),
        cmocka_unit_test(staging_keys_parse_back),
        cmocka_unit_test(other_keys_are_not_vertices),
        cmocka_unit_test(ids_are_bounded_and_printable),
        cmocka_unit_test(hash_is_xxh64_seed_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
