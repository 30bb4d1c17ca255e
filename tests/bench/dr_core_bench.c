/* dr-core-bench [MIB]: how fast one core divides a stream, and seals, writes and opens containers
 * of it, beside the SHA-256 and the copy that no way leads around. Processor time, best of five; by
 * hand only. */
#include "core/chain.h"
#include "core/container.h"
#include "core/stream.h"

#include "prism/crc32c.h"
#include "prism/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 5, FEED = 64 << 10, PIECE = 4 << 20 };

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bench {
    struct pr_buf stream;
    const struct dr_codec *codec;
    struct dr_container c;
    struct dr_piece piece[DR_PIECES_MAX];
    const void *raw[DR_PIECES_MAX];
    struct pr_buf out, room;
    uint64_t commands;
};

static void need(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

static void count(void *ctx, const struct dr_command *c)
{
    *(uint64_t *)ctx += c->argc > 0;
}

static void divide(struct bench *b)
{
    struct dr_stream s;
    b->commands = 0;
    dr_stream_init(&s, 0);
    for (size_t at = 0; at < b->stream.len; at += FEED) {
        const size_t n = b->stream.len - at < FEED ? b->stream.len - at : FEED;
        need(dr_stream_feed(&s, b->stream.data + at, n, count, &b->commands, NULL) == PR_OK,
             "dividing");
    }
    need(s.boundary == b->stream.len, "dividing whole");
}

static void crc(struct bench *b)
{
    need(pr_crc32c(0, b->stream.data, b->stream.len) != 0, "CRC-32C");
}

static void sha(struct bench *b)
{
    uint8_t out[DR_HASH];
    dr_sha256(b->stream.data, b->stream.len, out);
}

static void copy(struct bench *b)
{
    pr_buf_reset(&b->out);
    pr_buf_add(&b->out, b->stream.data, b->stream.len);
}

/* Sealed and written in pieces of `PIECE` bytes. */
static void write_out(struct bench *b)
{
    static const uint8_t none[DR_HASH];
    uint8_t check[DR_HASH];
    b->c.pieces = 0;
    b->c.piece = b->piece;
    for (size_t at = 0; at < b->stream.len; at += PIECE) {
        const size_t i = b->c.pieces++;
        b->piece[i] =
            (struct dr_piece){ .shard = "s",
                               .generation = { 1, 1 },
                               .replid = "0123456789abcdef0123456789abcdef01234567",
                               .from = at,
                               .to = b->stream.len - at < PIECE ? b->stream.len : at + PIECE };
        b->raw[i] = b->stream.data + at;
        dr_piece_seal(&b->piece[i], i == 0 ? none : b->piece[i - 1].chain, b->raw[i]);
    }
    need(dr_container_write(&b->c, b->raw, b->codec, &b->out, check, NULL) == PR_OK, "writing");
}

static void open_all(struct bench *b)
{
    struct dr_container c;
    uint8_t check[DR_HASH];
    const char *raw;
    size_t head;
    need(dr_container_read(b->out.data, b->out.len, b->out.len, &c, check, &head, NULL) == PR_OK,
         "reading");
    for (size_t i = 0; i < c.pieces; i++)
        need(dr_piece_view(&c, i, b->out.data + c.piece[i].at, c.piece[i].stored_bytes, b->codec,
                           &b->room, &raw, NULL) == PR_OK,
             "opening");
    free(c.piece);
}

static void measure(struct bench *b, const char *what, void (*run)(struct bench *))
{
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        const double begun = cpu_s();
        run(b);
        const double s = cpu_s() - begun;
        if (i == 0 || s < best)
            best = s;
    }
    (void)printf("    %-28s %8.0f MB/s\n", what, (double)b->stream.len / 1e6 / best);
    (void)fflush(stdout);
}

static void bulk(struct pr_buf *b, const char *data, size_t n)
{
    pr_buf_printf(b, "$%zu\r\n", n);
    pr_buf_add(b, data, n);
    pr_buf_str(b, "\r\n");
}

