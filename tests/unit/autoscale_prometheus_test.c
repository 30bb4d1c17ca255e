/* Prometheus' answers as readings: what is a number, what is unknown, what is an error; and
 * what is asked, over HTTP on a loopback port. */
#include "t.h"

#include "io/collectors/prometheus.h"

#include "prism/io/http.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int64_t NOW = 1700000030500;
static struct pr_arena arena;
static struct autoscale_readings got;
static struct autoscale_span when;
static struct autoscale_prometheus_query ask;

static int begin(void **state)
{
    (void)state;
    pr_arena_init(&arena, 0);
    got = (struct autoscale_readings){ .arena = &arena };
    when = (struct autoscale_span){ .now_ms = NOW, .from_ms = NOW - 300000 };
    ask = (struct autoscale_prometheus_query){ .query = "up",
                                               .metric = AUTOSCALE_CPU,
                                               .scale = 100,
                                               .member_label = "instance",
                                               .zone_label = "zone" };
    return 0;
}

static int end(void **state)
{
    (void)state;
    pr_arena_done(&arena);
    return 0;
}

static enum pr_code read_body(long status, const char *body, struct pr_err *err)
{
    return autoscale_prometheus_read(&ask, &when, status, body, strlen(body), &got, err);
}

#define OK_(type, result)                                                                          \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"" type "\",\"result\":" result "}}"
#define SERIES(labels, rest) "{\"metric\":{" labels "}," rest "}"

static void a_vector_is_a_reading_a_member(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    assert_ok(
        read_body(
            200,
            OK_("vector", "[" SERIES("\"instance\":\"n1\",\"zone\":\"a\"",
                                     "\"value\":[1700000030.5,"
                                     "\"0.25\"]") "," SERIES("\"instance\":\"n2\"",
                                                             "\"value\":[1700000030.5,\"0\"]") "]"),
            &err),
        &err);
    assert_int_equal(got.n, 2);
    assert_string_equal(got.reading[0].member, "n1");
    assert_string_equal(got.reading[0].zone, "a");
    assert_string_equal(got.reading[0].source, "prometheus cpu");
    assert_int_equal(got.reading[0].at_ms, NOW);
    assert_int_equal(got.reading[0].received_ms, NOW);
    assert_true(got.reading[0].value[AUTOSCALE_CPU] == 25);
    assert_true(isnan(got.reading[0].value[AUTOSCALE_MEMORY]));
    assert_string_equal(got.reading[1].zone, "");
    assert_true(got.reading[1].value[AUTOSCALE_CPU] == 0);
    assert_string_equal(got.note, "");
}

static void what_is_no_number_is_unknown(void **state)
{
    (void)state;
    static const struct {
        const char *value, *why;
    } row[] = {
        { "\"value\":[1,\"NaN\"]", "NaN" },
        { "\"value\":[1,\"+Inf\"]", "infinite" },
        { "\"value\":[1,\"-Inf\"]", "infinite" },
        { "\"value\":[1,\"1e308\"]", "infinite" }, /* once it is multiplied */
        { "\"histogram\":[1,{\"count\":\"5\"}]", "histogram" },
    };
    char body[512];
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { 0 };
        got.n = 0;
        snprintf(body, sizeof body, OK_("vector", "[" SERIES("\"instance\":\"n1\"", "%s") "]"),
                 row[i].value);
        assert_ok(read_body(200, body, &err), &err);
        assert_int_equal(got.n, 1);
        assert_string_equal(got.reading[0].member, "n1");
        assert_true(isnan(got.reading[0].value[AUTOSCALE_CPU]));
        assert_non_null(strstr(got.reading[0].why, row[i].why));
    }
}

static void a_scalar_is_of_the_whole_fleet(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    assert_int_equal(read_body(200, OK_("scalar", "[1700000000,\"3\"]"), &err), PR_EDATA);
    assert_non_null(strstr(err.text, "of no member"));
    ask.member_label = "";
    ask.metric = AUTOSCALE_LOAD;
    ask.scale = 0; /* not said: 1 */
    assert_ok(read_body(200, OK_("scalar", "[1700000000,\"3.5\"]"), &err), &err);
    assert_string_equal(got.reading[0].member, "");
    assert_true(got.reading[0].value[AUTOSCALE_LOAD] == 3.5);
    assert_int_equal(got.reading[0].at_ms, 1700000000000);
}

