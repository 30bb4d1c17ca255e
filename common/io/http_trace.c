#include "http_trace.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* 00-<32 hex>-<16 hex>-<2 hex>, ids not all zero. */
static bool traceparent_valid(const char *t)
{
    if (t == NULL || strlen(t) != PR_TRACE_BYTES - 1 || strncmp(t, "00-", 3) != 0)
        return false;
    for (size_t i = 3; i < PR_TRACE_BYTES - 1; i++)
        if (i == 35 || i == 52 ? t[i] != '-' : strchr("0123456789abcdef", t[i]) == NULL)
            return false;
    return strspn(t + 3, "0") < 32 && strspn(t + 36, "0") < 16;
}

void pr_trace_continue(char out[PR_TRACE_BYTES], const char *incoming)
{
    unsigned char raw[24];
    out[0] = '\0';
    if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
        return; /* no trace is better than no answer */
    raw[0] |= 1;
    raw[16] |= 1; /* never all zero */

    char *to = out + 3;
    memcpy(out, "00-", 3);
    for (size_t i = 0; i < sizeof raw; i++) {
        if (i == 16)
            *to++ = '-';
        to += snprintf(to, 3, "%02x", (unsigned)raw[i]);
    }
    memcpy(to, "-01", 4);
    if (traceparent_valid(incoming)) {
        memcpy(out + 3, incoming + 3, 32);
        memcpy(out + 53, incoming + 53, 2);
    }
}
