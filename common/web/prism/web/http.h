/* HTTP to other people's services (AWS, Kubernetes, Prometheus), over libcurl. */
#ifndef PRISM_WEB_HTTP_H
#define PRISM_WEB_HTTP_H

#include "prism/aws.h"
#include "prism/buf.h"
#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>

struct pr_web_request {
    const char *method, *url;
    const char *body;          /* NULL: none */
    const char *const *header; /* [headers] "Name: value" */
    size_t headers;
    long timeout_ms;                /* of the whole exchange */
    const char *ca_file;            /* NULL: the system's */
    const char *bearer_file;        /* read anew for each request (tokens rotate); NULL */
    const struct pr_aws_keys *sign; /* SigV4; NULL: not signed */
    const char *aws_region, *aws_service;
    bool secret; /* a header, the body or the answer is (a token, a signature and a password in
                    the URL are known to be) */
    bool nearby; /* it may go over plain http to a link-local address: the host below us */
};

struct pr_web_response { /* release with pr_buf_done(&body) */
    long status;
    struct pr_buf body;
    long retry_after_s; /* 0: not said */
};

/* PR_OK: there was an answer, whatever its status. PR_EUNAVAIL, PR_ETIMEOUT: none; names
 * the host, never a secret. PR_EDENIED: the server's certificate is not trusted, or there is
 * no token or key to send. PR_EINVAL: what was asked is wrong (a signed request has its
 * parameters in its body and no header without a value; no secret goes over plain http to
 * another machine). PR_EDATA: the answer is over 32 MiB. */
PR_CHECKED enum pr_code pr_web_ask(const struct pr_web_request *q, struct pr_web_response *r,
                                   struct pr_err *err);

/* Whether what is secret may go there: over TLS, or not away from this machine (and, nearby, the
 * host below it). PR_EINVAL: why not. */
PR_CHECKED enum pr_code pr_web_private(const char *url, bool nearby, struct pr_err *err);

/* A value of a form or of a query string. */
void pr_web_encode(struct pr_buf *to, const char *value);

/* The file's one token, without the line's end. PR_EDENIED: cannot be read, or holds none. */
enum { PR_WEB_TOKEN_MAX = 16 << 10 };
PR_CHECKED enum pr_code pr_web_token(const char *path, char *token, size_t room,
                                     struct pr_err *err);

#endif
