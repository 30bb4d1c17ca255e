/* Arena: one per tick, request or batch; everything in it is freed at once. */
#ifndef PRISM_ARENA_H
#define PRISM_ARENA_H

#include "prism/err.h"

#include <stddef.h>

struct pr_arena_block;
struct pr_arena {
    struct pr_arena_block *head;
    size_t used_bytes; /* handed out since init or reset */
    size_t max_bytes;  /* 0: unlimited */
};

void pr_arena_init(struct pr_arena *a, size_t max_bytes);
void pr_arena_reset(struct pr_arena *a); /* keeps the newest block for reuse */
void pr_arena_done(struct pr_arena *a);

/* Zeroed, aligned for any object; NULL when max_bytes or memory is exhausted. */
void *pr_arena_alloc(struct pr_arena *a, size_t bytes);
char *pr_arena_strndup(struct pr_arena *a, const char *s, size_t n);
char *pr_arena_strdup(struct pr_arena *a, const char *s);
char *pr_arena_printf(struct pr_arena *a, const char *fmt, ...) PR_PRINTF(2, 3);

#endif
