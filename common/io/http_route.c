#include "http_route.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PARAMS = 4 };

/* One segment of a path or pattern, borrowed; no separator inside. */
struct segment {
    const char *s;
    size_t n;
};

/* How a pattern's segment fits: higher is more specific. */
enum { FIT_NONE = 0, FIT_PARAM = 1, FIT_VERB = 2 /* + length of verb */, FIT_LITERAL = 1 << 20 };

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* NULL when s[0..n) is well encoded, else what is wrong. */
static const char *encoding_fault(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] != '%')
            continue;
        if (n - i < 3 || hex_value(s[i + 1]) < 0 || hex_value(s[i + 2]) < 0)
            return "a % without two hexadecimal digits";
        if (s[i + 1] == '0' && s[i + 2] == '0')
            return "an encoded NUL byte";
        i += 2;
    }
    return NULL;
}

/* Decodes well encoded s[0..n); NULL without memory. */
static char *decode(const char *s, size_t n, bool plus_is_blank, struct pr_arena *arena)
{
    char *out = pr_arena_alloc(arena, n + 1), *to = out;
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%') {
            *to++ = (char)(hex_value(s[i + 1]) * 16 + hex_value(s[i + 2]));
            i += 2;
        } else
            *to++ = plus_is_blank && s[i] == '+' ? ' ' : s[i];
    }
    *to = '\0';
    return out;
}

/* The path of a target; an absolute target loses its scheme and authority. */
static struct segment path_of(const char *target)
{
    const char *scheme = strstr(target, "://");
    if (target[0] != '/' && scheme != NULL) {
        target = scheme + 3;
        target += strcspn(target, "/?#");
        if (target[0] != '/')
            return (struct segment){ "/", 1 };
    }
    return (struct segment){ target, strcspn(target, "?#") };
}

static struct segment query_of(const char *target)
{
    const char *q = strchr(target, '?');
    const char *fragment = strchr(target, '#');
    if (q == NULL || (fragment != NULL && fragment < q))
        return (struct segment){ "", 0 };
    return (struct segment){ q + 1, strcspn(q + 1, "#") };
}

/* Takes the next segment of *rest, which starts with '/'; false at the end. */
static bool next_segment(struct segment *rest, struct segment *out)
{
    if (rest->n == 0)
        return false;
    const char *s = rest->s + 1;
    size_t left = rest->n - 1;
    const char *end = left == 0 ? NULL : memchr(s, '/', left);
    out->s = s;
    out->n = end == NULL ? left : (size_t)(end - s);
    rest->s = s + out->n;
    rest->n = left - out->n;
    return true;
}

/* The literal l against the encoded segment s. */
static bool literal_equal(struct segment l, struct segment s)
{
    size_t at = 0;
    for (size_t i = 0; i < s.n; i++, at++) {
        char c = s.s[i];
        if (c == '%') {
            c = (char)(hex_value(s.s[i + 1]) * 16 + hex_value(s.s[i + 2]));
            i += 2;
        }
        if (at >= l.n || l.s[at] != c)
            return false;
    }
    return at == l.n;
}

/* How well path segment s fits pattern segment p; *value: the parameter. */
static int segment_fit(struct segment p, struct segment s, struct segment *value)
{
    *value = (struct segment){ NULL, 0 };
    if (p.n == 0 || p.s[0] != '{')
        return literal_equal(p, s) ? FIT_LITERAL : FIT_NONE;
    const char *close = memchr(p.s, '}', p.n);
    size_t name_n = (size_t)(close - p.s) + 1, verb_n = p.n - name_n;
    if (s.n <= verb_n || memcmp(s.s + s.n - verb_n, p.s + name_n, verb_n) != 0)
        return FIT_NONE; /* a parameter is never empty */
    *value = (struct segment){ s.s, s.n - verb_n };
    return verb_n == 0 ? FIT_PARAM : FIT_VERB + (int)verb_n;
}

/* How a path fits a pattern as a whole; fit is -1 when it does not. */
struct fit {
    int segment[32];
    size_t n;
    struct segment value[MAX_PARAMS];
    size_t n_values;
};

