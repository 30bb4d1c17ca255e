/* Manifests and base parts: what is written reads back; what cannot be is named. */
#include "t.h"

#include "dr_make.h"

#include "format/manifest.h"

#include <string.h>

static void fill(struct dr_generation *g, const struct dr_codec *codec)
{
    struct pr_buf stored;
    struct pr_err err;
    pr_buf_init(&stored, 0);
    for (size_t i = 0; i < g->parts; i++) {
        char raw[300];
        memset(raw, (int)('a' + i), sizeof raw);
        assert_ok(
            dr_part_write(g, (uint32_t)i, raw, sizeof raw - i, codec, &g->part[i], &stored, &err),
            &err);
        assert_int_equal(g->part[i].stored_bytes, stored.len);
    }
    dr_generation_seal(g);
    pr_buf_done(&stored);
}

static void expect_same(const struct dr_generation *a, const struct dr_generation *b)
{
    struct dr_generation x = *a, y = *b;
    assert_memory_equal(a->part, b->part, a->parts * sizeof *a->part);
    x.part = y.part = NULL;
    assert_memory_equal(&x, &y, sizeof x); /* texts are zeroed behind their ends */
}

static void a_manifest_reads_back(void **state)
{
    (void)state;
    static const struct {
        size_t parts;
        uint64_t keys, offset;
        int fill; /* of the slots; -1: as made */
    } row[] = {
        { 1, 42, 0, -1 },          { 3, UINT64_MAX, INT64_MAX, 0 }, { 2, 0, 1, 0xff },
        { 2, INT64_MAX, 1, 0x55 }, { DR_PARTS_MAX, 7, 99, -1 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_generation g = dr_make_generation(row[i].parts), got;
        struct pr_buf text;
        struct pr_err err;
        g.keys = row[i].keys;
        g.offset = row[i].offset;
        if (row[i].fill >= 0)
            memset(g.slots, row[i].fill, sizeof g.slots);
        if (row[i].parts < 10)
            fill(&g, &dr_make_codec[i % PR_COUNT(dr_make_codec)]);
        else
            for (size_t k = 0; k < g.parts; k++)
                g.part[k] = (struct dr_part){ .bytes = 1 + k, .stored_bytes = 9 };
        dr_generation_seal(&g);
        pr_buf_init(&text, 0);
        assert_ok(dr_generation_write(&g, &text, &err), &err);
        assert_ok(dr_generation_read(text.data, text.len, &got, &err), &err);
        expect_same(&g, &got);
        dr_generation_done(&got);
        dr_generation_done(&g);
        pr_buf_done(&text);
    }
}

static void a_person_can_read_it(void **state)
{
    (void)state;
    struct dr_generation g = dr_make_generation(1);
    struct pr_buf text;
    struct pr_err err;
    fill(&g, NULL);
    pr_buf_init(&text, 0);
    assert_ok(dr_generation_write(&g, &text, &err), &err);
    static const char want[] =
        "{\"format\": 1,\n \"cluster\": \"demo\",\n \"shard\": \"shard-1\",\n \"group\": \"g0\",\n"
        " \"generation\": \"0000000000000007-0002\",\n \"replid\": \"" DR_REPLID_A "\",\n"
        " \"offset\": 123456,\n \"begun_ms\": 1700000000000,\n \"ended_ms\": 1700000005000,\n"
        " \"source\": \"127.0.0.1:7401\",\n \"server_version\": \"7.0.15\",\n \"keys\": 42,\n"
        " \"slot_epoch\": 9,\n \"slots\": [[0, 5455], [16376, 16376], [16383, 16383]],\n"
        " \"parts\": [\n  {\"bytes\": 300, \"stored_bytes\": 300, \"flags\": 0, \"crc32c\": \"";
    assert_memory_equal(text.data, want, sizeof want - 1);
    dr_generation_done(&g);
    pr_buf_done(&text);
}

static void no_shard(struct dr_generation *g)
{
    g->shard[0] = '\0';
}
static void no_group(struct dr_generation *g)
{
    g->group[0] = '/';
}
static void no_cluster(struct dr_generation *g)
{
    (void)strcpy(g->cluster, "..");
}
static void no_generation(struct dr_generation *g)
{
    g->id.n = 0;
}
static void no_replid(struct dr_generation *g)
{
    g->replid[3] = 'G';
}
static void no_offset(struct dr_generation *g)
{
    g->offset = UINT64_C(1) << 63;
}
static void no_source(struct dr_generation *g)
{
    g->source[0] = '\0';
}
static void no_source_end(struct dr_generation *g)
{
    memset(g->source, 'a', sizeof g->source);
}
static void no_version(struct dr_generation *g)
{
    (void)strcpy(g->server_version, "7\"0");
}
static void no_version_line(struct dr_generation *g)
{
    (void)strcpy(g->server_version, "7\n0");
}
static void no_keys(struct dr_generation *g)
{
    g->keys = UINT64_MAX - 1;
}
static void no_slot_epoch(struct dr_generation *g)
{
    g->slot_epoch = UINT64_MAX;
}
static void no_parts(struct dr_generation *g)
{
    g->parts = 0;
}
static void no_bytes(struct dr_generation *g)
{
    g->part[1].bytes = 0;
}
static void no_stored(struct dr_generation *g)
{
    g->part[1].stored_bytes = 0;
}
static void no_flags(struct dr_generation *g)
{
    g->part[1].flags = 4;
}

static void what_cannot_be_is_named(void **state)
{
    (void)state;
    static const struct {
        void (*spoil)(struct dr_generation *);
        const char *field;
    } row[] = {
        { no_shard, "shard" },     { no_group, "group" },
        { no_cluster, "cluster" }, { no_generation, "generation" },
        { no_replid, "replid" },   { no_offset, "offset" },
        { no_source, "source" },   { no_source_end, "source" },
        { no_version, "version" }, { no_version_line, "version" },
        { no_keys, "keys" },       { no_slot_epoch, "slot_epoch" },
        { no_parts, "parts" },     { no_bytes, "parts" },
        { no_stored, "parts" },    { no_flags, "parts" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_generation g = dr_make_generation(2);
        struct pr_buf text;
        struct pr_err err = { .text = "" };
        fill(&g, NULL);
        pr_buf_init(&text, 0);
        row[i].spoil(&g);
        assert_int_equal(dr_generation_write(&g, &text, &err), PR_EINVAL);
        assert_non_null(strstr(err.text, row[i].field));
        dr_generation_done(&g);
        pr_buf_done(&text);
    }
}

/* Of text[] with a proper check behind it. */
static enum pr_code read_checked(const char *members, struct pr_err *err)
{
    struct dr_generation got;
    struct pr_buf text;
    uint8_t check[DR_HASH];
    pr_buf_init(&text, 0);
    pr_buf_str(&text, members);
    dr_sha256(text.data, text.len, check);
    pr_buf_str(&text, " \"check\": \"");
    for (size_t i = 0; i < DR_HASH; i++)
        pr_buf_printf(&text, "%02x", check[i]);
    pr_buf_str(&text, "\"}\n");
    const enum pr_code rc = dr_generation_read(text.data, text.len, &got, err);
    if (rc == PR_OK)
        dr_generation_done(&got);
    pr_buf_done(&text);
    return rc;
}

/* Rightly checked, but another format's, or by somebody else. */
static void other_manifests_are_refused(void **state)
{
    (void)state;
    struct dr_generation g = dr_make_generation(2);
    struct pr_buf text;
    struct pr_err err;
    static const struct {
        const char *from, *to, *why;
    } row[] = {
        { "\"format\": 1", "\"format\": 2", "format" },
        { "\"format\": 1", "\"format\": \"1\"", "format" },
        { "{\"format\": 1,", "{", "format" },
        { "{\"format\": 1,", "[{\"format\": 1,", "line" },
        { "\"cluster\": \"demo\"", "\"cluster\": \"\"", "cluster" },
        { "\"cluster\": \"demo\"", "\"cluster\": 5", "cluster" },
        { "\"cluster\": \"demo\"", "\"cluster\": \"omed\"", "chain" },
        { "\"shard\": \"shard-1\"", "\"shard\": \"shard-2\"", "chain" },
        { "0000000000000007-0002", "0000000000000007-0003", "chain" },
        { "0000000000000007-0002", "0000000000000007-0000", "generation" },
        { "\"offset\": 123456", "\"offset\": 123457", "chain" },
        { "\"offset\": 123456", "\"offset\": -1", "offset" },
        { "\"offset\": 123456", "\"offset\": 1.5", "offset" },
        { "\"offset\": 123456", "\"offset\": 9223372036854775808", "line" },
        { "\"keys\": 42", "\"keys\": -2", "keys" },
        { "\"keys\": 42,", "", "keys" },
        { "[0, 5455]", "[0, 16384]", "slots" },
        { "[0, 5455]", "[5, 4]", "slots" },
        { "[0, 5455]", "[-1, 4]", "slots" },
        { "[0, 5455]", "[0, 5455], [5455, 6000]", "slots" },
        { "[0, 5455]", "[0, 5455, 5]", "slots" },
        { "[0, 5455]", "7", "slots" },
        { "\"flags\": 0", "\"flags\": 4", "parts" },
        { "\"flags\": 0", "\"flags\": 4294967296", "flags" },
        { "\"flags\": 0", "\"flags\": 0, \"more\": 1", "parts" },
        { "\"bytes\": 300", "\"bytes\": 301", "chain" },
        { "\"crc32c\": \"", "\"crc32c\": \"0", "crc32c" },
        { "\"crc32c\": \"", "\"crc32c\": \"z", "crc32c" },
        { "\"slot_epoch\": 9", "\"slot_epoch\": 9, \"more\": 1", "member" },
        { "\"slot_epoch\": 9", "\"slot_epoch\": 9, \"slot_epoch\": 9", "line" },
    };
    fill(&g, NULL);
    pr_buf_init(&text, 0);
    assert_ok(dr_generation_write(&g, &text, &err), &err);
    *strstr(text.data, " \"check\"") = '\0';
    assert_ok(read_checked(text.data, &err), &err);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_buf other;
        const char *at = strstr(text.data, row[i].from);
        assert_non_null(at);
        pr_buf_init(&other, 0);
        pr_buf_add(&other, text.data, (size_t)(at - text.data));
        pr_buf_str(&other, row[i].to);
        pr_buf_str(&other, at + strlen(row[i].from));
        assert_int_equal(read_checked(other.data, &err), PR_EDATA);
        if (strstr(err.text, row[i].why) == NULL)
            fail_msg("row %zu: \"%s\" says nothing of %s", i, err.text, row[i].why);
        pr_buf_done(&other);
    }
    pr_buf_done(&text);
    dr_generation_done(&g);
}

static void a_part_opens_only_as_itself(void **state)
{
    (void)state;
    for (size_t k = 0; k < PR_COUNT(dr_make_codec); k++) {
        struct dr_generation g = dr_make_generation(2);
        struct pr_buf stored, room;
        struct pr_err err;
        char bytes[500];
        const char *raw;
        const bool secret = dr_make_codec[k].aes_key != NULL;
        memset(bytes, 'x', sizeof bytes);
        pr_buf_init(&stored, 0);
        pr_buf_init(&room, 0);
        assert_int_equal(dr_part_write(&g, 0, bytes, 0, NULL, g.part, &stored, &err), PR_EINVAL);
        assert_int_equal(dr_part_write(&g, DR_PARTS_MAX, bytes, 1, NULL, g.part, &stored, &err),
                         PR_EINVAL);
        assert_ok(
            dr_part_write(&g, 0, bytes, sizeof bytes, &dr_make_codec[k], g.part, &stored, &err),
            &err);
        assert_ok(
            dr_part_view(&g, 0, stored.data, stored.len, &dr_make_codec[k], &room, &raw, &err),
            &err);
        assert_memory_equal(raw, bytes, sizeof bytes);
        assert_int_equal(dr_part_view(&g, 2, stored.data, stored.len, NULL, &room, &raw, &err),
                         PR_EINVAL);
        assert_int_equal(dr_part_view(&g, 0, stored.data, stored.len, NULL, &room, &raw, &err),
                         secret ? PR_EDENIED : PR_OK);
        g.part[1] = g.part[0]; /* the same bytes, but encrypted for another place */
        assert_int_equal(
            dr_part_view(&g, 1, stored.data, stored.len, &dr_make_codec[k], &room, &raw, &err),
            secret ? PR_EDATA : PR_OK);
        g.id.n++;
        assert_int_equal(
            dr_part_view(&g, 0, stored.data, stored.len, &dr_make_codec[k], &room, &raw, &err),
            secret ? PR_EDATA : PR_OK);
        dr_generation_done(&g);
        pr_buf_done(&stored);
        pr_buf_done(&room);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_reads_back),
        cmocka_unit_test(a_person_can_read_it),
        cmocka_unit_test(what_cannot_be_is_named),
        cmocka_unit_test(other_manifests_are_refused),
        cmocka_unit_test(a_part_opens_only_as_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
