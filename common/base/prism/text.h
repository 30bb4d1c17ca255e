/* Text in UTF-8. Source: Unicode 15, table 3-7 (no overlong forms, surrogates, > U+10FFFF). */
#ifndef PRISM_TEXT_H
#define PRISM_TEXT_H

#include <stddef.h>

/* Bytes of the well-formed character at s, where n > 0 bytes are; 0: there is none. */
size_t pr_utf8_length(const void *s, size_t n);
/* Ends s before a character that was cut off at its end, as snprintf does when it runs out of
 * room; other bytes that are no UTF-8 stay. */
void pr_utf8_trim(char *s);
/* Puts a ? in the place of every byte that belongs to no well-formed character. */
void pr_utf8_mend(char *s, size_t n);

#endif
