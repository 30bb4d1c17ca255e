/* Any bytes as a replication stream: fed at once or in pieces (of the first byte's size), the
 * same comes out, and boundaries only go forward. */
#include "fuzz.h"

#include "core/stream.h"

#include "prism/rng.h"

#include <stdlib.h>
#include <string.h>

struct seen {
    struct dr_stream s;
    uint64_t before, sum; /* of all that was shown */
};

static void see(void *ctx, const struct dr_command *c)
{
    struct seen *seen = ctx;
    FUZZ_CHECK(c->end > seen->before && c->end == seen->s.offset);
    FUZZ_CHECK(seen->s.boundary <= c->end && (seen->s.boundary == c->end) == !seen->s.in_multi);
    seen->before = c->end;
    seen->sum = pr_mix64(seen->sum + c->end + c->argc);
    for (size_t i = 0; i < c->args; i++) {
        FUZZ_CHECK(memchr(c->arg[i], '\0', DR_STREAM_ARG) != NULL);
        seen->sum = pr_mix64(seen->sum + c->len[i]);
        for (const char *p = c->arg[i]; *p != '\0'; p++)
            seen->sum = pr_mix64(seen->sum + (unsigned char)*p);
    }
}

static enum pr_code feed(const uint8_t *data, size_t n, size_t at_once, struct seen *seen,
                         struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    *seen = (struct seen){ .before = 0 };
    dr_stream_init(&seen->s, 0);
    for (size_t at = 0; at < n && rc == PR_OK; at += at_once) {
        const size_t some = n - at < at_once ? n - at : at_once;
        uint8_t *copy = malloc(some);
        FUZZ_CHECK(copy != NULL);
        memcpy(copy, data + at, some);
        rc = dr_stream_feed(&seen->s, copy, some, see, seen, err);
        free(copy);
    }
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct seen whole, some;
    struct pr_err err = { .text = "" }, again = { .text = "" };
    if (n < 2)
        return 0;
    const enum pr_code rc = feed(data + 1, n - 1, n - 1, &whole, &err);
    FUZZ_CHECK(feed(data + 1, n - 1, (size_t)data[0] % 64 + 1, &some, &again) == rc);
    FUZZ_CHECK(whole.sum == some.sum && whole.s.offset == some.s.offset);
    FUZZ_CHECK(whole.s.boundary == some.s.boundary && whole.s.commands == some.s.commands);
    FUZZ_CHECK(whole.s.in_multi == some.s.in_multi && whole.s.db == some.s.db);
    FUZZ_CHECK(whole.s.boundary <= whole.s.offset && whole.s.offset <= n - 1);
    FUZZ_CHECK(strcmp(err.text, again.text) == 0 && (rc == PR_OK) == (err.text[0] == '\0'));
    FUZZ_CHECK(rc == PR_OK || rc == PR_EDATA);
    return 0;
}
