#include "s3_private.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 1000 };

enum pr_code pr_s3_delete(struct pr_s3 *s, const char *key, struct pr_err *err)
{
    char full[PR_S3_KEY_MAX + 1];
    struct s3_request q = { .method = "DELETE", .key = full };
    struct s3_answer a;
    enum pr_code rc = s3_full_key(s, key, full, err);

    if (rc == PR_OK)
        rc = s3_call(s, &q, NULL, NULL, &a, err);
    /* 404 may as well be the bucket's, and then nothing has been deleted. */
    return rc == PR_ENOTFOUND && strcmp(a.code, "NoSuchKey") == 0 ? PR_OK : rc;
}

struct batch {
    struct pr_s3 *s;
    size_t keys;
};

/* Quiet: only keys that stay are named, each with a code of its own. */
static enum pr_code batch_ok(void *ctx, const struct s3_request *q, const struct s3_answer *a,
                             bool *again, struct pr_err *err)
{
    const struct batch *b = ctx;
    const struct pr_xml *root = NULL, *x;
    struct pr_arena arena;
    size_t stay = 0;

    pr_arena_init(&arena, (size_t)4 * S3_ANSWER_MAX);
    enum pr_code rc = s3_parse(b->s, q, &arena, "DeleteResult", &root, err);
    *again = rc != PR_OK;
    for (x = root != NULL ? pr_xml_child(root, "Error") : NULL; x != NULL; x = pr_xml_next(x)) {
        const char *code = pr_xml_text(x, "Code");
        const struct s3_verdict v = s3_judge(a->status, code[0] != '\0' ? code : "Error");

        if (v.code == PR_ENOTFOUND)
            continue;
        /* One that will stay whatever is tried decides. */
        if (stay++ == 0 || (*again && !v.again)) {
            *again = v.again;
            rc = s3_fail(b->s, q, v.code, err, "%s of %zu keys, one is %.60s", code, b->keys,
                         pr_xml_text(x, "Key"));
        }
    }
    pr_arena_done(&arena);
    return rc;
}

static enum pr_code send_batch(struct pr_s3 *s, const struct pr_buf *body, size_t keys,
                               struct pr_err *err)
{
    struct s3_request q = { .method = "POST", .body = body->data, .body_bytes = body->len };
    struct batch b = { s, keys };
    struct s3_answer a;
    uint8_t hash[S3_SHA256], md5[S3_MD5];
    char base64[2 * S3_MD5];

    if (!s3_sha256(body->data, body->len, hash) || !s3_md5(body->data, body->len, md5))
        return s3_fail(s, &q, PR_EINTERNAL, err, "libcrypto has no SHA-256 or MD5");
    s3_hex(hash, sizeof hash, q.payload);
    (void)EVP_EncodeBlock((unsigned char *)base64, md5, sizeof md5);
    s3_request_query(&q, "delete", "");
    s3_request_header(&q, "content-type", "application/xml");
    s3_request_header(&q, "content-md5", base64); /* S3 demands a checksum here */
    return s3_call(s, &q, batch_ok, &b, &a, err);
}

/* XML has no control characters. */
static bool in_xml(const char *key)
{
    for (; *key != '\0'; key++)
        if ((unsigned char)*key < ' ' || *key == 0x7f)
            return false;
    return true;
}

enum pr_code pr_s3_delete_all(struct pr_s3 *s, const char *const *keys, size_t n,
                              struct pr_err *err)
{
    char full[PR_S3_KEY_MAX + 1];
    struct pr_buf body;
    size_t in = 0;
    enum pr_code rc = PR_OK;

    pr_buf_init(&body, S3_ANSWER_MAX);
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        if (in_xml(keys[i])) {
            rc = s3_full_key(s, keys[i], full, err);
            pr_buf_str(&body,
                       in++ == 0 ? "<Delete><Quiet>true</Quiet><Object><Key>" : "<Object><Key>");
            s3_xml_text(&body, full);
            pr_buf_str(&body, "</Key></Object>");
        } else {
            rc = pr_s3_delete(s, keys[i], err);
        }
        if (rc == PR_OK && (in == BATCH || (i + 1 == n && in > 0))) {
            pr_buf_str(&body, "</Delete>");
            rc = body.failed ? pr_fail(err, PR_ENOMEM, "no memory") : send_batch(s, &body, in, err);
            pr_buf_reset(&body);
            in = 0;
        }
    }
    pr_buf_done(&body);
    return rc;
}
