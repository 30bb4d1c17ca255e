/* A batch: the vertices that one round of the executor moves from one node to
 * another. Its packed form is the column moves.ids: per vertex uint8 length,
 * id bytes, uint32 little-endian source and target partition. Pure. */
#ifndef REBALANCE_BATCH_H
#define REBALANCE_BATCH_H

#include "prism/buf.h"
#include "prism/err.h"

#include <stddef.h>
#include <stdint.h>

struct rebalance_vertex {
    const char *id; /* points into the packed bytes */
    uint8_t id_len;
    uint32_t from, to; /* partitions */
};

/* Appends one vertex; a failure marks the buffer failed. id_len: 1..PR_MAX_ID_BYTES. */
void rebalance_batch_add(struct pr_buf *b, const char *id, size_t id_len, uint32_t from,
                         uint32_t to);

/* Unpacks all of data into out[max], which borrows data. A vertex that is named
 * twice (a SCAN may return a key twice) is given once; the order is by hash.
 * PR_EDATA: truncated, bad id, or a partition out of range; the text says where.
 * PR_EFULL: more than max vertices. */
PR_CHECKED enum pr_code rebalance_batch_unpack(const void *data, size_t bytes, uint32_t partitions,
                                               struct rebalance_vertex *out, size_t max, size_t *n,
                                               struct pr_err *err);

#endif
