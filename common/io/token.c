#include "prism/io/token.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { SECRET_BYTES = 32 };

enum pr_code pr_token_make(char text[PR_TOKEN_TEXT], unsigned char hash[PR_TOKEN_HASH],
                           struct pr_err *err)
{
    unsigned char secret[SECRET_BYTES], digest[EVP_MAX_MD_SIZE];
    unsigned got = 0;
    if (getrandom(secret, sizeof secret, 0) != (ssize_t)sizeof secret)
        return pr_fail(err, PR_EUNAVAIL, "token: no random numbers: %s", strerror(errno));
    int at = snprintf(text, PR_TOKEN_TEXT, "prism_");
    for (size_t i = 0; i < sizeof secret; i++)
        at += snprintf(text + at, 3, "%02x", secret[i]);
    explicit_bzero(secret, sizeof secret);
    if (EVP_Digest(text, (size_t)at, digest, &got, EVP_sha256(), NULL) != 1 || got != PR_TOKEN_HASH)
        return pr_fail(err, PR_EINTERNAL, "token: SHA-256 failed");
    memcpy(hash, digest, PR_TOKEN_HASH);
    return PR_OK;
}

bool pr_token_name_valid(const char *name)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t n = strlen(name);
    return n > 0 && n < PR_TOKEN_NAME && strspn(name, good) == n &&
           strcmp(name, "standby-token") != 0;
}
