#include "jwt.h"

#include <jansson.h>
#include <math.h>
#include <orcania.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = 32, KNOWN = 1024, AUDIENCES = 16, KID_BYTES = 256, CLAIM_BYTES = 128 };

/* A token that was found good, so that the next request with it costs a comparison. */
struct known {
    unsigned char hash[HASH_BYTES];
    uint64_t keys, roles; /* versions that it was judged by */
    struct api_jwt_who who;
    int64_t from_ms; /* it was good from then on */
};

struct api_jwt {
    struct api_jwt_rules rules;
    char *issuer, *audience, *typ, *algs, *role_claim;
    struct api_jwks *keys;
    struct api_roles *roles;
    pthread_mutex_t lock;
    struct known known[KNOWN]; /* by the first bytes of the hash; lock */
};

enum pr_code api_jwt_open(struct api_jwt **out, const struct api_jwt_options *o, struct pr_err *err)
{
    struct api_jwt *j = calloc(1, sizeof *j);
    if (j == NULL)
        return pr_fail(err, PR_ENOMEM, "JWT");
    (void)pthread_mutex_init(&j->lock, NULL);
    j->issuer = strdup(o->rules.issuer);
    j->audience = strdup(o->rules.audience);
    j->algs = strdup(o->algs);
    j->role_claim = strdup(o->role_claim);
    j->typ = strdup(o->rules.typ);
    j->rules = (struct api_jwt_rules){ j->issuer, j->audience, j->typ, o->rules.skew_s };
    j->roles = o->roles;
    enum pr_code rc = PR_OK;
    if (j->issuer == NULL || j->audience == NULL || j->typ == NULL || j->algs == NULL ||
        j->role_claim == NULL)
        rc = pr_fail(err, PR_ENOMEM, "JWT");
    if (rc == PR_OK)
        rc = api_jwks_open(&j->keys, &o->keys, err);
    if (rc == PR_OK)
        *out = j;
    else
        api_jwt_close(j);
    return rc;
}

void api_jwt_close(struct api_jwt *j)
{
    if (j == NULL)
        return;
    api_jwks_close(j->keys);
    pthread_mutex_destroy(&j->lock);
    free(j->issuer);
    free(j->audience);
    free(j->typ);
    free(j->algs);
    free(j->role_claim);
    free(j);
}

void api_jwt_stats(struct api_jwt *j, struct api_jwks_stats *out)
{
    api_jwks_stats(j->keys, out);
}

/* Three parts; ours have no dots. */
bool api_jwt_like(const char *text)
{
    const char *first = strchr(text, '.'), *second = first == NULL ? NULL : strchr(first + 1, '.');
    return second != NULL && strchr(second + 1, '.') == NULL;
}

/* ---- what it says ---- */

/* The one way to write it: bits of the last character that mean nothing are zero. */
static bool base64url(const char *s, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t last = 0;
    for (size_t i = 0; i < n; i++) {
        const char *at = s[i] == '\0' ? NULL : strchr(digits, s[i]);
        if (at == NULL)
            return false;
        last = (size_t)(at - digits);
    }
    const size_t spare = n % 4 == 2 ? 15 : n % 4 == 3 ? 3 : 0;
    return n > 0 && n % 4 != 1 && (last & spare) == 0;
}

/* A part as the JSON object that it is; NULL: it is none. */
static json_t *part(const char *s, size_t n)
{
    unsigned char text[API_JWT_BYTES];
    size_t text_n = sizeof text;
    if (!base64url(s, n) || n > sizeof text ||
        o_base64url_decode((const unsigned char *)s, n, text, &text_n) != 1)
        return NULL;
    json_t *j = json_loadb((const char *)text, text_n, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(j))
        return j;
    json_decref(j);
    return NULL;
}

static void read_time(const json_t *claims, const char *name, bool *has, int64_t *out, bool *bad)
{
    const json_t *v = json_object_get(claims, name);
    const double s = json_number_value(v);
    *has = v != NULL;
    if (v != NULL && (!json_is_number(v) || !(s >= 0 && s < 1e12)))
        *bad = true;
    else
        *out = (int64_t)floor(s);
}

