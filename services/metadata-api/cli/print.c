#include "ctl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL = 512, MAX_COLUMNS = 16, MAX_INLINE = 80 };

static void cell_text(const json_t *v, char out[CELL])
{
    char *text;
    switch (v == NULL ? JSON_NULL : json_typeof(v)) {
    case JSON_STRING:
        snprintf(out, CELL, "%s", json_string_value(v));
        break;
    case JSON_INTEGER:
        snprintf(out, CELL, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        break;
    case JSON_REAL: {
        double d = json_real_value(v); /* money with cents, ratios with digits */
        snprintf(out, CELL, fabs(d) >= 1000 ? "%.2f" : "%.4g", d);
        break;
    }
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(out, CELL, "%s", json_is_true(v) ? "yes" : "no");
        break;
    case JSON_NULL:
        snprintf(out, CELL, "-");
        break;
    default:
        text = json_dumps(v, JSON_COMPACT);
        if (text != NULL && strlen(text) > MAX_INLINE && json_is_array(v))
            snprintf(out, CELL, "%zu items: see -o json", json_array_size(v));
        else
            snprintf(out, CELL, "%s", text == NULL ? "?" : text);
        free(text);
    }
}

/* a.b reads member b of member a. */
static const json_t *member(const json_t *object, const char *path)
{
    char name[64];
    const char *dot;
    while ((dot = strchr(path, '.')) != NULL) {
        snprintf(name, sizeof name, "%.*s", (int)(dot - path), path);
        object = json_object_get(object, name);
        path = dot + 1;
    }
    return json_object_get(object, path);
}

char *ctl_json_text(const json_t *j, size_t flags)
{
    char *text = json_dumps(j, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    json_t *back = text == NULL ? NULL : json_loads(text, JSON_DECODE_ANY, NULL);
    const bool same = back != NULL && json_equal(back, j);
    json_decref(back);
    if (same)
        return text;
    free(text);
    return json_dumps(j, flags | JSON_ENCODE_ANY);
}

static bool yaml;

void ctl_print_as_yaml(bool yes)
{
    yaml = yes;
}

void ctl_print_item(const json_t *j)
{
    char *text = yaml ? NULL : ctl_json_text(j, JSON_COMPACT);
    if (yaml) {
        puts("---");
        ctl_yaml_write(j);
    } else {
        puts(text == NULL ? "" : text);
    }
    free(text);
}

void ctl_print_json(const json_t *j)
{
    if (yaml) {
        ctl_yaml_write(j);
        return;
    }
    char *text = ctl_json_text(j, JSON_INDENT(2));
    puts(text == NULL ? "" : text);
    free(text);
}

void ctl_print_list(const struct ctl *ctl, const json_t *list, const struct ctl_column *col,
                    size_t n)
{
    const json_t *items = json_object_get(list, "items"), *item;
    int width[MAX_COLUMNS];
    char text[CELL];
    size_t i;
    if (ctl->json) {
        ctl_print_json(list);
        return;
    }
    for (size_t c = 0; c < n; c++)
        width[c] = (int)strlen(col[c].title);
    json_array_foreach(items, i, item) for (size_t c = 0; c < n; c++)
    {
        cell_text(member(item, col[c].member), text);
        if ((int)strlen(text) > width[c])
            width[c] = (int)strlen(text);
    }
    for (size_t c = 0; c < n; c++)
        printf("%-*s%s", c + 1 < n ? width[c] : 0, col[c].title, c + 1 < n ? "  " : "\n");
    json_array_foreach(items, i, item) for (size_t c = 0; c < n; c++)
    {
        cell_text(member(item, col[c].member), text);
        printf("%-*s%s", c + 1 < n ? width[c] : 0, text, c + 1 < n ? "  " : "\n");
    }
}

/* Visits every leaf with its dotted name. */
static void each_leaf(const json_t *object, const char *prefix, int *width, bool print)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)object, name, v)
    {
        char full[256], text[CELL];
        snprintf(full, sizeof full, "%s%s", prefix, name);
        if (json_is_object(v) && json_object_size(v) > 0) {
            strncat(full, ".", sizeof full - strlen(full) - 1);
            each_leaf(v, full, width, print);
            continue;
        }
        if ((int)strlen(full) > *width)
            *width = (int)strlen(full);
        if (print) {
            cell_text(v, text);
            printf("%-*s  %s\n", *width, full, text);
        }
    }
}

void ctl_print(const struct ctl *ctl, const json_t *object)
{
    int width = 0;
    if (ctl->json) {
        ctl_print_json(object);
        return;
    }
    each_leaf(object, "", &width, false);
    each_leaf(object, "", &width, true);
}
