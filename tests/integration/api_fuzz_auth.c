/* Who sends a request, for api_fuzz_test: with tokens that are good, over, garbage, or almost a
 * JSON Web Token of the identity provider. */
#include "api_fuzz_make.h"

#include <orcania.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PART = 2048 };

static const char *good;

void fuzz_jwt_from(const char *jwt)
{
    good = jwt;
}

static void encoded(struct pr_buf *b, const char *text, size_t n)
{
    unsigned char to[2 * PART];
    size_t to_n = 0;
    n = n > PART ? PART : n;
    if (n > 0 && o_base64url_encode((const unsigned char *)text, n, to, &to_n) == 1)
        pr_buf_add(b, to, to_n);
}

/* The claims of the good one, as JSON. */
static void claims(char out[PART])
{
    const char *at = strchr(good, '.') + 1;
    size_t n = PART - 1;
    if (o_base64url_decode((const unsigned char *)at, strcspn(at, "."), (unsigned char *)out, &n) !=
        1)
        n = 0;
    out[n] = '\0';
}

/* Another header, or other claims, before the signature of what was signed. */
static void rewritten(struct pr_buf *b)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"None\",\"kid\":\"fuzz\"}",
        "{\"alg\":\"HS256\",\"kid\":\"fuzz\"}",
        "{\"alg\":\"RS256\",\"kid\":\"fuzz\"}",
        "{\"alg\":\"RS256\",\"kid\":\"../fuzz\"}",
        "{\"alg\":\"RS256\",\"kid\":[\"fuzz\"]}",
        "{\"alg\":\"RS256\",\"kid\":\"fuzz\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"RS256\",\"jwk\":{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}}",
        "{\"alg\":\"RS256\",\"jku\":\"http://127.0.0.1:1/\"}",
        "{\"alg\":\"ES256\",\"kid\":\"fuzz\"}",
        "{\"alg\":\"PS256\",\"kid\":\"fuzz\"}",
        "{\"alg\":\"RS256\",\"alg\":\"none\",\"kid\":\"fuzz\"}",
        "{}",
        "[]",
        "",
    };
    char said[PART];
    struct pr_buf other;
    const size_t head_n = strcspn(good, "."), body_n = strcspn(good + head_n + 1, ".");
    const char *header = FUZZ_ANY(headers);
    pr_buf_init(&other, 0);
    claims(said);
    if (FUZZ_ONE_IN(3)) /* the header that was signed, with claims that were not */
        pr_buf_add(b, good, head_n);
    else
        encoded(b, header, strlen(header));
    pr_buf_str(b, ".");
    if (FUZZ_ONE_IN(2)) {
        fuzz_bent(&other, said);
        encoded(b, other.data, other.len);
    } else
        pr_buf_add(b, good + head_n + 1, body_n);
    pr_buf_str(b, ".");
    if (!FUZZ_ONE_IN(3))
        pr_buf_str(b, good + head_n + body_n + 2);
    pr_buf_done(&other);
}

static char printable(void)
{
    return (char)('!' + (int)fuzz_below('~' - '!' + 1));
}

/* What was signed, damaged. */
static void damaged(struct pr_buf *b)
{
    const size_t n = strlen(good), at = fuzz_below(n);
    char c;
    switch (fuzz_below(6)) {
    case 0: /* another character */
        pr_buf_add(b, good, at);
        c = printable();
        pr_buf_add(b, &c, 1);
        pr_buf_str(b, good + at + 1);
        break;
    case 1: /* cut */
        pr_buf_add(b, good, at);
        break;
    case 2: /* one more */
        pr_buf_add(b, good, at);
        c = printable();
        pr_buf_add(b, &c, 1);
        pr_buf_str(b, good + at);
        break;
    case 3: /* some less */
        pr_buf_add(b, good, at);
        pr_buf_str(b, good + at + fuzz_below(n - at));
        break;
    case 4: /* parts too many, or empty */
        pr_buf_str(b, good);
        fuzz_many(b, ".", 1 + fuzz_below(5));
        break;
    default: /* one that is too long */
        fuzz_many(b, "e", 1 + fuzz_below(12000));
        pr_buf_printf(b, ".%s", good);
    }
}

static enum api_role jwt(struct pr_buf *b)
{
    struct pr_buf token;
    pr_buf_init(&token, 0);
    if (FUZZ_ONE_IN(10))
        pr_buf_str(&token, good);
    else if (FUZZ_ONE_IN(2))
        rewritten(&token);
    else
        damaged(&token);
    const bool same = token.len == strlen(good) && memcmp(token.data, good, token.len) == 0;
    pr_buf_str(b, "Authorization: Bearer ");
    pr_buf_add(b, token.data, token.len);
    pr_buf_str(b, "\r\n");
    pr_buf_done(&token);
    return same ? API_ADMIN : API_NOBODY;
}

static enum api_role ours(struct pr_buf *b)
{
    static const struct {
        const char *name;
        enum api_role role;
    } who[] = {
        { "viewer", API_VIEWER },  { "operator", API_OPERATOR }, { "admin", API_ADMIN },
        { "expired", API_NOBODY }, { "revoked", API_NOBODY },    { "x", API_NOBODY },
    };
    const size_t i = FUZZ_ONE_IN(3) ? fuzz_below(PR_COUNT(who)) : 2;
    pr_buf_printf(b, "Authorization: Bearer tok-%s\r\n", who[i].name);
    return who[i].role;
}

enum api_role fuzz_authorization(struct pr_buf *b)
{
    switch (fuzz_below(24)) {
    case 0:
        break;
    case 1:
        pr_buf_str(b, "Authorization: Bearer ");
        fuzz_many(b, "t", fuzz_below(4000));
        pr_buf_str(b, "\r\n");
        break;
    case 2:
        pr_buf_str(b, "Authorization: Basic dTpw\r\n");
        break;
    case 3: /* either of them may count */
        pr_buf_str(b, "Authorization: Bearer tok-admin\r\nAuthorization: Bearer tok-viewer\r\n");
        return API_ADMIN;
    case 4:
        pr_buf_str(b, "Authorization: bearer\ttok-\xc3\x28\r\n");
        break;
    case 5:
    case 6:
    case 7:
        return jwt(b);
    default:
        return ours(b);
    }
    return API_NOBODY;
}