/* HSET of `fields` with values of `bytes`, half of them compressible; 0 fields: SET. */
static void fill(struct pr_buf *b, size_t total, size_t fields, size_t bytes)
{
    struct pr_rng rng;
    char value[4096];
    pr_rng_init(&rng, 1);
    pr_buf_reset(b);
    while (b->len < total) {
        char key[32];
        const int n = snprintf(key, sizeof key, "{p%u}v:%u", (unsigned)pr_rng_below(&rng, 4096),
                               (unsigned)pr_rng_below(&rng, 1000000));
        for (size_t i = 0; i < bytes; i++)
            value[i] = (char)(i < bytes / 2 ? pr_rng_next(&rng) : 'a' + i % 16);
        pr_buf_printf(b, "*%zu\r\n", fields == 0 ? 3 : 2 + 2 * fields);
        bulk(b, fields == 0 ? "SET" : "HSET", fields == 0 ? 3 : 4);
        bulk(b, key, (size_t)n);
        for (size_t f = 0; f < fields; f++) {
            bulk(b, key + 1, (size_t)n - 1);
            bulk(b, value, bytes);
        }
        if (fields == 0)
            bulk(b, value, bytes);
    }
}

static void codecs(struct bench *b)
{
    static const uint8_t key[DR_AES_KEY] = { 1 };
    static const struct {
        const char *name;
        struct dr_codec codec;
    } row[] = { { "plain", { .zstd_level = 0 } },
                { "AES", { .aes_key = key } },
                { "zstd 1", { .zstd_level = 1 } },
                { "zstd 3", { .zstd_level = 3 } },
                { "zstd 1, AES", { 1, key } } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char what[64];
        b->codec = &row[i].codec;
        (void)snprintf(what, sizeof what, "seal and write, %s", row[i].name);
        measure(b, what, write_out);
        (void)printf("    %28s %8.2f of its size\n", "",
                     (double)b->out.len / (double)b->stream.len);
        (void)snprintf(what, sizeof what, "open, %s", row[i].name);
        measure(b, what, open_all);
    }
}

/* A week of one shard, a piece a second. */
static void routes(void)
{
    const size_t n = 7 * 86400;
    struct dr_generation g = { .shard = "s", .id = { 1, 1 } };
    struct dr_located *piece = calloc(n, sizeof *piece);
    struct dr_route r;
    need(piece != NULL, "memory");
    dr_generation_seal(&g);
    for (size_t i = 0; i < n; i++) {
        struct dr_piece *p = &piece[i].piece;
        *p = (struct dr_piece){ .shard = "s", .generation = g.id, .from = i, .to = i + 1 };
        dr_chain_hash(i == 0 ? g.chain : piece[i - 1].piece.chain, p, p->chain);
    }
    const double begun = cpu_s();
    need(dr_chain_route(&g, piece, n, INT64_MAX, &r, NULL) == PR_OK && r.n == n, "a route");
    (void)printf("route through %zu pieces: %.2f s\n", n, cpu_s() - begun);
    free(r.take);
    free(piece);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        size_t fields, bytes;
    } row[] = { { "SET, 8 bytes", 0, 8 },
                { "SET, 100 bytes", 0, 100 },
                { "HSET, 1 field of 64 bytes", 1, 64 },
                { "HSET, 20 fields of 4 bytes", 20, 4 },
                { "SET, 4,096 bytes", 0, 4096 } };
    static struct bench b;
    const size_t total = (argc > 1 ? strtoull(argv[1], NULL, 10) : 128) << 20;
    pr_buf_init(&b.stream, 0);
    pr_buf_init(&b.out, 0);
    pr_buf_init(&b.room, 0);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        fill(&b.stream, total, row[i].fields, row[i].bytes);
        (void)printf("%s\n", row[i].name);
        measure(&b, "divide", divide);
        (void)printf("    %28s %8.0f bytes a command\n", "",
                     (double)b.stream.len / (double)b.commands);
        if (i != 2)
            continue;
        measure(&b, "copy", copy);
        measure(&b, "CRC-32C", crc);
        measure(&b, "SHA-256", sha);
        codecs(&b);
    }
    routes();
    pr_buf_done(&b.stream);
    pr_buf_done(&b.out);
    pr_buf_done(&b.room);
    return 0;
}
