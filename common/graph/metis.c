/* METIS graph files: "n m [fmt [ncon]]", then one line a vertex with its
 * neighbours, numbered from 1; every edge stands in both of its lines.
 * Source: METIS 5 manual, section 4.5. */
#include "internal.h"

#include "prism/rng.h"

#include <stdlib.h>

struct metis {
    struct graph_lines lines;
    uint64_t n, m;     /* as the header says */
    bool sized;        /* a vertex size stands before its weights */
    uint64_t ncon;     /* weights a vertex, 0 without */
    bool weighted;     /* edges */
    bool header;       /* read */
    uint64_t vertex;   /* of the line, from 1 */
    uint64_t entries;  /* neighbours read so far */
    uint64_t up, down; /* hashes of the edges as their smaller, larger ends tell them */
};

static enum pr_code number(const struct metis *m, const char **p, const char *name, uint64_t max,
                           uint64_t *out, struct pr_err *err)
{
    const char *const end = graph_short_number(*p, out);
    if (end != NULL && *out <= max && (*end == ' ' || *end == '\n')) {
        *p = graph_skip_blanks(end);
        return PR_OK;
    }
    if (**p == '\n')
        return graph_bad_field(&m->lines, err, name, *p, "missing");
    return graph_field(&m->lines, p, name, "", max, out, err);
}

static enum pr_code parse_header(struct metis *m, const char *p, struct pr_err *err)
{
    uint64_t format = 0, ncon = 1;
    enum pr_code rc = number(m, &p, "number of vertices", UINT64_MAX, &m->n, err);
    if (rc == PR_OK)
        rc = number(m, &p, "number of edges", UINT64_MAX / 2, &m->m, err);
    if (rc == PR_OK && *p != '\n')
        rc = number(m, &p, "format", 111, &format, err);
    if (rc == PR_OK && *p != '\n')
        rc = number(m, &p, "number of vertex weights", 1024, &ncon, err);
    if (rc != PR_OK)
        return rc;
    if (*p != '\n' || format % 10 > 1 || format / 10 % 10 > 1)
        return graph_bad_line(&m->lines, err, "header: want 'vertices edges [fmt [ncon]]'");
    m->weighted = format % 10 == 1;
    m->sized = format / 100 == 1;
    m->ncon = format / 10 % 10 == 1 ? ncon : 0;
    m->header = true;
    return PR_OK;
}

/* What stands before the neighbours; of several weights the first is kept. */
static enum pr_code parse_weights(struct metis *m, const char **p, uint64_t *weight,
                                  struct pr_err *err)
{
    uint64_t ignored;
    enum pr_code rc = PR_OK;
    *weight = 1;
    if (m->sized)
        rc = number(m, p, "vertex size", INT64_MAX, &ignored, err);
    for (uint64_t i = 0; i < m->ncon && rc == PR_OK; i++)
        rc = number(m, p, "vertex weight", INT64_MAX, i == 0 ? weight : &ignored, err);
    return rc;
}

/* Both rows of an edge must tell the same: equal sums of hashes say so. */
static inline void note(struct metis *m, uint64_t to, uint64_t weight)
{
    if (m->vertex < to)
        m->up += pr_mix64(pr_mix64(m->vertex) + to) * (2 * weight + 1);
    else if (m->vertex > to)
        m->down += pr_mix64(pr_mix64(to) + m->vertex) * (2 * weight + 1);
    m->entries++;
}

static enum pr_code parse_vertex(struct metis *m, const char *p, struct graph_feed *f,
                                 struct pr_err *err)
{
    uint64_t to, weight = 1;
    if (m->vertex >= m->n)
        return *p == '\n' ? PR_OK
                          : graph_bad_line(&m->lines, err, "more lines than the header's vertices");
    m->vertex++;
    enum pr_code rc = parse_weights(m, &p, &weight, err);
    if (rc == PR_OK)
        rc = graph_feed_vertex(f, m->vertex, weight, err);
    weight = 1;
    while (rc == PR_OK && *p != '\n') {
        if ((rc = number(m, &p, "neighbour", UINT64_MAX, &to, err)) != PR_OK)
            return rc;
        if (to < 1 || to > m->n)
            return graph_bad_line(&m->lines, err, "neighbour not in 1..vertices of the header");
        if (m->weighted && (rc = number(m, &p, "weight", UINT32_MAX, &weight, err)) != PR_OK)
            return rc;
        if (weight == 0)
            return graph_bad_line(&m->lines, err, "weight 0: want 1..4294967295");
        note(m, to, weight);
        if (m->vertex <= to) /* each edge stands twice; its smaller end speaks for it */
            rc = graph_feed_edge(f, m->vertex, to, (uint32_t)weight, err);
    }
    return rc;
}

static enum pr_code parse_lines(struct metis *m, const char *text, size_t n, struct graph_feed *f,
                                struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (const char *p = text, *const stop = text + n; p < stop;) {
        const char *const end = memchr(p, '\n', (size_t)(stop - p));
        const char *const first = graph_skip_blanks(p);
        if (*first != '%') { /* a blank line is a vertex without neighbours */
            if (m->header)
                rc = parse_vertex(m, first, f, err);
            else if (*first != '\n')
                rc = parse_header(m, first, err);
        }
        if (rc != PR_OK)
            return rc;
        p = end + 1;
        m->lines.line++;
    }
    return PR_OK;
}

static enum pr_code check_totals(const struct metis *m, struct pr_err *err)
{
    const char *const path = m->lines.path;
    if (!m->header)
        return pr_fail(err, PR_EDATA, "%s: empty graph", path);
    if (m->vertex < m->n)
        return pr_fail(err, PR_EDATA, "%s: header says %llu vertices, the file has %llu", path,
                       (unsigned long long)m->n, (unsigned long long)m->vertex);
    if (m->entries != 2 * m->m)
        return pr_fail(err, PR_EDATA,
                       "%s: header says %llu edges (%llu neighbours), the file has %llu neighbours",
                       path, (unsigned long long)m->m, (unsigned long long)(2 * m->m),
                       (unsigned long long)m->entries);
    if (m->up != m->down)
        return pr_fail(err, PR_EDATA,
                       "%s: some edge does not stand in the rows of both its ends with one weight",
                       path);
    return PR_OK;
}

enum pr_code graph_read_metis(struct graph_source *s, struct graph_feed *f, struct pr_err *err)
{
    struct metis m = { .lines = { .source = s, .path = f->path, .line = 1 } };
    const char *text;
    size_t n = 0;
    enum pr_code rc;
    while ((rc = graph_lines_next(&m.lines, &text, &n, err)) == PR_OK && n > 0)
        if ((rc = parse_lines(&m, text, n, f, err)) != PR_OK)
            break;
    if (rc == PR_OK)
        rc = check_totals(&m, err);
    free(m.lines.buf);
    return rc;
}
