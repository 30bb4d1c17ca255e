/* Whole lines of a text source, and the numbers in them. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAP = 1 << 19, MAX_LINE_BYTES = 1 << 30 };

enum pr_code graph_bad_line(const struct graph_lines *l, struct pr_err *err, const char *what)
{
    return pr_fail(err, PR_EDATA, "%s: line %llu: %s", l->path, (unsigned long long)l->line, what);
}

enum pr_code graph_bad_field(const struct graph_lines *l, struct pr_err *err, const char *name,
                             const char *at, const char *why)
{
    enum { LONGEST = 40 };
    char field[LONGEST + 1], what[120];
    size_t n = 0;
    for (; n < LONGEST && !graph_is_blank(at[n]) && at[n] != '\n' && at[n] != '\r'; n++)
        field[n] = at[n] > ' ' && at[n] <= '~' ? at[n] : '?'; /* it may be any bytes */
    field[n] = '\0';
    (void)snprintf(what, sizeof what, "%s '%s' is %s", name, field, why);
    return graph_bad_line(l, err, what);
}

static enum pr_code make_room(struct graph_lines *l, struct pr_err *err)
{
    if (l->used > 0) {
        memmove(l->buf, l->buf + l->used, l->len - l->used);
        l->len -= l->used;
        l->used = 0;
    }
    if (l->buf != NULL && l->len + 1 < l->cap)
        return PR_OK;
    if (l->cap >= MAX_LINE_BYTES)
        return graph_bad_line(l, err, "longer than 1 GiB");
    const size_t cap = l->cap == 0 ? FIRST_CAP : l->cap * 2;
    char *grown = realloc(l->buf, cap + GRAPH_LINE_SLACK);
    if (grown == NULL)
        return pr_fail(err, PR_ENOMEM, "%s: no memory for a line of %zu bytes", l->path, cap);
    memset(grown + cap, 0, GRAPH_LINE_SLACK);
    l->buf = grown;
    l->cap = cap;
    return PR_OK;
}

enum pr_code graph_lines_next(struct graph_lines *l, const char **text, size_t *n,
                              struct pr_err *err)
{
    *n = 0;
    while (!l->ended) {
        enum pr_code rc = make_room(l, err);
        if (rc != PR_OK)
            return rc;
        size_t got;
        const size_t before = l->len;
        /* one byte is kept for the newline that the last line may lack */
        rc = graph_source_read(l->source, l->buf + l->len, l->cap - l->len - 1, &got, err);
        if (rc != PR_OK)
            return rc;
        l->len += got;
        if (got == 0) {
            l->ended = true;
            if (l->len > 0 && l->buf[l->len - 1] != '\n')
                l->buf[l->len++] = '\n';
            l->used = l->len;
        } else {
            const char *last = memrchr(l->buf + before, '\n', got);
            if (last == NULL)
                continue;
            l->used = (size_t)(last - l->buf) + 1;
        }
        /* what is read ahead of the last line shall be something */
        memset(l->buf + l->len, 0, GRAPH_LINE_SLACK);
        *text = l->buf;
        *n = l->used;
        return PR_OK;
    }
    return PR_OK;
}

const char *graph_number(const char **p, uint64_t max, uint64_t *out)
{
    const char *c = *p;
    unsigned digit = (unsigned)(unsigned char)*c - '0';
    if (digit > 9)
        return *c == '-' ? "negative" : "not a whole number";
    uint64_t v = 0;
    for (; digit <= 9; digit = (unsigned)(unsigned char)*++c - '0') {
        if (v > max / 10 || v * 10 > max - digit)
            return "too large";
        v = v * 10 + digit;
    }
    *out = v;
    *p = c;
    return NULL;
}

enum pr_code graph_field(const struct graph_lines *l, const char **p, const char *name,
                         const char *form, uint64_t max, uint64_t *out, struct pr_err *err)
{
    const char *const at = *p;
    if (*at == '\n') {
        char what[120];
        (void)snprintf(what, sizeof what, "no %s: want '%s'", name, form);
        return graph_bad_line(l, err, what);
    }
    const char *wrong = graph_number(p, max, out);
    if (wrong == NULL && !graph_is_blank(**p) && **p != '\n' && **p != '\r')
        wrong = "not a whole number";
    if (wrong != NULL)
        return graph_bad_field(l, err, name, at, wrong);
    *p = graph_skip_blanks(*p);
    return PR_OK;
}
