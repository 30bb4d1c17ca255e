/* Assignment files. */
#include "prism/graph_assign.h"

#include "internal.h"
#include "prism/graph_out.h"

#include <stdio.h>
#include <stdlib.h>

static const char form[] = "vertex partition zone";

struct reading {
    struct graph_lines lines;
    struct graph_assign_limits limits;
    struct graph_assigns out;
    size_t cap;
    bool sorted; /* so far */
    bool search; /* a second time: for the line that names twice again */
    uint64_t twice;
    unsigned found;
};

/* A number below limit, or "-". */
static enum pr_code parse_number(const struct reading *r, const char **p, const char *name,
                                 uint32_t limit, uint32_t *out, struct pr_err *err)
{
    const char *const at = *p;
    uint64_t v;
    if (at[0] == '-' && (graph_is_blank(at[1]) || at[1] == '\n' || at[1] == '\r')) {
        *out = GRAPH_NONE;
        *p = graph_skip_blanks(at + 1);
        return PR_OK;
    }
    const uint32_t max = limit == 0 ? GRAPH_NONE - 1 : limit - 1;
    const enum pr_code rc = graph_field(&r->lines, p, name, form, UINT64_MAX, &v, err);
    if (rc == PR_OK && v > max) {
        char why[40];
        (void)snprintf(why, sizeof why, "not in 0..%u", max);
        return graph_bad_field(&r->lines, err, name, at, why);
    }
    *out = rc == PR_OK ? (uint32_t)v : GRAPH_NONE;
    return rc;
}

static enum pr_code add(struct reading *r, const struct graph_assign *row, struct pr_err *err)
{
    struct graph_assigns *const a = &r->out;
    if (a->n == r->cap) {
        const size_t cap = r->cap == 0 ? 4096 : r->cap * 2;
        struct graph_assign *grown = realloc(a->row, cap * sizeof *grown);
        if (grown == NULL)
            return pr_fail(err, PR_ENOMEM, "%s: no memory for %zu lines", r->lines.path, cap);
        a->row = grown;
        r->cap = cap;
    }
    r->sorted &= a->n == 0 || a->row[a->n - 1].vertex < row->vertex;
    a->row[a->n++] = *row;
    return PR_OK;
}

static enum pr_code parse_line(struct reading *r, const char *p, struct pr_err *err)
{
    struct graph_assign row;
    const char *const at = p;
    enum pr_code rc = graph_field(&r->lines, &p, "vertex", form, UINT64_MAX, &row.vertex, err);
    if (rc == PR_OK)
        rc = parse_number(r, &p, "partition", r->limits.partitions, &row.partition, err);
    if (rc == PR_OK)
        rc = parse_number(r, &p, "zone", r->limits.zones, &row.zone, err);
    if (rc == PR_OK && *p != '\n')
        rc = graph_bad_line(&r->lines, err, "more than three columns");
    if (rc != PR_OK || !r->search)
        return rc == PR_OK ? add(r, &row, err) : rc;
    r->found += row.vertex == r->twice;
    return r->found < 2 ? PR_OK
                        : graph_bad_field(&r->lines, err, "vertex", at, "named a second time");
}

static enum pr_code read_lines(struct reading *r, const char *path, struct pr_err *err)
{
    const char *text;
    size_t n = 0;
    r->lines = (struct graph_lines){ .path = graph_name(path), .line = 1 };
    enum pr_code rc = graph_source_open(&r->lines.source, path, err);
    if (rc != PR_OK)
        return rc;
    while ((rc = graph_lines_next(&r->lines, &text, &n, err)) == PR_OK && n > 0) {
        for (const char *p = text, *const stop = text + n; p < stop && rc == PR_OK;) {
            const char *const end = memchr(p, '\n', (size_t)(stop - p));
            p = graph_skip_blanks(p);
            if (*p != '#' && *p != '%' && *p != '\n' && (rc = parse_line(r, p, err)) != PR_OK)
                break;
            p = end + 1;
            r->lines.line++;
        }
        if (rc != PR_OK)
            break;
    }
    free(r->lines.buf);
    graph_source_close(r->lines.source);
    return rc;
}

static int by_vertex(const void *a, const void *b)
{
    const struct graph_assign *x = a, *y = b;
    return x->vertex < y->vertex ? -1 : x->vertex > y->vertex;
}

/* Lines are not remembered: the rare file with a vertex twice is read again for
 * the number of its line. */
static enum pr_code check_unique(struct reading *r, const char *path, struct pr_err *err)
{
    const struct graph_assign *const row = r->out.row;
    for (size_t i = 1; i < r->out.n; i++)
        if (row[i - 1].vertex == row[i].vertex) {
            r->search = true;
            r->twice = row[i].vertex;
            const enum pr_code rc = read_lines(r, path, err);
            return rc != PR_OK ? rc
                               : pr_fail(err, PR_EDATA, "%s: vertex %llu is there twice",
                                         graph_name(path), (unsigned long long)r->twice);
        }
    return PR_OK;
}

enum pr_code graph_assign_read(const char *path, const struct graph_assign_limits *limits,
                               struct graph_assigns *out, struct pr_err *err)
{
    struct reading r = { .sorted = true };
    if (limits != NULL)
        r.limits = *limits;
    enum pr_code rc = read_lines(&r, path, err);
    if (rc == PR_OK && r.out.n == 0)
        rc = pr_fail(err, PR_EDATA, "%s: no line 'vertex partition zone'", graph_name(path));
    if (rc == PR_OK && !r.sorted) {
        qsort(r.out.row, r.out.n, sizeof *r.out.row, by_vertex);
        rc = check_unique(&r, path, err);
    }
    if (rc != PR_OK) {
        graph_assigns_done(&r.out);
        return rc;
    }
    *out = r.out;
    return PR_OK;
}

void graph_assigns_done(struct graph_assigns *a)
{
    free(a->row);
    *a = (struct graph_assigns){ .n = 0 };
}

/* --- writing ------------------------------------------------------------------ */

static char *put_number(char *p, uint32_t v)
{
    if (v != GRAPH_NONE)
        return graph_put_decimal(p, v);
    *p++ = '-';
    return p;
}

enum pr_code graph_assign_put(struct graph_out *o, const struct graph_assign *row, size_t n,
                              struct pr_err *err)
{
    enum { LONGEST = 20 + 1 + 10 + 1 + 10 + 1 };
    for (size_t i = 0; i < n; i++) {
        char *p;
        const enum pr_code rc = graph_out_room(o, LONGEST, &p, err);
        if (rc != PR_OK)
            return rc;
        p = graph_put_decimal(p, row[i].vertex);
        *p++ = ' ';
        p = put_number(p, row[i].partition);
        *p++ = ' ';
        p = put_number(p, row[i].zone);
        *p++ = '\n';
        graph_out_wrote(o, p);
    }
    return PR_OK;
}
