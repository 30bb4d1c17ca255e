/* The HTTP server over real sockets on a free port: routes, handlers, problems, who may. */
#include "http_stage.h"

#include "prism/io/clock.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void hands_parameters_query_and_headers_to_the_handler(void **state)
{
    (void)state;
    struct pr_http *h = http_start(http_options());
    struct http_reply r = http_once(h, "GET", "/v1/show/a%2Fb?x=1&q=c+d%26", NULL, 0,
                                    (const char *[]){ "X-tHiNg: 5", NULL });
    http_assert_text(&r, 200, "GET /v1/show/a%2Fb id=a/b q=c d& h=5 t=00-");
    assert_string_equal(http_header(&r, "Content-Type"), "application/json");
    assert_string_equal(http_header(&r, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(http_header(&r, "Cache-Control"), "no-store");
    assert_string_equal(http_header(&r, "X-Frame-Options"), "DENY");
    assert_string_not_equal(http_header(&r, "Date"), "");
    http_forget(&r);
    pr_http_close(h);
}

static void a_handler_sets_status_type_and_headers(void **state)
{
    (void)state;
    struct pr_http *h = http_start(http_options());
    struct http_reply r = http_get(h, "/v1/custom");
    http_assert_text(&r, 201, "made");
    assert_string_equal(http_header(&r, "Content-Type"), "text/plain");
    assert_string_equal(http_header(&r, "Cache-Control"), "max-age=60");
    assert_string_equal(http_header(&r, "ETag"), "\"7\"");
    assert_string_equal(http_header(&r, "X-Evil"), ""); /* no header splitting */
    http_forget(&r);
    r = http_once(h, "DELETE", "/v1/custom", NULL, 0, NULL);
    assert_int_equal(r.status, 204);
    assert_int_equal(r.body.len, 0);
    assert_string_equal(http_header(&r, "Content-Type"), "");
    http_forget(&r);
    pr_http_close(h);
}

static void head_answers_as_get_without_a_body(void **state)
{
    (void)state;
    struct pr_http *h = http_start(http_options());
    struct http_reply r = http_once(h, "HEAD", "/v1/custom", NULL, 0, NULL);
    assert_int_equal(r.status, 201);
    assert_int_equal(r.body.len, 0);
    assert_string_equal(http_header(&r, "Content-Length"), "4");
    http_forget(&r);
    r = http_once(h, "HEAD", "/v1/nowhere", NULL, 0, NULL);
    assert_int_equal(r.status, 404);
    http_forget(&r);
    pr_http_close(h);
}

static void what_does_not_fit_is_a_problem(void **state)
{
    (void)state;
    struct pr_http *h = http_start(http_options());
    struct http_reply r = http_get(h, "/v1/nowhere/\"x\"");
    http_assert_problem(&r, 404, "\"detail\":\"no resource /v1/nowhere/\\\"x\\\"\"");
    http_forget(&r);
    r = http_once(h, "PUT", "/v1/custom", NULL, 0, NULL);
    http_assert_problem(&r, 405, "\"status\":405");
    assert_string_equal(http_header(&r, "Allow"), "GET, HEAD, DELETE");
    http_forget(&r);
    r = http_get(h, "/v1/show/%zz");
    http_assert_problem(&r, 400, "% without two hexadecimal digits");
    http_forget(&r);
    r = http_get(h, "/v1/show/a%00b");
    http_assert_problem(&r, 400, "NUL");
    http_forget(&r);
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
    struct pr_http *h = http_start(http_options());
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char target[32];
        snprintf(target, sizeof target, "/v1/fail/%d", (int)row[i].code);
        struct http_reply r = http_get(h, target);
        http_assert_problem(&r, row[i].status, "{\"type\":\"about:blank\",\"title\":\"");
        /* what is not the caller's fault stays in the log */
        bool told = strstr(r.body.data, "secret \\\"detail\\\" \\ufffd") != NULL;
        assert_int_equal(told, row[i].status != 500);
        assert_null(strstr(r.body.data, "half a body"));
        assert_string_equal(http_header(&r, "Retry-After"),
                            row[i].status == 503 || row[i].status == 429 ? "1" : "");
        http_forget(&r);
    }
    pr_http_close(h);
}

static void a_taken_port_is_named(void **state)
{
    (void)state;
    struct pr_http *h = http_start(http_options()), *other = NULL;
    struct pr_http_options o = http_options();
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
    const struct pr_http_route twice[] = { { "GET", "/a", http_routes[0].fn, 0 },
                                           { "GET", "/a", http_routes[0].fn, 0 } };
    struct pr_http_options o = http_options();
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
    struct pr_http *h = http_start(http_options());
    static const char *const good[] = { "AUTHORIZATION: Bearer x", "Expect:", NULL };
    static const char *const bad[] = { "Authorization: Bearer y", "Expect:", NULL };
    struct http_reply r = http_once(h, "GET", "/v1/me", NULL, 0, good);
    http_assert_text(&r, 200, "me");
    http_forget(&r);
    r = http_once(h, "POST", "/v1/me", "abc", 3, good);
    http_assert_text(&r, 200, "me");
    http_forget(&r);
    assert_int_equal(http_handled, 2);
    r = http_once(h, "POST", "/v1/me", "abc", 3, bad);
    http_assert_problem(&r, 401, "who are you?");
    http_forget(&r);
    r = http_get(h, "/v1/me");
    http_assert_problem(&r, 401, "who are you?");
    http_forget(&r);
    r = http_get(h, "/v1/show/1"); /* access 0 */
    assert_int_equal(r.status, 200);
    http_forget(&r);
    assert_int_equal(http_handled, 2);
    pr_http_close(h);
}

static void the_callers_trace_goes_on(void **state)
{
    (void)state;
    struct pr_http *h = http_start(http_options());
    struct http_reply r = http_once(
        h, "GET", "/v1/show/1", NULL, 0,
        (const char *[]){ "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          NULL });
    http_assert_text(&r, 200, "t=00-4bf92f3577b34da6a3ce929d0e0e4736-");
    assert_null(strstr(r.body.data, "00f067aa0ba902b7")); /* our own span */
    http_forget(&r);
    static const char *const bad[] = {
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e473G-00f067aa0ba902b7-01",
        "traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "traceparent: 4bf92f3577b34da6a3ce929d0e0e4736",
    };
    for (size_t i = 0; i < PR_COUNT(bad); i++) {
        r = http_once(h, "GET", "/v1/show/1", NULL, 0, (const char *[]){ bad[i], NULL });
        const char *t = strstr(r.body.data, "t=00-");
        assert_non_null(t);
        assert_int_equal(strlen(t), 2 + 55);
        assert_null(strstr(t, "4bf92f3577b34da6a3ce929d0e0e473"));
        http_forget(&r);
    }
    pr_http_close(h);
}

static void done_hears_of_every_response(void **state)
{
    (void)state;
    struct pr_http *h = http_start(http_options());
    static const struct {
        const char *target;
        int status;
        const struct pr_http_route *route;
    } row[] = { { "/v1/custom", 201, &http_routes[5] }, { "/v1/nowhere", 404, NULL } };
    for (int i = 0; i < 2; i++) {
        struct http_reply r = http_get(h, row[i].target);
        http_forget(&r);
        pthread_mutex_lock(&http_seen.lock);
        while (http_seen.count < i + 1)
            pthread_cond_wait(&http_seen.changed, &http_seen.lock);
        assert_int_equal(http_seen.status, row[i].status);
        assert_ptr_equal(http_seen.route, row[i].route);
        assert_true(http_seen.us >= 0);
        pthread_mutex_unlock(&http_seen.lock);
    }
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
        cmocka_unit_test(a_taken_port_is_named),
        cmocka_unit_test(two_routes_alike_are_refused),
        cmocka_unit_test(authorise_is_asked_before_the_body_is_read),
        cmocka_unit_test(the_callers_trace_goes_on),
        cmocka_unit_test(done_hears_of_every_response),
    };
    return http_run_tests(tests, PR_COUNT(tests));
}
