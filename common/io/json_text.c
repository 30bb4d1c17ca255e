#include "prism/io/json_text.h"

#include "prism/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* One character at s (read bytes long) as JSON into piece; returns its length. */
static size_t escape_one(char piece[8], const unsigned char *s, size_t n, size_t *read)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    size_t len = pr_utf8_length(s, n);
    *read = len == 0 ? 1 : len;
    if (len == 0) {
        memcpy(piece, "\\ufffd", 6);
        return 6;
    }
    const char *special = s[0] == '\0' ? NULL : strchr(plain, s[0]);
    if (special != NULL) {
        piece[0] = '\\';
        piece[1] = letter[special - plain];
        return 2;
    }
    if (s[0] < 0x20 || s[0] == 0x7f)
        return (size_t)snprintf(piece, 8, "\\u%04x", (unsigned)s[0]);
    memcpy(piece, s, len);
    return len;
}

size_t pr_json_escape(char *out, size_t cap, const char *s, size_t n, size_t *used)
{
    size_t at = 0, written = 0;
    while (at < n) {
        char piece[8];
        size_t read;
        size_t len = escape_one(piece, (const unsigned char *)s + at, n - at, &read);
        if (len > cap - written)
            break;
        memcpy(out + written, piece, len);
        written += len;
        at += read;
    }
    *used = at;
    return written;
}

void pr_json_add(struct pr_buf *b, const char *text)
{
    if (text == NULL) {
        pr_buf_str(b, "null");
        return;
    }
    size_t n = strlen(text), used;
    if (n > (SIZE_MAX - 2) / PR_JSON_WORST) {
        b->failed = true;
        return;
    }
    pr_buf_str(b, "\"");
    while (n > 0 && pr_buf_reserve(b, PR_JSON_WORST)) {
        /* What is reserved is cap - len - 1 (the NUL); the loop grows it when full. */
        size_t room = b->cap - b->len - 1;
        if (b->max_bytes != 0 && room > b->max_bytes - b->len)
            room = b->max_bytes - b->len;
        b->len += pr_json_escape(b->data + b->len, room, text, n, &used);
        b->data[b->len] = '\0';
        text += used;
        n -= used;
    }
    pr_buf_str(b, "\"");
}