static void one_series_without_labels_is_the_fleet(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    ask.member_label = "";
    assert_ok(read_body(200, OK_("vector", "[" SERIES("", "\"value\":[1,\"0.5\"]") "]"), &err),
              &err);
    assert_string_equal(got.reading[0].member, "");
    assert_int_equal(
        read_body(200,
                  OK_("vector", "[" SERIES("\"a\":\"1\"", "\"value\":[1,\"0.5\"]") "," SERIES(
                                    "\"a\":\"2\"", "\"value\":[1,\"0.5\"]") "]"),
                  &err),
        PR_EDATA);
    assert_non_null(strstr(err.text, "aggregate"));
    assert_int_equal(got.n, 1);
}

static void a_matrix_keeps_its_times(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    ask.step_ms = 60000;
    assert_ok(read_body(200,
                        OK_("matrix", "[" SERIES("\"instance\":\"n1\"",
                                                 "\"values\":[[1699999920,\"0.1\"],[1699999980,"
                                                 "\"NaN\"],[1700000040,\"0.3\"]]") "]"),
                        &err),
              &err);
    assert_int_equal(got.n, 3);
    assert_int_equal(got.reading[0].at_ms, 1699999920000);
    assert_int_equal(got.reading[0].received_ms, 1699999920000); /* it was there in time */
    assert_true(isnan(got.reading[1].value[AUTOSCALE_CPU]));
    assert_int_equal(got.reading[2].received_ms, NOW); /* ahead of us: not a time we had it */
}

static void warnings_make_sums_unknown_not_members(void **state)
{
    (void)state;
    static const char body[] =
        "{\"status\":\"success\",\"warnings\":[\"one store is away\",\"and\\nanother\"],\"infos\":"
        "[\"x\"],\"data\":{\"resultType\":\"vector\",\"result\":[" SERIES(
            "\"instance\":\"n1\"", "\"value\":[1,\"0.5\"]") "]"
                                                            "}}";
    struct pr_err err = { 0 };
    assert_ok(read_body(200, body, &err), &err);
    assert_true(got.reading[0].value[AUTOSCALE_CPU] == 50);
    assert_non_null(strstr(got.note, "one store is away; and?another"));
    got.n = 0;
    ask.member_label = "";
    assert_ok(read_body(200, body, &err), &err);
    assert_true(isnan(got.reading[0].value[AUTOSCALE_CPU]));
    assert_non_null(strstr(got.reading[0].why, "one store is away"));
}

