/* Streams, containers and generations for tests of the DR service's core. */
#ifndef PRISM_TEST_DR_MAKE_H
#define PRISM_TEST_DR_MAKE_H

#include "core/container.h"
#include "core/generation.h"

#include "prism/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DR_REPLID_A "0123456789abcdef0123456789abcdef01234567"
#define DR_REPLID_B "89abcdef0123456789abcdef0123456789abcdef"

static const uint8_t dr_make_key[DR_AES_KEY] = { 7, 31, 42, 255, 1 };

/* Stored in every way there is. */
static const struct dr_codec dr_make_codec[] = {
    { .zstd_level = 0 },
    { .zstd_level = 1 },
    { .aes_key = dr_make_key },
    { .zstd_level = 3, .aes_key = dr_make_key },
};

static inline void dr_make_bulk(struct pr_buf *b, const void *data, size_t n)
{
    pr_buf_printf(b, "$%zu\r\n", n);
    pr_buf_add(b, data, n);
    pr_buf_str(b, "\r\n");
}

/* One command of any number and length of arguments, some of them full of \r, \n, $ and *. */
static inline void dr_make_command(struct pr_rng *rng, struct pr_buf *b)
{
    static const char odd[] = "\r\n$*10ab";
    const size_t args = 1 + pr_rng_below(rng, 7);
    pr_buf_printf(b, "*%zu\r\n", args);
    dr_make_bulk(b, "HSET", 4);
    for (size_t i = 1; i < args; i++) {
        char arg[200];
        const size_t n = pr_rng_below(rng, pr_rng_below(rng, 4) == 0 ? sizeof arg : 12);
        for (size_t k = 0; k < n; k++)
            arg[k] = odd[pr_rng_below(rng, sizeof odd - 1)];
        dr_make_bulk(b, arg, n);
    }
}

/* Every field; what lies between them is anybody's. */
static inline bool dr_make_same(const struct dr_piece *a, const struct dr_piece *b)
{
    return strcmp(a->shard, b->shard) == 0 &&
           dr_generation_compare(&a->generation, &b->generation) == 0 &&
           strcmp(a->replid, b->replid) == 0 && a->from == b->from && a->to == b->to &&
           a->first_ms == b->first_ms && a->last_ms == b->last_ms && a->commands == b->commands &&
           a->flags == b->flags && a->crc32c == b->crc32c &&
           memcmp(a->sha256, b->sha256, DR_HASH) == 0 && memcmp(a->chain, b->chain, DR_HASH) == 0 &&
           a->at == b->at && a->stored_bytes == b->stored_bytes;
}

/* A sealed piece of raw bytes behind another chain. */
static inline struct dr_piece dr_make_piece(const char *shard, uint64_t from, const void *raw,
                                            size_t n, const uint8_t before[DR_HASH])
{
    struct dr_piece p = { .generation = { 3, 1 },
                          .replid = DR_REPLID_A,
                          .from = from,
                          .to = from + n,
                          .first_ms = 1700000000000,
                          .last_ms = 1700000001000,
                          .commands = 5 };
    (void)snprintf(p.shard, sizeof p.shard, "%s", shard);
    dr_piece_seal(&p, before, raw);
    return p;
}

/* With parts [n] to be filled in by dr_part_write, all of it freed by dr_generation_done. */
static inline struct dr_generation dr_make_generation(size_t parts)
{
    struct dr_generation g = { .cluster = "demo",
                               .shard = "shard-1",
                               .group = "g0",
                               .id = { 7, 2 },
                               .replid = DR_REPLID_A,
                               .offset = 123456,
                               .begun_ms = 1700000000000,
                               .ended_ms = 1700000005000,
                               .source = "127.0.0.1:7401",
                               .server_version = "7.0.15",
                               .keys = 42,
                               .slot_epoch = 9,
                               .parts = parts };
    memset(g.slots, 0xff, sizeof g.slots / 3);
    g.slots[sizeof g.slots - 1] = 0x81;
    g.part = calloc(parts + 1, sizeof *g.part);
    return g;
}

#endif
