/* The table of roles of those whom another authority names, from a file that may be replaced. */
#ifndef METADATA_API_ROLES_H
#define METADATA_API_ROLES_H

#include "api_grant.h"
#include "prism/err.h"

#include <stdbool.h>
#include <stdint.h>

struct api_roles; /* thread-safe */

/* path "": no table, so a claim's values are the names of roles. PR_EINVAL: the file cannot be
 * read, or a line of it; setting: for err. */
PR_CHECKED enum pr_code api_roles_open(struct api_roles **out, const char *setting,
                                       const char *path, struct pr_err *err);
/* As pr_tls_look; PR_ENOTFOUND: the file is gone, and the table is empty now. By one thread. */
PR_CHECKED enum pr_code api_roles_look(struct api_roles *r, bool *fresh, struct pr_err *err);
void api_roles_close(struct api_roles *r); /* NULL is fine */

enum api_role api_role_of_name(struct api_roles *r, const char *name);
enum api_role api_role_of_claim(struct api_roles *r, const char *value);
uint64_t api_roles_version(const struct api_roles *r); /* grows when the table changes */

#endif
