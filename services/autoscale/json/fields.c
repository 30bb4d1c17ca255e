#include "json/fields.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

size_t field_enter(struct field_ctx *c, const char *member, size_t index)
{
    const size_t at = strlen(c->path);
    if (member == NULL)
        (void)snprintf(c->path + at, sizeof c->path - at, "[%zu]", index);
    else
        (void)snprintf(c->path + at, sizeof c->path - at, "%s%.60s", at > 0 ? "." : "", member);
    return at;
}

void field_leave(struct field_ctx *c, size_t at)
{
    c->path[at] = '\0';
}

enum pr_code field_bad(struct field_ctx *c, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return pr_fail(c->err, PR_EINVAL, "%.90s: %s", c->path[0] == '\0' ? "input" : c->path, text);
}

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        break;
    }
    return "null";
}

static enum pr_code wrong_type(struct field_ctx *c, const char *want, const json_t *v)
{
    return field_bad(c, "want %s, not %s", want, type_name(v));
}

static enum pr_code in_range(struct field_ctx *c, const struct field *f, double v)
{
    if (f->lo < f->hi && !(v >= f->lo && v <= f->hi))
        return field_bad(c, "%.17g is not within %.17g to %.17g", v, f->lo, f->hi);
    return PR_OK;
}

static enum pr_code read_whole(struct field_ctx *c, const struct field *f, const json_t *v,
                               void *to)
{
    if (!json_is_integer(v))
        return wrong_type(c, "a whole number", v);
    const json_int_t n = json_integer_value(v);
    const bool small = f->kind == FIELD_INT || f->kind == FIELD_I32;
    const bool natural = f->kind == FIELD_U64 || f->kind == FIELD_SIZE;
    if ((small && (n < INT32_MIN || n > INT32_MAX)) || (natural && n < 0))
        return field_bad(c, "%" JSON_INTEGER_FORMAT " is out of range", n);
    const enum pr_code rc = in_range(c, f, (double)n);
    if (rc != PR_OK)
        return rc;
    if (f->kind == FIELD_INT)
        *(int *)to = (int)n;
    else if (f->kind == FIELD_I32)
        *(int32_t *)to = (int32_t)n;
    else if (f->kind == FIELD_I64)
        *(int64_t *)to = n;
    else if (f->kind == FIELD_U64)
        *(uint64_t *)to = (uint64_t)n;
    else
        *(size_t *)to = (size_t)n;
    return PR_OK;
}

static enum pr_code read_real(struct field_ctx *c, const struct field *f, const json_t *v,
                              double *to)
{
    if (json_is_null(v) && (f->kind != FIELD_REAL || (f->flags & FIELD_NULLABLE) != 0)) {
        *to = f->kind == FIELD_LOWER ? -INFINITY : f->kind == FIELD_UPPER ? INFINITY : NAN;
        return PR_OK;
    }
    const char *word = json_string_value(v);
    if (word != NULL && (strcmp(word, "inf") == 0 || strcmp(word, "-inf") == 0)) {
        *to = word[0] == '-' ? -INFINITY : INFINITY;
        return in_range(c, f, *to);
    }
    if (!json_is_number(v))
        return wrong_type(c, "a number", v);
    *to = json_number_value(v);
    return in_range(c, f, *to);
}

static enum pr_code read_text(struct field_ctx *c, const struct field *f, const json_t *v, void *to)
{
    if (!json_is_string(v))
        return wrong_type(c, "a string", v);
    const char *text = json_string_value(v);
    const size_t n = json_string_length(v);
    if (strlen(text) != n)
        return field_bad(c, "has a character 0 in it");
    if (f->kind == FIELD_WORDS) {
        const char *copy = pr_arena_strndup(c->arena, text, n);
        if (copy == NULL)
            return pr_fail(c->err, PR_ENOMEM, "%.90s: %zu bytes", c->path, n);
        *(const char **)to = copy;
        return PR_OK;
    }
    if (n >= f->cap)
        return field_bad(c, "has %zu characters, at most %zu fit", n, f->cap - 1);
    memset(to, 0, f->cap);
    memcpy(to, text, n);
    return PR_OK;
}

