/* Who talks to whom between slots, packed: for each slot with traffic, how much of it
 * goes to each block of slots. A block is what one shard served when this was counted
 * (with many shards, several of one zone), so that what a zone's slots exchange can be
 * told again after slots or primaries have changed zones. Any unit of weight; both ends
 * of an exchange count it. Rows in PostgreSQL (slot_traffic) have this form:
 * uint16 blocks, then by ascending slot: uint16 slot, uint16 block, and as IEEE 754
 * single precision the weight inside the slot and to each block without that; all
 * little-endian. */
#ifndef PRISM_TRAFFIC_H
#define PRISM_TRAFFIC_H

#include "prism/buf.h"
#include "prism/err.h"

#include <stddef.h>
#include <stdint.h>

enum { PR_TRAFFIC_BLOCKS = 64 };

struct pr_traffic_row {
    uint16_t slot, block;         /* block: the slot's own */
    double self;                  /* among the slot's own vertices: never crosses */
    double to[PR_TRAFFIC_BLOCKS]; /* [blocks], self not included */
};

void pr_traffic_begin(struct pr_buf *b, unsigned blocks); /* 1..PR_TRAFFIC_BLOCKS */
void pr_traffic_add(struct pr_buf *b, const struct pr_traffic_row *row, unsigned blocks);

struct pr_traffic { /* borrows the blob */
    const unsigned char *blob;
    size_t rows;
    unsigned blocks;
};

/* PR_EDATA: not of this form; the text names the row. */
PR_CHECKED enum pr_code pr_traffic_open(const void *blob, size_t bytes, struct pr_traffic *out,
                                        struct pr_err *err);
void pr_traffic_at(const struct pr_traffic *t, size_t i, struct pr_traffic_row *out);

#endif