static bool path_fit(const char *pattern, struct segment path, struct fit *f)
{
    struct segment rest = { pattern, strlen(pattern) }, p = { NULL, 0 }, s = { NULL, 0 }, value;
    *f = (struct fit){ .n = 0 };
    for (;;) {
        bool more_p = next_segment(&rest, &p), more_s = next_segment(&path, &s);
        if (more_p != more_s)
            return false;
        if (!more_p)
            return true;
        if (f->n == PR_COUNT(f->segment))
            return false;
        int fit = segment_fit(p, s, &value);
        if (fit == FIT_NONE)
            return false;
        f->segment[f->n++] = fit;
        if (value.s != NULL && f->n_values < MAX_PARAMS)
            f->value[f->n_values++] = value;
    }
}

/* > 0: a is more specific than b. Both fit one path, so they have equal n. */
static int fit_compare(const struct fit *a, const struct fit *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->segment[i] != b->segment[i])
            return a->segment[i] - b->segment[i];
    return 0;
}

static bool method_fits(const char *route, const char *method)
{
    return strcmp(route, method) == 0 || (strcmp(route, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void add_allow(struct pr_target *out, const char *method)
{
    size_t n = strlen(out->allow);
    (void)snprintf(out->allow + n, sizeof out->allow - n, "%s%s%s", n == 0 ? "" : ", ", method,
                   strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

/* False only when pattern cannot fit: told by its first bytes, for most routes of a table. */
static bool may_fit(const char *pattern, struct segment path)
{
    size_t i = 0;
    for (; pattern[i] != '\0' && pattern[i] != '{'; i++) {
        if (i == path.n)
            return false;
        if (path.s[i] == '%') /* whatever that is */
            return true;
        if (pattern[i] != path.s[i])
            return false;
    }
    return pattern[i] == '{' || i == path.n;
}

/* The best route for path: fills out (kind, route, allow) and *best. */
static void choose(const struct pr_route_table *tables, size_t n_tables, const char *method,
                   struct segment path, struct pr_target *out, struct fit *best)
{
    bool any = false;
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct pr_http_route *r = &tables[t].routes[i];
            struct fit fit;
            if (!may_fit(r->pattern, path) || !path_fit(r->pattern, path, &fit))
                continue;
            int better = any ? fit_compare(&fit, best) : 1;
            if (better < 0)
                continue;
            if (better > 0) {
                *best = fit;
                out->route = NULL;
                out->allow[0] = '\0';
            }
            any = true;
            if (out->route == NULL && method_fits(r->method, method))
                out->route = r;
            add_allow(out, r->method);
        }
    out->kind = !any ? PR_TARGET_UNKNOWN : out->route == NULL ? PR_TARGET_METHOD : PR_TARGET_FOUND;
}

enum pr_code pr_target_route(const struct pr_route_table *tables, size_t n_tables,
                             const char *method, const char *target, struct pr_arena *arena,
                             struct pr_target *out)
{
    struct segment path = path_of(target), query = query_of(target);
    struct fit best = { .n = 0 };

    *out = (struct pr_target){ .kind = PR_TARGET_BAD };
    if (path.n == 0 || path.s[0] != '/')
        out->why = "the path does not start with /";
    else if ((out->why = encoding_fault(path.s, path.n)) == NULL)
        out->why = encoding_fault(query.s, query.n);
    if (out->why != NULL)
        return PR_OK;

    choose(tables, n_tables, method, path, out, &best);
    if (out->kind != PR_TARGET_FOUND)
        return PR_OK;
    for (size_t i = 0; i < best.n_values; i++) {
        out->param[i] = decode(best.value[i].s, best.value[i].n, false, arena);
        if (out->param[i] == NULL)
            return PR_ENOMEM;
    }
    return PR_OK;
}

const char *pr_target_path(const char *target, struct pr_arena *arena)
{
    struct segment path = path_of(target);
    return pr_arena_strndup(arena, path.s, path.n);
}

/* The next argument of a query that is taken from its front; false: none. */
static bool next_arg(struct segment *q, struct segment *arg, size_t *key_n)
{
    while (q->n > 0) {
        const char *amp = memchr(q->s, '&', q->n);
        *arg = (struct segment){ q->s, amp == NULL ? q->n : (size_t)(amp - q->s) };
        size_t taken = arg->n + (amp != NULL);
        *q = (struct segment){ q->s + taken, q->n - taken };

        const char *eq = arg->n == 0 ? NULL : memchr(arg->s, '=', arg->n);
        *key_n = eq == NULL ? arg->n : (size_t)(eq - arg->s);
        if (arg->n > 0 && encoding_fault(arg->s, arg->n) == NULL)
            return true;
    }
    return false;
}

const char *pr_target_query(const char *target, const char *name, struct pr_arena *arena)
{
    struct segment q = query_of(target), arg;
    size_t name_n = strlen(name), key_n;
    while (next_arg(&q, &arg, &key_n)) {
        char *key = decode(arg.s, key_n, true, arena);
        if (key == NULL || strlen(key) != name_n || strcmp(key, name) != 0)
            continue;
        return key_n == arg.n ? "" : decode(arg.s + key_n + 1, arg.n - key_n - 1, true, arena);
    }
    return NULL;
}

const char *pr_target_query_name(const char *target, size_t i, struct pr_arena *arena)
{
    struct segment q = query_of(target), arg;
    size_t key_n;
    while (next_arg(&q, &arg, &key_n))
        if (i-- == 0)
            return decode(arg.s, key_n, true, arena);
    return NULL;
}

/* A segment of a pattern: literal, {name} or {name}:verb. */
static bool pattern_segment_valid(struct segment p, size_t *params)
{
    bool braces = p.n > 0 && (memchr(p.s, '{', p.n) != NULL || memchr(p.s, '}', p.n) != NULL);
    if (!braces)
        return true;
    const char *close = memchr(p.s, '}', p.n);
    if (p.s[0] != '{' || close == NULL || close == p.s + 1)
        return false;
    size_t verb_n = p.n - (size_t)(close - p.s) - 1;
    (*params)++;
    return (verb_n == 0 || (verb_n > 1 && close[1] == ':')) &&
           memchr(p.s + 1, '{', p.n - 1) == NULL &&
           (verb_n == 0 || memchr(close + 1, '}', verb_n) == NULL);
}

static enum pr_code route_valid(const struct pr_http_route *r, struct pr_err *err)
{
    struct segment rest, p;
    size_t params = 0, segments = 0;
    if (r->method == NULL || r->method[0] == '\0' || r->pattern == NULL || r->pattern[0] != '/' ||
        r->fn == NULL)
        return pr_fail(err, PR_EINVAL, "route %s: no method, path or function",
                       r->pattern == NULL ? "(null)" : r->pattern);
    rest = (struct segment){ r->pattern, strlen(r->pattern) };
    while (next_segment(&rest, &p)) {
        segments++;
        if (!pattern_segment_valid(p, &params))
            return pr_fail(err, PR_EINVAL, "route %s: bad segment \"%.*s\"", r->pattern, (int)p.n,
                           p.s);
    }
    if (params > MAX_PARAMS || segments > PR_COUNT(((struct fit *)0)->segment))
        return pr_fail(err, PR_EINVAL, "route %s: too many parameters or segments", r->pattern);
    return PR_OK;
}

enum pr_code pr_routes_valid(const struct pr_route_table *tables, size_t n_tables,
                             struct pr_err *err)
{
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct pr_http_route *r = &tables[t].routes[i];
            enum pr_code rc = route_valid(r, err);
            if (rc != PR_OK)
                return rc;
            for (size_t u = 0; u <= t; u++)
                for (size_t k = 0; k < (u == t ? i : tables[u].n); k++)
                    if (strcmp(tables[u].routes[k].pattern, r->pattern) == 0 &&
                        strcmp(tables[u].routes[k].method, r->method) == 0)
                        return pr_fail(err, PR_EINVAL, "route %s %s is there twice", r->method,
                                       r->pattern);
        }
    return PR_OK;
}