static void bad_answers_are_errors_that_say_why(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *body;
        enum pr_code want;
        const char *says;
    } row[] = {
        { 200, "", PR_EDATA, "Prometheus API" },
        { 200, "<html>", PR_EDATA, "Prometheus API" },
        { 200, "{}", PR_EDATA, "status" },
        { 200, "[]", PR_EDATA, "status" },
        { 200, "{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"took long\"}", PR_EDATA,
          "took long" },
        { 200, "{\"status\":\"success\"}", PR_EDATA, "no result" },
        { 200, OK_("vector", "{}"), PR_EDATA, "no result" },
        { 200, OK_("string", "[1,\"x\"]"), PR_EDATA, "string" },
        { 200, OK_("vector", "[]"), PR_ENOTFOUND, "no series" },
        { 200, OK_("matrix", "[]"), PR_ENOTFOUND, "no series" },
        { 200, OK_("vector", "[" SERIES("", "\"value\":[1,\"1\"]") "]"), PR_EDATA, "instance" },
        { 200, OK_("vector", "[1]"), PR_EDATA, "instance" },
        { 200, OK_("vector", "[" SERIES("\"instance\":\"n1\"", "\"value\":[1]") "]"), PR_EDATA,
          "value" },
        { 200, OK_("vector", "[" SERIES("\"instance\":\"n1\"", "\"value\":[1,2]") "]"), PR_EDATA,
          "value" },
        { 200, OK_("vector", "[" SERIES("\"instance\":\"n1\"", "\"value\":[1,\"\"]") "]"), PR_EDATA,
          "value" },
        { 200, OK_("vector", "[" SERIES("\"instance\":\"n1\"", "\"value\":[1,\"5x\"]") "]"),
          PR_EDATA, "value" },
        { 200, OK_("vector", "[" SERIES("\"instance\":\"n1\"", "\"value\":[-1,\"5\"]") "]"),
          PR_EDATA, "value" },
        { 200, OK_("vector", "[" SERIES("\"instance\":\"n1\"", "\"x\":1") "]"), PR_EDATA,
          "no values" },
        { 200,
          OK_("vector",
              "[" SERIES("\"instance\":\"n1\",\"cpu\":\"0\"", "\"value\":[1,\"1\"]") "," SERIES(
                  "\"instance\":\"n1\",\"cpu\":\"1\"", "\"value\":[1,\"1\"]") "]"),
          PR_EDATA, "two series of member \"n1\"" },
        { 400, "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"parse error\"}",
          PR_EINVAL, "400: parse error" },
        { 422, "{\"status\":\"error\",\"error\":\"too many samples\"}", PR_EINVAL, "too many" },
        { 404, "no such page", PR_EINVAL, "404" },
        { 401, "", PR_EDENIED, "401" },
        { 403, "{\"error\":\"no\"}", PR_EDENIED, "403: no" },
        { 429, "", PR_EUNAVAIL, "429" },
        { 503, "{\"status\":\"error\",\"error\":\"query timed out\"}", PR_EUNAVAIL, "timed out" },
        { 502, "<html>bad gateway</html>", PR_EUNAVAIL, "502" },
        { 302, "", PR_EDATA, "302" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { 0 };
        const enum pr_code rc = read_body(row[i].status, row[i].body, &err);
        if (rc != row[i].want || strstr(err.text, row[i].says) == NULL)
            fail_msg("row %zu: %s: %s", i, pr_code_name(rc), err.text);
        assert_int_equal(got.n, 0);
    }
}

/* --- over HTTP ----------------------------------------------------------- */

static struct {
    char path[64], body[1024], authorization[128], type[64];
    int calls;
} seen;

static void on_query(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *auth = pr_http_header(req, "Authorization"),
               *type = pr_http_header(req, "Content-Type");
    (void)ctx;
    seen.calls++;
    snprintf(seen.path, sizeof seen.path, "%s", req->path);
    snprintf(seen.body, sizeof seen.body, "%.*s", (int)req->body_len, (const char *)req->body);
    snprintf(seen.authorization, sizeof seen.authorization, "%s", auth == NULL ? "" : auth);
    snprintf(seen.type, sizeof seen.type, "%s", type == NULL ? "" : type);
    pr_buf_str(&res->body, OK_("vector", "[" SERIES("\"instance\":\"n1\"",
                                                    "\"value\":[1700000030.5,\"0.5\"]") "]"));
}

static void on_range(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    on_query(ctx, req, res);
    pr_buf_reset(&res->body);
    pr_buf_str(&res->body, OK_("matrix", "[" SERIES("\"instance\":\"n1\"",
                                                    "\"values\":[[1699999980,\"0.5\"]]") "]"));
}

static struct pr_http *serve(char *url, size_t n)
{
    static const struct pr_http_route routes[] = {
        { "POST", "/prom/api/v1/query", on_query, 0 },
        { "POST", "/prom/api/v1/query_range", on_range, 0 },
    };
    const struct pr_http_options o = { .bind = "127.0.0.1",
                                       .max_body_bytes = 1 << 20,
                                       .max_connections = 8,
                                       .idle_timeout_s = 10,
                                       .routes = routes,
                                       .n_routes = PR_COUNT(routes) };
    struct pr_http *h = NULL;
    struct pr_err err = { 0 };
    assert_ok(pr_http_open(&h, &o, &err), &err);
    memset(&seen, 0, sizeof seen);
    snprintf(url, n, "http://127.0.0.1:%d/prom/", pr_http_port(h));
    return h;
}

