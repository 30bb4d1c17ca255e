#include "io/actuators/aws_private.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <string.h>

/* Source: "Common Error Types" and each action's errors in the Amazon EC2 Auto Scaling API
 * Reference; throttling codes as in the AWS SDKs' standard retry mode. */
static const struct aws_fault FAULT[] = {
    /* name, code, again, unsure, refresh */
    { "Throttling", PR_EUNAVAIL, true, false, false },
    { "ThrottlingException", PR_EUNAVAIL, true, false, false },
    { "ThrottledException", PR_EUNAVAIL, true, false, false },
    { "RequestThrottled", PR_EUNAVAIL, true, false, false },
    { "RequestThrottledException", PR_EUNAVAIL, true, false, false },
    { "RequestLimitExceeded", PR_EUNAVAIL, true, false, false },
    { "TooManyRequestsException", PR_EUNAVAIL, true, false, false },
    { "EC2ThrottledException", PR_EUNAVAIL, true, false, false },
    { "SlowDown", PR_EUNAVAIL, true, false, false },
    { "PriorRequestNotComplete", PR_EUNAVAIL, true, false, false },
    { "ServiceUnavailable", PR_EUNAVAIL, true, true, false },
    { "InternalFailure", PR_EUNAVAIL, true, true, false },
    { "InternalError", PR_EUNAVAIL, true, true, false },
    { "RequestTimeout", PR_EUNAVAIL, true, true, false },
    { "ResourceContention", PR_ECONFLICT, true, false, false },
    { "ScalingActivityInProgress", PR_ECONFLICT, true, false, false },
    { "ExpiredToken", PR_EDENIED, false, false, true },
    { "ExpiredTokenException", PR_EDENIED, false, false, true },
    { "InvalidClientTokenId", PR_EDENIED, false, false, true },
    { "UnrecognizedClientException", PR_EDENIED, false, false, true },
    { "RequestExpired", PR_EDENIED, false, false, false },
    { "SignatureDoesNotMatch", PR_EDENIED, false, false, false },
    { "IncompleteSignature", PR_EDENIED, false, false, false },
    { "MissingAuthenticationToken", PR_EDENIED, false, false, false },
    { "AccessDenied", PR_EDENIED, false, false, false },
    { "AccessDeniedException", PR_EDENIED, false, false, false },
    { "AuthFailure", PR_EDENIED, false, false, false },
    { "NotAuthorized", PR_EDENIED, false, false, false },
    { "OptInRequired", PR_EDENIED, false, false, false },
};

const struct aws_fault *aws_fault_of(const char *name, const char *message, long status)
{
    static const struct aws_fault LATER = { "later", PR_EUNAVAIL, true, false, false },
                                  BROKEN = { "broken", PR_EUNAVAIL, true, true, false },
                                  DENIED = { "denied", PR_EDENIED, false, false, false },
                                  MISSING = { "missing", PR_ENOTFOUND, false, false, false },
                                  LIMIT = { "limit", PR_EFULL, false, false, false },
                                  WRONG = { "wrong", PR_EINVAL, false, false, false };

    for (size_t i = 0; i < PR_COUNT(FAULT); i++)
        if (strcmp(name, FAULT[i].name) == 0)
            return &FAULT[i];
    if (strcmp(name, "ValidationError") == 0) { /* one code for many things */
        if (strstr(message, "not found") != NULL)
            return &MISSING;
        return strstr(message, "above max") != NULL || strstr(message, "below min") != NULL
                   ? &LIMIT
                   : &WRONG;
    }
    if (status == 429)
        return &LATER;
    if (status >= 500)
        return &BROKEN;
    if (status == 401 || status == 403)
        return &DENIED;
    return status == 404 ? &MISSING : &WRONG;
}

void aws_param(struct aws_question *q, const char *name, const char *value)
{
    pr_buf_printf(&q->more, "&%s=", name);
    pr_web_encode(&q->more, value);
}

/* An answer that is no 200: its words into err. */
static enum pr_code refused(struct aws *a, const struct aws_question *q,
                            const struct pr_aws_keys *keys, const struct pr_web_response *r,
                            struct pr_arena *arena, struct autoscale_try *t, bool *unsure,
                            struct pr_err *err)
{
    const struct pr_xml *root = NULL;
    const char *code = "", *message = "";

    if (pr_xml_parse(r->body.data, r->body.len, arena, &root, NULL) == PR_OK) {
        code = pr_xml_text(root, "Error/Code");
        message = pr_xml_text(root, "Error/Message");
    }
    const struct aws_fault *f = aws_fault_of(code, message, r->status);
    t->again = f->again;
    t->at_least_ms = (int64_t)r->retry_after_s * 1000;
    *unsure = f->unsure;
    if (f->refresh && pr_aws_keys_refused(a->ring, keys))
        t->again = true;
    if (code[0] == '\0')
        return pr_fail(err, f->code, "%.90s: %s: HTTP status %ld", q->who, q->action, r->status);
    return pr_fail(err, f->code, "%.90s: %s: %.50s: %.120s", q->who, q->action, code, message);
}

enum pr_code aws_ask(struct aws *a, const struct aws_question *q, struct autoscale_try *t,
                     struct pr_arena *arena, const struct pr_xml **root, bool *unsure,
                     struct pr_err *err)
{
    static const char *const HEADER[] = {
        "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
    };
    struct pr_aws_keys keys;
    *unsure = false;
    enum pr_code rc = pr_aws_keys(a->ring, pr_now_ms(), &keys, err);
    if (rc != PR_OK) {
        t->again = pr_retryable(rc);
        return pr_wrap(err, rc, "%.90s", q->who);
    }
    struct pr_buf body;
    pr_buf_init(&body, 0);
    pr_buf_printf(&body, "Action=%s&Version=2011-01-01%s", q->action,
                  q->more.data != NULL ? q->more.data : "");
    if (body.failed || q->more.failed) {
        pr_buf_done(&body);
        return pr_fail(err, PR_ENOMEM, "no memory");
    }
    const struct pr_web_request request = {
        .method = "POST",
        .url = a->endpoint,
        .body = body.data,
        .header = HEADER,
        .headers = PR_COUNT(HEADER),
        .timeout_ms = autoscale_timeout_ms(&a->pace, t),
        .ca_file = a->ca_file[0] != '\0' ? a->ca_file : NULL,
        .sign = &keys,
        .aws_region = a->region,
        .aws_service = "autoscaling",
    };
    struct pr_web_response r;
    rc = pr_web_ask(&request, &r, err);
    pr_buf_done(&body);
    if (rc != PR_OK) {
        t->again = pr_retryable(rc);
        *unsure = t->again || rc == PR_EDATA;
        rc = pr_wrap(err, rc, "%.80s: %s", q->who, q->action);
    } else if (r.status != 200) {
        rc = refused(a, q, &keys, &r, arena, t, unsure, err);
    } else {
        rc = pr_xml_parse(r.body.data, r.body.len, arena, root, err);
        if (rc != PR_OK) {
            *unsure = true;
            rc = pr_wrap(err, rc, "%.80s: %s", q->who, q->action);
        }
    }
    explicit_bzero(&keys, sizeof keys);
    pr_buf_done(&r.body);
    return rc;
}
