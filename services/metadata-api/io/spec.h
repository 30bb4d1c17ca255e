/* What the API's own description says, for the server itself: which query arguments an
 * operation has. */
#ifndef METADATA_API_SPEC_H
#define METADATA_API_SPEC_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>

struct api_spec;

/* text: openapi.json. PR_EDATA: it is no such description. */
PR_CHECKED enum pr_code api_spec_new(struct api_spec **spec, const char *text, struct pr_err *err);
void api_spec_free(struct api_spec *spec); /* NULL is fine */
/* Is there such an operation? */
bool api_spec_has(const struct api_spec *spec, const char *method, const char *path);
bool api_spec_has_query(const struct api_spec *spec, const char *method, const char *path,
                        const char *name);
/* Names of an operation's query arguments, "a, b"; "" for none. */
void api_spec_queries(const struct api_spec *spec, const char *method, const char *path, char *out,
                      size_t cap);

#endif