static void asks_with_a_token_from_a_file(void **state)
{
    (void)state;
    char url[64], path[] = "/tmp/prism-token-XXXXXX";
    struct pr_http *h = serve(url, sizeof url);
    struct pr_err err = { 0 };
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "secret\n", 7) == 7 && close(fd) == 0);
    const struct autoscale_prometheus at = { .url = url, .bearer_file = path, .timeout_ms = 5000 };
    ask.query = "avg by (instance) (rate(cpu{job=\"x\"}[1m])) + 1";
    const enum pr_code rc = autoscale_collect_prometheus(&at, &ask, &when, &got, &err);
    unlink(path);
    pr_http_close(h);
    assert_ok(rc, &err);
    assert_int_equal(got.n, 1);
    assert_string_equal(seen.path, "/prom/api/v1/query");
    assert_string_equal(seen.type, "application/x-www-form-urlencoded");
    assert_string_equal(seen.authorization, "Bearer secret");
    assert_string_equal(seen.body,
                        "query=avg%20by%20%28instance%29%20%28rate%28cpu%7Bjob%3D%22x%22%7D%5B1m"
                        "%5D%29%29%20%2B%201&time=1700000030.500&lookback_delta=60.000&timeout="
                        "5.000");
}

static void a_range_is_asked_on_whole_steps(void **state)
{
    (void)state;
    char url[64];
    struct pr_http *h = serve(url, sizeof url);
    struct pr_err err = { 0 };
    const struct autoscale_prometheus at = { .url = url, .timeout_ms = 5000 };
    ask.step_ms = 60000;
    assert_ok(autoscale_collect_prometheus(&at, &ask, &when, &got, &err), &err);
    assert_string_equal(seen.path, "/prom/api/v1/query_range");
    /* (NOW - 300 s, NOW]: from 1699999730.5 on, the first minute that ends later */
    assert_string_equal(seen.body, "query=up&start=1699999740.000&end=1699999980.000&step=60.000&"
                                   "lookback_delta=60.000&timeout=5.000");
    assert_string_equal(seen.authorization, "");
    when.from_ms = NOW - 10; /* no whole minute lies in it */
    assert_ok(autoscale_collect_prometheus(&at, &ask, &when, &got, &err), &err);
    assert_int_equal(seen.calls, 1);
    pr_http_close(h);
}

static void nobody_there_is_unavailable_and_named(void **state)
{
    (void)state;
    char url[64];
    struct pr_err err = { 0 };
    pr_http_close(serve(url, sizeof url)); /* a port where nobody listens any more */
    struct autoscale_prometheus at = { .url = url, .timeout_ms = 2000 };
    assert_int_equal(autoscale_collect_prometheus(&at, &ask, &when, &got, &err), PR_EUNAVAIL);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_non_null(strstr(err.text, "cpu"));
    at.bearer_file = "/nonexistent/token";
    assert_int_equal(autoscale_collect_prometheus(&at, &ask, &when, &got, &err), PR_EDENIED);
    assert_non_null(strstr(err.text, "/nonexistent/token"));
    at = (struct autoscale_prometheus){ .url = "ftp://x", .timeout_ms = 100 };
    assert_int_equal(autoscale_collect_prometheus(&at, &ask, &when, &got, &err), PR_EINVAL);
    assert_int_equal(got.n, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        T(a_vector_is_a_reading_a_member),
        T(what_is_no_number_is_unknown),
        T(a_scalar_is_of_the_whole_fleet),
        T(one_series_without_labels_is_the_fleet),
        T(a_matrix_keeps_its_times),
        T(warnings_make_sums_unknown_not_members),
        T(bad_answers_are_errors_that_say_why),
        T(asks_with_a_token_from_a_file),
        T(a_range_is_asked_on_whole_steps),
        T(nobody_there_is_unavailable_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
