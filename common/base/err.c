#include "prism/err.h"

#include <stdio.h>
#include <string.h>

enum pr_code pr_vfail(struct pr_err *err, enum pr_code code, const char *fmt, va_list ap)
{
    if (err != NULL) {
        err->code = code;
        (void)vsnprintf(err->text, sizeof err->text, fmt, ap);
        for (char *c = err->text; *c != '\0'; c++)
            if (*c == '\n' || *c == '\r')
                *c = ' ';
        size_t n = strlen(err->text);
        while (n > 0 && err->text[n - 1] == ' ')
            err->text[--n] = '\0';
    }
    return code;
}

enum pr_code pr_fail(struct pr_err *err, enum pr_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pr_vfail(err, code, fmt, ap);
    va_end(ap);
    return code;
}

enum pr_code pr_wrap(struct pr_err *err, enum pr_code code, const char *fmt, ...)
{
    if (err == NULL)
        return code;

    struct pr_err inner = *err;
    char context[sizeof inner.text];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(context, sizeof context, fmt, ap);
    va_end(ap);
    return pr_fail(err, code, "%.120s: %.130s", context, inner.text);
}

const char *pr_code_name(enum pr_code code)
{
    static const char *const name[PR_CODE_COUNT] = {
        [PR_OK] = "ok",
        [PR_EINVAL] = "invalid",
        [PR_ENOTFOUND] = "not_found",
        [PR_EEXISTS] = "exists",
        [PR_ECONFLICT] = "conflict",
        [PR_EDENIED] = "denied",
        [PR_EFENCED] = "fenced",
        [PR_EFULL] = "full",
        [PR_EDATA] = "bad_data",
        [PR_EUNAVAIL] = "unavailable",
        [PR_ETIMEOUT] = "timeout",
        [PR_ECANCELED] = "canceled",
        [PR_ENOMEM] = "no_memory",
        [PR_EINTERNAL] = "internal",
    };
    return (unsigned)code < PR_CODE_COUNT ? name[code] : "unknown";
}

int pr_retryable(enum pr_code code)
{
    return code == PR_EUNAVAIL || code == PR_ETIMEOUT;
}
