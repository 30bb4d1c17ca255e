/* Which role somebody has whom another authority names: the certificate of a client, or a claim of
 * a token. Pure: the text of a file comes in.
 *
 *     # role   who
 *     admin    CN=ops-laptop
 *     operator URI=spiffe://prod/ns/prism/sa/deployer
 *     viewer   claim=platform-readers
 *
 * The first of a certificate's names that has a line decides; of several values of a claim the
 * highest role counts. A table says everything: what has no line has no role. Where there is no
 * table at all, the values of the claim are the roles' own names. */
#ifndef METADATA_API_GRANT_H
#define METADATA_API_GRANT_H

#include "api_access.h"
#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { API_GRANT_NAME = 256, API_GRANT_MAX = 4096 };

struct api_grants {
    struct api_grant {
        enum api_role role;
        char name[API_GRANT_NAME]; /* "CN=ops-laptop" */
    } * row;                       /* owned */
    size_t n;
    bool by_name; /* there is no table: a claim's values are viewer, operator, admin */
};

/* text: [n], any bytes; nothing is a table of nobody. PR_EINVAL names the line. *out is written
 * only on PR_OK. */
PR_CHECKED enum pr_code api_grants_read(struct api_grants *out, const char *text, size_t n,
                                        struct pr_err *err);
void api_grants_done(struct api_grants *g);

/* API_NOBODY: none. name: "CN=ops-laptop". */
enum api_role api_grant_of_name(const struct api_grants *g, const char *name);
/* value: of the claim. */
enum api_role api_grant_of_claim(const struct api_grants *g, const char *value);

#endif
