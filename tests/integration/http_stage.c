#include "http_stage.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the service under test ---- */

struct http_gate http_gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, false };

struct http_seen http_seen = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, NULL, 0 };

atomic_int http_handled;

static void show(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *q = pr_http_query(req, "q"), *h = pr_http_header(req, "x-THING");
    (void)ctx;
    pr_buf_printf(&res->body, "%s %s id=%s q=%s h=%s t=%s", req->method, req->path,
                  req->param[0] == NULL ? "-" : req->param[0], q == NULL ? "-" : q,
                  h == NULL ? "-" : h, pr_log_trace_get());
}

static void take(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    http_handled++;
    pr_buf_printf(&res->body, "%zu", req->body_len);
    pr_buf_add(&res->body, req->body, req->body_len);
}

static void gate_wait(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    pthread_mutex_lock(&http_gate.lock);
    http_gate.inside++;
    pthread_cond_broadcast(&http_gate.changed);
    while (!http_gate.open)
        pthread_cond_wait(&http_gate.changed, &http_gate.lock);
    http_gate.done++;
    pthread_mutex_unlock(&http_gate.lock);
    pr_buf_str(&res->body, "waited");
}

static void linger(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    usleep(2500 * 1000); /* longer than the idle timeout: what is tested */
    pr_buf_str(&res->body, "late");
}

static void custom(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    res->status = 201;
    res->content_type = "text/plain";
    res->header[0].name = "Cache-Control";
    res->header[0].value = "max-age=60";
    res->header[1].name = "ETag";
    res->header[1].value = pr_arena_strdup(req->arena, "\"7\"");
    res->header[2].name = "X-Split";
    res->header[2].value = "a\r\nX-Evil: 1";
    pr_buf_str(&res->body, "made");
}

static void nothing(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    res->status = 204;
}

static void refuse(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct pr_err err;
    (void)ctx;
    enum pr_code code = (enum pr_code)atoi(req->param[0]);
    pr_buf_str(&res->body, "half a body");
    pr_fail(&err, code, "secret \"detail\" \xff");
    pr_http_fail(res, code, &err);
}

static void whoami(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    http_handled++;
    pr_buf_str(&res->body, req->principal);
}

static int authorise(void *ctx, struct pr_http_req *req, const struct pr_http_route *route,
                     struct pr_http_res *res)
{
    const char *h = pr_http_header(req, "authorization");
    (void)ctx;
    if (route->access != 7)
        abort();
    if (h == NULL || strcmp(h, "Bearer x") != 0) {
        pr_http_problem(res, 401, "Unauthorized", "who are you?", NULL);
        return 401;
    }
    req->principal = pr_arena_strdup(req->arena, "me");
    return 0;
}

static void done(void *ctx, const struct pr_http_req *req, const struct pr_http_route *route,
                 int status, int64_t us)
{
    (void)ctx;
    (void)req;
    pthread_mutex_lock(&http_seen.lock);
    http_seen.count++;
    http_seen.status = status;
    http_seen.route = route;
    http_seen.us = us;
    pthread_cond_broadcast(&http_seen.changed);
    pthread_mutex_unlock(&http_seen.lock);
}

const struct pr_http_route http_routes[] = {
    { "GET", "/v1/show/{id}", show, 0 },
    { "POST", "/v1/take", take, 0 },
    { "POST", "/v1/take/{id}:now", take, 0 },
    { "GET", "/v1/wait", gate_wait, 0 },
    { "GET", "/v1/linger", linger, 0 },
    { "GET", "/v1/custom", custom, 0 },
    { "DELETE", "/v1/custom", nothing, 0 },
    { "GET", "/v1/fail/{code}", refuse, 0 },
    { "GET", "/v1/me", whoami, 7 },
    { "POST", "/v1/me", whoami, 7 },
    { "GET", "/probe", nothing, PR_HTTP_PROBE },
};

struct pr_http_options http_options(void)
{
    return (struct pr_http_options){ .bind = "127.0.0.1",
                                     .max_body_bytes = HTTP_BODY_LIMIT,
                                     .max_connections = 600,
                                     .idle_timeout_s = 20,
                                     .routes = http_routes,
                                     .n_routes = PR_COUNT(http_routes),
                                     .authorise = authorise,
                                     .done = done };
}

struct pr_http *http_start(struct pr_http_options o)
{
    struct pr_http *h = NULL;
    struct pr_err err;
    if (pr_http_open(&h, &o, &err) != PR_OK)
        fail_msg("%s", err.text);
    assert_true(pr_http_port(h) > 0);
    pthread_mutex_lock(&http_gate.lock);
    http_gate.inside = http_gate.done = 0;
    http_gate.open = false;
    pthread_mutex_unlock(&http_gate.lock);
    pthread_mutex_lock(&http_seen.lock);
    http_seen.count = 0;
    pthread_mutex_unlock(&http_seen.lock);
    http_handled = 0;
    return h;
}

