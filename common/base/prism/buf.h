/* Growable byte buffer with a ceiling. An append that fails (ceiling or
 * memory) marks the buffer failed; later appends do nothing, so a writer
 * checks once at the end. data is always NUL-terminated beyond len. */
#ifndef PRISM_BUF_H
#define PRISM_BUF_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pr_buf {
    char *data;                 /* owned; NULL until the first append */
    size_t len, cap, max_bytes; /* max_bytes 0: unlimited */
    bool failed;
};

void pr_buf_init(struct pr_buf *b, size_t max_bytes);
void pr_buf_reset(struct pr_buf *b); /* keeps the memory, clears failed */
void pr_buf_done(struct pr_buf *b);

bool pr_buf_reserve(struct pr_buf *b, size_t more);
void pr_buf_add(struct pr_buf *b, const void *p, size_t n);
void pr_buf_str(struct pr_buf *b, const char *s);
void pr_buf_printf(struct pr_buf *b, const char *fmt, ...) PR_PRINTF(2, 3);
void pr_buf_u64le(struct pr_buf *b, uint64_t v);
void pr_buf_u32le(struct pr_buf *b, uint32_t v);

#endif
