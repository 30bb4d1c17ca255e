/* Every byte of a container, a manifest and a base part, changed in every bit, and each of them
 * cut off at every length: refused. Random ones read back whole. argv[1] sets the seed. */
#include "t.h"

#include "dr_make.h"

#include "format/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 20261121;

enum { PIECES = 6 };

struct made {
    struct dr_container c;
    struct dr_piece piece[PIECES];
    struct pr_buf raw[PIECES];
    struct pr_buf out;
    uint8_t check[DR_HASH];
};

static void make(struct pr_rng *rng, const struct dr_codec *codec, size_t commands, struct made *m)
{
    static const uint8_t none[DR_HASH];
    const void *raw[PIECES];
    struct pr_err err;
    *m = (struct made){ .c = { .epoch = 3, .seq = pr_rng_next(rng), .made_ms = 1700000002000 } };
    m->c.pieces = pr_rng_below(rng, PIECES + 1);
    m->c.piece = m->piece;
    pr_buf_init(&m->out, 0);
    for (size_t i = 0; i < m->c.pieces; i++) {
        pr_buf_init(&m->raw[i], 0);
        for (size_t n = 1 + pr_rng_below(rng, commands); n > 0; n--)
            dr_make_command(rng, &m->raw[i]);
        raw[i] = m->raw[i].data;
        m->piece[i] = dr_make_piece("s", pr_rng_next(rng) >> 1, raw[i], m->raw[i].len,
                                    i == 0 ? none : m->piece[i - 1].chain);
    }
    assert_ok(dr_container_write(&m->c, raw, codec, &m->out, m->check, &err), &err);
}

static void done(struct made *m)
{
    for (size_t i = 0; i < m->c.pieces; i++)
        pr_buf_done(&m->raw[i]);
    pr_buf_done(&m->out);
}

/* Reads all of an object as a reader would who believes nothing: PR_OK only if it is what was
 * made. */
static enum pr_code read_all(const void *data, size_t n, const struct dr_codec *codec,
                             const struct made *m)
{
    struct dr_container got = { .pieces = 0 };
    uint8_t check[DR_HASH];
    size_t need;
    struct pr_err err = { .text = "" };
    struct pr_buf room;
    const char *raw;
    char *object = malloc(n + 1); /* a sanitizer sees a byte too many */
    assert_non_null(object);
    memcpy(object, data, n);
    pr_buf_init(&room, 0);
    enum pr_code rc = dr_container_read(object, n, n, &got, check, &need, &err);
    if (rc == PR_OK) {
        assert_true(need <= n);
        assert_int_equal(got.pieces, m->c.pieces);
        assert_memory_equal(check, m->check, DR_HASH);
        assert_int_equal(got.seq, m->c.seq);
    }
    for (size_t i = 0; rc == PR_OK && i < got.pieces; i++) {
        const struct dr_piece *p = &got.piece[i];
        assert_true(dr_make_same(p, &m->piece[i]));
        rc = dr_piece_view(&got, i, object + p->at, p->stored_bytes, codec, &room, &raw, &err);
        assert_int_equal(raw != NULL, rc == PR_OK);
        if (rc != PR_OK)
            continue;
        assert_int_equal(p->to - p->from, m->raw[i].len);
        assert_memory_equal(raw, m->raw[i].data, m->raw[i].len);
    }
    assert_true(rc == PR_OK || err.text[0] != '\0');
    free(got.piece);
    free(object);
    pr_buf_done(&room);
    return rc;
}

static void containers_read_back(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed);
    for (size_t round = 0; round < 200; round++) {
        const struct dr_codec *codec = &dr_make_codec[round % PR_COUNT(dr_make_codec)];
        struct made m;
        make(&rng, codec, 1 + round, &m);
        assert_int_equal(read_all(m.out.data, m.out.len, codec, &m), PR_OK);
        done(&m);
    }
}

static void expect_refused(enum pr_code rc, const char *what, size_t at)
{
    if (rc != PR_EDATA && rc != PR_EDENIED)
        fail_msg("%s at %zu: %s", what, at, pr_code_name(rc));
}

static void damaged_containers_are_refused(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 1);
    for (size_t k = 0; k < PR_COUNT(dr_make_codec); k++) {
        const struct dr_codec *codec = &dr_make_codec[k];
        struct made m;
        do { /* one at least */
            make(&rng, codec, 12, &m);
        } while (m.c.pieces < 2 && (done(&m), true));
        for (size_t at = 0; at < m.out.len; at++)
            for (int bit = 0; bit < 8; bit++) {
                m.out.data[at] ^= (char)(1 << bit);
                expect_refused(read_all(m.out.data, m.out.len, codec, &m), "changed", at);
                m.out.data[at] ^= (char)(1 << bit);
            }
        for (size_t n = 0; n < m.out.len; n++)
            expect_refused(read_all(m.out.data, n, codec, &m), "cut off", n);
        pr_buf_add(&m.out, "x", 1);
        expect_refused(read_all(m.out.data, m.out.len, codec, &m), "one more", m.out.len);
        done(&m);
    }
}

