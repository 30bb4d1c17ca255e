/* Containers: what is written reads back, from as few bytes as are needed; keys and limits. */
#include "t.h"

#include "dr_make.h"

#include "core/container.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t none[DR_HASH];

/* Of compressible bytes, two pieces that hang together and one of another shard. */
struct made {
    struct dr_piece piece[3];
    struct dr_container c;
    char bytes[3000];
    const void *raw[3];
    struct pr_buf out;
    uint8_t check[DR_HASH];
};

static void make(struct made *m)
{
    *m = (struct made){ .c = { .epoch = 3, .seq = 8, .made_ms = 1700000002000, .pieces = 3 } };
    for (size_t i = 0; i < sizeof m->bytes; i++)
        m->bytes[i] = (char)('a' + i * i % 7);
    m->piece[0] = dr_make_piece("s1", 100, m->bytes, 1000, none);
    m->piece[1] = dr_make_piece("s1", 1100, m->bytes + 1000, 1990, m->piece[0].chain);
    m->piece[2] = dr_make_piece("s2", 0, m->bytes + 2990, 10, none);
    m->raw[0] = m->bytes;
    m->raw[1] = m->bytes + 1000;
    m->raw[2] = m->bytes + 2990;
    m->c.piece = m->piece;
    memset(m->c.before, 0x5a, DR_HASH);
    pr_buf_init(&m->out, 0);
}

static void write_ok(struct made *m, const struct dr_codec *codec)
{
    struct pr_err err;
    assert_ok(dr_container_write(&m->c, m->raw, codec, &m->out, m->check, &err), &err);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    for (size_t k = 0; k < PR_COUNT(dr_make_codec); k++) {
        struct made m;
        struct dr_container got;
        uint8_t check[DR_HASH];
        size_t need;
        struct pr_err err;
        struct pr_buf room;
        make(&m);
        pr_buf_init(&room, 0);
        write_ok(&m, &dr_make_codec[k]);
        assert_ok(dr_container_read(m.out.data, m.out.len, m.out.len, &got, check, &need, &err),
                  &err);
        assert_int_equal(need, dr_container_head_bytes(3));
        assert_memory_equal(check, m.check, DR_HASH);
        assert_memory_equal(got.before, m.c.before, DR_HASH);
        assert_int_equal(got.epoch, 3);
        assert_int_equal(got.seq, 8);
        assert_int_equal(got.made_ms, m.c.made_ms);
        assert_int_equal(got.pieces, 3);
        for (size_t i = 0; i < 3; i++) {
            const struct dr_piece *p = &got.piece[i];
            assert_true(dr_make_same(p, &m.piece[i]));
            const size_t n = (size_t)(p->to - p->from);
            const char *raw;
            assert_ok(dr_piece_view(&got, i, m.out.data + p->at, p->stored_bytes, &dr_make_codec[k],
                                    &room, &raw, &err),
                      &err);
            assert_memory_equal(raw, m.raw[i], n);
            const bool shrinks = dr_make_codec[k].zstd_level != 0 && n > 100;
            assert_int_equal(p->flags & DR_ZSTD, shrinks ? DR_ZSTD : 0);
            assert_int_equal(p->stored_bytes < n, shrinks);
        }
        free(got.piece);
        pr_buf_done(&room);
        pr_buf_done(&m.out);
    }
}

/* The format does not change by accident: this SHA-256 is of bytes that a script put together
 * from the words in container.h. */
static void the_bytes_are_those_of_format_1(void **state)
{
    (void)state;
    static const uint8_t want[DR_HASH] = { 0x3a, 0x53, 0x4f, 0xaf, 0xa9, 0x2b, 0xd7, 0xff,
                                           0x3d, 0xc9, 0xa7, 0xb2, 0xc9, 0x29, 0xbe, 0xa2,
                                           0x66, 0xb2, 0x7f, 0xae, 0x8a, 0x3a, 0x4f, 0xb2,
                                           0x5d, 0x57, 0x45, 0x15, 0x70, 0xe7, 0x49, 0xf1 };
    struct made m;
    uint8_t sha256[DR_HASH];
    make(&m);
    write_ok(&m, NULL);
    assert_int_equal(m.out.len, 72 + 3 * 236 + 32 + 3000);
    dr_sha256(m.out.data, m.out.len, sha256);
    assert_memory_equal(sha256, want, DR_HASH);
    pr_buf_done(&m.out);
}

