/* SNAP edge lists: "from to [weight]" a line. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p)
{
    while (is_blank(*p))
        p++;
    return p;
}

static enum pr_code bad_field(const struct graph_lines *l, struct pr_err *err, const char *field,
                              const char *p, const char *why)
{
    char what[160];
    const size_t n = strcspn(p, " \t\r\n");
    (void)snprintf(what, sizeof what, "%s '%.*s' is %s", field, (int)(n > 40 ? 40 : n), p, why);
    return graph_bad_line(l, err, what);
}

/* A number and what must follow it: a blank or the line's end. */
static enum pr_code field(const struct graph_lines *l, const char **p, const char *name,
                          uint64_t max, uint64_t *out, struct pr_err *err)
{
    const char *const at = *p;
    if (*at == '\n' || *at == '\r') {
        char what[64];
        (void)snprintf(what, sizeof what, "no %s: want 'from to [weight]'", name);
        return graph_bad_line(l, err, what);
    }
    const char *wrong = graph_number(p, max, out);
    if (wrong == NULL && !is_blank(**p) && **p != '\n' && **p != '\r')
        wrong = "not a whole number";
    return wrong == NULL ? PR_OK : bad_field(l, err, name, at, wrong);
}

/* One line at p that is neither blank nor a comment; *end is its '\n'. */
static enum pr_code parse_edge(const struct graph_lines *l, const char *p, const char **end,
                               struct graph_list *g, struct pr_err *err)
{
    uint64_t from = 0, to = 0, weight = 1;
    enum pr_code rc = field(l, &p, "id", INT64_MAX, &from, err);
    if (rc != PR_OK)
        return rc;
    p = skip_blanks(p);
    if ((rc = field(l, &p, "second id", INT64_MAX, &to, err)) != PR_OK)
        return rc;
    p = skip_blanks(p);
    if (*p != '\n' && *p != '\r') {
        const char *const at = p;
        if ((rc = field(l, &p, "weight", UINT32_MAX, &weight, err)) != PR_OK)
            return rc;
        if (weight == 0)
            return bad_field(l, err, "weight", at, "not in 1..4294967295");
        p = skip_blanks(p);
    }
    if (*p == '\r')
        p++;
    if (*p != '\n')
        return graph_bad_line(l, err, "more than three columns");
    *end = p;
    if (!graph_list_add(g, from, to, (uint32_t)weight))
        return pr_fail(err, PR_ENOMEM, "%s: no memory for %zu edges", l->path, g->edges.n + 1);
    return PR_OK;
}

static enum pr_code parse_lines(struct graph_lines *l, const char *text, size_t n,
                                struct graph_list *g, struct pr_err *err)
{
    const char *p = text, *const stop = text + n;
    while (p < stop) {
        p = skip_blanks(p);
        if (*p == '#' || *p == '%')
            p = memchr(p, '\n', (size_t)(stop - p));
        else {
            if (*p == '\r' && p[1] == '\n')
                p++;
            if (*p != '\n') {
                const enum pr_code rc = parse_edge(l, p, &p, g, err);
                if (rc != PR_OK)
                    return rc;
            }
        }
        p++; /* behind '\n' */
        l->line++;
    }
    return PR_OK;
}

enum pr_code graph_read_snap(struct graph_source *s, const char *path, struct graph_list *g,
                             struct pr_err *err)
{
    struct graph_lines l = { .source = s, .path = path, .line = 1 };
    enum pr_code rc;
    for (;;) {
        const char *text;
        size_t n;
        rc = graph_lines_next(&l, &text, &n, err);
        if (rc != PR_OK || n == 0)
            break;
        if ((rc = parse_lines(&l, text, n, g, err)) != PR_OK)
            break;
    }
    free(l.buf);
    return rc;
}
