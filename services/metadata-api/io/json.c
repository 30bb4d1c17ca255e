#include "json.h"

#include "prism/io/json_text.h"
#include "prism/slot.h"

#include <stdio.h>
#include <string.h>

static const char *kind_name(enum api_kind kind)
{
    static const char *const name[] = {
        [API_STRING] = "a string",  [API_INTEGER] = "a whole number",
        [API_NUMBER] = "a number",  [API_BOOLEAN] = "true or false",
        [API_OBJECT] = "an object", [API_ARRAY] = "an array",
    };
    return name[kind];
}

static const char *type_name(const json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "a boolean";
    }
}

static bool is_kind(const json_t *j, enum api_kind kind)
{
    switch (kind) {
    case API_STRING:
        return json_is_string(j);
    case API_INTEGER:
        return json_is_integer(j);
    case API_NUMBER:
        return json_is_number(j);
    case API_BOOLEAN:
        return json_is_boolean(j);
    case API_OBJECT:
        return json_is_object(j);
    default:
        return json_is_array(j);
    }
}

static void take(json_t *j, const struct api_member *row, char *out)
{
    void *to = out + row->value;
    if (row->has != 0)
        *(bool *)(void *)(out + row->has) = true;
    if (json_is_null(j))
        return;
    switch (row->kind) {
    case API_STRING:
        *(const char **)to = json_string_value(j);
        break;
    case API_INTEGER:
        *(int64_t *)to = json_integer_value(j);
        break;
    case API_NUMBER:
        *(double *)to = json_number_value(j);
        break;
    case API_BOOLEAN:
        *(bool *)to = json_is_true(j);
        break;
    default:
        *(json_t **)to = j;
    }
}

void api_members(const json_t *object, const char *prefix, const struct api_member *row, size_t n,
                 void *out, struct api_errors *errs)
{
    char field[96];
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        size_t i = 0;
        while (i < n && strcmp(row[i].name, name) != 0)
            i++;
        snprintf(field, sizeof field, "%s%s", prefix, name);
        if (i == n)
            api_error(errs, field, "unknown field");
        else if (!is_kind(value, row[i].kind) &&
                 !(json_is_null(value) && (row[i].flags & API_NULLABLE) != 0))
            api_error(errs, field, "must be %s, not %s", kind_name(row[i].kind), type_name(value));
        else
            take(value, &row[i], out);
    }
    for (size_t i = 0; i < n; i++)
        if ((row[i].flags & API_REQUIRED) != 0 && json_object_get(object, row[i].name) == NULL) {
            snprintf(field, sizeof field, "%s%s", prefix, row[i].name);
            api_error(errs, field, "is required");
        }
}

void api_check_ids(const json_t *ids, const char *field, size_t least, size_t most,
                   struct api_errors *errs)
{
    size_t i;
    const json_t *id;
    const size_t n = json_array_size(ids);
    if (n < least || n > most) {
        api_error(errs, field, "%zu to %zu ids, not %zu", least, most, n);
        return;
    }
    json_array_foreach(ids, i, id)
    {
        char at[64];
        snprintf(at, sizeof at, "%.40s[%zu]", field, i);
        if (!json_is_string(id))
            api_error(errs, at, "must be a string");
        else if (!pr_vertex_id_valid(json_string_value(id), json_string_length(id)))
            api_error(errs, at, API_VERTEX_WORDS);
    }
}

json_t *api_body(const struct pr_http_req *req, struct pr_http_res *res)
{
    json_error_t at;
    if (req->body_len == 0) {
        pr_http_problem(res, 400, "Empty body", "a JSON object is expected", NULL);
        return NULL;
    }
    json_t *j = json_loadb(req->body, req->body_len, JSON_REJECT_DUPLICATES, &at);
    if (j == NULL) {
        pr_http_problem(
            res, 400, "Malformed JSON",
            pr_arena_printf(req->arena, "line %d, column %d: %s", at.line, at.column, at.text),
            NULL);
        return NULL;
    }
    if (!json_is_object(j)) {
        pr_http_problem(
            res, 400, "Malformed body",
            pr_arena_printf(req->arena, "a JSON object is expected, not %s", type_name(j)), NULL);
        json_decref(j);
        return NULL;
    }
    return j;
}

json_t *api_camel_all(const json_t *j)
{
    const char *name;
    json_t *value;
    size_t i;
    json_t *out = json_is_object(j)  ? json_object()
                  : json_is_array(j) ? json_array()
                                     : json_deep_copy(j);
    if (json_is_object(j))
        json_object_foreach((json_t *)j, name, value)
        {
            char camel[128];
            api_camel(name, camel, sizeof camel);
            if (json_object_set_new(out, camel, api_camel_all(value)) != 0)
                goto no_memory;
        }
    if (json_is_array(j))
        json_array_foreach(j, i, value) if (json_array_append_new(out, api_camel_all(value)) !=
                                            0) goto no_memory;
    return out;
no_memory:
    json_decref(out);
    return NULL;
}

static int append(const char *text, size_t n, void *buf)
{
    pr_buf_add(buf, text, n);
    return 0;
}

void api_reply(struct pr_http_res *res, int status, json_t *body)
{
    res->status = status;
    /* 15 digits: 0.05 is not answered as 0.050000000000000003. */
    if (body == NULL ||
        json_dump_callback(body, append, &res->body, JSON_COMPACT | JSON_REAL_PRECISION(15)) != 0 ||
        res->body.failed)
        pr_http_problem(res, 500, "Out of memory", "the answer could not be written", NULL);
    json_decref(body);
}

void api_header(struct pr_http_res *res, const char *name, const char *value)
{
    for (size_t i = 0; i < PR_COUNT(res->header); i++)
        if (res->header[i].name == NULL) {
            res->header[i].name = name;
            res->header[i].value = value;
            return;
        }
}

/* Written by hand: what an error quotes may be no UTF-8, or be cut in the middle of a character. */
void api_refuse(struct pr_http_res *res, int status, const char *title,
                const struct api_errors *errs)
{
    struct pr_buf *b = &res->body;
    char detail[400];
    (void)snprintf(detail, sizeof detail, "%s: %s%s", errs->e[0].field, errs->e[0].detail,
                   errs->more    ? ", and many more"
                   : errs->n > 1 ? ", and more"
                                 : "");
    pr_buf_str(b, "{\"type\":\"about:blank\",\"title\":");
    pr_json_add(b, title);
    pr_buf_printf(b, ",\"status\":%d,\"detail\":", status);
    pr_json_add(b, detail);
    pr_buf_str(b, ",\"errors\":[");
    for (size_t i = 0; i < errs->n; i++) {
        pr_buf_str(b, i == 0 ? "{\"field\":" : ",{\"field\":");
        pr_json_add(b, errs->e[i].field);
        pr_buf_str(b, ",\"detail\":");
        pr_json_add(b, errs->e[i].detail);
        pr_buf_str(b, "}");
    }
    pr_buf_str(b, "]}");
    res->status = status;
    res->content_type = "application/problem+json";
}
