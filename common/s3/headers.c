#include "s3_private.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

static bool add_line(struct curl_slist **list, const char *name, const char *value)
{
    struct pr_buf line;

    pr_buf_init(&line, 0);
    pr_buf_printf(&line, "%s: %s", name, value);
    struct curl_slist *more = line.failed ? NULL : curl_slist_append(*list, line.data);
    if (more != NULL)
        *list = more;
    if (line.data != NULL)
        OPENSSL_cleanse(line.data, line.cap);
    pr_buf_done(&line);
    return more != NULL;
}

void s3_free_headers(struct curl_slist *list)
{
    for (struct curl_slist *l = list; l != NULL; l = l->next) /* one may be a session token */
        OPENSSL_cleanse(l->data, strlen(l->data));
    curl_slist_free_all(list);
}

/* All headers, signed and sent as they are. */
enum pr_code s3_headers(const struct pr_s3 *s, const struct s3_request *q,
                        const struct pr_aws_keys *keys, const char *path, const char *query,
                        struct curl_slist **list, struct pr_err *err)
{
    struct pr_sigv4_pair header[S3_PAIRS + 5];
    char date[PR_SIGV4_DATE], range[64];
    size_t n = 0;
    struct pr_sigv4 to_sign = { .method = q->method,
                                .path = path,
                                .query = query,
                                .header = header,
                                .payload = q->payload,
                                .access = keys->access,
                                .secret = keys->secret,
                                .region = s->store.region,
                                .service = "s3",
                                .now_ms = s->store.now_ms(s->store.arg) };

    pr_sigv4_date(to_sign.now_ms, date);
    header[n++] = (struct pr_sigv4_pair){ "host", s->host };
    header[n++] = (struct pr_sigv4_pair){ "x-amz-date", date };
    header[n++] = (struct pr_sigv4_pair){ "x-amz-content-sha256", q->payload };
    if (keys->token[0] != '\0')
        header[n++] = (struct pr_sigv4_pair){ "x-amz-security-token", keys->token };
    if (q->into != NULL) {
        (void)snprintf(range, sizeof range, "bytes=%llu-%llu",
                       (unsigned long long)(q->offset + q->got),
                       (unsigned long long)(q->offset + q->want - 1));
        header[n++] = (struct pr_sigv4_pair){ "range", range };
    }
    for (size_t i = 0; i < q->headers; i++)
        header[n++] = q->header[i];
    to_sign.headers = n;

    struct pr_buf authorization;
    pr_buf_init(&authorization, 0);
    enum pr_code rc = pr_sigv4_sign(&to_sign, &authorization, err);
    bool ok = rc == PR_OK && add_line(list, "authorization", authorization.data);
    for (size_t i = 0; i < n && ok; i++)
        ok = add_line(list, header[i].name, header[i].value);
    pr_buf_done(&authorization);
    /* What libcurl would add by itself, and wait for. */
    static const char *const NOT[] = { "Expect:", "Accept:", "Content-Type:" };
    bool typed = false;
    for (size_t i = 0; i < q->headers; i++)
        typed = typed || strcmp(q->header[i].name, "content-type") == 0;
    for (size_t i = 0; i < PR_COUNT(NOT) - typed && ok; i++) {
        struct curl_slist *more = curl_slist_append(*list, NOT[i]);
        ok = more != NULL;
        *list = ok ? more : *list;
    }
    return ok || rc != PR_OK ? rc : pr_fail(err, PR_ENOMEM, "no memory");
}
