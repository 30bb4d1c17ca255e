/* The public keys of an identity provider: a JSON Web Key Set (RFC 7517) from a file or an https
 * URL, read again now and then, when the file changes, and when somebody brings a token with a key
 * that is not known yet. Keys that are there stay while they cannot be read; those of a URL for a
 * while only, since what was withdrawn meanwhile is not heard of. */
#ifndef METADATA_API_JWKS_H
#define METADATA_API_JWKS_H

#include "prism/err.h"

#include <rhonabwy.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api_jwks; /* thread-safe; has a thread of its own */

struct api_jwks_options {
    const char *setting, *source; /* "https://..." or a path; setting: its name, for errors */
    const char *ca_file;          /* to trust; "": the system's */
    int64_t refresh_ms, retry_ms; /* retry: least time between two reads that somebody asks for */
    int64_t grace_ms;             /* keys of a URL that were not read for so long are forgotten */
};

/* PR_EINVAL: no https URL, or the file cannot be read, or is no key set. */
PR_CHECKED enum pr_code api_jwks_open(struct api_jwks **out, const struct api_jwks_options *o,
                                      struct pr_err *err);
void api_jwks_close(struct api_jwks *k); /* nobody waits in it any more; NULL is fine */

/* The key with this kid (NULL: the only one) that may sign with alg; free it with r_jwk_free. Not
 * known: asks for it to be read again, and waits a little. PR_ENOTFOUND; PR_EUNAVAIL: no keys were
 * read since the start, or not for too long. */
PR_CHECKED enum pr_code api_jwks_find(struct api_jwks *k, const char *kid, const char *alg,
                                      jwk_t **out);
uint64_t api_jwks_version(struct api_jwks *k); /* grows when the keys change */

struct api_jwks_stats {
    size_t keys;
    int64_t age_ms; /* since they were last read; -1: never */
    uint64_t reads, failed;
};
void api_jwks_stats(struct api_jwks *k, struct api_jwks_stats *out);

#endif
