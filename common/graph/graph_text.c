/* Lines of words. */
#include "prism/graph_text.h"

#include "internal.h"

#include <stdlib.h>

/* Ends every word of a line with a zero byte; returns their number. */
static size_t split(char *p, char *end, const char *word[GRAPH_TEXT_WORDS])
{
    size_t n = 0;
    while (p < end) {
        if (graph_is_blank(*p) || *p == '\r') {
            *p++ = '\0';
            continue;
        }
        if (n < GRAPH_TEXT_WORDS)
            word[n] = p;
        n++;
        while (p < end && !graph_is_blank(*p) && *p != '\r')
            p++;
    }
    *end = '\0';
    return n;
}

static enum pr_code read_line(const struct graph_lines *l, char *p, char *end,
                              graph_text_sink *sink, void *ctx, struct pr_err *err)
{
    const char *word[GRAPH_TEXT_WORDS] = { NULL };
    if (memchr(p, '\0', (size_t)(end - p)) != NULL)
        return graph_bad_line(l, err, "a zero byte in it");
    const size_t words = split(p, end, word);
    if (words == 0 || word[0][0] == '#' || word[0][0] == '%')
        return PR_OK;
    const enum pr_code rc = sink(ctx, word, words, err);
    return rc == PR_OK ? PR_OK
                       : pr_wrap(err, rc, "%s: line %llu", l->path, (unsigned long long)l->line);
}

enum pr_code graph_text_each(const char *path, graph_text_sink *sink, void *ctx, struct pr_err *err)
{
    struct graph_lines l = { .path = graph_name(path), .line = 1 };
    const char *text;
    size_t n = 0;
    enum pr_code rc = graph_source_open(&l.source, path, err);
    if (rc != PR_OK)
        return rc;
    while ((rc = graph_lines_next(&l, &text, &n, err)) == PR_OK && n > 0) {
        char *p = l.buf, *const stop = l.buf + n; /* text is what buf begins with */
        while (p < stop && rc == PR_OK) {
            char *const end = memchr(p, '\n', (size_t)(stop - p));
            rc = read_line(&l, p, end, sink, ctx, err);
            p = end + 1;
            l.line++;
        }
        if (rc != PR_OK)
            break;
    }
    free(l.buf);
    graph_source_close(l.source);
    return rc;
}
