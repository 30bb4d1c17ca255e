#include "cli/cases_read.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- names -------------------------------------------------------------------------- */

/* One name of "a|b|c" at *at; moves on. */
static bool next_name(const char **at, char name[64])
{
    if (**at == '\0')
        return false;
    const size_t n = strcspn(*at, "|");
    snprintf(name, 64, "%.*s", (int)n, *at);
    *at += (*at)[n] == '|' ? n + 1 : n;
    return true;
}

static char plain(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c == '-' || c == ' ' ? '_' : c;
}

static bool begins(const char *text, const char *name)
{
    while (*name != '\0' && plain(*text) == *name) {
        text++;
        name++;
    }
    return *name == '\0';
}

bool case_mentions(const char *text, const char *names)
{
    char name[64];
    for (const char *at = names; text != NULL && next_name(&at, name);)
        for (const char *p = text; *p != '\0'; p++)
            if (begins(p, name))
                return true;
    return false;
}

bool case_is(const char *text, const char *names)
{
    char name[64];
    for (const char *at = names; text != NULL && next_name(&at, name);)
        if (strlen(text) == strlen(name) && begins(text, name))
            return true;
    return false;
}

bool case_move(const char *word, enum autoscale_move *out)
{
    static const struct {
        const char *words;
        enum autoscale_move move;
    } list[] = {
        { "out|scale_out|high|up|increase|add", AUTOSCALE_OUT },
        { "in|scale_in|low|down|decrease|remove", AUTOSCALE_IN },
        { "hold|none|ok|steady|no_action|no_change|nothing|keep|stay|blocked|block|wait",
          AUTOSCALE_HOLD },
        { "unknown|no_data|missing|insufficient|insufficient_data|not_enough_data|nodata",
          AUTOSCALE_UNKNOWN },
    };
    for (size_t i = 0; i < PR_COUNT(list); i++)
        if (case_is(word, list[i].words)) {
            *out = list[i].move;
            return true;
        }
    return false;
}

/* --- fields -------------------------------------------------------------------------- */

void case_differs(struct case_fields *f, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    pr_buf_printf(f->diff, "%s%s%s\n", f->at, *f->at != '\0' ? ": " : "", text);
}

struct case_fields case_inside(const json_t *of, const char *at, struct pr_buf *diff)
{
    struct case_fields f = { .of = of, .at = at, .diff = diff };
    if (!json_is_object(of))
        case_differs(&f, "is no object");
    return f;
}

struct case_fields case_open(const json_t *one, struct pr_buf *diff)
{
    static const char *const common[] = { "id",      "kind", "name",    "source",
                                          "derived", "note", "comment", "informative",
                                          "ref",     "url",  "remark" };
    struct case_fields f = case_inside(one, "", diff);
    for (size_t i = 0; i < PR_COUNT(common); i++)
        f.asked[f.n++] = common[i];
    return f;
}

static void asked(struct case_fields *f, const char *name)
{
    if (f->n < CASE_FIELDS)
        f->asked[f->n++] = name;
}

void case_leftover(struct case_fields *f)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)f->of, name, value)
    {
        bool known = false;
        for (size_t i = 0; i < f->n && !known; i++)
            known = strcmp(f->asked[i], name) == 0;
        if (!known)
            case_differs(f, "field \"%s\" is not understood", name);
    }
}

const json_t *case_any(struct case_fields *f, const char *names)
{
    char name[64];
    for (const char *at = names; next_name(&at, name);) {
        void *it = json_object_iter_at((json_t *)f->of, name);
        if (it != NULL) {
            asked(f, json_object_iter_key(it));
            return json_object_iter_value(it);
        }
    }
    return NULL;
}

const json_t *case_need(struct case_fields *f, const char *names)
{
    const json_t *v = case_any(f, names);
    if (v == NULL)
        case_differs(f, "field \"%.*s\" is missing", (int)strcspn(names, "|"), names);
    return v;
}

