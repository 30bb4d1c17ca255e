/* Uploads in parts. Their objects carry a nonce: so it can be told whether an object is what
 * an upload made whose last answer was lost. */
#include "s3_private.h"

#include "prism/io/clock.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum pr_code pr_s3_upload_begin(struct pr_s3 *s, const char *key, struct pr_s3_upload *out,
                                struct pr_err *err)
{
    struct s3_answer a;
    const struct pr_xml *root = NULL;
    struct pr_arena arena;

    *out = (struct pr_s3_upload){ 0 };
    struct s3_request q = { .method = "POST", .key = out->key };
    enum pr_code rc = s3_full_key(s, key, out->key, err);
    if (rc != PR_OK)
        return rc;
    (void)snprintf(out->nonce, sizeof out->nonce, "%016llx%016llx",
                   (unsigned long long)s3_random(s), (unsigned long long)s3_random(s));
    s3_request_query(&q, "uploads", "");
    s3_request_header(&q, "content-type", "application/octet-stream");
    s3_request_header(&q, "x-amz-meta-nonce", out->nonce);
    s3_request_header(&q, "x-amz-checksum-algorithm", "CRC32C");
    rc = s3_call(s, &q, NULL, NULL, &a, err);
    pr_arena_init(&arena, 1 << 20);
    if (rc == PR_OK)
        rc = s3_parse(s, &q, &arena, "InitiateMultipartUploadResult", &root, err);
    if (rc == PR_OK) {
        const char *id = pr_xml_text(root, "UploadId");
        if (id[0] == '\0' || strlen(id) >= sizeof out->id)
            rc = s3_fail(s, &q, PR_EDATA, err, "an upload without an id, or one too long");
        else
            (void)snprintf(out->id, sizeof out->id, "%s", id);
    }
    pr_arena_done(&arena);
    return rc;
}

enum pr_code pr_s3_upload_part(struct pr_s3 *s, const struct pr_s3_upload *u, int number,
                               const void *data, size_t n, struct pr_s3_part *out,
                               struct pr_err *err)
{
    struct s3_request q = { .method = "PUT", .key = u->key };
    struct s3_stored stored = { .s = s };
    struct s3_answer a;
    char text[16];

    if (number < 1 || number > PR_S3_PARTS_MAX)
        return s3_fail(s, &q, PR_EINVAL, err, "part %d", number);
    (void)snprintf(text, sizeof text, "%d", number);
    enum pr_code rc = s3_body(&q, data, n, NULL, &stored, err);
    if (rc != PR_OK)
        return rc;
    s3_request_query(&q, "partNumber", text);
    s3_request_query(&q, "uploadId", u->id);
    rc = s3_call(s, &q, s3_stored_ok, &stored, &a, err);
    if (rc != PR_OK)
        return rc;
    *out = (struct pr_s3_part){ .number = number,
                                .size_bytes = n,
                                .crc32c = stored.crc32c,
                                .has_crc32c = a.crc32c[0] != '\0' };
    memcpy(out->etag, a.info.etag, sizeof out->etag);
    return PR_OK;
}

/* --- finishing ---------------------------------------------------------------------------- */

struct finish {
    struct pr_s3 *s;
    const struct pr_s3_part *part;
    size_t parts;
    uint64_t size_bytes;
    char etag[PR_S3_ETAG];
};

static enum pr_code finish_body(struct finish *f, const struct s3_request *q, struct pr_buf *body,
                                struct pr_err *err)
{
    char crc[9];

    if (f->parts == 0 || f->parts > PR_S3_PARTS_MAX)
        return s3_fail(f->s, q, PR_EINVAL, err, "%zu parts", f->parts);
    pr_buf_str(body, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < f->parts; i++) {
        const struct pr_s3_part *p = &f->part[i];

        if (i > 0 && p->number <= f->part[i - 1].number)
            return s3_fail(f->s, q, PR_EINVAL, err, "part %d after part %d", p->number,
                           f->part[i - 1].number);
        f->size_bytes += p->size_bytes;
        pr_buf_printf(body, "<Part><PartNumber>%d</PartNumber><ETag>&quot;", p->number);
        s3_xml_text(body, p->etag);
        pr_buf_str(body, "&quot;</ETag>");
        s3_crc_base64(p->crc32c, crc);
        if (p->has_crc32c)
            pr_buf_printf(body, "<ChecksumCRC32C>%s</ChecksumCRC32C>", crc);
        pr_buf_str(body, "</Part>");
    }
    pr_buf_str(body, "</CompleteMultipartUpload>");
    return body->failed ? pr_fail(err, PR_ENOMEM, "no memory") : PR_OK;
}

