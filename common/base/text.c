#include "prism/text.h"

#include <string.h>

/* Of the character that begins with this byte; 0: none does. */
static size_t begun_by(unsigned char c)
{
    return c < 0x80                 ? 1
           : c >= 0xc2 && c <= 0xdf ? 2
           : c >= 0xe0 && c <= 0xef ? 3
           : c >= 0xf0 && c <= 0xf4 ? 4
                                    : 0;
}

size_t pr_utf8_length(const void *text, size_t n)
{
    const unsigned char *s = text;
    const size_t want = begun_by(s[0]);
    if (want <= 1)
        return want;
    if (n < want)
        return 0;
    const unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < want; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return want;
}

void pr_utf8_trim(char *s)
{
    const size_t n = strlen(s);
    size_t back = 1; /* to the byte that begins the last character */
    while (back < 4 && back < n && ((unsigned char)s[n - back] & 0xc0) == 0x80)
        back++;
    if (n > 0 && begun_by((unsigned char)s[n - back]) > back)
        s[n - back] = '\0';
}

void pr_utf8_mend(char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        const size_t length = pr_utf8_length(s + i, n - i);
        if (length == 0)
            s[i] = '?';
        i += length == 0 ? 1 : length;
    }
}
