#include "api_jwt.h"

#include <stdio.h>
#include <string.h>

enum { RSA_BITS = 2048 };

static const struct {
    const char *alg, *kty, *crv; /* crv NULL: none */
} algs[] = {
    { "RS256", "RSA", NULL },      { "RS384", "RSA", NULL },   { "RS512", "RSA", NULL },
    { "PS256", "RSA", NULL },      { "PS384", "RSA", NULL },   { "PS512", "RSA", NULL },
    { "ES256", "EC", "P-256" },    { "ES384", "EC", "P-384" }, { "ES512", "EC", "P-521" },
    { "EdDSA", "OKP", "Ed25519" },
};

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool is_for(const struct api_jwt_claims *c, const char *audience)
{
    for (size_t i = 0; i < c->n_aud; i++)
        if (same(c->aud[i], audience))
            return true;
    return false;
}

/* It becomes a name in the audit trail and in logs. */
static bool sub_fits(const char *sub)
{
    const size_t n = sub == NULL ? 0 : strnlen(sub, API_JWT_SUB);
    if (n == 0 || n == API_JWT_SUB)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)sub[i] < 0x20 || sub[i] == 0x7f)
            return false;
    return true;
}

enum api_jwt_why api_jwt_judge(const struct api_jwt_rules *rules, const struct api_jwt_claims *c,
                               int64_t now_s)
{
    if (!same(c->iss, rules->issuer))
        return API_JWT_ISSUER;
    if (!is_for(c, rules->audience))
        return API_JWT_AUDIENCE;
    if (c->bad_time)
        return API_JWT_SHAPE;
    if (!c->has_exp)
        return API_JWT_NO_EXPIRY;
    if (now_s >= c->exp_s + rules->skew_s)
        return API_JWT_EXPIRED;
    if ((c->has_nbf && now_s < c->nbf_s - rules->skew_s) ||
        (c->has_iat && now_s < c->iat_s - rules->skew_s))
        return API_JWT_EARLY;
    return sub_fits(c->sub) ? API_JWT_GOOD : API_JWT_SUBJECT;
}

const char *api_jwt_label(enum api_jwt_why why)
{
    static const char *const label[API_JWT_WHY_COUNT] = {
        [API_JWT_GOOD] = "jwt_good",
        [API_JWT_SHAPE] = "jwt_shape",
        [API_JWT_TYP] = "jwt_typ",
        [API_JWT_ALG] = "jwt_alg",
        [API_JWT_KEY] = "jwt_key",
        [API_JWT_SIGNATURE] = "jwt_signature",
        [API_JWT_ISSUER] = "jwt_issuer",
        [API_JWT_AUDIENCE] = "jwt_audience",
        [API_JWT_NO_EXPIRY] = "jwt_no_expiry",
        [API_JWT_EXPIRED] = "jwt_expired",
        [API_JWT_EARLY] = "jwt_early",
        [API_JWT_SUBJECT] = "jwt_subject",
    };
    return label[why];
}

const char *api_jwt_words(enum api_jwt_why why)
{
    return why == API_JWT_EXPIRED ? "this token has expired"
           : why == API_JWT_EARLY ? "this token does not count yet"
                                  : "this token is not accepted";
}

static char small(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Of at most n characters, in any case of ASCII's letters. */
static bool alike(const char *a, const char *b, size_t n)
{
    size_t i = 0;
    while (i < n && a[i] != '\0' && small(a[i]) == small(b[i]))
        i++;
    return i == n || small(a[i]) == small(b[i]);
}

static const char *short_type(const char *typ)
{
    static const char application[] = "application/";
    const size_t n = sizeof application - 1;
    return alike(typ, application, n) ? typ + n : typ;
}

bool api_jwt_typ_fits(const char *wanted, const char *typ)
{
    return wanted[0] == '\0' ||
           (typ != NULL && alike(short_type(wanted), short_type(typ), SIZE_MAX));
}

static size_t find_alg(const char *alg, size_t n)
{
    size_t i = 0;
    while (i < PR_COUNT(algs) && (strlen(algs[i].alg) != n || strncmp(algs[i].alg, alg, n) != 0))
        i++;
    return i;
}

enum pr_code api_jwt_algs_check(const char *list, struct pr_err *err)
{
    for (const char *at = list;; at++) {
        const size_t n = strcspn(at, ",");
        if (find_alg(at, n) == PR_COUNT(algs))
            return pr_fail(err, PR_EINVAL,
                           "\"%.*s\" is none of RS256, RS384, RS512, PS256, PS384, PS512, ES256, "
                           "ES384, ES512, EdDSA",
                           (int)(n > 40 ? 40 : n), at);
        at += n;
        if (*at == '\0')
            return PR_OK;
    }
}

bool api_jwt_alg_listed(const char *list, const char *alg)
{
    const size_t alg_n = strlen(alg);
    for (const char *at = list;; at++) {
        const size_t n = strcspn(at, ",");
        if (n == alg_n && strncmp(at, alg, n) == 0)
            return true;
        at += n;
        if (*at == '\0')
            return false;
    }
}

bool api_jwt_key_fits(const char *alg, const struct api_jwk *key)
{
    const size_t i = find_alg(alg, strlen(alg));
    return i < PR_COUNT(algs) && same(key->kty, algs[i].kty) && !key->is_private &&
           (algs[i].crv == NULL || same(key->crv, algs[i].crv)) &&
           (key->alg == NULL || same(key->alg, alg)) &&
           (key->use == NULL || same(key->use, "sig")) &&
           (strcmp(algs[i].kty, "RSA") != 0 || key->bits >= RSA_BITS);
}
