/* Bearer tokens of an identity provider: JSON Web Tokens, signed by a key of its key set. */
#ifndef METADATA_API_JWT_IO_H
#define METADATA_API_JWT_IO_H

#include "api_jwt.h"
#include "jwks.h"
#include "roles.h"

struct api_jwt; /* thread-safe */

struct api_jwt_options {
    struct api_jwt_rules rules;
    struct api_jwks_options keys;
    const char *algs;        /* "RS256,ES256" */
    const char *role_claim;  /* "roles", or "realm_access.roles": of what is in it */
    struct api_roles *roles; /* borrowed */
};

PR_CHECKED enum pr_code api_jwt_open(struct api_jwt **out, const struct api_jwt_options *o,
                                     struct pr_err *err);
void api_jwt_close(struct api_jwt *j); /* NULL is fine */

/* Does this text look like one? */
bool api_jwt_like(const char *text);

struct api_jwt_who {
    char name[API_JWT_SUB + 8]; /* "jwt:alice" */
    enum api_role role;         /* API_NOBODY: its bearer is known, and may do nothing */
    int64_t expires_ms;         /* clocks' difference included */
};
/* hash: SHA-256 of text, 32 bytes. cheap: only when it was checked before. PR_EDENIED: *why;
 * PR_EFULL: it was not checked before; PR_EUNAVAIL: the keys have not been read yet, or
 * not for too long. */
PR_CHECKED enum pr_code api_jwt_check(struct api_jwt *j, const char *text,
                                      const unsigned char *hash, bool cheap, int64_t now_ms,
                                      struct api_jwt_who *out, enum api_jwt_why *why);
uint64_t api_jwt_version(struct api_jwt *j); /* grows when the keys or the table of roles change */
void api_jwt_stats(struct api_jwt *j, struct api_jwks_stats *out);

#endif
