/* CloudWatch's GetMetricData against scripted answers on a loopback port: pages, states,
 * times in no order, errors; and what is asked and signed. */
#include "t.h"

#include "io/collectors/cloudwatch.h"

#include "prism/io/http.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t NOW = 1700000070000;  /* 10 s after a minute */
static const int64_t LAST = 1700000040000; /* end of the newest minute that has settled */

static struct {
    int status[4];
    const char *body[4];
    int calls;
    char asked[4][2048], target[80], type[64], authorization[512];
} script;

static struct pr_arena arena;
static struct autoscale_readings got;
static struct autoscale_span when;
static struct pr_aws_keys keys;
static struct autoscale_cloudwatch at;
static struct pr_http *server;
static char url[64];

static void keep_header(const struct pr_http_req *req, const char *name, char *out, size_t n)
{
    const char *v = pr_http_header(req, name);
    snprintf(out, n, "%s", v == NULL ? "" : v);
}

static void on_call(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const int i = script.calls < 4 ? script.calls : 3;
    (void)ctx;
    script.calls++;
    snprintf(script.asked[i], sizeof script.asked[i], "%.*s", (int)req->body_len,
             (const char *)req->body);
    keep_header(req, "X-Amz-Target", script.target, sizeof script.target);
    keep_header(req, "Content-Type", script.type, sizeof script.type);
    keep_header(req, "Authorization", script.authorization, sizeof script.authorization);
    res->status = script.status[i];
    res->content_type = "application/x-amz-json-1.0";
    pr_buf_str(&res->body, script.body[i] == NULL ? "" : script.body[i]);
}

static int begin(void **state)
{
    static const struct pr_http_route routes[] = { { "POST", "/", on_call, 0 } };
    const struct pr_http_options o = { .bind = "127.0.0.1",
                                       .max_body_bytes = 1 << 20,
                                       .max_connections = 8,
                                       .idle_timeout_s = 10,
                                       .routes = routes,
                                       .n_routes = 1 };
    struct pr_err err = { 0 };
    (void)state;
    memset(&script, 0, sizeof script);
    pr_arena_init(&arena, 0);
    assert_ok(pr_http_open(&server, &o, &err), &err);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", pr_http_port(server));
    got = (struct autoscale_readings){ .arena = &arena };
    when = (struct autoscale_span){ .now_ms = NOW, .from_ms = NOW - 300000 };
    keys = (struct pr_aws_keys){ .access = "AKIDEXAMPLE", .secret = "secret" };
    at = (struct autoscale_cloudwatch){
        .url = url, .region = "eu-west-1", .keys = &keys, .timeout_ms = 5000, .settle_ms = 20000
    };
    return 0;
}

static int end(void **state)
{
    (void)state;
    pr_http_close(server);
    pr_arena_done(&arena);
    return 0;
}

static const struct autoscale_cloudwatch_query cpu = {
    .ns = "AWS/EC2",
    .name = "CPUUtilization",
    .stat = "Average",
    .dimension = { { "AutoScalingGroupName", "hot" } },
    .dimensions = 1,
    .period_s = 60,
    .metric = AUTOSCALE_CPU,
    .member = "",
};

static void say(int i, int status, const char *body)
{
    script.status[i] = status;
    script.body[i] = body;
}

static enum pr_code collect(const struct autoscale_cloudwatch_query *q, size_t n,
                            struct pr_err *err)
{
    return autoscale_collect_cloudwatch(&at, q, n, &when, &got, err);
}

/* The one unknown reading of an answer, and why. */
static void expect_unknown(const char *why)
{
    assert_int_equal(got.n, 1);
    for (size_t m = 0; m < AUTOSCALE_METRICS; m++)
        assert_true(isnan(got.reading[0].value[m]));
    if (strstr(got.reading[0].why, why) == NULL)
        fail_msg("why is \"%s\", want \"%s\"", got.reading[0].why, why);
}

#define RESULT(id, status, times, values)                                                          \
    "{\"Id\":\"" id "\",\"Label\":\"l\",\"StatusCode\":\"" status "\",\"Timestamps\":[" times      \
    "],\"Values\":[" values "]}"
#define PAGE(results) "{\"MetricDataResults\":[" results "],\"Messages\":[]}"
#define PAGE_MORE(results, token)                                                                  \
    "{\"MetricDataResults\":[" results "],\"NextToken\":\"" token "\"}"