static double number_of(struct case_fields *f, const char *names, const json_t *v)
{
    if (!json_is_number(v)) {
        case_differs(f, "field \"%.*s\" is no number", (int)strcspn(names, "|"), names);
        return 0;
    }
    return json_number_value(v);
}

double case_number(struct case_fields *f, const char *names)
{
    const json_t *v = case_need(f, names);
    return v == NULL ? 0 : number_of(f, names, v);
}

double case_number_or(struct case_fields *f, const char *names, double otherwise)
{
    const json_t *v = case_any(f, names);
    return v == NULL || json_is_null(v) ? otherwise : number_of(f, names, v);
}

int case_whole(struct case_fields *f, const char *what, double v)
{
    if (v == floor(v) && fabs(v) <= 1e9)
        return (int)v;
    case_differs(f, "field \"%.*s\" is %g: no whole number to a thousand million",
                 (int)strcspn(what, "|"), what, v);
    return 0;
}

int case_int(struct case_fields *f, const char *names)
{
    return case_whole(f, names, case_number(f, names));
}

int case_int_or(struct case_fields *f, const char *names, int otherwise)
{
    return case_whole(f, names, case_number_or(f, names, otherwise));
}

bool case_bool_or(struct case_fields *f, const char *names, bool otherwise)
{
    const json_t *v = case_any(f, names);
    if (v == NULL || json_is_null(v))
        return otherwise;
    if (!json_is_boolean(v))
        case_differs(f, "field \"%.*s\" is neither true nor false", (int)strcspn(names, "|"),
                     names);
    return json_is_true(v);
}

const char *case_text_or(struct case_fields *f, const char *names, const char *otherwise)
{
    const json_t *v = case_any(f, names);
    if (v == NULL || json_is_null(v))
        return otherwise;
    if (!json_is_string(v)) {
        case_differs(f, "field \"%.*s\" is no text", (int)strcspn(names, "|"), names);
        return otherwise;
    }
    return json_string_value(v);
}

const char *case_text(struct case_fields *f, const char *names)
{
    const char *text = case_text_or(f, names, NULL);
    if (text == NULL) {
        case_differs(f, "field \"%.*s\" is missing", (int)strcspn(names, "|"), names);
        return "";
    }
    return text;
}

/* --- what is expected ----------------------------------------------------------------- */

void case_same(struct case_fields *f, const char *what, const json_t *want, double got)
{
    if (!json_is_number(want)) {
        char *text = json_dumps(want, JSON_ENCODE_ANY | JSON_COMPACT);
        case_differs(f, "%s: computed %.12g, want %.200s", what, got, text == NULL ? "?" : text);
        free(text);
        return;
    }
    const double w = json_number_value(want);
    if (!(fabs(w - got) <= 1e-9 * fmax(1, fabs(w))))
        case_differs(f, "%s: computed %.12g, want %.12g", what, got, w);
}

void case_expect(struct case_fields *f, const char *names, double got)
{
    const json_t *want = case_need(f, "expect");
    if (want == NULL)
        return;
    if (!json_is_object(want)) {
        case_same(f, "expect", want, got);
        return;
    }
    struct case_fields in = case_inside(want, "expect", f->diff);
    const json_t *v = case_need(&in, names);
    if (v != NULL)
        case_same(&in, in.asked[in.n - 1], v, got);
    case_leftover(&in);
}

void case_expect_move(struct case_fields *f, enum autoscale_move got)
{
    static const char *const word[] = { "hold", "out", "in", "unknown" };
    const json_t *want = case_need(f, "expect");
    enum autoscale_move w = AUTOSCALE_HOLD;
    if (want == NULL)
        return;
    if (!json_is_string(want) || !case_move(json_string_value(want), &w)) {
        char *text = json_dumps(want, JSON_ENCODE_ANY | JSON_COMPACT);
        case_differs(f, "expect: %.200s is no word for out, in or hold", text == NULL ? "?" : text);
        free(text);
        return;
    }
    if (w != got)
        case_differs(f, "expect: computed \"%s\", want \"%s\"", word[got], json_string_value(want));
}