static void read_claims(const json_t *claims, struct api_jwt_claims *c, const char *aud[AUDIENCES])
{
    const json_t *a = json_object_get(claims, "aud"), *one;
    size_t i;
    *c = (struct api_jwt_claims){ .iss = json_string_value(json_object_get(claims, "iss")),
                                  .sub = json_string_value(json_object_get(claims, "sub")),
                                  .aud = aud };
    if (json_is_string(a))
        aud[c->n_aud++] = json_string_value(a);
    json_array_foreach(a, i, one)
    {
        if (json_is_string(one) && c->n_aud < AUDIENCES)
            aud[c->n_aud++] = json_string_value(one);
    }
    read_time(claims, "exp", &c->has_exp, &c->exp_s, &c->bad_time);
    read_time(claims, "nbf", &c->has_nbf, &c->nbf_s, &c->bad_time);
    read_time(claims, "iat", &c->has_iat, &c->iat_s, &c->bad_time);
}

/* A member of that very name (some are URLs), else a.b.c into objects. */
static const json_t *member_at(const json_t *claims, const char *path)
{
    const json_t *v = json_object_get(claims, path);
    char name[CLAIM_BYTES];
    for (const char *at = path; v == NULL && claims != NULL; at++) {
        const size_t n = strcspn(at, ".");
        (void)snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : 0), at);
        claims = json_object_get(claims, name);
        at += n;
        if (*at == '\0')
            return claims;
    }
    return v;
}

static void raise_to(enum api_role *role, enum api_role other)
{
    if (other > *role)
        *role = other;
}

/* A string (of one, or of several between blanks, as in scope), or an array of them. */
static enum api_role role_of(struct api_jwt *j, const json_t *claims)
{
    const json_t *v = member_at(claims, j->role_claim), *one;
    enum api_role role = API_NOBODY;
    size_t i;
    json_array_foreach(v, i, one)
    {
        if (json_is_string(one))
            raise_to(&role, api_role_of_claim(j->roles, json_string_value(one)));
    }
    if (!json_is_string(v))
        return role;
    raise_to(&role, api_role_of_claim(j->roles, json_string_value(v)));
    char *words = strdup(json_string_value(v)), *save = NULL;
    for (char *w = words == NULL ? NULL : strtok_r(words, " ", &save); w != NULL;
         w = strtok_r(NULL, " ", &save))
        raise_to(&role, api_role_of_claim(j->roles, w));
    free(words);
    return role;
}

/* ---- whether to believe it ---- */

static enum pr_code no(enum api_jwt_why *why, enum api_jwt_why is)
{
    *why = is;
    return PR_EDENIED;
}

/* Only the algorithm and the name of the key are taken from the header: nothing that says where
 * keys are, or brings one along. */
static enum pr_code key_for(struct api_jwt *j, const json_t *header, jwk_t **key,
                            enum api_jwt_why *why)
{
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const json_t *kid = json_object_get(header, "kid");
    if (json_object_get(header, "crit") != NULL || json_object_get(header, "zip") != NULL ||
        json_object_get(header, "b64") != NULL || (kid != NULL && !json_is_string(kid)) ||
        (kid != NULL && json_string_length(kid) > KID_BYTES))
        return no(why, API_JWT_SHAPE);
    if (!api_jwt_typ_fits(j->rules.typ, json_string_value(json_object_get(header, "typ"))))
        return no(why, API_JWT_TYP);
    if (alg == NULL || !api_jwt_alg_listed(j->algs, alg))
        return no(why, API_JWT_ALG);
    const enum pr_code rc = api_jwks_find(j->keys, json_string_value(kid), alg, key);
    return rc == PR_ENOTFOUND ? no(why, API_JWT_KEY) : rc;
}

