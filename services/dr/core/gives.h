/* The object <cluster>/map/<number>/<0>, and the same again as <1>: that a shard is about to take
 * slots of another. Both are in the bucket before the first key moves, <1> first. So where two
 * restored shards hold keys of one slot, the one that took it by the higher number has the newer
 * ones. Nothing else in the bucket says so, hence the copy. Pure.
 *
 *   prism-dr gives 1
 *   at 1700000000000        Unix ms
 *   giver n7401
 *   taker n7404
 *   slots 0-9,12
 *   check ...               SHA-256 of all before this line, 64 hex digits */
#ifndef DR_GIVES_H
#define DR_GIVES_H

#include "core/generation.h"

#include "prism/buf.h"

enum { DR_GIVES_MAX = 65536 /* bytes: every second slot alone is less */, DR_GIVES_COPIES = 2 };

struct dr_gives {
    int64_t at_ms;
    char giver[DR_NAME], taker[DR_NAME];
    uint8_t slots[DR_SLOTS / 8]; /* as in struct dr_generation */
};

void dr_gives_print(const struct dr_gives *g, struct pr_buf *out); /* out->failed: no memory */
/* PR_EDATA: it is not one, or was changed. */
PR_CHECKED enum pr_code dr_gives_parse(const char *text, size_t n, struct dr_gives *out,
                                       struct pr_err *err);

#endif
