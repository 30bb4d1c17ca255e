/* A container: one object that holds pieces of the replication streams of several shards, so
 * that many shards cost one PUT a second. Pure: bytes in, bytes out.
 *
 *   head     magic "PRISMDR1", format and count of pieces (4 bytes each), epoch, seq, made_ms,
 *            check of the container before
 *   index    an entry a piece, 236 bytes: shard (64, NULs behind it), generation's epoch and n
 *            (4), flags (4), replid (40), from, to, first_ms, last_ms, commands, stored_bytes,
 *            crc32c (4), sha256, chain
 *   check    SHA-256 of head and index (32 raw bytes)
 *   pieces   stored bytes, in the order of the index, to the end of the object
 *
 * A reader that fetches the first dr_container_head_bytes(pieces) bytes knows where every piece is.
 * Integers are little-endian and have 8 bytes unless said. A piece is whole commands of one shard's
 * stream from one offset to another. No byte means nothing: whichever is changed, reading or
 * opening refuses.
 *
 * A piece carries CRC-32C and SHA-256 of its raw bytes, and a chain hash:
 *   chain = SHA-256(chain of the piece before it in this generation | shard | generation | from |
 *                   to | SHA-256 of the raw bytes)
 * The first piece of a generation chains to the generation's own (see generation.h).
 *
 * Stored bytes of a packed piece or base part are a .zst file: a frame, and a skippable one with
 * the CRC-32C of the first.
 *
 * Stored bytes of an encrypted one, packed before or not: 8 bytes that tell one key from another,
 * 12 of nonce, ciphertext, 16 of tag. Each is encrypted with a key of its own, HMAC-SHA-256(key,
 * what it is: a piece's chain, or see generation.h), and a nonce of HMAC-SHA-256(that, the bytes to
 * encrypt): no counter and no random number, so none can be used twice by mistake.
 * The SHA-256 of raw bytes is in the clear: whoever can read the bucket can check a guess at all
 * the bytes of a piece. */
#ifndef DR_CONTAINER_H
#define DR_CONTAINER_H

#include "core/keys.h"

#include "prism/buf.h"
#include "prism/err.h"

#include <stddef.h>
#include <stdint.h>

enum { DR_HASH = 32, DR_PIECES_MAX = 4096, DR_AES_KEY = 32 };
enum dr_piece_flag { DR_ZSTD = 1, DR_AES_GCM = 2 };

struct dr_piece {
    char shard[DR_NAME];
    struct dr_generation_id generation;
    char replid[DR_REPLID];    /* of the history that the offsets count, at `to`; 40 hex digits */
    uint64_t from, to;         /* offsets: bytes from+1 .. to */
    int64_t first_ms, last_ms; /* Unix epoch by the shipper's clock: arrival of its bytes */
    uint64_t commands;
    uint32_t flags;          /* enum dr_piece_flag */
    uint32_t crc32c;         /* of the raw bytes */
    uint8_t sha256[DR_HASH]; /* of the raw bytes */
    uint8_t chain[DR_HASH];
    uint64_t at, stored_bytes; /* where in the object, and how much, as stored */
};

struct dr_container {
    uint64_t epoch, seq;     /* seq from 0, without gaps within an epoch */
    int64_t made_ms;         /* Unix epoch */
    uint8_t before[DR_HASH]; /* `check` of the container before it in this epoch; zero: seq 0 */
    struct dr_piece *piece;  /* [pieces]; owner: see functions */
    size_t pieces;           /* 0: says only that its writer lives */
};

/* What pieces are stored with. zstd_level 0: not compressed; negative ones are zstd's fast ones
 * (a piece that does not shrink is stored as it is). */
struct dr_codec {
    int zstd_level;
    const uint8_t *aes_key; /* [DR_AES_KEY]; NULL: not encrypted */
};

enum { DR_KEY_ID = 8 }; /* first bytes of what is encrypted: they tell one key from another */
/* Is what is stored with these flags, and begins so, encrypted as codec (may be NULL) would: with
 * the same key, or not at all? first: not looked at when the flags say that it is not encrypted. */
bool dr_codec_same(const struct dr_codec *codec, uint32_t flags, const uint8_t first[DR_KEY_ID]);

void dr_sha256(const void *data, size_t n, uint8_t out[DR_HASH]);
void dr_chain_hash(const uint8_t before[DR_HASH], const struct dr_piece *p, uint8_t out[DR_HASH]);

/* crc32c, sha256 and chain of a piece from its raw bytes (to - from of them) and the chain before
 * it; shard, generation, from and to are set. */
void dr_piece_seal(struct dr_piece *p, const uint8_t before[DR_HASH], const void *raw);

/* Writes a container from raw pieces, sealed before, into out (emptied first): raw[i] has
 * piece[i].to - piece[i].from bytes. Fills in flags, at and stored_bytes of each piece. check: of
 * this container. codec may be NULL.
 * PR_EINVAL: too many pieces, one is empty, has no proper names, or is not what was sealed (by
 * its CRC). PR_EFULL: beyond out's ceiling, with what zstd might need at worst. PR_ENOMEM. */
PR_CHECKED enum pr_code dr_container_write(struct dr_container *c, const void *const *raw,
                                           const struct dr_codec *codec, struct pr_buf *out,
                                           uint8_t check[DR_HASH], struct pr_err *err);

size_t dr_container_head_bytes(size_t pieces); /* head, index and check */
/* From the first n bytes of an object of `size` bytes. *need > n: fetch that many and ask again
 * (PR_OK, out untouched); that happens twice at most. On *need <= n, out->piece is one malloc:
 * free it. PR_EDATA names what is wrong: magic, format, check, lengths that do not make the
 * object's, names. PR_ENOMEM. */
PR_CHECKED enum pr_code dr_container_read(const void *data, size_t n, uint64_t size,
                                          struct dr_container *out, uint8_t check[DR_HASH],
                                          size_t *need, struct pr_err *err);
/* One piece's raw bytes, to - from of them, from its n stored bytes: decrypted, unpacked, CRC and
 * SHA-256 checked. *raw is in stored when they are stored as they are, else in room (emptied
 * first); NULL when it fails. codec->aes_key is needed for encrypted ones; codec may be NULL.
 * PR_EDATA: damaged, or n is not stored_bytes; PR_EDENIED: another key, or none. PR_EFULL: beyond
 * room's ceiling. PR_ENOMEM. */
PR_CHECKED enum pr_code dr_piece_view(const struct dr_container *c, size_t i, const void *stored,
                                      size_t n, const struct dr_codec *codec, struct pr_buf *room,
                                      const char **raw, struct pr_err *err);
#endif
