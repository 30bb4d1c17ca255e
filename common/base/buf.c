#include "prism/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pr_buf_init(struct pr_buf *b, size_t max_bytes)
{
    *b = (struct pr_buf){ .max_bytes = max_bytes };
}

void pr_buf_reset(struct pr_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data != NULL)
        b->data[0] = '\0';
}

void pr_buf_done(struct pr_buf *b)
{
    free(b->data);
    *b = (struct pr_buf){ .max_bytes = b->max_bytes };
}

bool pr_buf_reserve(struct pr_buf *b, size_t more)
{
    if (b->failed)
        return false;
    if (more > SIZE_MAX / 4 || (b->max_bytes != 0 && more > b->max_bytes - b->len)) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap < need)
        cap *= 2;
    char *p = realloc(b->data, cap);
    if (p == NULL) {
        b->failed = true;
        return false;
    }
    b->data = p;
    b->cap = cap;
    return true;
}

void pr_buf_add(struct pr_buf *b, const void *p, size_t n)
{
    if (!pr_buf_reserve(b, n))
        return;
    if (n > 0)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void pr_buf_str(struct pr_buf *b, const char *s)
{
    pr_buf_add(b, s, strlen(s));
}

void pr_buf_printf(struct pr_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        b->failed = true;
    else if (pr_buf_reserve(b, (size_t)n)) {
        (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

static void add_le(struct pr_buf *b, uint64_t v, size_t bytes)
{
    unsigned char raw[8];
    for (size_t i = 0; i < bytes; i++)
        raw[i] = (unsigned char)(v >> (8 * i));
    pr_buf_add(b, raw, bytes);
}

void pr_buf_u64le(struct pr_buf *b, uint64_t v)
{
    add_le(b, v, 8);
}

void pr_buf_u32le(struct pr_buf *b, uint32_t v)
{
    add_le(b, v, 4);
}
