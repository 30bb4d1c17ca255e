/* Whole lines of a text source, and the numbers in them. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 1 << 20, MAX_LINE_BYTES = 1 << 28 };

enum pr_code graph_bad_line(const struct graph_lines *l, struct pr_err *err, const char *what)
{
    return pr_fail(err, PR_EDATA, "%s: line %llu: %s", l->path, (unsigned long long)l->line, what);
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
        return graph_bad_line(l, err, "longer than 256 MiB");
    const size_t cap = l->cap == 0 ? FIRST_CAP : l->cap * 2;
    char *grown = realloc(l->buf, cap);
    if (grown == NULL)
        return pr_fail(err, PR_ENOMEM, "%s: no memory for a line of %zu bytes", l->path, cap);
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
    uint64_t v = digit;
    int count = 1;
    while ((digit = (unsigned)(unsigned char)*++c - '0') <= 9) {
        /* 18 digits always fit */
        if (++count > 18 && v > (max - digit) / 10)
            return "too large";
        v = v * 10 + digit;
    }
    if (v > max)
        return "too large";
    *out = v;
    *p = c;
    return NULL;
}
