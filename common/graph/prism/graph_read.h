/* Reads edge lists: SNAP text ("u v" or "u v weight" per line, '#' or '%'
 * comments), METIS files, and binary (uint64 or uint32 little-endian pairs,
 * with a 32-bit weight behind each pair when the file begins with the 8 bytes
 * PRISMEW1); plain, or compressed with xz, gzip or zstd, told by their
 * first bytes. Shared by the bulk loader and the placement service. */
#ifndef PRISM_GRAPH_READ_H
#define PRISM_GRAPH_READ_H

#include "prism/err.h"

#include <stddef.h>
#include <stdint.h>

enum graph_format {
    GRAPH_AUTO, /* by name: .bin32/.bin64/.metis/.graph before the compression suffix, else SNAP */
    GRAPH_SNAP,
    GRAPH_METIS,
    GRAPH_BIN32,
    GRAPH_BIN64
};

struct graph_edge {
    uint64_t from, to; /* ids as in the file */
    uint32_t weight;   /* 1 when the file has none; >= 1 */
};

struct graph_edges {         /* in file order, self-loops and duplicates included */
    struct graph_edge *edge; /* owned */
    size_t n;
};

enum graph_format graph_format_parse(const char *name); /* "snap", "metis", ...; -1 unknown */

/* Reads everything, or nothing. PR_ENOTFOUND/PR_EDENIED: the file (named);
 * PR_EDATA: bad line (file, line number and what is wrong: negative id or
 * weight, not a number, one column, id over 2^63-1), truncated stream, or no
 * edge at all ("empty graph"). */
PR_CHECKED enum pr_code graph_read(const char *path, enum graph_format format,
                                   struct graph_edges *out, struct pr_err *err);
void graph_edges_done(struct graph_edges *g);

#endif
