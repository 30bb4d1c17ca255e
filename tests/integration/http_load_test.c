/* Many requests to the HTTP server at once, connections that stay, and its end. */
#include "http_stage.h"

#include "prism/io/clock.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
    struct pr_http *h = http_start(http_options());
    CURL *c = curl_easy_init();
    for (size_t i = 0; i < 3 * PR_COUNT(row); i++) {
        size_t k = i % PR_COUNT(row);
        const char *body = row[k].body;
        struct http_reply r;
        assert_int_equal(http_ask(c, &r, h, row[k].method, row[k].target, body,
                                  body == NULL ? 0 : strlen(body), NULL),
                         CURLE_OK);
        assert_int_equal(r.status, row[k].status);
        assert_int_equal(r.connects, i == 0 ? 1 : 0);
        http_forget(&r);
    }
    curl_easy_cleanup(c);
    pr_http_close(h);
}

struct client {
    pthread_t thread;
    const struct pr_http *h;
    const char *target;
    struct http_reply r;
    CURLcode rc;
};

static void *client_run(void *arg)
{
    struct client *c = arg;
    CURL *curl = curl_easy_init();
    c->rc = http_ask(curl, &c->r, c->h, "GET", c->target, NULL, 0, NULL);
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
        http_assert_text(&c[i].r, 200, want);
        http_forget(&c[i].r);
    }
    free(c);
}

static void two_hundred_requests_run_at_once(void **state)
{
    (void)state;
    static const size_t n[] = { 128, 200, 256 };
    struct pr_http_options o = http_options();
    for (size_t i = 0; i < PR_COUNT(n); i++) {
        o.workers = (int)n[i];
        o.loops = 1 + (int)i;
        struct pr_http *h = http_start(o);
        struct client *c = clients_start(h, n[i], "/v1/wait");
        http_gate_await((int)n[i]); /* all are inside the handler together */
        http_gate_open();
        clients_finish(c, n[i], "waited");
        pr_http_close(h);
    }
}

static void above_the_connection_limit_is_503_and_probes_still_answer(void **state)
{
    (void)state;
    struct pr_http_options o = http_options();
    o.max_connections = 3;
    struct pr_http *h = http_start(o);
    struct client *c = clients_start(h, 3, "/v1/wait");
    http_gate_await(3);
    struct http_reply r = http_get(h, "/v1/show/1");
    http_assert_problem(&r, 503, "all 3 connections are in use");
    assert_string_equal(http_header(&r, "Connection"), "close");
    assert_string_equal(http_header(&r, "Retry-After"), "1");
    http_forget(&r);
    r = http_get(h, "/probe");
    assert_int_equal(r.status, 204);
    http_forget(&r);
    http_gate_open();
    clients_finish(c, 3, "waited");
    do { /* room again as soon as a connection has gone */
        http_forget(&r);
        r = http_get(h, "/v1/show/1");
    } while (r.status == 503);
    assert_int_equal(r.status, 200);
    http_forget(&r);
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
    struct pr_http *h = http_start(http_options());
    struct client *c = clients_start(h, 5, "/v1/wait");
    int idle = http_dial(h); /* an idle connection holds nothing up */
    http_gate_await(5);
    pthread_t closer;
    int64_t from = pr_mono_us();
    assert_int_equal(pthread_create(&closer, NULL, close_server, h), 0);
    for (int s; (s = http_dial(h)) >= 0; close(s)) /* until the listener is gone */
        usleep(1000);
    pthread_mutex_lock(&http_gate.lock);
    assert_int_equal(http_gate.done, 0);
    pthread_mutex_unlock(&http_gate.lock);
    http_gate_open();
    clients_finish(c, 5, "waited");
    pthread_join(closer, NULL);
    assert_int_equal(http_gate.done, 5);
    assert_true(pr_mono_us() - from < 5 * 1000 * 1000);
    close(idle);
}

static void idle_clients_are_dropped_but_slow_handlers_answer(void **state)
{
    (void)state;
    struct pr_http_options o = http_options();
    o.idle_timeout_s = 1;
    struct pr_http *h = http_start(o);
    int64_t from = pr_mono_us();
    const char *half = "GET /v1/show/1 HT";
    assert_null(strstr(http_raw(h, half, strlen(half)), " 200 "));
    int64_t us = pr_mono_us() - from;
    assert_true(us > 500 * 1000 && us < 10 * 1000 * 1000);
    struct http_reply r = http_get(h, "/v1/linger");
    http_assert_text(&r, 200, "late");
    http_forget(&r);
    pr_http_close(h);
}

/* Not at the end of the time that he may be silent: the end of what he says came with it. */
static void who_ends_within_a_request_is_let_go_at_once(void **state)
{
    (void)state;
    static const char *const half[] = {
        "GET /v1/sh", "GET /v1/show/1 HTTP/1.1\r\nHost: a\r\nX-A: ",
        "POST /v1/take HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc"
    };
    struct pr_http *h = http_start(http_options());
    const int64_t from_us = pr_mono_us();
    for (size_t i = 0; i < PR_COUNT(half); i++) {
        char sink[64];
        const int s = http_dial(h);
        assert_int_equal(send(s, half[i], strlen(half[i]), MSG_NOSIGNAL), (ssize_t)strlen(half[i]));
        assert_int_equal(shutdown(s, SHUT_WR), 0);
        while (recv(s, sink, sizeof sink, 0) > 0)
            ;
        close(s);
    }
    assert_true(pr_mono_us() - from_us < 15 * 1000 * 1000); /* of 20 s each */
    pr_http_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_kept_alive),
        cmocka_unit_test(two_hundred_requests_run_at_once),
        cmocka_unit_test(above_the_connection_limit_is_503_and_probes_still_answer),
        cmocka_unit_test(closing_lets_running_requests_finish),
        cmocka_unit_test(idle_clients_are_dropped_but_slow_handlers_answer),
        cmocka_unit_test(who_ends_within_a_request_is_let_go_at_once),
    };
    return http_run_tests(tests, PR_COUNT(tests));
}
