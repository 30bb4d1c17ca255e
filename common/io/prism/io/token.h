/* API tokens, as prism-admin and metadata-api make them. */
#ifndef PRISM_IO_TOKEN_H
#define PRISM_IO_TOKEN_H

#include "prism/err.h"

#include <stdbool.h>

enum { PR_TOKEN_TEXT = 80, PR_TOKEN_HASH = 32, PR_TOKEN_NAME = 64 };

/* A fresh token of 256 random bits, to be shown once, and its SHA-256, to be kept. Overwrite the
 * text (explicit_bzero) when it has been shown. */
PR_CHECKED enum pr_code pr_token_make(char text[PR_TOKEN_TEXT], unsigned char hash[PR_TOKEN_HASH],
                                      struct pr_err *err);

/* 1 to 63 letters, digits, '.', '_', '-': a name in the audit trail that is nobody else's, neither
 * "jwt:..." nor "CN=...". */
bool pr_token_name_valid(const char *name);

#endif