/* The whole's ETag is the MD5 of its parts' MD5s and their number, where they are MD5s. */
static bool etag_fits(const struct finish *f)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t one[S3_MD5], all[S3_MD5];
    char hex[2 * S3_MD5 + 1], want[PR_S3_ETAG];
    bool known = md != NULL && EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1 &&
                 strlen(f->etag) > sizeof hex && f->etag[2 * S3_MD5] == '-';

    for (size_t i = 0; i < f->parts && known; i++)
        known = s3_unhex(f->part[i].etag, one, sizeof one) &&
                EVP_DigestUpdate(md, one, sizeof one) == 1;
    known = known && EVP_DigestFinal_ex(md, all, NULL) == 1;
    EVP_MD_CTX_free(md);
    if (!known)
        return true;
    s3_hex(all, sizeof all, hex);
    (void)snprintf(want, sizeof want, "%s-%zu", hex, f->parts);
    return strcmp(want, f->etag) == 0;
}

static enum pr_code other_parts(const struct finish *f, const struct s3_request *q,
                                struct pr_err *err)
{
    return s3_fail(f->s, q, PR_EDATA, err, "made of other parts than were sent: ETag %s", f->etag);
}

static enum pr_code finish_ok(void *ctx, const struct s3_request *q, const struct s3_answer *a,
                              bool *again, struct pr_err *err)
{
    struct finish *f = ctx;
    const struct pr_xml *root = NULL;
    struct pr_arena arena;

    pr_arena_init(&arena, 1 << 20);
    enum pr_code rc = s3_parse(f->s, q, &arena, "CompleteMultipartUploadResult", &root, err);
    *again = rc != PR_OK; /* cut short, or empty: the next try learns whether it is done */
    if (rc == PR_OK)
        s3_etag(pr_xml_text(root, "ETag"), f->etag);
    pr_arena_done(&arena);
    if (rc == PR_OK && f->etag[0] != '\0' && !a->kms && !etag_fits(f))
        rc = other_parts(f, q, err);
    return rc;
}

/* Is the key's object what this upload made? PR_EEXISTS: another; PR_ENOTFOUND: none. */
static enum pr_code made(struct pr_s3 *s, const struct s3_request *q, const struct pr_s3_upload *u,
                         struct finish *f, struct pr_s3_info *info, struct pr_err *err)
{
    struct s3_answer a;
    const enum pr_code rc = s3_head(s, u->key, q->until_us, &a, err);

    if (rc != PR_OK)
        return rc;
    if (strcmp(a.info.nonce, u->nonce) != 0)
        return s3_fail(s, q, PR_EEXISTS, err, "another object has the key");
    *info = a.info;
    memcpy(f->etag, info->etag, sizeof f->etag);
    if (info->size_bytes != f->size_bytes || (!a.kms && !etag_fits(f)))
        return other_parts(f, q, err);
    return PR_OK;
}

/* Sent, and judged by what is there when the answer does not say. */
static enum pr_code finish(struct pr_s3 *s, struct s3_request *q, const struct pr_s3_upload *u,
                           struct finish *f, struct pr_s3_info *info, struct pr_err *err)
{
    struct s3_answer a;
    enum pr_code rc = s3_call(s, q, finish_ok, f, &a, err);

    if (rc == PR_OK && f->etag[0] != '\0') {
        memcpy(info->etag, f->etag, sizeof info->etag);
        return PR_OK;
    }
    /* Done before: S3 says 404, or 412 to a condition. Ceph says 200, and its ETag only then. */
    if (rc != PR_OK && rc != PR_ENOTFOUND && rc != PR_ECONFLICT)
        return rc;
    const bool none = rc == PR_ENOTFOUND;
    rc = made(s, q, u, f, info, err);
    return none && (rc == PR_ENOTFOUND || rc == PR_EEXISTS)
               ? s3_fail(s, q, PR_ENOTFOUND, err, "there is no such upload, nor its object")
               : rc;
}

enum pr_code pr_s3_upload_finish(struct pr_s3 *s, const struct pr_s3_upload *u,
                                 const struct pr_s3_part *part, size_t parts, bool if_none_match,
                                 struct pr_s3_info *info, struct pr_err *err)
{
    struct s3_request q = { .method = "POST", .key = u->key };
    struct finish f = { .s = s, .part = part, .parts = parts };
    struct pr_s3_info there = { 0 };
    struct pr_buf body;
    uint8_t hash[S3_SHA256];