/* What the head says must be so of the object's whole length, even before all of it is there. */
static void heads_of_objects_of_another_length_are_refused(void **state)
{
    (void)state;
    struct pr_rng rng;
    struct made m;
    pr_rng_init(&rng, seed + 2);
    do {
        make(&rng, NULL, 12, &m);
    } while (m.c.pieces < 2 && (done(&m), true));
    const size_t head = dr_container_head_bytes(m.c.pieces);
    for (size_t size = head; size < m.out.len + 5; size++) {
        struct dr_container got;
        uint8_t check[DR_HASH];
        size_t need;
        const enum pr_code rc = dr_container_read(m.out.data, head, size, &got, check, &need, NULL);
        assert_int_equal(rc, size == m.out.len ? PR_OK : PR_EDATA);
        if (rc == PR_OK)
            free(got.piece);
    }
    done(&m);
}

static enum pr_code read_manifest(const char *data, size_t n)
{
    struct dr_generation got;
    char *text = malloc(n + 1);
    assert_non_null(text);
    memcpy(text, data, n);
    const enum pr_code rc = dr_generation_read(text, n, &got, NULL);
    if (rc == PR_OK)
        dr_generation_done(&got);
    free(text);
    return rc;
}

static void damaged_manifests_are_refused(void **state)
{
    (void)state;
    struct dr_generation g = dr_make_generation(2);
    struct pr_buf text;
    struct pr_err err;
    for (size_t i = 0; i < g.parts; i++)
        g.part[i] = (struct dr_part){ .bytes = 100 + i, .stored_bytes = 90, .flags = DR_ZSTD };
    dr_generation_seal(&g);
    pr_buf_init(&text, 0);
    assert_ok(dr_generation_write(&g, &text, &err), &err);
    assert_int_equal(read_manifest(text.data, text.len), PR_OK);
    for (size_t at = 0; at < text.len; at++)
        for (int other = 1; other < 256; other++) {
            text.data[at] ^= (char)other;
            expect_refused(read_manifest(text.data, text.len), "changed", at);
            text.data[at] ^= (char)other;
        }
    for (size_t n = 0; n < text.len; n++)
        expect_refused(read_manifest(text.data, n), "cut off", n);
    pr_buf_str(&text, "\n");
    expect_refused(read_manifest(text.data, text.len), "one more", text.len);
    dr_generation_done(&g);
    pr_buf_done(&text);
}

static void damaged_parts_are_refused(void **state)
{
    (void)state;
    struct pr_rng rng;
    pr_rng_init(&rng, seed + 3);
    for (size_t k = 0; k < PR_COUNT(dr_make_codec); k++) {
        struct dr_generation g = dr_make_generation(1);
        struct pr_buf raw, stored, room;
        const char *got;
        struct pr_err err;
        pr_buf_init(&raw, 0);
        pr_buf_init(&stored, 0);
        pr_buf_init(&room, 0);
        while (raw.len < 1500)
            dr_make_command(&rng, &raw);
        assert_ok(dr_part_write(&g, 0, raw.data, raw.len, &dr_make_codec[k], g.part, &stored, &err),
                  &err);
        for (size_t at = 0; at < stored.len; at++)
            for (int bit = 0; bit < 8; bit++) {
                stored.data[at] ^= (char)(1 << bit);
                expect_refused(dr_part_view(&g, 0, stored.data, stored.len, &dr_make_codec[k],
                                            &room, &got, NULL),
                               "changed", at);
                assert_null(got);
                stored.data[at] ^= (char)(1 << bit);
            }
        for (size_t n = 0; n < stored.len; n++) {
            const uint64_t whole = g.part[0].stored_bytes;
            expect_refused(
                dr_part_view(&g, 0, stored.data, n, &dr_make_codec[k], &room, &got, NULL),
                "cut off", n);
            g.part[0].stored_bytes = n; /* even if somebody believed the shorter length */
            expect_refused(
                dr_part_view(&g, 0, stored.data, n, &dr_make_codec[k], &room, &got, NULL),
                "cut off and believed", n);
            g.part[0].stored_bytes = whole;
        }
        assert_ok(
            dr_part_view(&g, 0, stored.data, stored.len, &dr_make_codec[k], &room, &got, &err),
            &err);
        assert_memory_equal(got, raw.data, raw.len);
        pr_buf_done(&raw);
        pr_buf_done(&stored);
        pr_buf_done(&room);
        dr_generation_done(&g);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    (void)printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_read_back),
        cmocka_unit_test(damaged_containers_are_refused),
        cmocka_unit_test(heads_of_objects_of_another_length_are_refused),
        cmocka_unit_test(damaged_manifests_are_refused),
        cmocka_unit_test(damaged_parts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
