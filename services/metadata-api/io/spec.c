#include "spec.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct api_spec {
    json_t *root;
};

enum pr_code api_spec_new(struct api_spec **out, const char *text, struct pr_err *err)
{
    json_error_t at;
    struct api_spec *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pr_fail(err, PR_ENOMEM, "the API's description");
    s->root = json_loads(text, JSON_REJECT_DUPLICATES, &at);
    if (!json_is_object(json_object_get(s->root, "paths"))) {
        api_spec_free(s);
        return pr_fail(err, PR_EDATA, "the API's description: line %d: %s", at.line, at.text);
    }
    *out = s;
    return PR_OK;
}

void api_spec_free(struct api_spec *s)
{
    if (s == NULL)
        return;
    json_decref(s->root);
    free(s);
}

static const json_t *operation(const struct api_spec *s, const char *method, const char *path)
{
    char lower[16];
    size_t i = 0;
    for (; method[i] != '\0' && i + 1 < sizeof lower; i++)
        lower[i] = (char)tolower((unsigned char)method[i]);
    lower[i] = '\0';
    return json_object_get(json_object_get(json_object_get(s->root, "paths"), path), lower);
}

bool api_spec_has(const struct api_spec *s, const char *method, const char *path)
{
    return operation(s, method, path) != NULL;
}

/* A parameter is written here, or once among the components. */
static const json_t *resolved(const struct api_spec *s, const json_t *p)
{
    static const char prefix[] = "#/components/parameters/";
    const char *ref = json_string_value(json_object_get(p, "$ref"));
    if (ref == NULL || strncmp(ref, prefix, sizeof prefix - 1) != 0)
        return p;
    return json_object_get(json_object_get(json_object_get(s->root, "components"), "parameters"),
                           ref + sizeof prefix - 1);
}

static const char *query_name(const struct api_spec *s, const json_t *p)
{
    const json_t *r = resolved(s, p);
    const char *in = json_string_value(json_object_get(r, "in"));
    return in != NULL && strcmp(in, "query") == 0 ? json_string_value(json_object_get(r, "name"))
                                                  : NULL;
}

bool api_spec_has_query(const struct api_spec *s, const char *method, const char *path,
                        const char *name)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(operation(s, method, path), "parameters"), i, p)
    {
        const char *have = query_name(s, p);
        if (have != NULL && strcmp(have, name) == 0)
            return true;
    }
    return false;
}

void api_spec_queries(const struct api_spec *s, const char *method, const char *path, char *out,
                      size_t cap)
{
    size_t i, n = 0;
    json_t *p;
    out[0] = '\0';
    json_array_foreach(json_object_get(operation(s, method, path), "parameters"), i, p)
    {
        const char *have = query_name(s, p);
        if (have != NULL && n < cap)
            n += (size_t)snprintf(out + n, cap - n, "%s%s", n == 0 ? "" : ", ", have);
    }
}
