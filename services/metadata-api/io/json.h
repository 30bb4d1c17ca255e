/* JSON in and out of the REST API, on jansson. */
#ifndef METADATA_API_JSON_H
#define METADATA_API_JSON_H

#include "api_check.h"
#include "prism/io/http.h"

#include <jansson.h>

static inline void pr_auto_json_t(json_t **j)
{
    json_decref(*j);
}

/* Members a request object may have; others are named as unknown. Values are
 * borrowed from the JSON. */
enum api_kind { API_STRING, API_INTEGER, API_NUMBER, API_BOOLEAN, API_OBJECT, API_ARRAY };
enum { API_REQUIRED = 1, API_NULLABLE = 2 };
struct api_member {
    const char *name;
    enum api_kind kind;
    unsigned flags;
    size_t value; /* offset of: const char *, int64_t, double, bool, json_t * (both last) */
    size_t has;   /* offset of a bool set when given (null too); 0: none */
};
/* prefix: "" or "params." before a member's name in errors. */
void api_members(const json_t *object, const char *prefix, const struct api_member *row, size_t n,
                 void *out, struct api_errors *errs);

/* Of an array: the ids of vertices, least to most of them. */
#define API_VERTEX_WORDS "1 to 128 printable characters without blanks and braces"
void api_check_ids(const json_t *ids, const char *field, size_t least, size_t most,
                   struct api_errors *errs);

/* The body as a JSON object; NULL after writing a 400 problem to res. */
json_t *api_body(const struct pr_http_req *req, struct pr_http_res *res);

/* Renames the members of every object in j from snake_case to camelCase. */
json_t *api_camel_all(const json_t *j); /* new; NULL without memory */

/* Takes over body. NULL body: 500, out of memory. */
void api_reply(struct pr_http_res *res, int status, json_t *body);
void api_header(struct pr_http_res *res, const char *name, const char *value);
/* problem+json naming every error. */
void api_refuse(struct pr_http_res *res, int status, const char *title,
                const struct api_errors *errs);

#endif
