#include "s3_private.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

void s3_encode(struct pr_buf *b, const char *s, bool slash)
{
    static const char PLAIN[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    while (*s != '\0') {
        const size_t n = strspn(s, PLAIN);

        pr_buf_add(b, s, n);
        s += n;
        if (*s == '/' && slash)
            pr_buf_add(b, s++, 1);
        else if (*s != '\0')
            pr_buf_printf(b, "%%%02X", (unsigned)(unsigned char)*s++);
    }
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of two digits; -1: they are none. Never looks behind a NUL. */
static int byte_of(const char *s)
{
    const int high = digit(s[0]), low = high >= 0 ? digit(s[1]) : -1;

    return low >= 0 ? high * 16 + low : -1;
}

bool s3_decode(char *s)
{
    char *out = s;

    for (; *s != '\0'; s++) {
        if (*s == '%') {
            const int c = byte_of(s + 1);
            if (c <= 0)
                return false;
            *out++ = (char)c;
            s += 2;
        } else {
            *out++ = *s == '+' ? ' ' : *s;
        }
    }
    *out = '\0';
    return true;
}

void s3_xml_text(struct pr_buf *b, const char *s)
{
    for (; *s != '\0'; s++) {
        switch (*s) {
        case '&':
            pr_buf_str(b, "&amp;");
            break;
        case '<':
            pr_buf_str(b, "&lt;");
            break;
        case '>':
            pr_buf_str(b, "&gt;");
            break;
        case '"':
            pr_buf_str(b, "&quot;");
            break;
        default:
            pr_buf_add(b, s, 1);
        }
    }
}

void s3_hex(const uint8_t *p, size_t n, char *out)
{
    static const char DIGITS[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = DIGITS[p[i] >> 4];
        out[2 * i + 1] = DIGITS[p[i] & 15];
    }
    out[2 * n] = '\0';
}

bool s3_unhex(const char *s, uint8_t *out, size_t n)
{
    if (strlen(s) != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const int c = byte_of(s + 2 * i);
        if (c < 0)
            return false;
        out[i] = (uint8_t)c;
    }
    return true;
}

bool s3_sha256(const void *p, size_t n, uint8_t out[S3_SHA256])
{
    return EVP_Digest(n > 0 ? p : "", n, out, NULL, EVP_sha256(), NULL) == 1;
}

bool s3_md5(const void *p, size_t n, uint8_t out[S3_MD5])
{
    return EVP_Digest(n > 0 ? p : "", n, out, NULL, EVP_md5(), NULL) == 1;
}

void s3_crc_base64(uint32_t crc, char out[9])
{
    const uint8_t bytes[4] = { (uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
                               (uint8_t)crc };

    (void)EVP_EncodeBlock((unsigned char *)out, bytes, sizeof bytes);
}

void s3_etag(const char *raw, char out[PR_S3_ETAG])
{
    if (strncmp(raw, "W/", 2) == 0)
        raw += 2;
    raw += *raw == '"';
    (void)snprintf(out, PR_S3_ETAG, "%.*s", (int)strcspn(raw, "\""), raw);
}

bool s3_target(const char *bucket, const struct s3_request *q, struct pr_buf *path,
               struct pr_buf *query)
{
    const struct pr_sigv4_pair *at[S3_PAIRS];

    pr_buf_str(path, bucket);
    if (q->key != NULL || bucket[0] == '\0')
        pr_buf_add(path, "/", 1);
    if (q->key != NULL)
        s3_encode(path, q->key, true);
    for (size_t i = 0; i < q->queries; i++) {
        size_t j = i;
        for (; j > 0 && strcmp(at[j - 1]->name, q->query[i].name) > 0; j--)
            at[j] = at[j - 1];
        at[j] = &q->query[i];
    }
    for (size_t i = 0; i < q->queries; i++) {
        if (i > 0)
            pr_buf_add(query, "&", 1);
        s3_encode(query, at[i]->name, false);
        pr_buf_add(query, "=", 1);
        s3_encode(query, at[i]->value, false);
    }
    return !path->failed && !query->failed;
}