    pr_buf_init(&body, 0);
    enum pr_code rc = finish_body(&f, &q, &body, err);
    if (rc == PR_OK && !s3_sha256(body.data, body.len, hash))
        rc = pr_fail(err, PR_EINTERNAL, "libcrypto has no SHA-256");
    if (rc == PR_OK) {
        s3_hex(hash, sizeof hash, q.payload);
        q.body = body.data;
        q.body_bytes = body.len;
        s3_request_query(&q, "uploadId", u->id);
        s3_request_header(&q, "content-type", "application/xml");
        s3_request_header(&q, "if-none-match", if_none_match ? "*" : "");
        /* Ceph takes no notice of the condition here. */
        rc = if_none_match ? made(s, &q, u, &f, &there, err) : PR_ENOTFOUND;
        if (rc == PR_ENOTFOUND)
            rc = finish(s, &q, u, &f, &there, err);
    }
    pr_buf_done(&body);
    if (rc == PR_OK && info != NULL) {
        *info = there;
        info->size_bytes = f.size_bytes;
        memcpy(info->nonce, u->nonce, sizeof info->nonce);
    }
    return rc;
}

/* --- throwing away ------------------------------------------------------------------------ */

static enum pr_code abort_upload(struct pr_s3 *s, const char *full, const char *id,
                                 struct pr_err *err)
{
    struct s3_request q = { .method = "DELETE", .key = full };
    struct s3_answer a;

    s3_request_query(&q, "uploadId", id);
    enum pr_code rc = s3_call(s, &q, NULL, NULL, &a, err);
    return rc == PR_ENOTFOUND && strcmp(a.code, "NoSuchUpload") == 0 ? PR_OK : rc;
}

enum pr_code pr_s3_upload_abort(struct pr_s3 *s, const struct pr_s3_upload *u, struct pr_err *err)
{
    return abort_upload(s, u->key, u->id, err);
}

struct sweep {
    int64_t before_ms;
    char key[PR_S3_KEY_MAX + 1], id[1024]; /* where the next page begins */
    bool more;
    size_t *aborted;
};

static enum pr_code sweep_page(struct pr_s3 *s, const char *prefix, struct sweep *w,
                               struct pr_arena *arena, struct pr_err *err)
{
    struct s3_request q = { .method = "GET" };
    struct s3_answer a;
    const struct pr_xml *root = NULL;
    char size[16];

    (void)snprintf(size, sizeof size, "%d", s->store.page);
    s3_request_query(&q, "uploads", "");
    s3_request_query(&q, "max-uploads", size);
    s3_request_query(&q, "encoding-type", "url");
    s3_request_query(&q, "prefix", prefix);
    if (w->more) {
        s3_request_query(&q, "key-marker", w->key);
        s3_request_query(&q, "upload-id-marker", w->id);
    }
    enum pr_code rc = s3_call(s, &q, NULL, NULL, &a, err);
    pr_arena_reset(arena);
    if (rc == PR_OK)
        rc = s3_parse(s, &q, arena, "ListMultipartUploadsResult", &root, err);
    if (rc != PR_OK)
        return rc;
    w->more = strcmp(pr_xml_text(root, "IsTruncated"), "true") == 0;
    for (const struct pr_xml *x = pr_xml_child(root, "Upload"); x != NULL && rc == PR_OK;
         x = pr_xml_next(x)) {
        const char *id = pr_xml_text(x, "UploadId");
        char *key = NULL;
        int64_t began_ms;

        if (!s3_own_key(s, x, "Key", &key) || id[0] == '\0' ||
            !pr_time_parse(pr_xml_text(x, "Initiated"), &began_ms))
            return s3_fail(s, &q, PR_EDATA, err, "the listing has an upload that is none");
        if (began_ms < w->before_ms) {
            rc = abort_upload(s, key - strlen(s->store.prefix), id, err);
            *w->aborted += rc == PR_OK;
        }
    }
    if (rc == PR_OK && w->more) {
        const struct pr_xml *next = pr_xml_child(root, "NextKeyMarker");
        char *key = next != NULL ? (char *)(uintptr_t)next->text : NULL;
        const char *id = pr_xml_text(root, "NextUploadIdMarker");
        if (key == NULL || !s3_decode(key) || key[0] == '\0' ||
            (strcmp(key, w->key) == 0 && strcmp(id, w->id) == 0))
            return s3_fail(s, &q, PR_EDATA, err, "the listing goes on, and does not say where");
        (void)snprintf(w->key, sizeof w->key, "%s", key);
        (void)snprintf(w->id, sizeof w->id, "%s", id);
    }
    return rc;
}

enum pr_code pr_s3_sweep(struct pr_s3 *s, const char *prefix, int64_t before_ms, size_t *aborted,
                         struct pr_err *err)
{
    struct sweep w = { .before_ms = before_ms, .aborted = aborted };
    char full[PR_S3_KEY_MAX + 1];
    struct pr_arena arena;
    enum pr_code rc = s3_join(s, prefix, full, err);

    *aborted = 0;
    if (rc != PR_OK)
        return rc;
    pr_arena_init(&arena, (size_t)4 * S3_ANSWER_MAX);
    do {
        rc = sweep_page(s, full, &w, &arena, err);
    } while (rc == PR_OK && w.more);
    pr_arena_done(&arena);
    return rc;
}
