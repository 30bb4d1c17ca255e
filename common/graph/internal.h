/* Shared by the readers of one format each. */
#ifndef PRISM_GRAPH_INTERNAL_H
#define PRISM_GRAPH_INTERNAL_H

#include "prism/graph_read.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

/* The end of a path, so that what follows it fits into struct pr_err. */
const char *graph_name(const char *path);

/* --- bytes of the file, decompressed ------------------------------------ */
struct graph_source;
PR_CHECKED enum pr_code graph_source_open(struct graph_source **s, const char *path,
                                          struct pr_err *err);
/* Fills at most cap bytes; *n 0 only at the end. PR_EDATA: damaged or cut off. */
PR_CHECKED enum pr_code graph_source_read(struct graph_source *s, void *buf, size_t cap, size_t *n,
                                          struct pr_err *err);
void graph_source_progress(const struct graph_source *s, uint64_t *read_bytes,
                           uint64_t *file_bytes);
void graph_source_close(struct graph_source *s);

/* --- whole lines -------------------------------------------------------- */
enum { GRAPH_LINE_SLACK = 16 }; /* readable bytes behind the last line */

struct graph_lines {
    struct graph_source *source; /* borrowed */
    const char *path;
    char *buf; /* owned */
    size_t cap, len, used;
    uint64_t line; /* number of the next line, from 1 */
    bool ended;
};
/* The next run of whole lines, each ended by '\n' (one is put after the last
 * line when it has none). *n 0 at the end. Valid until the next call. */
PR_CHECKED enum pr_code graph_lines_next(struct graph_lines *l, const char **text, size_t *n,
                                         struct pr_err *err);

static inline bool graph_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline const char *graph_skip_blanks(const char *p)
{
    while (graph_is_blank(*p))
        p++;
    return p + (*p == '\r' && p[1] == '\n'); /* a line of Windows */
}

/* Reads an unsigned decimal of at most max at *p, which ends before any other
 * byte; NULL, or what is wrong with it. */
const char *graph_number(const char **p, uint64_t max, uint64_t *out);
/* A number that must be there, and the blanks behind it; form: what a line looks like. */
PR_CHECKED enum pr_code graph_field(const struct graph_lines *l, const char **p, const char *name,
                                    const char *form, uint64_t max, uint64_t *out,
                                    struct pr_err *err);
enum pr_code graph_bad_line(const struct graph_lines *l, struct pr_err *err, const char *what);
enum pr_code graph_bad_field(const struct graph_lines *l, struct pr_err *err, const char *name,
                             const char *at, const char *why);

/* How many of the 8 bytes at p are digits before the first other one, 0..8, and
 * their value, all at once: the length of numbers varies too much to be
 * branched on. */
static inline unsigned graph_eight_digits(const char *p, uint64_t *value)
{
    uint64_t t;
    memcpy(&t, p, sizeof t);
    t = le64toh(t);
    const uint64_t d = t ^ UINT64_C(0x3030303030303030);
    const uint64_t other = (d | (d + UINT64_C(0x0606060606060606))) & UINT64_C(0xf0f0f0f0f0f0f0f0);
    const unsigned n = other == 0 ? 8 : (unsigned)__builtin_ctzll(other) / 8;
    if (n == 0)
        return 0;
    uint64_t v = d << (64 - 8 * n); /* right-justified: zeros lead */
    v = v * 10 + (v >> 8);
    v = ((v & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
         ((v >> 16) & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >>
        32;
    *value = v;
    return n;
}

/* A number of 1 to 16 digits; returns its end, or NULL when it is another: then
 * graph_number tells. */
static inline const char *graph_short_number(const char *p, uint64_t *out)
{
    static const uint32_t ten_to[8] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000 };
    unsigned n = graph_eight_digits(p, out);
    if (__builtin_expect(n < 8, 1))
        return n == 0 ? NULL : p + n;
    uint64_t rest = 0;
    n = graph_eight_digits(p + 8, &rest);
    if (n == 8)
        return NULL;
    *out = *out * ten_to[n] + rest;
    return p + 8 + n;
}

/* Writes v in decimal at p, which has room for 20 digits; returns their end. */
static inline char *graph_put_decimal(char *p, uint64_t v)
{
    char digit[20];
    unsigned n = 0;
    do
        digit[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    while (n > 0)
        *p++ = digit[--n];
    return p;
}

/* --- to the sink ---------------------------------------------------------- */
enum { GRAPH_FEED_ROWS = 2048 };

struct graph_feed {
    graph_sink *sink;
    void *ctx;
    const struct graph_source *source;
    const char *path;
    struct graph_edge *edge;     /* [GRAPH_FEED_ROWS] */
    struct graph_vertex *vertex; /* [GRAPH_FEED_ROWS] */
    size_t edges, vertices;
    uint64_t handed; /* edges and vertices before these */
};
PR_CHECKED enum pr_code graph_feed_flush(struct graph_feed *f, struct pr_err *err);
PR_CHECKED static inline enum pr_code graph_feed_edge(struct graph_feed *f, uint64_t from,
                                                      uint64_t to, uint32_t weight,
                                                      struct pr_err *err)
{
    f->edge[f->edges++] = (struct graph_edge){ from, to, weight };
    return __builtin_expect(f->edges == GRAPH_FEED_ROWS, 0) ? graph_feed_flush(f, err) : PR_OK;
}
PR_CHECKED static inline enum pr_code graph_feed_vertex(struct graph_feed *f, uint64_t id,
                                                        uint64_t weight, struct pr_err *err)
{
    f->vertex[f->vertices++] = (struct graph_vertex){ id, weight };
    return __builtin_expect(f->vertices == GRAPH_FEED_ROWS, 0) ? graph_feed_flush(f, err) : PR_OK;
}

/* One reader a format: the whole source into f. */
PR_CHECKED enum pr_code graph_read_snap(struct graph_source *s, struct graph_feed *f,
                                        struct pr_err *err);
PR_CHECKED enum pr_code graph_read_metis(struct graph_source *s, struct graph_feed *f,
                                         struct pr_err *err);
PR_CHECKED enum pr_code graph_read_binary(struct graph_source *s, size_t id_bytes,
                                          struct graph_feed *f, struct pr_err *err);

#endif
