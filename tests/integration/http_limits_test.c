/* What the HTTP server refuses: bodies, lines and headers that are too long, and garbage. */
#include "http_stage.h"

#include "prism/io/clock.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void bodies_up_to_the_limit_are_taken_and_larger_ones_refused(void **state)
{
    (void)state;
    struct pr_http *h = http_start(http_options());
    static char body[3 * 1024 * 1024];
    static const char *const plain[] = { "Expect:", NULL };
    static const char *const waits[] = { "Expect: 100-continue", NULL };
    static const char *const chunked[] = { "Expect:", "Transfer-Encoding: chunked", NULL };
    static const char *const *const how[] = { plain, waits, chunked };
    memset(body, 'x', sizeof body);
    for (size_t i = 0; i < PR_COUNT(how); i++) {
        static const size_t good[] = { 0, 1, HTTP_BODY_LIMIT - 1, HTTP_BODY_LIMIT };
        static const size_t bad[] = { HTTP_BODY_LIMIT + 1, 100 * 1000, sizeof body };
        for (size_t k = 0; k < PR_COUNT(good); k++) {
            char want[16];
            snprintf(want, sizeof want, "%zu%s", good[k], good[k] > 0 ? "x" : "");
            struct http_reply r = http_once(h, "POST", "/v1/take", body, good[k], how[i]);
            http_assert_text(&r, 200, want);
            http_forget(&r);
        }
        http_handled = 0;
        for (size_t k = 0; k < PR_COUNT(bad); k++) {
            struct http_reply r = http_once(h, "POST", "/v1/take", body, bad[k], how[i]);
            http_assert_problem(&r, 413, "1000");
            http_forget(&r);
        }
        assert_int_equal(http_handled, 0);
    }
    pr_http_close(h);
}

static void a_client_that_asks_first_is_refused_before_it_sends(void **state)
{
    (void)state;
    struct pr_http *h = http_start(http_options());
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
        assert_memory_equal(http_raw(h, head[i], strlen(head[i])), want[i], strlen(want[i]));
    pr_http_close(h);
}

static void an_endless_body_is_cut_off(void **state)
{
    (void)state;
    struct pr_http *h = http_start(http_options());
    static const char head[] =
        "POST /v1/take HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    static char chunk[64 * 1024 + 9];
    snprintf(chunk, sizeof chunk, "10000\r\n");
    memset(chunk + 7, 'x', 64 * 1024);
    memcpy(chunk + 7 + 64 * 1024, "\r\n", 2);
    int s = http_dial(h);
    assert_true(send(s, head, sizeof head - 1, MSG_NOSIGNAL) > 0);
    size_t sent = 0;
    while (send(s, chunk, sizeof chunk, MSG_NOSIGNAL) > 0) {
        sent += sizeof chunk;
        assert_true(sent < 200u * 1024 * 1024);
    }
    close(s);
    assert_true(sent > 1024 * 1024);
    struct http_reply r = http_get(h, "/v1/show/1"); /* and the server lives */
    assert_int_equal(r.status, 200);
    http_forget(&r);
    pr_http_close(h);
}

static void how_much(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    pr_buf_printf(&res->body, "%zu", req->body_len);
}

static void of_a_read_no_body_is_kept(void **state)
{
    (void)state;
    static const struct pr_http_route routes[] = { { "GET", "/size", how_much, 0 },
                                                   { "POST", "/size", how_much, 0 } };
    static const char *const plain[] = { "Expect:", NULL };
    static const char *const chunked[] = { "Expect:", "Transfer-Encoding: chunked", NULL };
    static const char *const *const how[] = { plain, chunked };
    static char body[HTTP_BODY_LIMIT + 1];
    struct pr_http_options o = http_options();
    o.routes = routes;
    o.n_routes = PR_COUNT(routes);
    struct pr_http *h = http_start(o);
    memset(body, 'x', sizeof body);
    for (size_t i = 0; i < PR_COUNT(how); i++) {
        struct http_reply r = http_once(h, "GET", "/size", body, HTTP_BODY_LIMIT, how[i]);
        http_assert_text(&r, 200, "0");
        http_forget(&r);
        r = http_once(h, "POST", "/size", body, HTTP_BODY_LIMIT, how[i]);
        http_assert_text(&r, 200, "1000");
        http_forget(&r);
    }
    struct http_reply r = http_once(h, "GET", "/size", body, sizeof body, plain);
    http_assert_problem(&r, 413, "1000");
    http_forget(&r);
    pr_http_close(h);
}

/* Of so many from here the last is closed; one goes, and there is room for another. */
static void an_address_has_its_own_limit(void **state)
{
    (void)state;
    static const char look[] = "GET /v1/show/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    struct pr_http_options o = http_options();
    o.max_connections_each = 2;
    struct pr_http *h = http_start(o);
    char sink[16];
    const int first = http_dial(h), second = http_dial(h), third = http_dial(h);
    assert_true(first >= 0 && second >= 0 && third >= 0);
    assert_true(recv(third, sink, sizeof sink, 0) <= 0); /* nobody asked anything */
    close(third);
    close(first);
    const char *text;
    for (int64_t until_us = pr_mono_us() + 30000000;
         strstr(text = http_raw(h, look, sizeof look - 1), " 200 ") == NULL;)
        assert_true(pr_mono_us() < until_us);
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    close(second);
    pr_http_close(h);
}

static void long_urls_and_headers_are_refused(void **state)
{
    (void)state;
    struct pr_http *h = http_start(http_options());
    static char target[9 * 1024] = "/v1/show/";
    memset(target + 9, 'a', sizeof target - 10);
    target[8 * 1024] = '\0';
    struct http_reply r = http_get(h, target); /* exactly 8192 bytes */
    assert_int_equal(r.status, 200);
    http_forget(&r);
    target[8 * 1024] = 'a';
    r = http_get(h, target);
    http_assert_problem(&r, 414, "8192");
    http_forget(&r);

    static char big[40 * 1024] = "X-Big: ";
    memset(big + 7, 'a', sizeof big - 8);
    r = http_once(h, "GET", "/v1/show/1", NULL, 0, (const char *[]){ big, NULL });
    assert_int_equal(r.status, 431);
    http_forget(&r);
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
    struct pr_http_options o = http_options();
    o.idle_timeout_s = 1; /* some of it is an unfinished request */
    struct pr_http *h = http_start(o);
    for (size_t i = 0; i < PR_COUNT(bytes); i++) {
        const char *answer = http_raw(h, bytes[i], strlen(bytes[i]));
        if (strstr(answer, " 200 ") != NULL)
            fail_msg("%zu: %s", i, answer);
    }
    assert_int_equal(http_handled, 0);
    struct http_reply r = http_get(h, "/v1/show/1");
    assert_int_equal(r.status, 200);
    http_forget(&r);
    pr_http_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_up_to_the_limit_are_taken_and_larger_ones_refused),
        cmocka_unit_test(a_client_that_asks_first_is_refused_before_it_sends),
        cmocka_unit_test(an_endless_body_is_cut_off),
        cmocka_unit_test(of_a_read_no_body_is_kept),
        cmocka_unit_test(an_address_has_its_own_limit),
        cmocka_unit_test(long_urls_and_headers_are_refused),
        cmocka_unit_test(garbage_does_no_harm),
    };
    return http_run_tests(tests, PR_COUNT(tests));
}
