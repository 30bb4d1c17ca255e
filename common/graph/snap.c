/* SNAP edge lists: "from to [weight]" a line. */
#include "internal.h"

#include <stdlib.h>

static const char form[] = "from to [weight]";

/* "from to", one blank between and nothing behind, as nearly every line of a
 * large file is. Returns the line's '\n', or NULL: let parse_edge look. */
static inline const char *parse_plain(const char *p, uint64_t *from, uint64_t *to)
{
    p = graph_short_number(p, from);
    if (p == NULL || (*p != ' ' && *p != '\t'))
        return NULL;
    p = graph_short_number(p + 1, to);
    return p == NULL || *p != '\n' ? NULL : p;
}

/* One line at p that is neither blank nor a comment; *end is its '\n'. */
static enum pr_code parse_edge(const struct graph_lines *l, const char *p, const char **end,
                               struct graph_feed *f, struct pr_err *err)
{
    uint64_t from = 0, to = 0, weight = 1;
    enum pr_code rc = graph_field(l, &p, "id", form, UINT64_MAX, &from, err);
    if (rc == PR_OK)
        rc = graph_field(l, &p, "second id", form, UINT64_MAX, &to, err);
    if (rc == PR_OK && *p != '\n') {
        const char *const at = p;
        rc = graph_field(l, &p, "weight", form, UINT32_MAX, &weight, err);
        if (rc == PR_OK && weight == 0)
            return graph_bad_field(l, err, "weight", at, "not in 1..4294967295");
    }
    if (rc != PR_OK)
        return rc;
    if (*p != '\n')
        return graph_bad_line(l, err, "more than three columns");
    *end = p;
    return graph_feed_edge(f, from, to, (uint32_t)weight, err);
}

static enum pr_code parse_lines(struct graph_lines *l, const char *text, size_t n,
                                struct graph_feed *f, struct pr_err *err)
{
    const char *p = text, *const stop = text + n;
    enum pr_code rc = PR_OK;
    for (; p < stop && rc == PR_OK; p++, l->line++) { /* p++: behind '\n' */
        uint64_t from, to;
        const char *const end = parse_plain(p, &from, &to);
        if (__builtin_expect(end != NULL, 1)) {
            p = end;
            rc = graph_feed_edge(f, from, to, 1, err);
            continue;
        }
        p = graph_skip_blanks(p);
        if (*p == '#' || *p == '%')
            p = memchr(p, '\n', (size_t)(stop - p));
        else if (*p != '\n')
            rc = parse_edge(l, p, &p, f, err);
        if (rc != PR_OK)
            return rc; /* the line is not behind us */
    }
    return rc;
}

enum pr_code graph_read_snap(struct graph_source *s, struct graph_feed *f, struct pr_err *err)
{
    struct graph_lines l = { .source = s, .path = f->path, .line = 1 };
    const char *text;
    size_t n = 0;
    enum pr_code rc;
    while ((rc = graph_lines_next(&l, &text, &n, err)) == PR_OK && n > 0)
        if ((rc = parse_lines(&l, text, n, f, err)) != PR_OK)
            break;
    free(l.buf);
    return rc;
}
