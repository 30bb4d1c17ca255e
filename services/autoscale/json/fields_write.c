#include "json/fields.h"

#include "prism/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *field_number(double v)
{
    if (isinf(v)) /* which JSON lacks */
        return json_string(v > 0 ? "inf" : "-inf");
    return isnan(v) ? json_null() : json_real(v);
}

json_t *field_text(const char *s)
{
    json_t *v = json_string(s);
    if (v != NULL || s == NULL)
        return v;
    const size_t n = strlen(s); /* no UTF-8: a name of others, or cut within a character */
    char *mended = malloc(n + 1);
    if (mended == NULL)
        return NULL;
    memcpy(mended, s, n + 1);
    pr_utf8_mend(mended, n);
    v = json_stringn_nocheck(mended, n);
    free(mended);
    return v;
}

static size_t count_of(const struct field *f, const void *base)
{
    const char *at = (const char *)base + f->count;
    if (f->count_is == COUNT_INT)
        return (size_t) * (const int *)(const void *)at;
    if (f->count_is == COUNT_I32)
        return (size_t) * (const int32_t *)(const void *)at;
    return *(const size_t *)(const void *)at;
}

/* Appends to an array and takes over value; false without memory. */
static bool append(json_t *array, json_t *value)
{
    return value != NULL && json_array_append_new(array, value) == 0;
}

static json_t *write_elements(const struct autoscale_fleet *fleet, const struct field *f,
                              const void *base)
{
    const char *from = (const char *)base + f->at;
    const size_t n = count_of(f, base);
    if (f->kind == FIELD_LIST)
        from = *(const char *const *)(const void *)from;
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < n; i++)
        if (!append(array, fields_write(fleet, f->of, from + i * f->of->bytes))) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static bool zero_bytes(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static json_t *write_numbers(const struct field *f, const char *from)
{
    const size_t bytes = f->kind == FIELD_I32S ? sizeof(int32_t) : sizeof(int64_t);
    size_t n = f->cap;
    while (n > 0 && zero_bytes(from + (n - 1) * bytes, bytes))
        n--;
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < n; i++) {
        const void *p = from + i * bytes;
        json_t *one = f->kind == FIELD_REALS  ? field_number(*(const double *)p)
                      : f->kind == FIELD_I64S ? json_integer(*(const int64_t *)p)
                                              : json_integer(*(const int32_t *)p);
        if (!append(array, one)) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static const char *name_in_fleet(const struct autoscale_fleet *fleet, const struct field *f, int i)
{
    return f->kind == FIELD_ZONE    ? fleet->zone[i]
           : f->kind == FIELD_GROUP ? fleet->group[i].name
                                    : fleet->ladder[i].name;
}

static json_t *write_one(const struct autoscale_fleet *fleet, const struct field *f,
                         const void *base)
{
    const void *from = (const char *)base + f->at;
    switch (f->kind) {
    case FIELD_INT:
        return json_integer(*(const int *)from);
    case FIELD_I32:
        return json_integer(*(const int32_t *)from);
    case FIELD_I64:
        return json_integer(*(const int64_t *)from);
    case FIELD_U64:
        return json_integer((json_int_t) * (const uint64_t *)from);
    case FIELD_SIZE:
        return json_integer((json_int_t) * (const size_t *)from);
    case FIELD_BOOL:
        return json_boolean(*(const bool *)from);
    case FIELD_REAL:
        return field_number(*(const double *)from);
    case FIELD_LOWER:
    case FIELD_UPPER:
        return isinf(*(const double *)from) ? json_null() : field_number(*(const double *)from);
    case FIELD_TEXT:
        return field_text(from);
    case FIELD_WORDS:
        return field_text(*(const char *const *)from);
    case FIELD_NAME:
        return field_text(f->names[*(const int *)from]);
    case FIELD_ZONE:
    case FIELD_GROUP:
    case FIELD_TYPE: {
        const int i = *(const int *)from;
        return i < 0 ? json_null() : field_text(name_in_fleet(fleet, f, i));
    }
    case FIELD_OBJECT:
    case FIELD_WITHIN:
        return fields_write(fleet, f->of, from);
    case FIELD_ARRAY:
    case FIELD_LIST:
        return write_elements(fleet, f, base);
    case FIELD_REALS:
    case FIELD_I64S:
    case FIELD_I32S:
        return write_numbers(f, from);
    }
    return json_null();
}

/* Written in full it would say nothing that leaving it out does not say. */
static bool omitted(const struct field *f, const json_t *v)
{
    if ((f->flags & FIELD_OMIT_NAN) != 0 && json_is_null(v))
        return true;
    if ((f->flags & FIELD_OMIT_ZERO) == 0)
        return false;
    if (json_is_string(v))
        return json_string_length(v) == 0;
    if (json_is_array(v))
        return json_array_size(v) == 0;
    if (json_is_object(v))
        return json_object_size(v) == 0;
    return json_is_false(v) || json_is_null(v) ||
           (json_is_integer(v) && json_integer_value(v) == 0) ||
           (json_is_real(v) && json_real_value(v) == 0 && !signbit(json_real_value(v)));
}

bool fields_add(const struct autoscale_fleet *fleet, const struct field_table *t, const void *from,
                json_t *o)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct field *f = &t->field[i];
        if (f->kind == FIELD_WITHIN) {
            if (!fields_add(fleet, f->of, (const char *)from + f->at, o))
                return false;
            continue;
        }
        json_t *v = write_one(fleet, f, from);
        if (v != NULL && omitted(f, v))
            json_decref(v);
        else if (v == NULL || json_object_set_new(o, f->name, v) != 0)
            return false;
    }
    return true;
}

json_t *fields_write(const struct autoscale_fleet *fleet, const struct field_table *t,
                     const void *from)
{
    json_t *o = json_object();
    if (o == NULL || fields_add(fleet, t, from, o))
        return o;
    json_decref(o);
    return NULL;
}
