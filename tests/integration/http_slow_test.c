/* Clients that are slow, a byte at a time: each is let go, and nobody else waits for them. */
#include "http_stage.h"

#include "prism/io/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_S = 2, IDLE_S = 3, DRIP_MS = 200, LONGEST_MS = 60000 };

static struct pr_http *serve(void)
{
    struct pr_http_options o = http_options();
    o.request_timeout_s = REQUEST_S;
    o.idle_timeout_s = IDLE_S;
    o.max_body_bytes = 1 << 20;
    return http_start(o);
}

/* Sends head, then a byte every so often; how long until the server closed, in ms. */
static int64_t drip(const struct pr_http *h, const char *head, char with)
{
    char sink[1024];
    const int s = http_dial(h);
    assert_true(s >= 0);
    const int64_t from_us = pr_mono_us();
    if (head[0] != '\0')
        assert_int_equal(send(s, head, strlen(head), MSG_NOSIGNAL), (ssize_t)strlen(head));
    for (;;) {
        struct pollfd p = { .fd = s, .events = POLLIN };
        const int64_t ms = (pr_mono_us() - from_us) / 1000;
        if (ms > LONGEST_MS)
            fail_msg("still open after %lld ms", (long long)ms);
        if (poll(&p, 1, DRIP_MS) > 0 && recv(s, sink, sizeof sink, 0) <= 0)
            break;
        if (send(s, &with, 1, MSG_NOSIGNAL) != 1)
            break;
    }
    close(s);
    return (pr_mono_us() - from_us) / 1000;
}

static void who_drips_is_closed_wherever_he_is(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        char with;
        int least_s;
    } row[] = {
        { "G", 'E', REQUEST_S + IDLE_S }, /* not even a first line */
        { "GET /v1/show/1 HTTP/1.1\r\nHost: a\r\nX-A: ", 'a', REQUEST_S },
        { "POST /v1/take HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 'a', REQUEST_S },
    };
    struct pr_http *h = serve();
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const uint64_t before = pr_http_too_slow(h);
        const int64_t ms = drip(h, row[i].head, row[i].with);
        if (ms < row[i].least_s * 1000 - 300)
            fail_msg("%zu: closed after %lld ms already", i, (long long)ms);
        assert_int_equal(pr_http_too_slow(h), before + 1);
    }
    assert_int_equal(http_handled, 0);
    struct http_reply r = http_get(h, "/v1/show/1");
    assert_int_equal(r.status, 200);
    http_forget(&r);
    pr_http_close(h);
}

/* Takes its time between requests, and in the handler, but not over a request. */
static void who_is_not_slow_is_left_alone(void **state)
{
    (void)state;
    struct pr_http *h = serve();
    CURL *c = curl_easy_init();
    struct http_reply r;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(
            http_ask(c, &r, h, "GET", i == 1 ? "/v1/linger" : "/v1/show/1", NULL, 0, NULL),
            CURLE_OK);
        assert_int_equal(r.status, 200);
        http_forget(&r);
        usleep(1000 * 1000); /* shorter than both limits, and longer than they are together */
    }
    assert_int_equal(pr_http_too_slow(h), 0);
    curl_easy_cleanup(c);
    pr_http_close(h);
}

/* What came above the limit is let go after 5 s, also when it has begun to say something. */
static void above_the_limit_nobody_may_drip(void **state)
{
    (void)state;
    static const char wait[] = "GET /v1/wait HTTP/1.1\r\nHost: a\r\n\r\n";
    struct pr_http_options o = http_options();
    o.max_connections = 1;
    o.request_timeout_s = o.idle_timeout_s = LONGEST_MS / 1000;
    struct pr_http *h = http_start(o);
    const int first = http_dial(h);
    assert_int_equal(send(first, wait, sizeof wait - 1, MSG_NOSIGNAL), (ssize_t)sizeof wait - 1);
    http_gate_await(1);
    const int64_t ms = drip(h, "GET /v1/show/1 HTTP/1.1\r\nHost: a\r\nX-A: ", 'a');
    if (ms > LONGEST_MS / 2)
        fail_msg("closed after %lld ms", (long long)ms);
    struct http_reply r = http_get(h, "/probe"); /* beside it, probes are answered */
    assert_int_equal(r.status, 204);
    http_forget(&r);
    http_gate_open();
    close(first);
    pr_http_close(h);
}

enum { ANSWER_BYTES = 32 * 1024 * 1024 }; /* more than sockets hold */

static void big(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static char block[1024 * 1024];
    (void)ctx;
    (void)req;
    for (size_t i = 0; i < ANSWER_BYTES / sizeof block; i++)
        pr_buf_add(&res->body, block, sizeof block);
}

static void who_does_not_take_his_answer_is_closed(void **state)
{
    (void)state;
    static const struct pr_http_route routes[] = { { "GET", "/big", big, 0 } };
    static const char head[] = "GET /big HTTP/1.1\r\nHost: a\r\n\r\n";
    struct pr_http *h = http_start((struct pr_http_options){ .bind = "127.0.0.1",
                                                             .routes = routes,
                                                             .n_routes = PR_COUNT(routes),
                                                             .idle_timeout_s = 600,
                                                             .request_timeout_s = 1,
                                                             .slowest_bytes_per_s = ANSWER_BYTES });
    const int s = http_dial(h);
    assert_int_equal(send(s, head, sizeof head - 1, MSG_NOSIGNAL), (ssize_t)sizeof head - 1);
    for (int64_t until_us = pr_mono_us() + LONGEST_MS * 1000LL; pr_http_too_slow(h) == 0;) {
        assert_true(pr_mono_us() < until_us);
        usleep(20 * 1000);
    }
    close(s);
    pr_http_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_drips_is_closed_wherever_he_is),
        cmocka_unit_test(who_is_not_slow_is_left_alone),
        cmocka_unit_test(above_the_limit_nobody_may_drip),
        cmocka_unit_test(who_does_not_take_his_answer_is_closed),
    };
    return http_run_tests(tests, PR_COUNT(tests));
}
