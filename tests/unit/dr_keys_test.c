/* Names of objects: what prints reads back, nothing else reads, and names sort by age. */
#include "t.h"

#include "core/keys.h"

#include <stdio.h>
#include <string.h>

#define N63 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

static const struct {
    struct dr_key key;
    const char *text; /* NULL: cannot be printed */
} row[] = {
    { { .kind = DR_KEY_LOG, .cluster = "c", .name = "g.1", .epoch = 255, .seq = 1 },
      "c/log/g.1/00000000000000ff/0000000000000001" },
    { { .kind = DR_KEY_LOG, .cluster = N63, .name = N63, .epoch = UINT64_MAX, .seq = UINT64_MAX },
      N63 "/log/" N63 "/ffffffffffffffff/ffffffffffffffff" },
    { { .kind = DR_KEY_BASE, .cluster = "c", .name = "s", .generation = { 1, 65535 }, .part = 0 },
      "c/base/s/0000000000000001-ffff/00000" },
    { { .kind = DR_KEY_BASE, .cluster = "c", .name = "s", .generation = { 0, 1 }, .part = 0xfffff },
      "c/base/s/0000000000000000-0001/fffff" },
    { { .kind = DR_KEY_GENERATION, .cluster = "_", .name = "-", .generation = { 16, 16 } },
      "_/gen/-/0000000000000010-0010" },
    { { .kind = DR_KEY_MAP, .cluster = "c", .epoch = 1, .seq = 0 },
      "c/map/0000000000000001/0000000000000000" },
    { { .kind = DR_KEY_MAP, .cluster = "log", .epoch = 1, .seq = 0 },
      "log/map/0000000000000001/0000000000000000" },
    { { .kind = DR_KEY_SITE, .cluster = "c", .epoch = 10 }, "c/site/000000000000000a" },
    { { .kind = DR_KEY_FAILOVER, .cluster = "c", .epoch = 1, .seq = 2 },
      "c/failover/0000000000000001/0000000000000002" },
    { { .kind = DR_KEY_SITE, .cluster = "a/b", .epoch = 10 }, NULL },
    { { .kind = DR_KEY_LOG, .cluster = "", .name = "g" }, NULL },
    { { .kind = DR_KEY_LOG, .cluster = "c", .name = "" }, NULL },
    { { .kind = DR_KEY_LOG, .cluster = "c", .name = "a/b" }, NULL },
    { { .kind = DR_KEY_LOG, .cluster = "c", .name = "a b" }, NULL },
    { { .kind = DR_KEY_LOG, .cluster = "c", .name = "\xc3\xa4" }, NULL },
    { { .kind = DR_KEY_GENERATION, .cluster = "c", .name = ".", .generation = { 1, 1 } }, NULL },
    { { .kind = DR_KEY_GENERATION, .cluster = "..", .name = "s", .generation = { 1, 1 } }, NULL },
    { { .kind = DR_KEY_GENERATION, .cluster = "c", .name = "s", .generation = { 1, 0 } }, NULL },
    { { .kind = DR_KEY_BASE, .cluster = "c", .name = "s", .generation = { 1, 65536 } }, NULL },
    { { .kind = DR_KEY_BASE,
        .cluster = "c",
        .name = "s",
        .generation = { 1, 1 },
        .part = 0x100000 },
      NULL },
    { { .kind = (enum dr_key_kind)9, .cluster = "c", .name = "s" }, NULL },
};

static bool same(const struct dr_key *a, const struct dr_key *b)
{
    return a->kind == b->kind && strcmp(a->cluster, b->cluster) == 0 &&
           strcmp(a->name, b->name) == 0 && a->epoch == b->epoch && a->seq == b->seq &&
           dr_generation_compare(&a->generation, &b->generation) == 0 && a->part == b->part;
}

static void what_is_printed_reads_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char text[DR_KEY];
        struct pr_err err = { .text = "" };
        struct dr_key got;
        const enum pr_code rc = dr_key_print(&row[i].key, text, &err);
        assert_int_equal(rc, row[i].text != NULL ? PR_OK : PR_EINVAL);
        if (rc != PR_OK) {
            assert_true(err.text[0] != '\0');
            continue;
        }
        assert_string_equal(text, row[i].text);
        assert_true(dr_key_parse(text, &got));
        assert_true(same(&got, &row[i].key));
    }
}

