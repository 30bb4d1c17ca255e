#include "prism/web/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ANSWER_MAX = 32 << 20, HOST = 256 };

/* libcurl signs (CURLOPT_AWS_SIGV4), but Debian 12's 7.88 does so with these gaps:
 * - it takes the query string as it is, where the signature wants it sorted and encoded
 *   (mended in 8.x): a signed request with a query string is refused here; AWS's query
 *   APIs take their parameters in the body;
 * - a header that is given without a value ("Accept:", to remove it) is signed all the same,
 *   though it is not sent: refused;
 * - it knows no session token: the header is given here, and signed as every given header;
 * - x-amz-content-sha256 it adds for S3 alone, and only S3 wants it. */

struct where {
    char host[HOST];
    bool tls;
    bool password; /* or a user, in the URL */
};

static enum pr_code where_of(const char *url, struct where *w, struct pr_err *err)
{
    CURLU *u = curl_url();
    char *name = NULL, *scheme = NULL, *user = NULL;
    enum pr_code rc = PR_EINVAL;

    if (u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &name, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK) {
        w->tls = strcasecmp(scheme, "https") == 0;
        if (w->tls || strcasecmp(scheme, "http") == 0)
            rc = PR_OK;
        w->password = curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK ||
                      curl_url_get(u, CURLUPART_PASSWORD, &user, 0) == CURLUE_OK;
        (void)snprintf(w->host, HOST, "%s", name);
    }
    curl_free(user);
    curl_free(name);
    curl_free(scheme);
    curl_url_cleanup(u);
    /* The URL itself stays unsaid: it may hold a password. */
    return rc == PR_OK ? rc : pr_fail(err, rc, "not an http or https URL with a host");
}

static bool in_net(const char *host, const char *prefix)
{
    return strncmp(host, prefix, strlen(prefix)) == 0 &&
           host[strspn(host, "0123456789.")] == '\0'; /* "127.example.org" is elsewhere */
}
static bool loopback(const char *host)
{
    return in_net(host, "127.") || strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}
/* Loopback and link-local (instance metadata): never through a proxy. */
static bool near(const char *host)
{
    return loopback(host) || in_net(host, "169.254.") || strncasecmp(host, "[fd00:ec2:", 10) == 0;
}

static enum pr_code keep_secret(const struct where *w, bool nearby, struct pr_err *err)
{
    if (w->tls || loopback(w->host) || (nearby && near(w->host)))
        return PR_OK;
    return pr_fail(err, PR_EINVAL,
                   "%s: nothing secret is sent over plain http to another machine: use https",
                   w->host);
}

enum pr_code pr_web_private(const char *url, bool nearby, struct pr_err *err)
{
    struct where w;
    const enum pr_code rc = where_of(url, &w, err);
    return rc == PR_OK ? keep_secret(&w, nearby, err) : rc;
}

