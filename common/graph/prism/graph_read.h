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
    uint64_t from, to; /* ids as in the file, any */
    uint32_t weight;   /* 1 when the file has none; >= 1 */
};

struct graph_vertex {
    uint64_t id;
    uint64_t weight; /* 1 when the file has none; 0 is allowed */
};

/* Some of the file, in file order, self-loops and duplicates included. Valid
 * during the call only. */
struct graph_batch {
    const struct graph_edge *edge;
    size_t edges;
    const struct graph_vertex *vertex; /* METIS only: every vertex once; of several weights
                                          the first */
    size_t vertices;
    uint64_t read_bytes, file_bytes; /* progress, as stored; file_bytes 0: unknown (a pipe) */
};

/* Anything but PR_OK (PR_ECANCELED, say) ends the reading with it. */
typedef enum pr_code graph_sink(void *ctx, const struct graph_batch *batch, struct pr_err *err);

enum graph_format graph_format_parse(const char *name); /* "snap", "metis", ...; -1 unknown */
enum graph_format graph_format_of(const char *path);    /* what GRAPH_AUTO stands for */

/* Hands the file to sink batch by batch; on failure what was handed over is
 * worthless. PR_ENOTFOUND/PR_EDENIED: the file (named); PR_EDATA: bad line (file,
 * line number and what is wrong: negative id or weight, not a number, one
 * column, id over 2^64-1), damaged or cut off, or no vertex at all ("empty
 * graph"). */
PR_CHECKED enum pr_code graph_read_each(const char *path, enum graph_format format,
                                        graph_sink *sink, void *ctx, struct pr_err *err);

/* --- the whole list in memory, for the bulk loader -------------------------- */
struct graph_edges {         /* in file order, self-loops and duplicates included */
    struct graph_edge *edge; /* owned */
    size_t n;
};

/* Reads everything, or nothing. As graph_read_each; "empty graph" also when
 * there are vertices but no edge. */
PR_CHECKED enum pr_code graph_read(const char *path, enum graph_format format,
                                   struct graph_edges *out, struct pr_err *err);
void graph_edges_done(struct graph_edges *g);

#endif
