/* A role that is assumed with a token which somebody else has signed (OpenID Connect): on EKS the
 * service account's, by a file that is rewritten before it expires. The request needs no keys.
 * Source: AWS Security Token Service API Reference, AssumeRoleWithWebIdentity. */
#include "prism/web/aws_keys.h"

#include "prism/io/clock.h"
#include "prism/xml.h"

#include "prism/arena.h"

#include <stdio.h>
#include <string.h>

static bool take(const struct pr_xml *root, const char *name, char *to, size_t room)
{
    char path[100];
    (void)snprintf(path, sizeof path, "AssumeRoleWithWebIdentityResult/Credentials/%s", name);
    const char *text = pr_xml_text(root, path);
    const int n = snprintf(to, room, "%s", text);
    return n > 0 && (size_t)n < room;
}

static enum pr_code read_keys(const struct pr_xml *root, struct pr_aws_keys *keys,
                              int64_t *expires_ms, struct pr_err *err)
{
    char expires[40];
    return take(root, "AccessKeyId", keys->access, sizeof keys->access) &&
                   take(root, "SecretAccessKey", keys->secret, sizeof keys->secret) &&
                   take(root, "SessionToken", keys->token, sizeof keys->token) &&
                   take(root, "Expiration", expires, sizeof expires) &&
                   pr_time_parse(expires, expires_ms)
               ? PR_OK
               : pr_fail(err, PR_EDATA, "the answer holds no keys");
}

static enum pr_code refused(long status, const struct pr_xml *root, struct pr_err *err)
{
    const char *code = pr_xml_text(root, "Error/Code");
    /* IDPCommunicationError: AWS could not ask who signs the tokens, and says to try again. */
    const bool later = status == 429 || status >= 500 ||
                       strcmp(code, "IDPCommunicationError") == 0 ||
                       strcmp(code, "Throttling") == 0;
    const enum pr_code rc = later ? PR_EUNAVAIL : PR_EDENIED;
    return code[0] == '\0'
               ? pr_fail(err, rc, "status %ld", status)
               : pr_fail(err, rc, "%.60s: %.120s", code, pr_xml_text(root, "Error/Message"));
}

static enum pr_code make_body(const struct pr_aws_source *from, struct pr_buf *body,
                              struct pr_err *err)
{
    char token[PR_WEB_TOKEN_MAX];
    enum pr_code rc = pr_web_token(from->web_token_file, token, sizeof token, err);
    if (rc != PR_OK)
        return rc;
    pr_buf_str(body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=");
    pr_web_encode(body, from->role_arn);
    pr_buf_str(body, "&RoleSessionName=");
    pr_web_encode(body, from->role_session);
    pr_buf_str(body, "&WebIdentityToken=");
    pr_web_encode(body, token);
    explicit_bzero(token, sizeof token);
    return body->failed ? pr_fail(err, PR_ENOMEM, "no memory") : PR_OK;
}

static void wipe(struct pr_buf *b)
{
    if (b->data != NULL)
        explicit_bzero(b->data, b->cap);
    pr_buf_done(b);
}

enum pr_code pr_aws_web_identity(const struct pr_aws_source *from, struct pr_aws_keys *keys,
                                 int64_t *expires_ms, struct pr_err *err)
{
    static const char *const HEADER[] = {
        "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
    };
    struct pr_web_response r = { 0 };
    const struct pr_xml *root = NULL;
    struct pr_arena arena;
    struct pr_buf body;
    memset(keys, 0, sizeof *keys);
    pr_arena_init(&arena, 0);
    pr_buf_init(&body, 0);
    enum pr_code rc = make_body(from, &body, err);
    const struct pr_web_request q = {
        .method = "POST",
        .url = from->sts_url,
        .body = body.data,
        .header = HEADER,
        .headers = PR_COUNT(HEADER),
        .timeout_ms = from->timeout_ms,
        .ca_file = from->sts_ca_file[0] != '\0' ? from->sts_ca_file : NULL,
        .secret = true,
    };
    if (rc == PR_OK)
        rc = pr_web_ask(&q, &r, err);
    if (rc == PR_OK) {
        rc = pr_xml_parse(r.body.data, r.body.len, &arena, &root, err);
        if (r.status != 200)
            rc = refused(r.status, root, err);
        else if (rc == PR_OK)
            rc = read_keys(root, keys, expires_ms, err);
    }
    wipe(&body);
    wipe(&r.body);
    pr_arena_done(&arena);
    return rc;
}
