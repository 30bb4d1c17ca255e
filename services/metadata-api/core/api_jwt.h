/* May a JSON Web Token be believed? Pure: what it says comes in, its signature is checked
 * elsewhere. Source: RFC 7519 section 4.1; RFC 8725 (its dangers); RFC 7518 section 3.1. */
#ifndef METADATA_API_JWT_H
#define METADATA_API_JWT_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { API_JWT_SUB = 128, API_JWT_BYTES = 8192 };

struct api_jwt_rules {
    const char *issuer, *audience; /* exactly so */
    const char *typ;               /* of the header; "": whatever it is */
    int64_t skew_s;                /* by which clocks may differ */
};

struct api_jwt_claims {
    const char *iss, *sub; /* NULL: absent, or no string */
    const char *const *aud;
    size_t n_aud;
    bool has_exp, has_nbf, has_iat, bad_time; /* bad_time: one of them is no time */
    int64_t exp_s, nbf_s, iat_s;              /* Unix epoch */
};

enum api_jwt_why {
    API_JWT_GOOD,
    API_JWT_SHAPE, /* not three parts of what they should be */
    API_JWT_TYP,   /* not of the kind that is wanted: an ID token, say */
    API_JWT_ALG,   /* one that is not allowed, or not the key's */
    API_JWT_KEY,   /* nobody we trust has such a key */
    API_JWT_SIGNATURE,
    API_JWT_ISSUER,
    API_JWT_AUDIENCE,
    API_JWT_NO_EXPIRY,
    API_JWT_EXPIRED,
    API_JWT_EARLY,
    API_JWT_SUBJECT, /* none, too long, or nothing to write in a log */
    API_JWT_WHY_COUNT
};

/* Who it is from, whom it is for, when it counts, whom it names: in this order. */
enum api_jwt_why api_jwt_judge(const struct api_jwt_rules *rules, const struct api_jwt_claims *c,
                               int64_t now_s);
const char *api_jwt_label(enum api_jwt_why why); /* "jwt_issuer", of metrics and the log; static */
/* What its bearer is told: enough to get another one, nothing about what we check. Static. */
const char *api_jwt_words(enum api_jwt_why why);

/* Is a header's typ (NULL: none) what is wanted? As media types: in any case of its letters, and
 * "application/" may be left out (RFC 7515 section 4.1.9). */
bool api_jwt_typ_fits(const char *wanted, const char *typ);

/* list: "RS256,ES256". PR_EINVAL: empty, or one that is not asymmetric, or unknown: named. */
PR_CHECKED enum pr_code api_jwt_algs_check(const char *list, struct pr_err *err);
bool api_jwt_alg_listed(const char *list, const char *alg);

/* As the key set has them; NULL: absent. */
struct api_jwk {
    const char *kid, *kty, *crv, *alg, *use;
    unsigned bits; /* of an RSA key's modulus */
    bool is_private;
};
/* May a token with this alg be signed by this key? Never by one that is short (RSA < 2048), meant
 * for something else, or of another kind. */
bool api_jwt_key_fits(const char *alg, const struct api_jwk *key);

#endif