static void asks_signed_for_whole_minutes(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    json_error_t where;
    say(0, 200, PAGE(RESULT("q0", "Complete", "1699999980", "42.5")));
    assert_ok(collect(&cpu, 1, &err), &err);
    assert_string_equal(script.target, "GraniteServiceVersion20100801.GetMetricData");
    assert_string_equal(script.type, "application/x-amz-json-1.0");
    assert_non_null(strstr(script.authorization, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
    assert_non_null(strstr(script.authorization, "/eu-west-1/monitoring/aws4_request"));
    assert_non_null(strstr(script.authorization, "x-amz-target"));
    assert_null(strstr(script.authorization, "secret"));

    json_t *q = json_loads(script.asked[0], 0, &where);
    const char *id = "", *ns = "", *stat = "", *dim = "", *scan = "";
    json_int_t start = 0, stop = 0;
    int period = 0;
    assert_int_equal(json_unpack(q, "{s:I, s:I, s:s, s:[{s:s, s:{s:{s:s, s:[{s:s}]}, s:i, s:s}}]}",
                                 "StartTime", &start, "EndTime", &stop, "ScanBy", &scan,
                                 "MetricDataQueries", "Id", &id, "MetricStat", "Metric",
                                 "Namespace", &ns, "Dimensions", "Value", &dim, "Period", &period,
                                 "Stat", &stat),
                     0);
    assert_string_equal(id, "q0");
    assert_string_equal(ns, "AWS/EC2");
    assert_string_equal(dim, "hot");
    assert_string_equal(stat, "Average");
    assert_string_equal(scan, "TimestampAscending");
    assert_int_equal(period, 60);
    assert_int_equal(stop, LAST / 1000);
    assert_int_equal(start % 60, 0);
    assert_true(start <= when.from_ms / 1000 - 60);
    assert_null(json_object_get(q, "NextToken"));
    json_decref(q);

    assert_int_equal(got.n, 1);
    assert_int_equal(got.reading[0].at_ms, LAST); /* the end of its minute, not the begin */
    assert_int_equal(got.reading[0].received_ms, LAST);
    assert_true(got.reading[0].value[AUTOSCALE_CPU] == 42.5);
    assert_string_equal(got.reading[0].source, "cloudwatch cpu");
    assert_string_equal(got.reading[0].member, "");
}

static void pages_are_put_together(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct autoscale_cloudwatch_query q[2] = { cpu, cpu };
    q[0].member = "i-1";
    q[1].member = "i-2";
    q[1].metric = AUTOSCALE_NETWORK;
    q[1].scale = 8.0 / 60;
    say(0, 200, PAGE_MORE(RESULT("q0", "PartialData", "1699999860", "10"), "t1"));
    say(1, 200,
        PAGE_MORE(RESULT("q0", "Complete", "1699999920,1699999980",
                         "20,30") "," RESULT("q1", "PartialData", "", ""),
                  "t2"));
    say(2, 200, PAGE(RESULT("q1", "Complete", "1699999980", "6000")));
    assert_ok(collect(q, 2, &err), &err);
    assert_int_equal(script.calls, 3);
    assert_non_null(strstr(script.asked[1], "\"NextToken\":\"t1\""));
    assert_non_null(strstr(script.asked[2], "\"NextToken\":\"t2\""));
    assert_int_equal(got.n, 4);
    assert_true(got.reading[0].value[AUTOSCALE_CPU] == 10);
    assert_true(got.reading[2].value[AUTOSCALE_CPU] == 30);
    assert_string_equal(got.reading[2].member, "i-1");
    assert_string_equal(got.reading[3].member, "i-2");
    assert_true(got.reading[3].value[AUTOSCALE_NETWORK] == 6000 * (8.0 / 60));
}

static void what_is_not_complete_is_unknown(void **state)
{
    (void)state;
    static const struct {
        const char *body, *why;
    } row[] = {
        { PAGE(RESULT("q0", "PartialData", "1699999980", "42")), "PartialData" },
        { PAGE(RESULT("q0", "InternalError", "1699999980", "42")), "InternalError" },
        { "{\"MetricDataResults\":[{\"Id\":\"q0\",\"StatusCode\":\"Forbidden\",\"Messages\":[{"
          "\"Code\":\"x\",\"Value\":\"not yours\"}]}]}",
          "Forbidden: not yours" },
        { "{\"MetricDataResults\":[{\"Id\":\"q0\",\"Timestamps\":[1699999980],\"Values\":[1]}]}",
          "no status" },
        { PAGE(RESULT("q0", "Complete", "", "")), "no data points" },
        { PAGE(RESULT("q0", "Complete", "1600000000", "1")), "no data points" }, /* far too old */
        { PAGE(""), "no result" },
        { PAGE(RESULT("q0", "Complete", "1699999980", "1") ",{\"Id\":\"q0\",\"Label\":\"other\","
                                                           "\"StatusCode\":\"Complete\"}"),
          "several series" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { 0 };
        script.calls = 0;
        got.n = 0;
        say(0, 200, row[i].body);
        assert_ok(collect(&cpu, 1, &err), &err);
        expect_unknown(row[i].why);
    }
}

static void boundaries_of_the_time_that_counts(void **state)
{
    (void)state;
    static const struct {
        int64_t end_ms;
        bool in;
    } row[] = {
        { NOW - 20000 + 10000, false }, /* has not settled */
        { NOW - 20000, true },          /* just has */
        { NOW - 300000 + 1000, true },
        { NOW - 300000, false }, /* counted the last time */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { 0 };
        char body[256];
        snprintf(body, sizeof body, PAGE(RESULT("q0", "Complete", "%lld", "7")),
                 (long long)(row[i].end_ms / 1000 - 60));
        script.calls = 0;
        got.n = 0;
        say(0, 200, body);
        assert_ok(collect(&cpu, 1, &err), &err);
        assert_int_equal(got.n, 1);
        assert_int_equal(!isnan(got.reading[0].value[AUTOSCALE_CPU]), row[i].in);
    }
}

/* Merging sorts and counts them. */
static void times_in_no_order_and_twice_are_handed_on(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    say(0, 200,
        PAGE(RESULT("q0", "Complete", "1699999980,1699999860,1699999980,1699999920", "3,1,4,2")));
    assert_ok(collect(&cpu, 1, &err), &err);
    assert_int_equal(got.n, 4);
    struct autoscale_merge in = {
        .end_ms = LAST, .now_ms = NOW, .reading = got.reading, .readings = got.n
    };
    struct autoscale_merged m;
    assert_ok(autoscale_merge(&in, &arena, &m, &err), &err);
    assert_true(m.sample.cpu_pct == 3 || m.sample.cpu_pct == 4);
    assert_int_equal(m.odd[AUTOSCALE_ODD_DUPLICATE], 1);
    in.end_ms -= AUTOSCALE_MINUTE_MS;
    assert_ok(autoscale_merge(&in, &arena, &m, &err), &err);
    assert_true(m.sample.cpu_pct == 2);
}

static void labels_may_be_members(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct autoscale_cloudwatch_query q = { .expression = "SEARCH('x', 'Average')",
                                            .period_s = 300,
                                            .metric = AUTOSCALE_MEMORY,
                                            .by_label = true };
    when.from_ms = NOW - 900000;
    say(0, 200,
        "{\"MetricDataResults\":["
        "{\"Id\":\"q0\",\"Label\":\"n1\",\"StatusCode\":\"Complete\",\"Timestamps\":[1699999500],"
        "\"Values\":[10]},"
        "{\"Id\":\"q0\",\"Label\":\"n2\",\"StatusCode\":\"InternalError\"},"
        "{\"Id\":\"q0\",\"Label\":\"n3\",\"StatusCode\":\"Complete\",\"Timestamps\":[1699999500],"
        "\"Values\":[30]}]}");
    assert_ok(collect(&q, 1, &err), &err);
    assert_non_null(strstr(script.asked[0], "\"Expression\":\"SEARCH('x', 'Average')\""));
    assert_int_equal(got.n, 3);
    assert_string_equal(got.reading[0].member, "n1");
    assert_int_equal(got.reading[0].at_ms, 1699999800000);
    assert_true(got.reading[2].value[AUTOSCALE_MEMORY] == 30);
    assert_true(isnan(got.reading[1].value[AUTOSCALE_MEMORY]));
    got.n = 0;
    script.calls = 0;
    say(0, 200, PAGE("")); /* nobody is there: no reading, so nobody reports */
    assert_ok(collect(&q, 1, &err), &err);
    assert_int_equal(got.n, 0);
}

static void errors_keep_nothing_and_say_what_cloudwatch_said(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum pr_code want;
        const char *says;
    } row[] = {
        { 400, "{\"__type\":\"com.amazonaws.cloudwatch#ThrottlingException\",\"message\":\"Rate\"}",
          PR_EUNAVAIL, "ThrottlingException: Rate" },
        { 400, "{\"__type\":\"ExpiredTokenException\",\"Message\":\"expired\"}", PR_EDENIED,
          "ExpiredTokenException: expired" },
        { 400, "{\"__type\":\"x#UnrecognizedClientException\"}", PR_EDENIED, "UnrecognizedClient" },
        { 400, "{\"__type\":\"x#InvalidSignatureException\"}", PR_EDENIED, "Signature" },
        { 403, "", PR_EDENIED, "403" },
        { 400, "{\"__type\":\"x#InvalidParameterValueException\",\"message\":\"bad\"}", PR_EINVAL,
          "bad" },
        { 503, "<html>", PR_EUNAVAIL, "503" },
        { 500, "{\"__type\":\"x#InternalServiceFault\"}", PR_EUNAVAIL, "InternalServiceFault" },
        { 404, "", PR_EDATA, "404" },
        { 200, "", PR_EDATA, "not JSON" },
        { 200, "{}", PR_EDATA, "MetricDataResults" },
        { 200, PAGE(RESULT("q1", "Complete", "", "")), PR_EDATA, "nobody asked" },
        { 200, PAGE(RESULT("m1", "Complete", "", "")), PR_EDATA, "nobody asked" },
        { 200, PAGE(RESULT("q0x", "Complete", "", "")), PR_EDATA, "nobody asked" },
        { 200, PAGE(RESULT("q0", "Complete", "1,2", "3")), PR_EDATA, "2 times but 1 values" },
        { 200, PAGE(RESULT("q0", "Complete", "1", "\"x\"")), PR_EDATA, "no number" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { 0 };
        script.calls = 0;
        say(0, row[i].status, row[i].body);
        const enum pr_code rc = collect(&cpu, 1, &err);
        if (rc != row[i].want || strstr(err.text, row[i].says) == NULL)
            fail_msg("row %zu: %s: %s", i, pr_code_name(rc), err.text);
        assert_non_null(strstr(err.text, "127.0.0.1"));
        assert_null(strstr(err.text, "secret"));
        assert_int_equal(got.n, 0);
    }
}

static void pages_that_do_not_end(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    for (int i = 0; i < 4; i++)
        say(i, 200, PAGE_MORE(RESULT("q0", "Complete", "1699999980", "1"), "same"));
    assert_int_equal(collect(&cpu, 1, &err), PR_EDATA);
    assert_non_null(strstr(err.text, "itself"));
    assert_int_equal(got.n, 0);
    assert_int_equal(script.calls, 2);
    script.calls = 0;
    say(1, 400, "{\"__type\":\"x#ThrottlingException\"}"); /* in the middle */
    assert_int_equal(collect(&cpu, 1, &err), PR_EUNAVAIL);
    assert_int_equal(got.n, 0);
}

static void wrong_queries_are_not_sent(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct autoscale_cloudwatch_query q = cpu;
    q.period_s = 90;
    assert_int_equal(collect(&q, 1, &err), PR_EINVAL);
    q = cpu;
    q.stat = NULL;
    assert_int_equal(collect(&q, 1, &err), PR_EINVAL);
    q = cpu;
    q.expression = "1 + 1"; /* both */
    assert_int_equal(collect(&q, 1, &err), PR_EINVAL);
    q = cpu;
    q.dimension[0].value = "\xff"; /* dropping it would ask for another metric */
    assert_int_equal(collect(&q, 1, &err), PR_EINVAL);
    assert_int_equal(collect(&cpu, AUTOSCALE_CLOUDWATCH_QUERIES + 1, &err), PR_EINVAL);
    assert_int_equal(collect(&cpu, 0, &err), PR_OK);
    keys.access[0] = '\0';
    assert_int_equal(collect(&cpu, 1, &err), PR_EDENIED);
    assert_int_equal(script.calls, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        T(asks_signed_for_whole_minutes),
        T(pages_are_put_together),
        T(what_is_not_complete_is_unknown),
        T(boundaries_of_the_time_that_counts),
        T(times_in_no_order_and_twice_are_handed_on),
        T(labels_may_be_members),
        T(errors_keep_nothing_and_say_what_cloudwatch_said),
        T(pages_that_do_not_end),
        T(wrong_queries_are_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
