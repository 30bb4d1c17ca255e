#include "prism/s3/sign.h"

#include "s3_private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void pr_sigv4_date(int64_t now_ms, char out[PR_SIGV4_DATE])
{
    const time_t at = (time_t)(now_ms / 1000);
    struct tm t;

    if (gmtime_r(&at, &t) == NULL || strftime(out, PR_SIGV4_DATE, "%Y%m%dT%H%M%SZ", &t) == 0)
        out[0] = '\0';
}

/* Blanks at the ends go, a run of blanks becomes one. */
static void add_value(struct pr_buf *b, const char *s)
{
    s += strspn(s, " \t");
    while (*s != '\0') {
        const size_t word = strcspn(s, " \t"), gap = strspn(s + word, " \t");

        pr_buf_add(b, s, word);
        s += word + gap;
        if (gap > 0 && *s != '\0')
            pr_buf_add(b, " ", 1);
    }
}

/* The headers by name, ascending. */
static enum pr_code sorted(const struct pr_sigv4 *r, const struct pr_sigv4_pair **at,
                           struct pr_err *err)
{
    bool host = false, date = false;

    if (r->headers > PR_SIGV4_HEADERS)
        return pr_fail(err, PR_EINVAL, "signature: %zu headers are too many", r->headers);
    for (size_t i = 0; i < r->headers; i++) {
        size_t j = i;

        for (; j > 0 && strcmp(at[j - 1]->name, r->header[i].name) > 0; j--)
            at[j] = at[j - 1];
        if (j > 0 && strcmp(at[j - 1]->name, r->header[i].name) == 0)
            return pr_fail(err, PR_EINVAL, "signature: header %s twice", r->header[i].name);
        at[j] = &r->header[i];
        host = host || strcmp(r->header[i].name, "host") == 0;
        date = date || strcmp(r->header[i].name, "x-amz-date") == 0;
    }
    return host && date ? PR_OK : pr_fail(err, PR_EINVAL, "signature: no host or x-amz-date");
}

static void add_names(struct pr_buf *b, const struct pr_sigv4_pair *const *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pr_buf_printf(b, "%s%s", i > 0 ? ";" : "", at[i]->name);
}

static bool hmac(const uint8_t *key, size_t n, const char *text, uint8_t out[S3_SHA256])
{
    unsigned len = 0;

    return HMAC(EVP_sha256(), key, (int)n, (const unsigned char *)text, strlen(text), out, &len) !=
               NULL &&
           len == S3_SHA256;
}

/* kSigning: the secret, then date, region, service and the scheme, one HMAC after another. */
static bool signing_key(const struct pr_sigv4 *r, const char *day, uint8_t key[S3_SHA256])
{
    char first[4 + 256];
    const int n = snprintf(first, sizeof first, "AWS4%s", r->secret);
    const bool ok = n > 0 && (size_t)n < sizeof first &&
                    hmac((const uint8_t *)first, (size_t)n, day, key) &&
                    hmac(key, S3_SHA256, r->region, key) && hmac(key, S3_SHA256, r->service, key) &&
                    hmac(key, S3_SHA256, "aws4_request", key);

    OPENSSL_cleanse(first, sizeof first);
    return ok;
}

static bool sign(const struct pr_sigv4 *r, const char *canonical, const char *date,
                 const char *scope, char hex[S3_SHA256_HEX])
{
    uint8_t hash[S3_SHA256], key[S3_SHA256] = { 0 };
    char day[9], text[512];

    (void)snprintf(day, sizeof day, "%.8s", date);
    if (!s3_sha256(canonical, strlen(canonical), hash))
        return false;
    s3_hex(hash, sizeof hash, hex);
    const int n = snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hex);
    const bool ok =
        (size_t)n < sizeof text && signing_key(r, day, key) && hmac(key, sizeof key, text, hash);
    OPENSSL_cleanse(key, sizeof key);
    s3_hex(hash, sizeof hash, hex);
    return ok;
}

enum pr_code pr_sigv4_sign(const struct pr_sigv4 *r, struct pr_buf *out, struct pr_err *err)
{
    const struct pr_sigv4_pair *at[PR_SIGV4_HEADERS];
    char date[PR_SIGV4_DATE], scope[256], hex[S3_SHA256_HEX];
    struct pr_buf b;
    enum pr_code rc = sorted(r, at, err);

    if (rc != PR_OK)
        return rc;
    pr_sigv4_date(r->now_ms, date);
    const int n =
        snprintf(scope, sizeof scope, "%.8s/%s/%s/aws4_request", date, r->region, r->service);
    if (date[0] == '\0' || (size_t)n >= sizeof scope)
        return pr_fail(err, PR_EINVAL, "signature: no date, or region and service too long");

    pr_buf_init(&b, 0);
    pr_buf_printf(&b, "%s\n%s\n%s\n", r->method, r->path, r->query);
    for (size_t i = 0; i < r->headers; i++) {
        pr_buf_printf(&b, "%s:", at[i]->name);
        add_value(&b, at[i]->value);
        pr_buf_add(&b, "\n", 1);
    }
    pr_buf_add(&b, "\n", 1);
    add_names(&b, at, r->headers);
    pr_buf_printf(&b, "\n%s", r->payload);
    if (b.failed)
        rc = pr_fail(err, PR_ENOMEM, "no memory");
    else if (!sign(r, b.data, date, scope, hex))
        rc = pr_fail(err, PR_EINTERNAL, "signature: libcrypto failed, or the secret is too long");
    if (b.data != NULL) /* it may hold a session token */
        OPENSSL_cleanse(b.data, b.cap);
    pr_buf_done(&b);
    if (rc != PR_OK)
        return rc;

    pr_buf_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=", r->access, scope);
    add_names(out, at, r->headers);
    pr_buf_printf(out, ",Signature=%s", hex);
    return out->failed ? pr_fail(err, PR_ENOMEM, "no memory") : PR_OK;
}
