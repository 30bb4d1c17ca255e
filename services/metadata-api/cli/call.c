#include "ctl.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

enum { TIMEOUT_S = 60, CONNECT_TIMEOUT_S = 5, ATTEMPTS = 4, MAX_BYTES = 256 << 20 };

const char ctl_if_new[] = "*";

struct text {
    char *data;
    size_t len;
};

int ctl_complain(int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("prismctl: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

static size_t on_data(char *p, size_t size, size_t n, void *ctx)
{
    struct text *t = ctx;
    n *= size;
    if (t->len + n > MAX_BYTES)
        return 0;
    char *grown = realloc(t->data, t->len + n + 1);
    if (grown == NULL)
        return 0;
    t->data = grown;
    memcpy(t->data + t->len, p, n);
    t->len += n;
    t->data[t->len] = '\0';
    return n;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct ctl_reply *r = ctx;
    n *= size;
    if (n > 5 && strncasecmp(p, "etag:", 5) == 0) {
        size_t at = 5, end = n;
        while (at < n && isspace((unsigned char)p[at]))
            at++;
        while (end > at && isspace((unsigned char)p[end - 1]))
            end--;
        snprintf(r->etag, sizeof r->etag, "%.*s", (int)(end - at), p + at);
    }
    return n;
}

int ctl_exit_of(long status)
{
    if (status >= 200 && status < 300)
        return CTL_OK;
    switch (status) {
    case 400:
    case 413:
    case 415:
        return CTL_USAGE;
    case 401:
    case 403:
        return CTL_DENIED;
    case 404:
        return CTL_NOT_FOUND;
    case 409:
    case 410:
    case 412:
    case 428:
        return CTL_CONFLICT;
    case 429:
    case 503:
        return CTL_CONNECT;
    default:
        return CTL_FAILED;
    }
}

/* The words of a problem, with every field that it names. */
static void explain(struct ctl_reply *r, const char *method, const char *path)
{
    const char *title = json_string_value(json_object_get(r->body, "title"));
    const char *detail = json_string_value(json_object_get(r->body, "detail"));
    const json_t *errors = json_object_get(r->body, "errors"), *e;
    size_t i, n;
    if (title == NULL || detail == NULL) {
        snprintf(r->error, sizeof r->error, "%s %s: HTTP status %ld", method, path, r->status);
        return;
    }
    if (json_array_size(errors) == 0) {
        snprintf(r->error, sizeof r->error, "%s: %s", title, detail);
        return;
    }
    n = (size_t)snprintf(r->error, sizeof r->error, "%s:", title);
    json_array_foreach(errors, i, e)
    {
        const char *field = json_string_value(json_object_get(e, "field"));
        const char *words = json_string_value(json_object_get(e, "detail"));
        if (n < sizeof r->error)
            n += (size_t)snprintf(r->error + n, sizeof r->error - n, "\n  %s: %s",
                                  field == NULL ? "" : field, words == NULL ? "" : words);
    }
}

struct curl_slist *ctl_header(struct curl_slist *h, const char *name, const char *value)
{
    char *line = NULL;
    if (asprintf(&line, "%s: %s", name, value) < 0)
        return h;
    struct curl_slist *longer = curl_slist_append(h, line);
    explicit_bzero(line, strlen(line));
    free(line);
    return longer == NULL ? h : longer;
}

struct curl_slist *ctl_bearer(struct curl_slist *h, const struct ctl *ctl)
{
    char *value = NULL;
    if (ctl->token == NULL || asprintf(&value, "Bearer %s", ctl->token) < 0)
        return h;
    h = ctl_header(h, "Authorization", value);
    explicit_bzero(value, strlen(value));
    free(value);
    return h;
}

static struct curl_slist *headers(const struct ctl *ctl, bool has_body, const char *key,
                                  const char *if_match)
{
    struct curl_slist *h = curl_slist_append(NULL, "Accept: application/json");
    if (has_body)
        h = curl_slist_append(h, "Content-Type: application/json");
    h = ctl_bearer(h, ctl);
    if (key != NULL)
        h = ctl_header(h, "Idempotency-Key", key);
    if (if_match != NULL)
        h = if_match == ctl_if_new ? ctl_header(h, "If-None-Match", "*")
                                   : ctl_header(h, "If-Match", if_match);
    return h;
}

void ctl_connection(const struct ctl *ctl, CURL *curl)
{
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (ctl->ca != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, ctl->ca);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* and nobody else */
    }
    if (ctl->cert != NULL) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, ctl->cert);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, ctl->key != NULL ? ctl->key : ctl->cert);
    }
}

/* One exchange; CURLE_OK when there was an answer. */
static CURLcode exchange(struct ctl *ctl, const char *method, const char *url, const char *body,
                         struct curl_slist *h, struct ctl_reply *r, char why[CURL_ERROR_SIZE])
{
    struct text t = { NULL, 0 };
    CURL *c = ctl->curl;
    curl_easy_reset(c);
    why[0] = r->etag[0] = '\0';
    ctl_connection(ctl, c);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, h);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, r);
    if (body != NULL)
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
    else if (strcmp(method, "POST") == 0)
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
    CURLcode rc = curl_easy_perform(c);
    if (rc == CURLE_OK)
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r->status);
    if (rc == CURLE_OK && t.len > 0)
        r->body = json_loadb(t.data, t.len, JSON_DECODE_ANY, NULL);
    if (why[0] == '\0')
        snprintf(why, CURL_ERROR_SIZE, "%s", curl_easy_strerror(rc));
    free(t.data);
    return rc;
}

