/* A generation of a shard: a base (the RDB of a full synchronisation) in parts, and the stream
 * that follows it. Its manifest (format/manifest.h) is written last; without one there is no
 * generation. Pure. */
#ifndef DR_GENERATION_H
#define DR_GENERATION_H

#include "core/container.h"

enum { DR_PARTS_MAX = 65536, DR_SLOTS = 16384 };

struct dr_part {
    uint64_t bytes;          /* raw */
    uint64_t stored_bytes;   /* of the object */
    uint32_t flags;          /* enum dr_piece_flag */
    uint32_t crc32c;         /* of the raw bytes */
    uint8_t sha256[DR_HASH]; /* of the raw bytes */
};

struct dr_generation {
    char cluster[DR_NAME], shard[DR_NAME], group[DR_NAME];
    struct dr_generation_id id;
    char replid[DR_REPLID];      /* 40 hex digits */
    uint64_t offset;             /* of the base: the stream goes on behind it */
    int64_t begun_ms, ended_ms;  /* of the base, Unix epoch by the shipper's clock */
    char source[128];            /* host:port it came from */
    char server_version[32];     /* "7.0.15" */
    uint64_t keys;               /* in the base by its RESIZEDB; UINT64_MAX: not said */
    uint64_t slot_epoch;         /* by which its primary owned the slots then; 0: not known */
    uint8_t slots[DR_SLOTS / 8]; /* bit s%8 of byte s/8: owned when it began */
    struct dr_part *part;        /* [parts], in order; one malloc */
    size_t parts;                /* 1..DR_PARTS_MAX */
    uint8_t chain[DR_HASH];      /* of cluster, shard, id, replid, offset and the parts' bytes and
                                  * SHA-256: what the first piece chains to */
};

/* Fills in chain: once the last part is known, before the first piece is sealed. Other fields may
 * still change then. */
void dr_generation_seal(struct dr_generation *g);
/* NULL, or which field holds what cannot be. */
const char *dr_generation_wrong(const struct dr_generation *g);
void dr_generation_done(struct dr_generation *g);

/* Stored form of a base part, as of a piece (container.h), into stored (emptied first); raw has n
 * bytes, more than 0. cluster, shard and id of g are set; *out is for g->part[part]. What it is
 * encrypted for: cluster, shard, id, number of the part, SHA-256.
 * PR_EINVAL: n is 0, part too high. PR_EFULL, PR_ENOMEM. */
PR_CHECKED enum pr_code dr_part_write(const struct dr_generation *g, uint32_t part, const void *raw,
                                      size_t n, const struct dr_codec *codec, struct dr_part *out,
                                      struct pr_buf *stored, struct pr_err *err);
/* The raw bytes of g->part[part], `bytes` of them, from its n stored bytes, as of dr_piece_view.
 * PR_EINVAL: g has no such part. */
PR_CHECKED enum pr_code dr_part_view(const struct dr_generation *g, uint32_t part,
                                     const void *stored, size_t n, const struct dr_codec *codec,
                                     struct pr_buf *room, const char **raw, struct pr_err *err);
#endif
