#include "api_page.h"

#include "prism/slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum pr_code api_page_size(const char *text, unsigned *out, struct pr_err *err)
{
    *out = API_PAGE_DEFAULT;
    if (text == NULL)
        return PR_OK;
    unsigned v = 0;
    const char *p = text;
    while (*p >= '0' && *p <= '9' && v <= API_PAGE_MAX)
        v = v * 10 + (unsigned)(*p++ - '0');
    if (p == text || *p != '\0' || v < 1 || v > API_PAGE_MAX)
        return pr_fail(err, PR_EINVAL, "pageSize is a number from 1 to %d", API_PAGE_MAX);
    *out = v;
    return PR_OK;
}

uint64_t api_page_scope(const char *const *filters, unsigned n)
{
    uint64_t h = 0;
    for (unsigned i = 0; i < n; i++) {
        uint64_t one = filters[i] == NULL ? 0 : pr_vertex_hash(filters[i], strlen(filters[i])) | 1;
        h = (h ^ one) * UINT64_C(0x9e3779b97f4a7c15) + i + 1;
    }
    return h;
}

/* base64url without padding */
static void encode(char *out, const unsigned char *in, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)in[i] << 16;
        v |= i + 1 < n ? (unsigned)in[i + 1] << 8 : 0;
        v |= i + 2 < n ? in[i + 2] : 0;
        *out++ = alphabet[v >> 18 & 63];
        *out++ = alphabet[v >> 12 & 63];
        if (i + 1 < n)
            *out++ = alphabet[v >> 6 & 63];
        if (i + 2 < n)
            *out++ = alphabet[v & 63];
    }
    *out = '\0';
}

/* Returns the decoded length, or 0 when in is not base64url or too long. */
static size_t decode(unsigned char *out, size_t cap, const char *in)
{
    size_t n = 0;
    unsigned bits = 0, v = 0;
    for (; *in != '\0'; in++) {
        const char *at = strchr(alphabet, *in);
        if (at == NULL)
            return 0;
        v = v << 6 | (unsigned)(at - alphabet);
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        if (n == cap)
            return 0;
        out[n++] = (unsigned char)(v >> bits & 255);
    }
    return n;
}

void api_token_make(char out[API_TOKEN_MAX], const char *list, uint64_t scope, const char *last)
{
    char plain[API_TOKEN_MAX * 3 / 4 - 2];
    char body[sizeof plain - 18];
    snprintf(body, sizeof body, "1.%s.%" PRIx64 ".%s", list, scope, last);
    int n =
        snprintf(plain, sizeof plain, "%016" PRIx64 "%s", pr_vertex_hash(body, strlen(body)), body);
    encode(out, (const unsigned char *)plain, (size_t)n);
}

enum pr_code api_token_read(const char *token, const char *list, uint64_t scope,
                            char last[API_KEY_MAX], struct pr_err *err)
{
    unsigned char plain[API_TOKEN_MAX];
    char sum[17], want[64];
    size_t n = strlen(token) < API_TOKEN_MAX ? decode(plain, sizeof plain - 1, token) : 0;
    plain[n] = '\0';
    const char *body = (const char *)plain + 16;
    if (n > 16)
        snprintf(sum, sizeof sum, "%016" PRIx64, pr_vertex_hash(body, n - 16));
    if (n <= 16 || memcmp(sum, plain, 16) != 0)
        return pr_fail(err, PR_EINVAL, "pageToken is damaged or was not made by this API");

    int len = snprintf(want, sizeof want, "1.%s.", list);
    if (strncmp(body, want, (size_t)len) != 0)
        return pr_fail(err, PR_EINVAL, "pageToken belongs to another list");
    char *end;
    uint64_t made_for = strtoull(body + len, &end, 16);
    if (*end != '.' || strlen(end + 1) >= API_KEY_MAX)
        return pr_fail(err, PR_EINVAL, "pageToken is damaged or was not made by this API");
    if (made_for != scope)
        return pr_fail(err, PR_EINVAL, "pageToken was made for other filters");
    memcpy(last, end + 1, strlen(end + 1) + 1);
    return PR_OK;
}