static void asks_for_as_much_as_it_needs(void **state)
{
    (void)state;
    struct made m;
    make(&m);
    write_ok(&m, NULL);
    for (size_t n = 0; n <= dr_container_head_bytes(3); n++) {
        struct dr_container got = { .pieces = 77 };
        uint8_t check[DR_HASH];
        size_t need = 0;
        struct pr_err err;
        char *some = malloc(n + 1); /* so that a sanitizer sees a byte too many */
        memcpy(some, m.out.data, n);
        assert_ok(dr_container_read(some, n, m.out.len, &got, check, &need, &err), &err);
        free(some);
        if (n < dr_container_head_bytes(3)) {
            assert_int_equal(need, dr_container_head_bytes(n < dr_container_head_bytes(0) ? 0 : 3));
            assert_int_equal(got.pieces, 77);
        } else {
            assert_int_equal(need, n);
            assert_int_equal(got.pieces, 3);
            free(got.piece);
        }
    }
    pr_buf_done(&m.out);
}

static void a_container_may_hold_none_and_no_more_than_the_most(void **state)
{
    (void)state;
    static const size_t pieces[] = { 0, 1, DR_PIECES_MAX, DR_PIECES_MAX + 1 };
    for (size_t i = 0; i < PR_COUNT(pieces); i++) {
        struct dr_container c = { .pieces = pieces[i] }, got;
        const void **raw = calloc(pieces[i] + 1, sizeof *raw);
        struct pr_buf out;
        uint8_t check[DR_HASH];
        size_t need;
        struct pr_err err;
        pr_buf_init(&out, 0);
        c.piece = calloc(pieces[i] + 1, sizeof *c.piece);
        for (size_t k = 0; k < pieces[i]; k++) {
            raw[k] = "x";
            c.piece[k] = dr_make_piece("s", k, "x", 1, none);
        }
        const enum pr_code rc = dr_container_write(&c, raw, NULL, &out, check, &err);
        assert_int_equal(rc, pieces[i] <= DR_PIECES_MAX ? PR_OK : PR_EINVAL);
        if (rc == PR_OK) {
            assert_ok(dr_container_read(out.data, out.len, out.len, &got, check, &need, &err),
                      &err);
            assert_int_equal(got.pieces, pieces[i]);
            free(got.piece);
        }
        free(c.piece);
        free(raw);
        pr_buf_done(&out);
    }
}

static void spoil_name(struct made *m)
{
    m->piece[1].shard[0] = '\0';
}
static void spoil_slash(struct made *m)
{
    m->piece[1].shard[1] = '/';
}
static void spoil_generation(struct made *m)
{
    m->piece[1].generation.n = 0;
}
static void spoil_replid(struct made *m)
{
    m->piece[1].replid[39] = '\0';
}
static void spoil_length(struct made *m)
{
    m->piece[1].to = m->piece[1].from;
}
static void spoil_order(struct made *m)
{
    m->piece[1].to = m->piece[1].from - 1;
}
static void spoil_bytes(struct made *m)
{
    m->bytes[1000] ^= 1;
}

static void what_cannot_be_read_is_not_written(void **state)
{
    (void)state;
    static void (*const spoil[])(struct made *) = { spoil_name,   spoil_slash,  spoil_generation,
                                                    spoil_replid, spoil_length, spoil_order,
                                                    spoil_bytes };
    for (size_t i = 0; i < PR_COUNT(spoil); i++) {
        struct made m;
        struct pr_err err = { .text = "" };
        make(&m);
        spoil[i](&m);
        assert_int_equal(dr_container_write(&m.c, m.raw, NULL, &m.out, m.check, &err), PR_EINVAL);
        assert_non_null(strstr(err.text, "piece 1"));
        assert_int_equal(m.out.len, 0);
        pr_buf_done(&m.out);
    }
}

static void a_full_buffer_is_said_to_be_one(void **state)
{
    (void)state;
    for (size_t k = 0; k < PR_COUNT(dr_make_codec); k++) {
        struct made m;
        struct pr_err err;
        struct pr_buf room;
        const char *raw;
        make(&m);
        m.out.max_bytes = dr_container_head_bytes(3) + 500;
        assert_int_equal(dr_container_write(&m.c, m.raw, &dr_make_codec[k], &m.out, m.check, &err),
                         PR_EFULL);
        assert_int_equal(m.out.len, 0);
        m.out.max_bytes = 0;
        write_ok(&m, &dr_make_codec[k]);
        pr_buf_init(&room, 999);
        assert_int_equal(dr_piece_view(&m.c, 0, m.out.data + m.piece[0].at, m.piece[0].stored_bytes,
                                       &dr_make_codec[k], &room, &raw, &err),
                         m.piece[0].flags != 0 ? PR_EFULL : PR_OK); /* as it is: needs no room */
        pr_buf_done(&room);
        pr_buf_done(&m.out);
    }
}

