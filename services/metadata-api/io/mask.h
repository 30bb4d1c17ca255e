/* Field masks: which members of an answer the client wants. */
#ifndef METADATA_API_MASK_H
#define METADATA_API_MASK_H

#include "prism/err.h"

#include <jansson.h>

enum { API_MASK_PATHS = 32, API_MASK_BYTES = 1024 };

/* "id,report.before": names with dots, separated by commas. PR_EINVAL: it is something else. */
PR_CHECKED enum pr_code api_mask_check(const char *mask, struct pr_err *err);
/* What is left of an object, or of each item of {"items": [...]}, whose other members stay. A
 * path into an array means each of its objects; a name that is not there is no error. New. */
json_t *api_mask_apply(const char *mask, const json_t *body);

#endif