static enum pr_code read_name(struct field_ctx *c, const struct field *f, const json_t *v, int *to)
{
    char all[120] = "";
    if (!json_is_string(v))
        return wrong_type(c, "a name", v);
    for (size_t i = 0; i < f->cap; i++) {
        if (strcmp(f->names[i], json_string_value(v)) == 0) {
            *to = (int)i;
            return PR_OK;
        }
        const size_t at = strlen(all);
        (void)snprintf(all + at, sizeof all - at, "%s%s", i == 0 ? "" : ", ", f->names[i]);
    }
    return field_bad(c, "\"%.30s\" is none of %s", json_string_value(v), all);
}

static const char *fleet_name(const struct autoscale_fleet *f, enum field_kind kind, int i)
{
    return kind == FIELD_ZONE    ? f->zone[i]
           : kind == FIELD_GROUP ? f->group[i].name
                                 : f->ladder[i].name;
}

static int fleet_names(const struct autoscale_fleet *f, enum field_kind kind)
{
    return kind == FIELD_ZONE ? f->zones : kind == FIELD_GROUP ? f->groups : f->types;
}

static enum pr_code read_of_fleet(struct field_ctx *c, const struct field *f, const json_t *v,
                                  int *to)
{
    const char *what = f->kind == FIELD_ZONE    ? "zone"
                       : f->kind == FIELD_GROUP ? "placement group"
                                                : "instance type";
    if (f->kind == FIELD_GROUP && json_is_null(v)) {
        *to = -1;
        return PR_OK;
    }
    if (!json_is_string(v))
        return wrong_type(c, "a name", v);
    for (int i = 0; i < fleet_names(c->fleet, f->kind); i++)
        if (strcmp(fleet_name(c->fleet, f->kind, i), json_string_value(v)) == 0) {
            *to = i;
            return PR_OK;
        }
    return field_bad(c, "the fleet has no %s \"%.40s\"", what, json_string_value(v));
}

static void set_count(const struct field *f, void *base, size_t n)
{
    char *at = (char *)base + f->count;
    if (f->count_is == COUNT_INT)
        *(int *)(void *)at = (int)n;
    else if (f->count_is == COUNT_I32)
        *(int32_t *)(void *)at = (int32_t)n;
    else
        *(size_t *)(void *)at = n;
}

static enum pr_code read_elements(struct field_ctx *c, const struct field *f, const json_t *v,
                                  char *to)
{
    const size_t n = json_array_size(v);
    for (size_t i = 0; i < n; i++) {
        char *one = to + i * f->of->bytes;
        memset(one, 0, f->of->bytes);
        if (f->of->defaults != NULL)
            f->of->defaults(one);
        const size_t at = field_enter(c, NULL, i);
        const enum pr_code rc = fields_read(c, f->of, json_array_get(v, i), NULL, one);
        if (rc != PR_OK)
            return rc;
        field_leave(c, at);
    }
    return PR_OK;
}

static enum pr_code read_array(struct field_ctx *c, const struct field *f, const json_t *v,
                               void *base)
{
    if (!json_is_array(v))
        return wrong_type(c, "an array", v);
    const size_t n = json_array_size(v);
    char *to = (char *)base + f->at;
    if (f->kind == FIELD_ARRAY && n > f->cap)
        return field_bad(c, "has %zu elements, at most %zu fit", n, f->cap);
    if (f->kind == FIELD_LIST) {
        void *list = pr_arena_alloc(c->arena, n * f->of->bytes + 1);
        if (list == NULL)
            return pr_fail(c->err, PR_ENOMEM, "%.90s: %zu elements", c->path, n);
        *(void **)(void *)to = list;
        to = list;
    }
    set_count(f, base, n);
    return read_elements(c, f, v, to);
}

