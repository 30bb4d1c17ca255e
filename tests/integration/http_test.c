/* The HTTP server over real sockets on a free port. */
#include "http_internal.h"
#include "prism/io/clock.h"
#include "prism/io/http.h"
#include "prism/io/log.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { BODY_LIMIT = 1000 };

/* ---- the service under test ---- */

/* Handlers of /v1/wait stay inside until the gate opens. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int inside, done;
    bool open;
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, false };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count, status;
    const struct pr_http_route *route;
    int64_t us;
} seen = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, NULL, 0 };

static atomic_int handled;

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
    handled++;
    pr_buf_printf(&res->body, "%zu", req->body_len);
    pr_buf_add(&res->body, req->body, req->body_len);
}

static void gate_wait(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    pthread_mutex_lock(&gate.lock);
    gate.inside++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.done++;
    pthread_mutex_unlock(&gate.lock);
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
    handled++;
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
    pthread_mutex_lock(&seen.lock);
    seen.count++;
    seen.status = status;
    seen.route = route;
    seen.us = us;
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.lock);
}

static const struct pr_http_route routes[] = {
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

static struct pr_http_options options(void)
{
    return (struct pr_http_options){ .bind = "127.0.0.1",
                                     .max_body_bytes = BODY_LIMIT,
                                     .max_connections = 600,
                                     .idle_timeout_s = 20,
                                     .routes = routes,
                                     .n_routes = PR_COUNT(routes),
                                     .authorise = authorise,
                                     .done = done };
}

static struct pr_http *start(struct pr_http_options o)
{
    struct pr_http *h = NULL;
    struct pr_err err;
    if (pr_http_open(&h, &o, &err) != PR_OK)
        fail_msg("%s", err.text);
    assert_true(pr_http_port(h) > 0);
    pthread_mutex_lock(&gate.lock);
    gate.inside = gate.done = 0;
    gate.open = false;
    pthread_mutex_unlock(&gate.lock);
    pthread_mutex_lock(&seen.lock);
    seen.count = 0;
    pthread_mutex_unlock(&seen.lock);
    handled = 0;
    return h;
}

static void gate_await(int inside)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.inside < inside)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_open(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* ---- clients ---- */

struct reply {
    long status, connects;
    struct pr_buf body, head;
};

static size_t collect(char *p, size_t size, size_t n, void *to)
{
    pr_buf_add(to, p, size * n);
    return size * n;
}

