#include "prism/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first block is one that malloc hands out of a thread's own store: a request that needs little
 * takes no lock, and has nothing consolidated. Each next one is four times as large. */
enum { FIRST_BYTES = 960, BLOCK_BYTES = 64 * 1024 };

struct pr_arena_block {
    struct pr_arena_block *next;
    size_t size, used;
    _Alignas(max_align_t) unsigned char data[];
};

void pr_arena_init(struct pr_arena *a, size_t max_bytes)
{
    *a = (struct pr_arena){ .max_bytes = max_bytes };
}

static void free_blocks(struct pr_arena_block *b)
{
    while (b != NULL) {
        struct pr_arena_block *next = b->next;
        free(b);
        b = next;
    }
}

void pr_arena_reset(struct pr_arena *a)
{
    if (a->head != NULL) {
        free_blocks(a->head->next);
        a->head->next = NULL;
        a->head->used = 0;
    }
    a->used_bytes = 0;
}

void pr_arena_done(struct pr_arena *a)
{
    free_blocks(a->head);
    a->head = NULL;
    a->used_bytes = 0;
}

void *pr_arena_alloc(struct pr_arena *a, size_t bytes)
{
    const size_t align = _Alignof(max_align_t);
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + align - 1) / align * align;
    if (a->max_bytes != 0 && bytes > a->max_bytes - a->used_bytes)
        return NULL;

    struct pr_arena_block *b = a->head;
    if (b == NULL || b->size - b->used < bytes) {
        size_t size = b == NULL ? FIRST_BYTES : b->size * 4;
        size = size > BLOCK_BYTES ? BLOCK_BYTES : size;
        size = size < bytes ? bytes : size;
        b = malloc(sizeof *b + size);
        if (b == NULL)
            return NULL;
        *b = (struct pr_arena_block){ .next = a->head, .size = size };
        a->head = b;
    }
    void *p = b->data + b->used;
    b->used += bytes;
    a->used_bytes += bytes;
    return memset(p, 0, bytes);
}

char *pr_arena_strndup(struct pr_arena *a, const char *s, size_t n)
{
    char *p = pr_arena_alloc(a, n + 1);
    if (p != NULL && n > 0)
        memcpy(p, s, n);
    return p;
}

char *pr_arena_strdup(struct pr_arena *a, const char *s)
{
    return pr_arena_strndup(a, s, strlen(s));
}

char *pr_arena_printf(struct pr_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : pr_arena_alloc(a, (size_t)n + 1);
    if (p != NULL)
        (void)vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}
