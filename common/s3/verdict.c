#include "s3_private.h"

#include <stdio.h>
#include <string.h>

/* Codes that say more than their status, or are said under 200. Source: "Error responses",
 * Amazon S3 API Reference; QuotaExceeded is Ceph's. */
static const struct {
    const char *code;
    struct s3_verdict means;
} CODE[] = {
    { "SlowDown", { PR_EUNAVAIL, true, false } },
    { "InternalError", { PR_EUNAVAIL, true, false } },
    { "ServiceUnavailable", { PR_EUNAVAIL, true, false } },
    { "RequestTimeout", { PR_ETIMEOUT, true, false } },
    { "OperationAborted", { PR_EUNAVAIL, true, false } },
    { "ConditionalRequestConflict", { PR_EUNAVAIL, true, false } },
    { "IncompleteBody", { PR_EDATA, true, false } },
    { "BadDigest", { PR_EDATA, true, false } },
    { "XAmzContentSHA256Mismatch", { PR_EDATA, true, false } },
    { "XAmzContentChecksumMismatch", { PR_EDATA, true, false } },
    { "InvalidRange", { PR_EDATA, false, false } },
    { "ExpiredToken", { PR_EDENIED, false, true } },
    { "InvalidToken", { PR_EDENIED, false, true } },
    { "TokenRefreshRequired", { PR_EDENIED, false, true } },
    { "InvalidAccessKeyId", { PR_EDENIED, false, true } },
    { "SignatureDoesNotMatch", { PR_EDENIED, false, true } },
    { "AccessDenied", { PR_EDENIED, false, false } },
    { "RequestTimeTooSkewed", { PR_EDENIED, false, false } },
    { "NoSuchKey", { PR_ENOTFOUND, false, false } },
    { "NoSuchBucket", { PR_ENOTFOUND, false, false } },
    { "NoSuchUpload", { PR_ENOTFOUND, false, false } },
    { "PreconditionFailed", { PR_ECONFLICT, false, false } },
    { "QuotaExceeded", { PR_EFULL, false, false } },
    { "EntityTooLarge", { PR_EINVAL, false, false } },
    { "EntityTooSmall", { PR_EINVAL, false, false } },
    { "InvalidPart", { PR_EINVAL, false, false } },
    { "InvalidPartOrder", { PR_EINVAL, false, false } },
};

static struct s3_verdict by_status(long status)
{
    switch (status) {
    case 401:
    case 403:
        return (struct s3_verdict){ PR_EDENIED, false, false };
    case 404:
        return (struct s3_verdict){ PR_ENOTFOUND, false, false };
    case 408:
        return (struct s3_verdict){ PR_ETIMEOUT, true, false };
    case 409:
    case 412:
        return (struct s3_verdict){ PR_ECONFLICT, false, false };
    case 416:
        return (struct s3_verdict){ PR_EDATA, false, false };
    case 429:
        return (struct s3_verdict){ PR_EUNAVAIL, true, false };
    case 501:
    case 505:
        return (struct s3_verdict){ PR_EINVAL, false, false };
    case 507:
        return (struct s3_verdict){ PR_EFULL, false, false };
    default:
        break;
    }
    if (status >= 300 && status < 500) /* a redirect: the region or endpoint is wrong */
        return (struct s3_verdict){ PR_EINVAL, false, false };
    return (struct s3_verdict){ PR_EUNAVAIL, true, false };
}

struct s3_verdict s3_judge(long status, const char *code)
{
    if (status / 100 == 2 && code[0] == '\0')
        return (struct s3_verdict){ PR_OK, false, false };
    for (size_t i = 0; i < PR_COUNT(CODE); i++)
        if (strcmp(CODE[i].code, code) == 0)
            return CODE[i].means;
    return by_status(status);
}

bool s3_content_range(const char *text, uint64_t *first, uint64_t *last, uint64_t *total)
{
    unsigned long long f, l, t;
    int end = 0;

    /* Digits only: sscanf takes signs. */
    if (strncmp(text, "bytes ", 6) != 0 || strspn(text + 6, "0123456789-/") != strlen(text + 6) ||
        strstr(text, "--") != NULL || strstr(text, "/-") != NULL || text[6] == '-' ||
        sscanf(text + 6, "%20llu-%20llu/%20llu%n", &f, &l, &t, &end) != 3 || text[6 + end] != '\0')
        return false;
    if (f > l || l >= t)
        return false;
    *first = f;
    *last = l;
    *total = t;
    return true;
}
