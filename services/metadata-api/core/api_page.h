/* Cursor pagination. Pure. A page token names the list, the filters it was
 * made for and the last key shown; it is opaque to clients and carries a
 * checksum, so that a damaged or foreign token is refused, not misread. It
 * grants nothing, so it is not signed. */
#ifndef METADATA_API_PAGE_H
#define METADATA_API_PAGE_H

#include "prism/err.h"

#include <stdint.h>

enum {
    API_PAGE_DEFAULT = 100,
    API_PAGE_MAX = 1000,
    API_KEY_MAX = 192,  /* bytes of a last key, with its NUL */
    API_TOKEN_MAX = 400 /* bytes of a token, with its NUL */
};

/* text NULL: the default. PR_EINVAL: not a number in 1..API_PAGE_MAX. */
PR_CHECKED enum pr_code api_page_size(const char *text, unsigned *out, struct pr_err *err);

/* Digest of the filters' values (NULL: filter absent), to tie a token to them. */
uint64_t api_page_scope(const char *const *filters, unsigned n);

/* list: short name of the list; last: key of the last item shown, shorter than
 * API_KEY_MAX. */
void api_token_make(char out[API_TOKEN_MAX], const char *list, uint64_t scope, const char *last);
/* PR_EINVAL: not a token of this list, or made for other filters. */
PR_CHECKED enum pr_code api_token_read(const char *token, const char *list, uint64_t scope,
                                       char last[API_KEY_MAX], struct pr_err *err);

#endif
