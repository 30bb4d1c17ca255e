#include "bus_rules.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 16 };

static bool copy_token(char out[PR_BUS_TOKEN], const char *from, size_t n)
{
    if (n == 0 || n >= PR_BUS_TOKEN)
        return false;
    memcpy(out, from, n);
    out[n] = '\0';
    return true;
}

static bool number_token(uint64_t *out, const char *from, size_t n)
{
    uint64_t v = 0;
    if (n == 0 || n > 19)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (from[i] < '0' || from[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(from[i] - '0');
    }
    *out = v;
    return true;
}

bool pr_ack_parse(const char *reply, struct pr_ack *out)
{
    const char *token[MAX_TOKENS];
    size_t length[MAX_TOKENS], n = 0;

    if (reply == NULL || strncmp(reply, "$JS.ACK.", 8) != 0)
        return false;
    for (const char *at = reply + 8; n < MAX_TOKENS;) {
        size_t len = strcspn(at, ".");
        token[n] = at;
        length[n++] = len;
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    size_t first = n >= 9 ? 2 : 0; /* after domain and account */
    if (n != 7 && n < 9)
        return false;
    return copy_token(out->stream, token[first], length[first]) &&
           copy_token(out->consumer, token[first + 1], length[first + 1]) &&
           number_token(&out->deliveries, token[first + 2], length[first + 2]) &&
           number_token(&out->stream_seq, token[first + 3], length[first + 3]);
}

static int growing_delay_ms(uint64_t deliveries)
{
    return deliveries >= 5 ? 16000 : deliveries <= 1 ? 1000 : 1000 << (deliveries - 1);
}

enum pr_verdict pr_bus_verdict(enum pr_code rc, uint64_t deliveries, bool dead_letters,
                               int *delay_ms)
{
    *delay_ms = growing_delay_ms(deliveries);
    if (rc == PR_OK)
        return PR_VERDICT_ACK;
    /* Not the message's fault: we are stopping, or another replica leads now. */
    if (rc == PR_ECANCELED || rc == PR_EFENCED)
        return PR_VERDICT_NAK;
    if ((pr_retryable(rc) || rc == PR_ENOMEM) && deliveries < PR_BUS_MAX_DELIVER)
        return PR_VERDICT_NAK;
    return dead_letters ? PR_VERDICT_DEAD : PR_VERDICT_DROP;
}

enum pr_code pr_code_of_name(const char *name)
{
    for (int c = PR_OK + 1; c < PR_CODE_COUNT; c++)
        if (strcmp(name, pr_code_name((enum pr_code)c)) == 0)
            return (enum pr_code)c;
    return PR_EINTERNAL;
}