static enum pr_code check_signature(struct api_jwt *j, const char *text, const json_t *header,
                                    enum api_jwt_why *why)
{
    jwk_t *key = NULL;
    jws_t *jws = NULL;
    enum pr_code rc = key_for(j, header, &key, why);
    if (rc == PR_OK &&
        (r_jws_init(&jws) != RHN_OK ||
         r_jws_advanced_compact_parse(jws, text, R_PARSE_NONE, R_FLAG_IGNORE_REMOTE) != RHN_OK))
        rc = no(why, API_JWT_SHAPE);
    if (rc == PR_OK && r_jws_verify_signature(jws, key, R_FLAG_IGNORE_REMOTE) != RHN_OK)
        rc = no(why, API_JWT_SIGNATURE);
    r_jws_free(jws);
    r_jwk_free(key);
    return rc;
}

static enum pr_code judge(struct api_jwt *j, const char *text, int64_t now_ms,
                          struct api_jwt_who *out, int64_t *from_ms, enum api_jwt_why *why)
{
    const char *aud[AUDIENCES];
    struct api_jwt_claims c;
    const size_t n = strlen(text), head_n = strcspn(text, ".");
    const size_t body_n = strcspn(text + head_n + 1, "."), sign_n = n - head_n - body_n - 2;
    json_t *header = n < API_JWT_BYTES ? part(text, head_n) : NULL;
    json_t *claims = header == NULL ? NULL : part(text + head_n + 1, body_n);
    enum pr_code rc = claims == NULL || !base64url(text + n - sign_n, sign_n)
                          ? no(why, API_JWT_SHAPE)
                          : check_signature(j, text, header, why);
    if (rc == PR_OK) {
        read_claims(claims, &c, aud);
        const enum api_jwt_why is = api_jwt_judge(&j->rules, &c, now_ms / 1000);
        if (is != API_JWT_GOOD)
            rc = no(why, is);
    }
    if (rc == PR_OK) {
        (void)snprintf(out->name, sizeof out->name, "jwt:%s", c.sub);
        out->role = role_of(j, claims);
        out->expires_ms = (c.exp_s + j->rules.skew_s) * 1000;
        *from_ms = now_ms;
    }
    json_decref(header);
    json_decref(claims);
    return rc;
}

static struct known *place_of(struct api_jwt *j, const unsigned char *hash)
{
    return &j->known[(hash[0] | hash[1] << 8) % KNOWN];
}

/* now_ms before it was checked: the clock was set back, so judge it anew. */
static bool recall(struct api_jwt *j, const unsigned char *hash, uint64_t keys, uint64_t roles,
                   int64_t now_ms, struct api_jwt_who *out)
{
    pthread_mutex_lock(&j->lock);
    const struct known *k = place_of(j, hash);
    const bool good = memcmp(k->hash, hash, HASH_BYTES) == 0 && k->keys == keys &&
                      k->roles == roles && now_ms >= k->from_ms && now_ms < k->who.expires_ms;
    if (good)
        *out = k->who;
    pthread_mutex_unlock(&j->lock);
    return good;
}

uint64_t api_jwt_version(struct api_jwt *j)
{
    return api_jwks_version(j->keys) + api_roles_version(j->roles);
}

enum pr_code api_jwt_check(struct api_jwt *j, const char *text, const unsigned char *hash,
                           bool cheap, int64_t now_ms, struct api_jwt_who *out,
                           enum api_jwt_why *why)
{
    /* Versions first: what changes while it is judged makes it be judged again. */
    const uint64_t keys = api_jwks_version(j->keys), roles = api_roles_version(j->roles);
    struct known fresh = { .keys = keys, .roles = roles };
    if (recall(j, hash, keys, roles, now_ms, out))
        return PR_OK;
    if (cheap)
        return PR_EFULL;
    const enum pr_code rc = judge(j, text, now_ms, &fresh.who, &fresh.from_ms, why);
    if (rc != PR_OK)
        return rc;
    memcpy(fresh.hash, hash, HASH_BYTES);
    *out = fresh.who;
    pthread_mutex_lock(&j->lock);
    *place_of(j, hash) = fresh;
    pthread_mutex_unlock(&j->lock);
    return PR_OK;
}
