/* JSON strings from any bytes: what is not UTF-8 becomes U+FFFD, so that text
 * from outside can never break a log line or a response. */
#ifndef PRISM_IO_JSON_TEXT_H
#define PRISM_IO_JSON_TEXT_H

#include "prism/buf.h"

#include <stddef.h>

enum { PR_JSON_WORST = 6 }; /* bytes written per byte read, at most */

/* Escapes s[0..n) (no quotes, no NUL added) as far as cap allows, never cutting
 * an escape or a character. Returns the bytes written; *used: bytes read. */
size_t pr_json_escape(char *out, size_t cap, const char *s, size_t n, size_t *used);

/* Appends "text" with its quotes; NULL appends null. */
void pr_json_add(struct pr_buf *b, const char *text);

#endif
