#include "mask.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum pr_code api_mask_check(const char *mask, struct pr_err *err)
{
    size_t paths = 1;
    bool inside = false; /* a name, which must have a letter at least */
    if (strlen(mask) >= API_MASK_BYTES)
        return pr_fail(err, PR_EINVAL, "a mask has at most %d bytes", API_MASK_BYTES - 1);
    for (const char *p = mask;; p++) {
        if (isalnum((unsigned char)*p) || *p == '_' || *p == '-') {
            inside = true;
            continue;
        }
        if (!inside || (*p != '\0' && *p != ',' && *p != '.'))
            return pr_fail(err, PR_EINVAL, "a mask is names with dots, separated by commas");
        if (*p == '\0')
            break;
        inside = false;
        paths += *p == ',';
    }
    if (paths > API_MASK_PATHS)
        return pr_fail(err, PR_EINVAL, "a mask has at most %d names", API_MASK_PATHS);
    return PR_OK;
}

static void take(const json_t *from, json_t *to, const char *path, size_t n);

/* Both arrays are of one length, or to is empty. */
static void take_each(const json_t *from, json_t *to, const char *path, size_t n)
{
    size_t i;
    json_t *item;
    json_array_foreach(from, i, item)
    {
        if (json_array_size(to) == i)
            json_array_append_new(to, json_is_object(item) ? json_object() : json_incref(item));
        take(item, json_array_get(to, i), path, n);
    }
}

/* Copies what path (n bytes) names. A value that was taken whole stays so. */
static void take(const json_t *from, json_t *to, const char *path, size_t n)
{
    char name[API_MASK_BYTES];
    const char *dot = memchr(path, '.', n);
    const size_t len = dot == NULL ? n : (size_t)(dot - path);
    if (!json_is_object(from) || !json_is_object(to) || from == to)
        return;
    memcpy(name, path, len);
    name[len] = '\0';
    json_t *value = json_object_get(from, name), *have = json_object_get(to, name);
    if (value == NULL || have == value)
        return;
    const bool inner = json_is_object(value) || json_is_array(value);
    if (dot == NULL || !inner) {
        json_object_set(to, name, value);
        return;
    }
    if (have == NULL) {
        have = json_is_object(value) ? json_object() : json_array();
        json_object_set_new(to, name, have);
    }
    if (json_is_object(value))
        take(value, have, dot + 1, n - len - 1);
    else
        take_each(value, have, dot + 1, n - len - 1);
}

static json_t *masked(const char *mask, const json_t *from)
{
    json_t *to = json_object();
    for (const char *p = mask; to != NULL && *p != '\0';) {
        const size_t n = strcspn(p, ",");
        take(from, to, p, n);
        p += n + (p[n] == ',');
    }
    return to;
}

json_t *api_mask_apply(const char *mask, const json_t *body)
{
    const json_t *items = json_object_get(body, "items");
    json_t *item, *list, *out;
    size_t i;
    if (!json_is_array(items))
        return masked(mask, body);
    list = json_array();
    json_array_foreach(items, i, item)
        json_array_append_new(list, json_is_object(item) ? masked(mask, item) : json_incref(item));
    out = json_copy((json_t *)body);
    if (out == NULL || json_object_set_new(out, "items", list) != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}
