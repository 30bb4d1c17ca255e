#include "prism/xml.h"

#include <expat.h>
#include <limits.h>
#include <string.h>

enum { DEPTH = 32 };

struct reader {
    XML_Parser parser;
    struct pr_arena *arena;
    struct pr_xml *root, *at;
    char *text; /* of the innermost element so far; in the arena */
    size_t len, cap;
    int depth;
    const char *wrong; /* NULL: nothing but what expat finds */
};

static void stop(struct reader *r, const char *wrong)
{
    r->wrong = wrong;
    (void)XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    (void)attributes;
    struct reader *r = ctx;
    const char *colon = strchr(name, ':');
    struct pr_xml *x = pr_arena_alloc(r->arena, sizeof *x);
    char *copy = pr_arena_strdup(r->arena, colon != NULL ? colon + 1 : name);

    if (x == NULL || copy == NULL || ++r->depth > DEPTH) {
        stop(r, x == NULL || copy == NULL ? "too large" : "too deep");
        return;
    }
    *x = (struct pr_xml){ .name = copy, .text = "", .parent_ = r->at };
    if (r->at == NULL)
        r->root = x;
    else if (r->at->last_ == NULL)
        r->at->child = x;
    else
        r->at->last_->next = x;
    if (r->at != NULL)
        r->at->last_ = x;
    r->at = x;
    r->len = 0;
}

static void on_text(void *ctx, const XML_Char *s, int n)
{
    struct reader *r = ctx;
    const size_t more = (size_t)n;

    if (r->len + more > r->cap) {
        const size_t cap = 2 * (r->len + more) + 64;
        char *grown = pr_arena_alloc(r->arena, cap);
        if (grown == NULL) {
            stop(r, "too large");
            return;
        }
        if (r->len > 0)
            memcpy(grown, r->text, r->len);
        r->text = grown;
        r->cap = cap;
    }
    memcpy(r->text + r->len, s, more);
    r->len += more;
}

static void on_end(void *ctx, const XML_Char *name)
{
    static const char BLANKS[] = " \t\r\n";
    (void)name;
    struct reader *r = ctx;
    size_t from = 0, to = r->len;

    while (from < to && strchr(BLANKS, r->text[from]) != NULL)
        from++;
    while (to > from && strchr(BLANKS, r->text[to - 1]) != NULL)
        to--;
    if (to > from) {
        r->at->text = pr_arena_strndup(r->arena, r->text + from, to - from);
        if (r->at->text == NULL) {
            r->at->text = "";
            stop(r, "too large");
            return;
        }
    }
    r->len = 0; /* text beside children is nobody's */
    r->at = r->at->parent_;
    r->depth--;
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    stop(ctx, "a document type is refused");
}

enum pr_code pr_xml_parse(const char *bytes, size_t n, struct pr_arena *arena,
                          const struct pr_xml **root, struct pr_err *err)
{
    if (n > INT_MAX)
        return pr_fail(err, PR_EDATA, "XML: %zu bytes are too many", n);
    struct reader r = { .parser = XML_ParserCreate(NULL), .arena = arena };
    if (r.parser == NULL)
        return pr_fail(err, PR_ENOMEM, "XML: no memory");
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);

    enum pr_code rc = PR_OK;
    if (XML_Parse(r.parser, bytes != NULL ? bytes : "", (int)n, 1) != XML_STATUS_OK)
        rc = pr_fail(err, PR_EDATA, "not XML, line %lu: %s",
                     (unsigned long)XML_GetCurrentLineNumber(r.parser),
                     r.wrong != NULL ? r.wrong : XML_ErrorString(XML_GetErrorCode(r.parser)));
    else
        *root = r.root;
    XML_ParserFree(r.parser);
    return rc;
}

const struct pr_xml *pr_xml_child(const struct pr_xml *x, const char *name)
{
    const struct pr_xml *c = x != NULL ? x->child : NULL;

    while (c != NULL && strcmp(c->name, name) != 0)
        c = c->next;
    return c;
}

const struct pr_xml *pr_xml_next(const struct pr_xml *x)
{
    const struct pr_xml *c = x != NULL ? x->next : NULL;

    while (c != NULL && strcmp(c->name, x->name) != 0)
        c = c->next;
    return c;
}

const struct pr_xml *pr_xml_at(const struct pr_xml *x, const char *path)
{
    while (x != NULL && *path != '\0') {
        const size_t n = strcspn(path, "/");
        const struct pr_xml *c = x->child;

        while (c != NULL && (strncmp(c->name, path, n) != 0 || c->name[n] != '\0'))
            c = c->next;
        x = c;
        path += n + (path[n] == '/');
    }
    return x;
}

const char *pr_xml_text(const struct pr_xml *x, const char *path)
{
    const struct pr_xml *at = pr_xml_at(x, path);

    return at != NULL ? at->text : "";
}
