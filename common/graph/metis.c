/* METIS graph files: "n m [fmt [ncon]]", then one line a vertex with its
 * neighbours, numbered from 1; every edge stands in both of its lines.
 * Source: METIS 5 manual, section 4.5. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct metis {
    struct graph_lines lines;
    uint64_t n, m;       /* as the header says */
    uint64_t skip;       /* numbers before the neighbours: size and weights */
    bool weighted;       /* edges */
    uint64_t vertex;     /* of the line, from 1 */
    uint64_t neighbours; /* read so far */
    bool header;         /* read */
};

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r')
        p++;
    return p;
}

static enum pr_code number(const struct metis *m, const char **p, const char *name, uint64_t max,
                           uint64_t *out, struct pr_err *err)
{
    char what[160];
    const char *const at = *p, *wrong = NULL;
    if (*at == '\n')
        wrong = "missing";
    else if ((wrong = graph_number(p, max, out)) == NULL && strchr(" \t\r\n", **p) == NULL)
        wrong = "not a whole number";
    if (wrong == NULL) {
        *p = skip_blanks(*p);
        return PR_OK;
    }
    const size_t n = strcspn(at, " \t\r\n");
    (void)snprintf(what, sizeof what, "%s '%.*s' is %s", name, (int)(n > 40 ? 40 : n), at, wrong);
    return graph_bad_line(&m->lines, err, what);
}

static enum pr_code parse_header(struct metis *m, const char *p, struct pr_err *err)
{
    uint64_t format = 0, ncon = 1;
    enum pr_code rc = number(m, &p, "number of vertices", INT64_MAX, &m->n, err);
    if (rc == PR_OK)
        rc = number(m, &p, "number of edges", INT64_MAX / 2, &m->m, err);
    if (rc == PR_OK && *p != '\n')
        rc = number(m, &p, "format", 111, &format, err);
    if (rc == PR_OK && *p != '\n')
        rc = number(m, &p, "number of vertex weights", 1024, &ncon, err);
    if (rc != PR_OK)
        return rc;
    if (*p != '\n' || format % 10 > 1 || format / 10 % 10 > 1)
        return graph_bad_line(&m->lines, err, "header: want 'vertices edges [fmt [ncon]]'");
    m->weighted = format % 10 == 1;
    m->skip = (format / 100 == 1) + (format / 10 % 10 == 1 ? ncon : 0);
    m->header = true;
    return PR_OK;
}

static enum pr_code parse_vertex(struct metis *m, const char *p, struct graph_list *g,
                                 struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    uint64_t to, weight = 1, ignored;
    if (++m->vertex > m->n)
        return *p == '\n' ? PR_OK
                          : graph_bad_line(&m->lines, err, "more lines than the header's vertices");
    for (uint64_t i = 0; i < m->skip && rc == PR_OK; i++)
        rc = number(m, &p, "vertex weight", INT64_MAX, &ignored, err);
    while (rc == PR_OK && *p != '\n') {
        if ((rc = number(m, &p, "neighbour", INT64_MAX, &to, err)) != PR_OK)
            return rc;
        if (to < 1 || to > m->n)
            return graph_bad_line(&m->lines, err, "neighbour not in 1..vertices of the header");
        if (m->weighted && (rc = number(m, &p, "weight", UINT32_MAX, &weight, err)) != PR_OK)
            return rc;
        if (weight == 0)
            return graph_bad_line(&m->lines, err, "weight 0: want 1..4294967295");
        m->neighbours++;
        /* Each edge stands twice; its smaller end speaks for it. */
        if (m->vertex <= to && !graph_list_add(g, m->vertex, to, (uint32_t)weight))
            return pr_fail(err, PR_ENOMEM, "%s: no memory for %zu edges", m->lines.path,
                           g->edges.n + 1);
    }
    return rc;
}

static enum pr_code parse_lines(struct metis *m, const char *text, size_t n, struct graph_list *g,
                                struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (const char *p = text, *const stop = text + n; p < stop && rc == PR_OK;) {
        const char *const end = memchr(p, '\n', (size_t)(stop - p));
        const char *const first = skip_blanks(p);
        if (*first != '%') { /* a blank line is a vertex without neighbours */
            if (m->header)
                rc = parse_vertex(m, first, g, err);
            else if (*first != '\n')
                rc = parse_header(m, first, err);
        }
        p = end + 1;
        m->lines.line++;
    }
    return rc;
}

static enum pr_code check_totals(const struct metis *m, struct pr_err *err)
{
    if (!m->header)
        return pr_fail(err, PR_EDATA, "%s: empty graph", m->lines.path);
    if (m->vertex < m->n)
        return pr_fail(err, PR_EDATA, "%s: header says %llu vertices, the file has %llu",
                       m->lines.path, (unsigned long long)m->n, (unsigned long long)m->vertex);
    if (m->neighbours != 2 * m->m)
        return pr_fail(err, PR_EDATA,
                       "%s: header says %llu edges (%llu neighbours), the file has %llu neighbours",
                       m->lines.path, (unsigned long long)m->m, (unsigned long long)(2 * m->m),
                       (unsigned long long)m->neighbours);
    return PR_OK;
}

enum pr_code graph_read_metis(struct graph_source *s, const char *path, struct graph_list *g,
                              struct pr_err *err)
{
    struct metis m = { .lines = { .source = s, .path = path, .line = 1 } };
    enum pr_code rc;
    for (;;) {
        const char *text;
        size_t n;
        rc = graph_lines_next(&m.lines, &text, &n, err);
        if (rc != PR_OK || n == 0)
            break;
        if ((rc = parse_lines(&m, text, n, g, err)) != PR_OK)
            break;
    }
    if (rc == PR_OK)
        rc = check_totals(&m, err);
    free(m.lines.buf);
    return rc;
}