/* One request on c (kept alive between calls); headers: "A: b" strings, NULL. */
static CURLcode ask(CURL *c, struct reply *r, const struct pr_http *h, const char *method,
                    const char *target, const char *body, size_t n, const char *const *headers)
{
    struct curl_slist *list = NULL;
    char url[16 * 1024];
    pr_buf_init(&r->body, 0);
    pr_buf_init(&r->head, 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", pr_http_port(h), target);
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

static void forget(struct reply *r)
{
    pr_buf_done(&r->body);
    pr_buf_done(&r->head);
}

/* One request on its own connection; fails the test without an answer. */
static struct reply once(const struct pr_http *h, const char *method, const char *target,
                         const char *body, size_t n, const char *const *headers)
{
    struct reply r;
    CURL *c = curl_easy_init();
    CURLcode rc = ask(c, &r, h, method, target, body, n, headers);
    if (rc != CURLE_OK)
        fail_msg("%s %.80s: %s", method, target, curl_easy_strerror(rc));
    curl_easy_cleanup(c);
    return r;
}

static struct reply get(const struct pr_http *h, const char *target)
{
    return once(h, "GET", target, NULL, 0, NULL);
}

/* Value of a response header, "" when absent. */
static const char *header(const struct reply *r, const char *name)
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

static void assert_text(const struct reply *r, long status, const char *text)
{
    const char *got = r->body.data == NULL ? "" : r->body.data;
    if (r->status != status || strstr(got, text) == NULL)
        fail_msg("got %ld %s, want %ld %s", r->status, got, status, text);
}

static void assert_problem(const struct reply *r, long status, const char *text)
{
    assert_text(r, status, text);
    assert_string_equal(header(r, "Content-Type"), "application/problem+json");
}

static int dial(const struct pr_http *h)
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

/* Sends raw bytes on a new connection, returns all that comes until the end. */
static const char *raw(const struct pr_http *h, const char *bytes, size_t n)
{
    static char answer[64 * 1024];
    int s = dial(h);
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

/* ---- tests ---- */

static void hands_parameters_query_and_headers_to_the_handler(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    struct reply r = once(h, "GET", "/v1/show/a%2Fb?x=1&q=c+d%26", NULL, 0,
                          (const char *[]){ "X-tHiNg: 5", NULL });
    assert_text(&r, 200, "GET /v1/show/a%2Fb id=a/b q=c d& h=5 t=00-");
    assert_string_equal(header(&r, "Content-Type"), "application/json");
    assert_string_equal(header(&r, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(header(&r, "Cache-Control"), "no-store");
    assert_string_equal(header(&r, "X-Frame-Options"), "DENY");
    assert_string_not_equal(header(&r, "Date"), "");
    forget(&r);
    pr_http_close(h);
}

static void a_handler_sets_status_type_and_headers(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    struct reply r = get(h, "/v1/custom");
    assert_text(&r, 201, "made");
    assert_string_equal(header(&r, "Content-Type"), "text/plain");
    assert_string_equal(header(&r, "Cache-Control"), "max-age=60");
    assert_string_equal(header(&r, "ETag"), "\"7\"");
    assert_string_equal(header(&r, "X-Evil"), ""); /* no header splitting */
    forget(&r);
    r = once(h, "DELETE", "/v1/custom", NULL, 0, NULL);
    assert_int_equal(r.status, 204);
    assert_int_equal(r.body.len, 0);
    assert_string_equal(header(&r, "Content-Type"), "");
    forget(&r);
    pr_http_close(h);
}

static void head_answers_as_get_without_a_body(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    struct reply r = once(h, "HEAD", "/v1/custom", NULL, 0, NULL);
    assert_int_equal(r.status, 201);
    assert_int_equal(r.body.len, 0);
    assert_string_equal(header(&r, "Content-Length"), "4");
    forget(&r);
    r = once(h, "HEAD", "/v1/nowhere", NULL, 0, NULL);
    assert_int_equal(r.status, 404);
    forget(&r);
    pr_http_close(h);
}

static void what_does_not_fit_is_a_problem(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    struct reply r = get(h, "/v1/nowhere/\"x\"");
    assert_problem(&r, 404, "\"detail\":\"no resource /v1/nowhere/\\\"x\\\"\"");
    forget(&r);
    r = once(h, "PUT", "/v1/custom", NULL, 0, NULL);
    assert_problem(&r, 405, "\"status\":405");
    assert_string_equal(header(&r, "Allow"), "GET, HEAD, DELETE");
    forget(&r);
    r = get(h, "/v1/show/%zz");
    assert_problem(&r, 400, "% without two hexadecimal digits");
    forget(&r);
    r = get(h, "/v1/show/a%00b");
    assert_problem(&r, 400, "NUL");
    forget(&r);
    pr_http_close(h);
}

static void error_codes_become_statuses(void **state)
{
    (void)state;
    static const struct {
        enum pr_code code;
        int status;
    } row[] = {
        { PR_EINVAL, 400 },    { PR_ENOTFOUND, 404 }, { PR_EEXISTS, 409 },   { PR_ECONFLICT, 409 },
        { PR_EDENIED, 403 },   { PR_EFENCED, 503 },   { PR_EFULL, 429 },     { PR_EDATA, 500 },
        { PR_EUNAVAIL, 503 },  { PR_ETIMEOUT, 504 },  { PR_ECANCELED, 500 }, { PR_ENOMEM, 500 },
        { PR_EINTERNAL, 500 },
    };
    struct pr_http *h = start(options());
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char target[32];
        snprintf(target, sizeof target, "/v1/fail/%d", (int)row[i].code);
        struct reply r = get(h, target);
        assert_problem(&r, row[i].status, "{\"type\":\"about:blank\",\"title\":\"");
        /* what is not the caller's fault stays in the log */
        bool told = strstr(r.body.data, "secret \\\"detail\\\" \\ufffd") != NULL;
        assert_int_equal(told, row[i].status != 500);
        assert_null(strstr(r.body.data, "half a body"));
        assert_string_equal(header(&r, "Retry-After"),
                            row[i].status == 503 || row[i].status == 429 ? "1" : "");
        forget(&r);
    }
    pr_http_close(h);
}

static void bodies_up_to_the_limit_are_taken_and_larger_ones_refused(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    static char body[3 * 1024 * 1024];
    static const char *const plain[] = { "Expect:", NULL };
    static const char *const waits[] = { "Expect: 100-continue", NULL };
    static const char *const chunked[] = { "Expect:", "Transfer-Encoding: chunked", NULL };
    static const char *const *const how[] = { plain, waits, chunked };
    memset(body, 'x', sizeof body);
    for (size_t i = 0; i < PR_COUNT(how); i++) {
        static const size_t good[] = { 0, 1, BODY_LIMIT - 1, BODY_LIMIT };
        static const size_t bad[] = { BODY_LIMIT + 1, 100 * 1000, sizeof body };
        for (size_t k = 0; k < PR_COUNT(good); k++) {
            char want[16];
            snprintf(want, sizeof want, "%zu%s", good[k], good[k] > 0 ? "x" : "");
            struct reply r = once(h, "POST", "/v1/take", body, good[k], how[i]);
            assert_text(&r, 200, want);
            forget(&r);
        }
        handled = 0;
        for (size_t k = 0; k < PR_COUNT(bad); k++) {
            struct reply r = once(h, "POST", "/v1/take", body, bad[k], how[i]);
            assert_problem(&r, 413, "1000");
            forget(&r);
        }
        assert_int_equal(handled, 0);
    }
    pr_http_close(h);
}

static void a_client_that_asks_first_is_refused_before_it_sends(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    static const char *const head[] = {
        "POST /v1/take HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n",
        "POST /v1/nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n",
        /* does not ask, but more than anybody should have to read */
        "POST /v1/take HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n"
        "Connection: close\r\n\r\n",
    };
    static const char *const want[] = { "HTTP/1.1 413 ", "HTTP/1.1 404 ", "HTTP/1.1 413 " };
    for (size_t i = 0; i < PR_COUNT(head); i++)
        assert_memory_equal(raw(h, head[i], strlen(head[i])), want[i], strlen(want[i]));
    pr_http_close(h);
}

static void an_endless_body_is_cut_off(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    static const char head[] =
        "POST /v1/take HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    static char chunk[64 * 1024 + 9];
    snprintf(chunk, sizeof chunk, "10000\r\n");
    memset(chunk + 7, 'x', 64 * 1024);
    memcpy(chunk + 7 + 64 * 1024, "\r\n", 2);
    int s = dial(h);
    assert_true(send(s, head, sizeof head - 1, MSG_NOSIGNAL) > 0);
    size_t sent = 0;
    while (send(s, chunk, sizeof chunk, MSG_NOSIGNAL) > 0) {
        sent += sizeof chunk;
        assert_true(sent < 200u * 1024 * 1024);
    }
    close(s);
    assert_true(sent > 1024 * 1024);
    struct reply r = get(h, "/v1/show/1"); /* and the server lives */
    assert_int_equal(r.status, 200);
    forget(&r);
    pr_http_close(h);
}

static void long_urls_and_headers_are_refused(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    static char target[9 * 1024] = "/v1/show/";
    memset(target + 9, 'a', sizeof target - 10);
    target[8 * 1024] = '\0';
    struct reply r = get(h, target); /* exactly 8192 bytes */
    assert_int_equal(r.status, 200);
    forget(&r);
    target[8 * 1024] = 'a';
    r = get(h, target);
    assert_problem(&r, 414, "8192");
    forget(&r);

    static char big[40 * 1024] = "X-Big: ";
    memset(big + 7, 'a', sizeof big - 8);
    r = once(h, "GET", "/v1/show/1", NULL, 0, (const char *[]){ big, NULL });
    assert_int_equal(r.status, 431);
    forget(&r);
    pr_http_close(h);
}

static void garbage_does_no_harm(void **state)
{
    (void)state;
    static const char *const bytes[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "GET /v1/show/1 HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        "POST /v1/take HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/take HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "POST /v1/take HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /v1/show/1 HTTP/1.1\r\n\r\n",
    };
    struct pr_http_options o = options();
    o.idle_timeout_s = 1; /* some of it is an unfinished request */
    struct pr_http *h = start(o);
    for (size_t i = 0; i < PR_COUNT(bytes); i++) {
        const char *answer = raw(h, bytes[i], strlen(bytes[i]));
        if (strstr(answer, " 200 ") != NULL)
            fail_msg("%zu: %s", i, answer);
    }
    assert_int_equal(handled, 0);
    struct reply r = get(h, "/v1/show/1");
    assert_int_equal(r.status, 200);
    forget(&r);
    pr_http_close(h);
}

static void connections_are_kept_alive(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *body;
        long status;
    } row[] = {
        { "GET", "/v1/show/1", NULL, 200 },    { "POST", "/v1/take", "abc", 200 },
        { "GET", "/v1/nowhere", NULL, 404 },   { "POST", "/v1/custom", "abc", 405 },
        { "HEAD", "/v1/custom", NULL, 201 },   { "GET", "/v1/show/%", NULL, 400 },
        { "DELETE", "/v1/custom", NULL, 204 }, { "POST", "/v1/me", "abc", 401 },
    };
    struct pr_http *h = start(options());
    CURL *c = curl_easy_init();
    for (size_t i = 0; i < 3 * PR_COUNT(row); i++) {
        size_t k = i % PR_COUNT(row);
        const char *body = row[k].body;
        struct reply r;
        assert_int_equal(ask(c, &r, h, row[k].method, row[k].target, body,
                             body == NULL ? 0 : strlen(body), NULL),
                         CURLE_OK);
        assert_int_equal(r.status, row[k].status);
        assert_int_equal(r.connects, i == 0 ? 1 : 0);
        forget(&r);
    }
    curl_easy_cleanup(c);
    pr_http_close(h);
}

static void a_taken_port_is_named(void **state)
{
    (void)state;
    struct pr_http *h = start(options()), *other = NULL;
    struct pr_http_options o = options();
    struct pr_err err;
    char want[96];
    o.port = pr_http_port(h);
    assert_int_equal(pr_http_open(&other, &o, &err), PR_EUNAVAIL);
    snprintf(want, sizeof want, "cannot listen on 127.0.0.1:%d: the port is taken", o.port);
    assert_string_equal(err.text, want);
    pr_http_close(h);
    assert_int_equal(pr_http_open(&h, &o, &err), PR_OK); /* free again at once */
    pr_http_close(h);

    o.bind = "no such host.invalid";
    assert_int_equal(pr_http_open(&h, &o, &err), PR_EINVAL);
    o.bind = "192.0.2.1"; /* not ours */
    assert_int_equal(pr_http_open(&h, &o, &err), PR_EINVAL);
    pr_http_close(NULL);
}

static void two_routes_alike_are_refused(void **state)
{
    (void)state;
    static const struct pr_http_route twice[] = { { "GET", "/a", show, 0 },
                                                  { "GET", "/a", show, 0 } };
    struct pr_http_options o = options();
    struct pr_http *h = NULL;
    struct pr_err err;
    o.routes = twice;
    o.n_routes = 2;
    assert_int_equal(pr_http_open(&h, &o, &err), PR_EINVAL);
    assert_string_equal(err.text, "route GET /a is there twice");
}

static void authorise_is_asked_before_the_body_is_read(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    static const char *const good[] = { "AUTHORIZATION: Bearer x", "Expect:", NULL };
    static const char *const bad[] = { "Authorization: Bearer y", "Expect:", NULL };
    struct reply r = once(h, "GET", "/v1/me", NULL, 0, good);
    assert_text(&r, 200, "me");
    forget(&r);
    r = once(h, "POST", "/v1/me", "abc", 3, good);
    assert_text(&r, 200, "me");
    forget(&r);
    assert_int_equal(handled, 2);
    r = once(h, "POST", "/v1/me", "abc", 3, bad);
    assert_problem(&r, 401, "who are you?");
    forget(&r);
    r = get(h, "/v1/me");
    assert_problem(&r, 401, "who are you?");
    forget(&r);
    r = get(h, "/v1/show/1"); /* access 0 */
    assert_int_equal(r.status, 200);
    forget(&r);
    assert_int_equal(handled, 2);
    pr_http_close(h);
}

static void the_callers_trace_goes_on(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    struct reply r =
        once(h, "GET", "/v1/show/1", NULL, 0,
             (const char *[]){
                 "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", NULL });
    assert_text(&r, 200, "t=00-4bf92f3577b34da6a3ce929d0e0e4736-");
    assert_null(strstr(r.body.data, "00f067aa0ba902b7")); /* our own span */
    forget(&r);
    static const char *const bad[] = {
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e473G-00f067aa0ba902b7-01",
        "traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "traceparent: 4bf92f3577b34da6a3ce929d0e0e4736",
    };
    for (size_t i = 0; i < PR_COUNT(bad); i++) {
        r = once(h, "GET", "/v1/show/1", NULL, 0, (const char *[]){ bad[i], NULL });
        const char *t = strstr(r.body.data, "t=00-");
        assert_non_null(t);
        assert_int_equal(strlen(t), 2 + 55);
        assert_null(strstr(t, "4bf92f3577b34da6a3ce929d0e0e473"));
        forget(&r);
    }
    pr_http_close(h);
}

static void done_hears_of_every_response(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    static const struct {
        const char *target;
        int status;
        const struct pr_http_route *route;
    } row[] = { { "/v1/custom", 201, &routes[5] }, { "/v1/nowhere", 404, NULL } };
    for (int i = 0; i < 2; i++) {
        struct reply r = get(h, row[i].target);
        forget(&r);
        pthread_mutex_lock(&seen.lock);
        while (seen.count < i + 1)
            pthread_cond_wait(&seen.changed, &seen.lock);
        assert_int_equal(seen.status, row[i].status);
        assert_ptr_equal(seen.route, row[i].route);
        assert_true(seen.us >= 0);
        pthread_mutex_unlock(&seen.lock);
    }
    pr_http_close(h);
}

struct client {
    pthread_t thread;
    const struct pr_http *h;
    const char *target;
    struct reply r;
    CURLcode rc;
};

static void *client_run(void *arg)
{
    struct client *c = arg;
    CURL *curl = curl_easy_init();
    c->rc = ask(curl, &c->r, c->h, "GET", c->target, NULL, 0, NULL);
    curl_easy_cleanup(curl);
    return NULL;
}

static struct client *clients_start(const struct pr_http *h, size_t n, const char *target)
{
    struct client *c = calloc(n, sizeof *c);
    for (size_t i = 0; i < n; i++) {
        c[i].h = h;
        c[i].target = target;
        assert_int_equal(pthread_create(&c[i].thread, NULL, client_run, &c[i]), 0);
    }
    return c;
}

/* Joins and wants the same answer for all. */
static void clients_finish(struct client *c, size_t n, const char *want)
{
    for (size_t i = 0; i < n; i++) {
        pthread_join(c[i].thread, NULL);
        if (c[i].rc != CURLE_OK)
            fail_msg("client %zu: %s", i, curl_easy_strerror(c[i].rc));
        assert_text(&c[i].r, 200, want);
        forget(&c[i].r);
    }
    free(c);
}

static void two_hundred_requests_run_at_once(void **state)
{
    (void)state;
    static const size_t n[] = { 128, 200, 256 };
    for (size_t i = 0; i < PR_COUNT(n); i++) {
        struct pr_http *h = start(options());
        struct client *c = clients_start(h, n[i], "/v1/wait");
        gate_await((int)n[i]); /* all are inside the handler together */
        gate_open();
        clients_finish(c, n[i], "waited");
        pr_http_close(h);
    }
}

static void above_the_connection_limit_is_503_and_probes_still_answer(void **state)
{
    (void)state;
    struct pr_http_options o = options();
    o.max_connections = 3;
    struct pr_http *h = start(o);
    struct client *c = clients_start(h, 3, "/v1/wait");
    gate_await(3);
    struct reply r = get(h, "/v1/show/1");
    assert_problem(&r, 503, "all 3 connections are in use");
    assert_string_equal(header(&r, "Connection"), "close");
    assert_string_equal(header(&r, "Retry-After"), "1");
    forget(&r);
    r = get(h, "/probe");
    assert_int_equal(r.status, 204);
    forget(&r);
    gate_open();
    clients_finish(c, 3, "waited");
    do { /* room again as soon as a connection has gone */
        forget(&r);
        r = get(h, "/v1/show/1");
    } while (r.status == 503);
    assert_int_equal(r.status, 200);
    forget(&r);
    pr_http_close(h);
}

static void *close_server(void *h)
{
    pr_http_close(h);
    return NULL;
}

static void closing_lets_running_requests_finish(void **state)
{
    (void)state;
    struct pr_http *h = start(options());
    struct client *c = clients_start(h, 5, "/v1/wait");
    int idle = dial(h); /* an idle connection holds nothing up */
    gate_await(5);
    pthread_t closer;
    int64_t from = pr_mono_us();
    assert_int_equal(pthread_create(&closer, NULL, close_server, h), 0);
    for (int s; (s = dial(h)) >= 0; close(s)) /* until the listener is gone */
        usleep(1000);
    pthread_mutex_lock(&gate.lock);
    assert_int_equal(gate.done, 0);
    pthread_mutex_unlock(&gate.lock);
    gate_open();
    clients_finish(c, 5, "waited");
    pthread_join(closer, NULL);
    assert_int_equal(gate.done, 5);
    assert_true(pr_mono_us() - from < 5 * 1000 * 1000);
    close(idle);
}

static void idle_clients_are_dropped_but_slow_handlers_answer(void **state)
{
    (void)state;
    struct pr_http_options o = options();
    o.idle_timeout_s = 1;
    struct pr_http *h = start(o);
    int64_t from = pr_mono_us();
    const char *half = "GET /v1/show/1 HT";
    assert_null(strstr(raw(h, half, strlen(half)), " 200 "));
    int64_t us = pr_mono_us() - from;
    assert_true(us > 500 * 1000 && us < 10 * 1000 * 1000);
    struct reply r = get(h, "/v1/linger");
    assert_text(&r, 200, "late");
    forget(&r);
    pr_http_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_parameters_query_and_headers_to_the_handler),
        cmocka_unit_test(a_handler_sets_status_type_and_headers),
        cmocka_unit_test(head_answers_as_get_without_a_body),
        cmocka_unit_test(what_does_not_fit_is_a_problem),
        cmocka_unit_test(error_codes_become_statuses),
        cmocka_unit_test(bodies_up_to_the_limit_are_taken_and_larger_ones_refused),
        cmocka_unit_test(a_client_that_asks_first_is_refused_before_it_sends),
        cmocka_unit_test(an_endless_body_is_cut_off),
        cmocka_unit_test(long_urls_and_headers_are_refused),
        cmocka_unit_test(garbage_does_no_harm),
        cmocka_unit_test(connections_are_kept_alive),
        cmocka_unit_test(a_taken_port_is_named),
        cmocka_unit_test(two_routes_alike_are_refused),
        cmocka_unit_test(authorise_is_asked_before_the_body_is_read),
        cmocka_unit_test(the_callers_trace_goes_on),
        cmocka_unit_test(done_hears_of_every_response),
        cmocka_unit_test(two_hundred_requests_run_at_once),
        cmocka_unit_test(above_the_connection_limit_is_503_and_probes_still_answer),
        cmocka_unit_test(closing_lets_running_requests_finish),
        cmocka_unit_test(idle_clients_are_dropped_but_slow_handlers_answer),
    };
    pr_log_init("http-test", (enum pr_level)(PR_ERROR + 1)); /* failures of the tests are wanted */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
