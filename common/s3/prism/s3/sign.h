/* AWS Signature Version 4 of a request, for its Authorization header. Pure: the clock is an
 * argument. Source: "Create a signed AWS API request", IAM User Guide. */
#ifndef PRISM_S3_SIGN_H
#define PRISM_S3_SIGN_H

#include "prism/buf.h"
#include "prism/err.h"

#include <stddef.h>
#include <stdint.h>

enum { PR_SIGV4_HEADERS = 24, PR_SIGV4_DATE = 17 };

struct pr_sigv4_pair {
    const char *name, *value;
};

struct pr_sigv4 {
    const char *method;
    const char *path;  /* from "/", encoded as it is sent (S3 encodes once) */
    const char *query; /* encoded, ascending, "name=value" joined by &; "": none */
    /* [headers] all that are signed, in any order: names lower case, values not empty; host
     * and x-amz-date must be among them. At most PR_SIGV4_HEADERS. */
    const struct pr_sigv4_pair *header;
    size_t headers;
    const char *payload; /* hex SHA-256 of the body, or "UNSIGNED-PAYLOAD" */
    const char *access, *secret, *region, *service;
    int64_t now_ms; /* Unix epoch, what x-amz-date says */
};

/* "20130524T000000Z" */
void pr_sigv4_date(int64_t now_ms, char out[PR_SIGV4_DATE]);

/* Appends the header's value. PR_EINVAL: a header is missing, twice, or too much. */
PR_CHECKED enum pr_code pr_sigv4_sign(const struct pr_sigv4 *r, struct pr_buf *out,
                                      struct pr_err *err);

#endif