void http_gate_await(int inside)
{
    pthread_mutex_lock(&http_gate.lock);
    while (http_gate.inside < inside)
        pthread_cond_wait(&http_gate.changed, &http_gate.lock);
    pthread_mutex_unlock(&http_gate.lock);
}

void http_gate_open(void)
{
    pthread_mutex_lock(&http_gate.lock);
    http_gate.open = true;
    pthread_cond_broadcast(&http_gate.changed);
    pthread_mutex_unlock(&http_gate.lock);
}

/* ---- clients ---- */

static size_t collect(char *p, size_t size, size_t n, void *to)
{
    pr_buf_add(to, p, size * n);
    return size * n;
}

CURLcode http_ask(CURL *c, struct http_reply *r, const struct pr_http *h, const char *method,
                  const char *target, const char *body, size_t n, const char *const *headers)
{
    return http_ask_port(c, r, pr_http_port(h), method, target, body, n, headers);
}

CURLcode http_ask_port(CURL *c, struct http_reply *r, int port, const char *method,
                       const char *target, const char *body, size_t n, const char *const *headers)
{
    struct curl_slist *list = NULL;
    char url[16 * 1024];
    pr_buf_init(&r->body, 0);
    pr_buf_init(&r->head, 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port, target);
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &r->body);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, collect);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, &r->head);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    if (body != NULL) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)n);
    }
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    for (size_t i = 0; headers != NULL && headers[i] != NULL; i++)
        list = curl_slist_append(list, headers[i]);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    CURLcode rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r->status);
    curl_easy_getinfo(c, CURLINFO_NUM_CONNECTS, &r->connects);
    curl_slist_free_all(list);
    return rc;
}

void http_forget(struct http_reply *r)
{
    pr_buf_done(&r->body);
    pr_buf_done(&r->head);
}

struct http_reply http_once(const struct pr_http *h, const char *method, const char *target,
                            const char *body, size_t n, const char *const *headers)
{
    struct http_reply r;
    CURL *c = curl_easy_init();
    CURLcode rc = http_ask(c, &r, h, method, target, body, n, headers);
    if (rc != CURLE_OK)
        fail_msg("%s %.80s: %s", method, target, curl_easy_strerror(rc));
    curl_easy_cleanup(c);
    return r;
}

struct http_reply http_get(const struct pr_http *h, const char *target)
{
    return http_once(h, "GET", target, NULL, 0, NULL);
}

const char *http_header(const struct http_reply *r, const char *name)
{
    static char value[512];
    size_t n = strlen(name);
    for (const char *line = r->head.data; line != NULL && *line != '\0';
         line = strstr(line, "\r\n") + 2)
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line + n + 2, "\r"), line + n + 2);
            return value;
        }
    return "";
}

void http_assert_text(const struct http_reply *r, long status, const char *text)
{
    const char *got = r->body.data == NULL ? "" : r->body.data;
    if (r->status != status || strstr(got, text) == NULL)
        fail_msg("got %ld %s, want %ld %s", r->status, got, status, text);
}

void http_assert_problem(const struct http_reply *r, long status, const char *text)
{
    http_assert_text(r, status, text);
    assert_string_equal(http_header(r, "Content-Type"), "application/problem+json");
}

int http_dial(const struct pr_http *h)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)pr_http_port(h)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int s = socket(AF_INET, SOCK_STREAM, 0);
    const struct timeval limit = { .tv_sec = 30 };
    assert_int_equal(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    if (connect(s, (struct sockaddr *)&a, sizeof a) != 0) {
        close(s);
        return -1;
    }
    return s;
}

const char *http_raw(const struct pr_http *h, const char *bytes, size_t n)
{
    static char answer[64 * 1024];
    int s = http_dial(h);
    assert_true(s >= 0);
    while (n > 0) {
        ssize_t sent = send(s, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        bytes += sent;
        n -= (size_t)sent;
    }
    size_t got = 0;
    ssize_t more;
    while (got < sizeof answer - 1 &&
           (more = recv(s, answer + got, sizeof answer - 1 - got, 0)) > 0)
        got += (size_t)more;
    answer[got] = '\0';
    close(s);
    return answer;
}

int http_run_tests(const struct CMUnitTest *tests, size_t n)
{
    pr_log_init("http-test", (enum pr_level)(PR_ERROR + 1));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const int failed = _cmocka_run_group_tests("http", tests, n, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