/* Every byte of every key replaced by every other: what still reads prints as it was read. */
static void nothing_else_reads(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",
        "/",
        "c",
        "c/log",
        "c/log/g/1/2",
        "c/log/g/00000000000000FF/0000000000000001",
        "c/log/g/00000000000000ff/0000000000000001/",
        "/c/log/g/00000000000000ff/0000000000000001",
        "c/log/g/00000000000000ff/00000000000000010",
        "c/gen/s/0000000000000010-0000",
        "c/gen/s/0000000000000010-00010",
        "c/gen/s/0000000000000010_0001",
        "c/gen/s/0000000000000010-0001/00000",
        "c/base/s/0000000000000010-0001",
        "c/base/s/0000000000000010-0001/000000",
        "c/map/g/00000000000000ff/0000000000000001",
        "c/lag/g/00000000000000ff/0000000000000001",
        "c/log/./00000000000000ff/0000000000000001",
        "a/b/c/d/e/f/g/h/i/j/k",
    };
    struct dr_key got;
    for (size_t i = 0; i < PR_COUNT(none); i++)
        if (dr_key_parse(none[i], &got))
            fail_msg("read: %s", none[i]);
    for (size_t i = 0; i < PR_COUNT(row) && row[i].text != NULL; i++) {
        char text[DR_KEY], again[DR_KEY];
        const size_t n = strlen(row[i].text);
        for (size_t at = 0; at < n; at++)
            for (int byte = 0; byte < 256; byte++) {
                memcpy(text, row[i].text, n + 1);
                text[at] = (char)byte;
                if (!dr_key_parse(text, &got))
                    continue;
                assert_int_equal(dr_key_print(&got, again, NULL), PR_OK);
                assert_string_equal(again, text);
            }
    }
}

static void names_sort_in_the_order_of_writing(void **state)
{
    (void)state;
    static const uint64_t at[] = { 0, 1, 9, 10, 15, 16, 255, 65536, UINT64_MAX };
    char before[DR_KEY] = "", text[DR_KEY];
    for (size_t i = 0; i < PR_COUNT(at) * PR_COUNT(at); i++) {
        const struct dr_key k = { .kind = DR_KEY_LOG,
                                  .cluster = "c",
                                  .name = "g",
                                  .epoch = at[i / PR_COUNT(at)],
                                  .seq = at[i % PR_COUNT(at)] };
        assert_int_equal(dr_key_print(&k, text, NULL), PR_OK);
        assert_true(strcmp(before, text) < 0);
        memcpy(before, text, sizeof before);
    }
    static const struct dr_generation_id age[] = {
        { 0, 1 }, { 0, 2 }, { 1, 1 }, { UINT64_MAX, 9 }
    };
    for (size_t a = 0; a < PR_COUNT(age); a++)
        for (size_t b = 0; b < PR_COUNT(age); b++) {
            const int got = dr_generation_compare(&age[a], &age[b]);
            assert_int_equal((got > 0) - (got < 0), (a > b) - (a < b));
        }
}

static void replication_ids_are_forty_digits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
    } ids[] = {
        { "0123456789abcdef0123456789abcdef01234567", true },
        { "0123456789abcdef0123456789abcdef0123456", false },
        { "0123456789abcdef0123456789abcdef012345678", false },
        { "0123456789abcdef0123456789abcdef0123456g", false },
        { "g123456789abcdef0123456789abcdef01234567", false },
        { "0123456789ABCDEF0123456789abcdef01234567", false },
        { "", false },
    };
    for (size_t i = 0; i < PR_COUNT(ids); i++)
        assert_int_equal(dr_replid_ok(ids[i].text), ids[i].ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(nothing_else_reads),
        cmocka_unit_test(names_sort_in_the_order_of_writing),
        cmocka_unit_test(replication_ids_are_forty_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
