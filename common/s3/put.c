#include "s3_private.h"

#include "prism/crc32c.h"

#include <string.h>

/* Is what the server says it has what was sent? Its CRC-32C if it says one; else its ETag,
 * if that is an MD5 (as it is unless the object is encrypted with keys of KMS). */
enum pr_code s3_stored_ok(void *ctx, const struct s3_request *q, const struct s3_answer *a,
                          bool *again, struct pr_err *err)
{
    const struct s3_stored *stored = ctx;
    char crc[9];
    uint8_t md5[S3_MD5], there[S3_MD5];

    if (a->info.etag[0] == '\0') { /* whoever said 200, it was not the store */
        *again = true;
        return s3_fail(stored->s, q, PR_EDATA, err, "%ld without an ETag", a->status);
    }
    /* From here on it is stored: another try would not take it back. */
    s3_crc_base64(stored->crc32c, crc);
    if (a->crc32c[0] != '\0')
        return strcmp(a->crc32c, crc) == 0
                   ? PR_OK
                   : s3_fail(stored->s, q, PR_EDATA, err, "stored with CRC-32C %s, sent %s",
                             a->crc32c, crc);
    if (a->kms || !s3_unhex(a->info.etag, there, sizeof there) ||
        !s3_md5(q->body, q->body_bytes, md5))
        return PR_OK;
    if (memcmp(md5, there, sizeof md5) != 0)
        return s3_fail(stored->s, q, PR_EDATA, err, "stored with ETag %s, not what was sent",
                       a->info.etag);
    return PR_OK;
}

enum pr_code s3_body(struct s3_request *q, const void *data, size_t n, const uint8_t *sha256,
                     struct s3_stored *stored, struct pr_err *err)
{
    if (sha256 != NULL)
        memcpy(stored->sha256, sha256, S3_SHA256);
    else if (!s3_sha256(data, n, stored->sha256))
        return pr_fail(err, PR_EINTERNAL, "libcrypto has no SHA-256");
    q->body = n > 0 ? data : "";
    q->body_bytes = n;
    s3_hex(stored->sha256, S3_SHA256, q->payload);
    stored->crc32c = pr_crc32c(0, data, n);
    s3_crc_base64(stored->crc32c, stored->crc);
    s3_request_header(q, "x-amz-checksum-crc32c", stored->crc);
    return PR_OK;
}

enum pr_code s3_object_ok(void *ctx, const struct s3_request *q, const struct s3_answer *a,
                          bool *again, struct pr_err *err)
{
    *again = a->info.etag[0] == '\0';
    return *again ? s3_fail(ctx, q, PR_EDATA, err, "%ld without an ETag", a->status) : PR_OK;
}

enum pr_code s3_head(struct pr_s3 *s, const char *full, int64_t until_us, struct s3_answer *a,
                     struct pr_err *err)
{
    struct s3_request q = { .method = "HEAD", .key = full, .until_us = until_us };

    return s3_call(s, &q, s3_object_ok, s, a, err);
}

enum pr_code pr_s3_head(struct pr_s3 *s, const char *key, struct pr_s3_info *info,
                        struct pr_err *err)
{
    char full[PR_S3_KEY_MAX + 1];
    struct s3_answer a;
    enum pr_code rc = s3_full_key(s, key, full, err);

    if (rc == PR_OK)
        rc = s3_head(s, full, 0, &a, err);
    if (rc == PR_OK)
        *info = a.info;
    return rc;
}

/* Somebody has the key. This very object, written by a try whose answer was lost? */
static enum pr_code whose(struct pr_s3 *s, const struct s3_request *q,
                          const struct s3_stored *stored, struct pr_s3_info *info,
                          struct pr_err *err)
{
    struct s3_answer a;
    enum pr_code rc = s3_head(s, q->key, q->until_us, &a, err);

    if (rc != PR_OK) /* gone again, or nobody says: it is not known whether it was written */
        return rc == PR_ENOTFOUND ? s3_fail(s, q, PR_EUNAVAIL, err, "it was there, and is not")
                                  : rc;
    *info = a.info;
    if (info->size_bytes == q->body_bytes && info->has_sha256 &&
        memcmp(info->sha256, stored->sha256, S3_SHA256) == 0)
        return PR_OK;
    return s3_fail(s, q, PR_EEXISTS, err, "it exists already, with other content");
}

enum pr_code pr_s3_put(struct pr_s3 *s, const char *key, const void *data, size_t n,
                       const struct pr_s3_put *how, struct pr_s3_info *info, struct pr_err *err)
{
    static const struct pr_s3_put PLAIN = { 0 };
    char full[PR_S3_KEY_MAX + 1];
    struct s3_request q = { .method = "PUT", .key = full };
    struct s3_stored stored = { .s = s };
    struct s3_answer a;
    struct pr_s3_info there;
    enum pr_code rc = s3_full_key(s, key, full, err);

    if (how == NULL)
        how = &PLAIN;
    if (rc == PR_OK)
        rc = s3_body(&q, data, n, how->sha256, &stored, err);
    if (rc != PR_OK)
        return rc;
    s3_request_header(&q, "content-type",
                      how->content_type != NULL ? how->content_type : "application/octet-stream");
    s3_request_header(&q, "x-amz-meta-sha256", q.payload);
    s3_request_header(&q, "if-none-match", how->if_none_match ? "*" : "");

    rc = s3_call(s, &q, s3_stored_ok, &stored, &a, err);
    there = a.info;
    if (rc == PR_ECONFLICT && how->if_none_match)
        rc = q.maybe_done || how->same_is_done
                 ? whose(s, &q, &stored, &there, err)
                 : s3_fail(s, &q, PR_EEXISTS, err, "it exists already");
    if (rc == PR_OK && info != NULL) {
        *info = there;
        info->size_bytes = n;
        info->has_sha256 = true;
        memcpy(info->sha256, stored.sha256, S3_SHA256);
    }
    return rc;
}