void pr_web_encode(struct pr_buf *to, const char *value)
{
    static const char PLAIN[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-_.~";

    for (const char *c = value; *c != '\0'; c++) {
        if (strchr(PLAIN, *c) != NULL)
            pr_buf_add(to, c, 1);
        else
            pr_buf_printf(to, "%%%02X", (unsigned)(unsigned char)*c);
    }
}

/* --- headers ------------------------------------------------------------ */

static bool add(struct curl_slist **list, const char *line)
{
    struct curl_slist *more = curl_slist_append(*list, line);

    if (more != NULL)
        *list = more;
    return more != NULL;
}

static bool header_fits(const char *line, bool is_signed)
{
    const char *colon = strchr(line, ':');

    if (colon == NULL || colon == line || strpbrk(line, "\r\n") != NULL)
        return false;
    return !is_signed || colon[1 + strspn(colon + 1, " \t")] != '\0';
}

enum pr_code pr_web_token(const char *path, char *token, size_t room, struct pr_err *err)
{
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return pr_fail(err, PR_EDENIED, "token file %s: %s", path, strerror(errno));
    size_t n = fread(token, 1, room, f);
    bool plain = ferror(f) == 0 && n < room;
    (void)fclose(f);
    while (plain && n > 0 && isspace((unsigned char)token[n - 1]))
        n--;
    plain = plain && n > 0;
    for (size_t i = 0; plain && i < n; i++)
        plain = token[i] > ' ' && token[i] <= '~';
    if (plain)
        token[n] = '\0';
    else
        explicit_bzero(token, room);
    return plain ? PR_OK : pr_fail(err, PR_EDENIED, "token file %s holds no token", path);
}

/* "Authorization: Bearer ..." with what the file says now. */
static enum pr_code add_bearer(struct curl_slist **list, const char *path, struct pr_err *err)
{
    static const char PREFIX[] = "Authorization: Bearer ";
    char line[sizeof PREFIX + PR_WEB_TOKEN_MAX] = "Authorization: Bearer ";
    enum pr_code rc = pr_web_token(path, line + sizeof PREFIX - 1, PR_WEB_TOKEN_MAX, err);

    if (rc == PR_OK && !add(list, line))
        rc = pr_fail(err, PR_ENOMEM, "no memory");
    explicit_bzero(line, sizeof line);
    return rc;
}

static enum pr_code headers_of(const struct pr_web_request *q, struct curl_slist **list,
                               struct pr_err *err)
{
    for (size_t i = 0; i < q->headers; i++) {
        if (!header_fits(q->header[i], q->sign != NULL))
            return pr_fail(err, PR_EINVAL, "header %zu is not \"Name: value\"", i + 1);
        if (!add(list, q->header[i]))
            return pr_fail(err, PR_ENOMEM, "no memory");
    }
    if (q->sign != NULL && q->sign->token[0] != '\0') {
        char line[sizeof q->sign->token + 32];

        (void)snprintf(line, sizeof line, "x-amz-security-token: %s", q->sign->token);
        const bool fits = header_fits(line, true), added = fits && add(list, line);
        explicit_bzero(line, sizeof line);
        if (!added)
            return fits ? pr_fail(err, PR_ENOMEM, "no memory")
                        : pr_fail(err, PR_EINVAL, "the session token is no header value");
    }
    return q->bearer_file != NULL ? add_bearer(list, q->bearer_file, err) : PR_OK;
}

/* --- the exchange ------------------------------------------------------- */

static size_t on_bytes(char *p, size_t size, size_t n, void *ctx)
{
    struct pr_buf *body = ctx;

    pr_buf_add(body, p, size * n);
    return body->failed ? 0 : size * n;
}

static bool is_name(const char *s)
{
    const size_t n = s != NULL ? strlen(s) : 0;

    return n > 0 && n < 64 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* Signs as region and service; no query string, see above. */
static enum pr_code set_signature(CURL *c, const struct pr_web_request *q, struct pr_err *err)
{
    char scope[160];

    if (!is_name(q->aws_region) || !is_name(q->aws_service))
        return pr_fail(err, PR_EINVAL, "AWS region \"%.60s\" or service \"%.60s\" is no name",
                       q->aws_region != NULL ? q->aws_region : "",
                       q->aws_service != NULL ? q->aws_service : "");
    if (q->sign->access[0] == '\0' || q->sign->secret[0] == '\0')
        return pr_fail(err, PR_EDENIED, "no AWS access key");
    if (strchr(q->url, '?') != NULL)
        return pr_fail(err, PR_EINVAL, "a signed request has its parameters in the body");
    (void)snprintf(scope, sizeof scope, "aws:amz:%s:%s", q->aws_region, q->aws_service);
    (void)curl_easy_setopt(c, CURLOPT_AWS_SIGV4, scope);
    (void)curl_easy_setopt(c, CURLOPT_USERNAME, q->sign->access);
    (void)curl_easy_setopt(c, CURLOPT_PASSWORD, q->sign->secret);
    return PR_OK;
}

static void set_method(CURL *c, const struct pr_web_request *q)
{
    const bool get = strcmp(q->method, "GET") == 0;

    if (q->body != NULL || strcmp(q->method, "POST") == 0 || strcmp(q->method, "PUT") == 0) {
        const char *body = q->body != NULL ? q->body : "";
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
        (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    } else if (!get) {
        (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    }
}

static void set_tls(CURL *c, const struct pr_web_request *q)
{
    (void)curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (q->ca_file == NULL)
        return;
    (void)curl_easy_setopt(c, CURLOPT_CAINFO, q->ca_file);
    /* Else Debian's directory of public authorities would be trusted beside it. */
    (void)curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
}

static enum pr_code failed(CURLcode rc, const struct pr_web_request *q, const char *host,
                           const char *words, struct pr_err *err)
{
    const char *const say = words[0] != '\0' ? words : curl_easy_strerror(rc);

    switch (rc) {
    case CURLE_OPERATION_TIMEDOUT:
        return pr_fail(err, PR_ETIMEOUT, "%s %s: no answer in %ld ms", q->method, host,
                       q->timeout_ms);
    case CURLE_PEER_FAILED_VERIFICATION:
        return pr_fail(err, PR_EDENIED, "%s: its certificate is not trusted: %s", host, say);
    case CURLE_SSL_CACERT_BADFILE:
        return pr_fail(err, PR_EINVAL, "%s: CA file %s cannot be read", host,
                       q->ca_file != NULL ? q->ca_file : "(the system's)");
    case CURLE_WRITE_ERROR:
        return pr_fail(err, PR_EDATA, "%s %s: the answer is over %d MiB", q->method, host,
                       ANSWER_MAX >> 20);
    case CURLE_OUT_OF_MEMORY:
        return pr_fail(err, PR_ENOMEM, "no memory");
    default:
        return pr_fail(err, PR_EUNAVAIL, "%s %s: %s", q->method, host, say);
    }
}

static enum pr_code exchange(CURL *c, const struct pr_web_request *q, const char *host,
                             const struct curl_slist *headers, struct pr_web_response *r,
                             struct pr_err *err)
{
    char words[CURL_ERROR_SIZE] = "";
    curl_off_t after = 0;

    (void)curl_easy_setopt(c, CURLOPT_URL, q->url);
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, q->timeout_ms);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, q->timeout_ms);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "prism");
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, &r->body);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, words);
    if (near(host))
        (void)curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    set_method(c, q);
    set_tls(c, q);

    const CURLcode rc = curl_easy_perform(c);
    if (rc != CURLE_OK)
        return failed(rc, q, host, words, err);
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r->status);
    if (curl_easy_getinfo(c, CURLINFO_RETRY_AFTER, &after) == CURLE_OK && after > 0)
        r->retry_after_s = (long)after;
    return PR_OK;
}

enum pr_code pr_web_ask(const struct pr_web_request *q, struct pr_web_response *r,
                        struct pr_err *err)
{
    struct where w;

    *r = (struct pr_web_response){ 0 };
    pr_buf_init(&r->body, ANSWER_MAX);
    if (q->timeout_ms <= 0)
        return pr_fail(err, PR_ETIMEOUT, "no time left to ask");
    enum pr_code rc = where_of(q->url, &w, err);
    if (rc == PR_OK && (q->secret || q->bearer_file != NULL || q->sign != NULL || w.password))
        rc = keep_secret(&w, q->nearby, err);
    if (rc != PR_OK)
        return rc;

    struct curl_slist *headers = NULL;
    CURL *c = curl_easy_init();
    rc = c != NULL ? headers_of(q, &headers, err) : pr_fail(err, PR_ENOMEM, "no memory");
    if (rc == PR_OK && q->sign != NULL)
        rc = set_signature(c, q, err);
    if (rc == PR_OK)
        rc = exchange(c, q, w.host, headers, r, err);
    if (rc != PR_OK)
        pr_buf_done(&r->body);
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    return rc;
}