static void only_the_key_opens(void **state)
{
    (void)state;
    uint8_t other_key[DR_AES_KEY];
    memcpy(other_key, dr_make_key, sizeof other_key);
    other_key[31] ^= 1;
    for (int level = 0; level <= 1; level++) {
        const struct dr_codec right = { level, dr_make_key }, other = { level, other_key },
                              plain = { level, NULL };
        const struct {
            const struct dr_codec *codec;
            enum pr_code want;
        } row[] = {
            { &right, PR_OK }, { &other, PR_EDENIED }, { &plain, PR_EDENIED }, { NULL, PR_EDENIED }
        };
        struct made m;
        struct pr_buf room;
        make(&m);
        write_ok(&m, &right);
        pr_buf_init(&room, 0);
        for (size_t i = 0; i < PR_COUNT(row); i++) {
            const char *raw;
            assert_int_equal(dr_piece_view(&m.c, 0, m.out.data + m.piece[0].at,
                                           m.piece[0].stored_bytes, row[i].codec, &room, &raw,
                                           NULL),
                             row[i].want);
            assert_int_equal(raw != NULL, row[i].want == PR_OK);
        }
        pr_buf_done(&room);
        pr_buf_done(&m.out);
    }
}

/* Bytes 8 to 19 of what is stored; the same bytes at the same place packed by another level are
 * other bytes to encrypt. */
static void whose_key_it_is_shows_in_its_first_bytes(void **state)
{
    (void)state;
    static const uint8_t another[DR_AES_KEY] = { 7, 31, 42, 255, 2 };
    const struct dr_codec ours = { .aes_key = dr_make_key }, theirs = { .aes_key = another },
                          plain = { .zstd_level = 1 };
    struct made m;
    make(&m);
    write_ok(&m, &ours);
    const uint8_t *first = (const uint8_t *)m.out.data + m.piece[0].at;
    assert_true(dr_codec_same(&ours, DR_AES_GCM, first));
    assert_true(dr_codec_same(&ours, DR_AES_GCM | DR_ZSTD, first));
    assert_false(dr_codec_same(&theirs, DR_AES_GCM, first));
    assert_false(dr_codec_same(&plain, DR_AES_GCM, first));
    assert_false(dr_codec_same(NULL, DR_AES_GCM, first));
    assert_false(dr_codec_same(&ours, DR_ZSTD, first));
    assert_true(dr_codec_same(&plain, DR_ZSTD, first));
    assert_true(dr_codec_same(NULL, 0, first));
    pr_buf_done(&m.out);
}

static void nothing_is_encrypted_with_one_nonce_but_itself(void **state)
{
    (void)state;
    static const int level[] = { 0, 1, 19 };
    uint8_t front[PR_COUNT(level)][20], again[20];
    for (size_t i = 0; i < PR_COUNT(level); i++) {
        const struct dr_codec codec = { level[i], dr_make_key };
        struct made m;
        make(&m);
        for (size_t k = 0; k < 500; k++) /* so that the levels pack differently */
            m.bytes[k] = (char)(k * k * k >> 3);
        dr_piece_seal(&m.piece[0], none, m.raw[0]);
        write_ok(&m, &codec);
        memcpy(front[i], m.out.data + m.piece[0].at, sizeof front[i]);
        m.c.seq++;
        write_ok(&m, &codec);
        memcpy(again, m.out.data + m.piece[0].at, sizeof again);
        assert_memory_equal(again, front[i], sizeof again);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(front[i] + 8, front[k] + 8, 12);
        assert_memory_equal(front[i], front[0], 8); /* the key is the same */
        pr_buf_done(&m.out);
    }
}

static void the_chain_holds_every_piece_to_its_place(void **state)
{
    (void)state;
    const struct dr_piece p = dr_make_piece("s", 5, "abc", 3, none);
    uint8_t one[DR_HASH] = { 1 }, chain[DR_HASH];
    struct dr_piece other[] = { p, p, p, p, p, p };
    (void)strcpy(other[0].shard, "t");
    other[1].generation.epoch++;
    other[2].generation.n++;
    other[3].from++;
    other[4].to++;
    other[5].sha256[31] ^= 1;
    for (size_t i = 0; i < PR_COUNT(other); i++) {
        dr_chain_hash(none, &other[i], chain);
        assert_memory_not_equal(chain, p.chain, DR_HASH);
    }
    dr_chain_hash(one, &p, chain);
    assert_memory_not_equal(chain, p.chain, DR_HASH);
    dr_chain_hash(none, &p, chain);
    assert_memory_equal(chain, p.chain, DR_HASH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(the_bytes_are_those_of_format_1),
        cmocka_unit_test(asks_for_as_much_as_it_needs),
        cmocka_unit_test(a_container_may_hold_none_and_no_more_than_the_most),
        cmocka_unit_test(what_cannot_be_read_is_not_written),
        cmocka_unit_test(a_full_buffer_is_said_to_be_one),
        cmocka_unit_test(only_the_key_opens),
        cmocka_unit_test(whose_key_it_is_shows_in_its_first_bytes),
        cmocka_unit_test(nothing_is_encrypted_with_one_nonce_but_itself),
        cmocka_unit_test(the_chain_holds_every_piece_to_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