static void random_key(char out[33])
{
    unsigned char raw[16];
    if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
        abort(); /* 16 bytes never fall short once the kernel has booted */
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

/* Lost or refused for now: with an Idempotency-Key, or for a GET, the same
 * request again has the same effect once. */
static bool again(CURLcode rc, long status, int attempt)
{
    if (attempt + 1 >= ATTEMPTS || rc == CURLE_COULDNT_CONNECT || rc == CURLE_COULDNT_RESOLVE_HOST)
        return false;
    if (rc != CURLE_OK && rc != CURLE_GOT_NOTHING && rc != CURLE_RECV_ERROR &&
        rc != CURLE_SEND_ERROR)
        return false;
    if (rc == CURLE_OK && status != 503 && status != 504)
        return false;
    struct timespec pause = { .tv_sec = 0, .tv_nsec = 200000000L << attempt };
    pause.tv_sec += pause.tv_nsec / 1000000000;
    pause.tv_nsec %= 1000000000;
    nanosleep(&pause, NULL);
    return true;
}

int ctl_call(struct ctl *ctl, const char *method, const char *path, json_t *body,
             const char *if_match, struct ctl_reply *r)
{
    char url[4096], key[33], why[CURL_ERROR_SIZE];
    const bool changes = strcmp(method, "GET") != 0;
    char *text = body == NULL ? NULL : ctl_json_text(body, JSON_COMPACT);
    json_decref(body);
    *r = (struct ctl_reply){ 0 };
    snprintf(url, sizeof url, "%s%s%s", ctl->url, path,
             changes && ctl->dry && strchr(path, '?') == NULL ? "?dryRun=true" : "");
    random_key(key);
    struct curl_slist *h = headers(ctl, text != NULL, changes ? key : NULL, if_match);
    CURLcode rc;
    int attempt = 0;
    do {
        json_decref(r->body);
        r->body = NULL;
        r->status = 0;
        rc = exchange(ctl, method, url, text, h, r, why);
    } while (again(rc, r->status, attempt++));
    curl_slist_free_all(h);
    free(text);
    if (rc != CURLE_OK) {
        snprintf(r->error, sizeof r->error, "%s: %s", ctl->url, why);
        return CTL_CONNECT;
    }
    int code = ctl_exit_of(r->status);
    if (code != CTL_OK)
        explain(r, method, path);
    else if (r->body == NULL && r->status != 204) {
        snprintf(r->error, sizeof r->error, "%s%s did not answer with JSON", ctl->url, path);
        code = CTL_FAILED;
    }
    return code;
}

void ctl_reply_done(struct ctl_reply *r)
{
    json_decref(r->body);
    r->body = NULL;
}

int ctl_must(struct ctl *ctl, const char *method, const char *path, json_t *body,
             const char *if_match, struct ctl_reply *r)
{
    int code = ctl_call(ctl, method, path, body, if_match, r);
    return code == CTL_OK ? CTL_OK : ctl_complain(code, "%s", r->error);
}

void ctl_escape(char *out, size_t cap, const char *segment)
{
    char *e = curl_easy_escape(NULL, segment, 0);
    snprintf(out, cap, "%s", e == NULL ? "" : e);
    curl_free(e);
}

void ctl_query(char *query, size_t cap, const char *name, const char *value)
{
    if (value == NULL)
        return;
    char *e = curl_easy_escape(NULL, value, 0);
    size_t n = strlen(query);
    snprintf(query + n, cap - n, "%s=%s&", name, e == NULL ? "" : e);
    curl_free(e);
}

int ctl_list(struct ctl *ctl, const char *path, const char *query, size_t limit, json_t **out)
{
    char full[3072], token[1024] = "";
    json_t *all = json_array();
    for (;;) {
        struct ctl_reply r;
        size_t want =
            limit == 0 || limit - json_array_size(all) > 1000 ? 1000 : limit - json_array_size(all);
        snprintf(full, sizeof full, "%s?%s%spageSize=%zu", path, query, token, want);
        int code = ctl_must(ctl, "GET", full, NULL, NULL, &r);
        if (code != CTL_OK) {
            ctl_reply_done(&r);
            json_decref(all);
            return code;
        }
        json_array_extend(all, json_object_get(r.body, "items"));
        const char *next = json_string_value(json_object_get(r.body, "nextPageToken"));
        token[0] = '\0';
        ctl_query(token, sizeof token, "pageToken", next);
        ctl_reply_done(&r);
        if (token[0] == '\0' || (limit != 0 && json_array_size(all) >= limit))
            break;
    }
    *out = json_pack("{s:o}", "items", all);
    return CTL_OK;
}
