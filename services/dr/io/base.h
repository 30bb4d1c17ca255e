/* Writing the base of a generation: parts as they come, the manifest last. */
#ifndef DR_BASE_H
#define DR_BASE_H

#include "core/generation.h"

#include "prism/s3/s3.h"

struct dr_base;

struct dr_base_to { /* borrowed */
    struct pr_s3 *s3;
    const struct dr_codec *codec;
    size_t part_bytes; /* of a whole part, raw */
    /* Asked before every object: is the lease ours for certain? So no more than one of them can
     * come late, and if that is the manifest, its parts were there before anybody took over. */
    bool (*sure)(void *ctx);
    void *ctx;
};
/* g (copied): cluster, shard, group, id, replid, offset, begun_ms, source, slot_epoch and slots are
 * set. */
PR_CHECKED enum pr_code dr_base_begin(struct dr_base **out, const struct dr_generation *g,
                                      const struct dr_base_to *to, struct pr_err *err);
/* Uploads when a part is full. PR_EFENCED: the lease is not ours for certain. */
PR_CHECKED enum pr_code dr_base_add(struct dr_base *b, const void *data, size_t n,
                                    struct pr_err *err);
/* The last part. chain: what its first piece chains to: pieces may be written from now on.
 * PR_EDATA: what was added is no RDB. */
PR_CHECKED enum pr_code dr_base_seal(struct dr_base *b, int64_t ended_ms, uint8_t chain[DR_HASH],
                                     struct pr_err *err);
/* It ended no earlier than that; nothing once a manifest was tried. */
void dr_base_end(struct dr_base *b, int64_t ended_ms);
/* The manifest: now the generation exists. May be repeated. *exists: also when this failed, the
 * generation may exist now or come to, and no older one may be gone on with. */
PR_CHECKED enum pr_code dr_base_publish(struct dr_base *b, bool *exists, struct pr_err *err);
uint64_t dr_base_bytes(const struct dr_base *b);
/* NULL is fine; parts of an unfinished one stay for the sweep. */
void dr_base_free(struct dr_base *b);

#endif