static enum pr_code read_numbers(struct field_ctx *c, const struct field *f, const json_t *v,
                                 char *to)
{
    const struct field one = {
        .kind = f->kind == FIELD_REALS  ? FIELD_REAL
                : f->kind == FIELD_I64S ? FIELD_I64
                                        : FIELD_I32,
        .flags = FIELD_NULLABLE,
        .lo = f->lo,
        .hi = f->hi,
    };
    const size_t bytes = f->kind == FIELD_I32S ? sizeof(int32_t) : sizeof(int64_t);
    if (!json_is_array(v))
        return wrong_type(c, "an array", v);
    const size_t n = json_array_size(v);
    if (n > f->cap)
        return field_bad(c, "has %zu elements, at most %zu fit", n, f->cap);
    memset(to, 0, f->cap * bytes);
    for (size_t i = 0; i < n; i++) {
        const size_t at = field_enter(c, NULL, i);
        void *p = to + i * bytes;
        const enum pr_code rc = f->kind == FIELD_REALS
                                    ? read_real(c, &one, json_array_get(v, i), p)
                                    : read_whole(c, &one, json_array_get(v, i), p);
        if (rc != PR_OK)
            return rc;
        field_leave(c, at);
    }
    return PR_OK;
}

static enum pr_code read_one(struct field_ctx *c, const struct field *f, const json_t *v,
                             void *base)
{
    void *to = (char *)base + f->at;
    switch (f->kind) {
    case FIELD_INT:
    case FIELD_I32:
    case FIELD_I64:
    case FIELD_U64:
    case FIELD_SIZE:
        return read_whole(c, f, v, to);
    case FIELD_BOOL:
        if (!json_is_boolean(v))
            return wrong_type(c, "true or false", v);
        *(bool *)to = json_is_true(v);
        return PR_OK;
    case FIELD_REAL:
    case FIELD_LOWER:
    case FIELD_UPPER:
        return read_real(c, f, v, to);
    case FIELD_TEXT:
    case FIELD_WORDS:
        return read_text(c, f, v, to);
    case FIELD_NAME:
        return read_name(c, f, v, to);
    case FIELD_ZONE:
    case FIELD_GROUP:
    case FIELD_TYPE:
        return read_of_fleet(c, f, v, to);
    case FIELD_OBJECT:
    case FIELD_WITHIN:
        return fields_read(c, f->of, v, NULL, to);
    case FIELD_ARRAY:
    case FIELD_LIST:
        return read_array(c, f, v, base);
    case FIELD_REALS:
    case FIELD_I64S:
    case FIELD_I32S:
        return read_numbers(c, f, v, to);
    }
    return PR_OK;
}

static bool has_row(const struct field_table *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->field[i].kind == FIELD_WITHIN ? has_row(t->field[i].of, name)
                                             : strcmp(t->field[i].name, name) == 0)
            return true;
    return false;
}

static enum pr_code read_rows(struct field_ctx *c, const struct field_table *t, const json_t *o,
                              void *to)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct field *f = &t->field[i];
        if (f->kind == FIELD_WITHIN) {
            const enum pr_code rc = read_rows(c, f->of, o, (char *)to + f->at);
            if (rc != PR_OK)
                return rc;
            continue;
        }
        const json_t *v = json_object_get(o, f->name);
        const size_t at = field_enter(c, f->name, 0);
        if (v == NULL && (f->flags & FIELD_NEEDED) != 0)
            return field_bad(c, "is missing");
        const enum pr_code rc = v == NULL ? PR_OK : read_one(c, f, v, to);
        if (rc != PR_OK)
            return rc;
        field_leave(c, at);
    }
    return PR_OK;
}

enum pr_code fields_read(struct field_ctx *c, const struct field_table *t, const json_t *o,
                         const char *also, void *to)
{
    const char *name;
    json_t *unused;
    if (!json_is_object(o))
        return wrong_type(c, "an object", o);
    json_object_foreach((json_t *)(uintptr_t)o, name, unused)
    {
        if (has_row(t, name) || (also != NULL && strcmp(also, name) == 0))
            continue;
        (void)field_enter(c, name, 0);
        return field_bad(c, "there is no such setting");
    }
    return read_rows(c, t, o, to);
}
