#include "s3_private.h"

#include <string.h>

enum pr_code pr_s3_get(struct pr_s3 *s, const char *key, uint64_t offset, void *buf, size_t n,
                       struct pr_s3_info *info, struct pr_err *err)
{
    char full[PR_S3_KEY_MAX + 1];
    struct s3_request q = {
        .method = "GET", .key = full, .into = buf, .offset = offset, .want = n
    };
    struct s3_answer a;
    enum pr_code rc = s3_full_key(s, key, full, err);

    if (rc != PR_OK)
        return rc;
    if (n == 0 || offset > UINT64_MAX - n)
        return s3_fail(s, &q, PR_EINVAL, err, "no range: %zu bytes from %llu", n,
                       (unsigned long long)offset);
    rc = s3_call(s, &q, s3_object_ok, s, &a, err);
    if (rc == PR_OK && info != NULL)
        *info = a.info;
    return rc;
}

struct whole {
    struct pr_s3 *s;
    size_t bytes; /* of the object */
};

static enum pr_code whole_ok(void *ctx, const struct s3_request *q, const struct s3_answer *a,
                             bool *again, struct pr_err *err)
{
    struct whole *w = ctx;
    uint8_t hash[S3_SHA256];

    if (s3_object_ok(w->s, q, a, again, err) != PR_OK)
        return PR_EDATA;
    w->bytes = q->to->len - q->to_at;
    if (!a->info.has_sha256)
        return PR_OK;
    if (!s3_sha256(w->bytes > 0 ? q->to->data + q->to_at : "", w->bytes, hash))
        return pr_fail(err, PR_EINTERNAL, "libcrypto has no SHA-256");
    *again = memcmp(hash, a->info.sha256, sizeof hash) != 0;
    return *again ? s3_fail(w->s, q, PR_EDATA, err, "what came has another SHA-256 than it says")
                  : PR_OK;
}

enum pr_code pr_s3_read(struct pr_s3 *s, const char *key, struct pr_buf *out,
                        struct pr_s3_info *info, struct pr_err *err)
{
    char full[PR_S3_KEY_MAX + 1];
    struct s3_request q = { .method = "GET", .key = full, .to = out, .to_at = out->len };
    struct whole w = { s, 0 };
    struct s3_answer a;
    enum pr_code rc = s3_full_key(s, key, full, err);

    if (rc == PR_OK && out->max_bytes == 0)
        rc = s3_fail(s, &q, PR_EINVAL, err, "no limit is set");
    if (rc != PR_OK)
        return rc;
    rc = s3_call(s, &q, whole_ok, &w, &a, err);
    if (rc == PR_OK && info != NULL) {
        *info = a.info;
        info->size_bytes = w.bytes;
    }
    return rc;
}
