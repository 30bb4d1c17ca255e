/* The sources of a fleet's settings: what may be said, and where an error is; and asking
 * them all when some fail. */
#include "t.h"

#include "io/collectors/sources.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct pr_arena arena;
static struct autoscale_sources got;

static int begin(void **state)
{
    (void)state;
    pr_arena_init(&arena, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pr_arena_done(&arena);
    return 0;
}

static enum pr_code read_text(const char *text, struct pr_err *err)
{
    json_error_t where;
    json_t *o = json_loads(text, JSON_DECODE_ANY, &where);
    assert_non_null(o);
    const enum pr_code rc = autoscale_sources_read(o, "sources", &arena, &got, err);
    json_decref(o);
    return rc;
}

static void every_kind_with_its_defaults(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    assert_ok(read_text("[{\"kind\":\"redis\",\"vcpus\":16,\"memory_gb\":128},"
                        "{\"kind\":\"prometheus\",\"metric\":\"network\",\"query\":\"up\"},"
                        "{\"kind\":\"cloudwatch\",\"metric\":\"cpu\",\"ns\":\"AWS/EC2\",\"name\":"
                        "\"CPUUtilization\",\"stat\":\"Average\",\"dimension\":[{\"name\":\"g\","
                        "\"value\":\"hot\"}],\"period_s\":300},"
                        "{\"kind\":\"cloudwatch\",\"metric\":\"load\",\"expression\":\"1\"},"
                        "{\"kind\":\"jetstream\",\"stream\":\"S\",\"consumer\":\"c\"},"
                        "{\"kind\":\"bus\"}]",
                        &err),
              &err);
    assert_int_equal(got.n, 6);
    assert_true(got.source[0].is.redis.vcpus == 16);
    assert_true(got.source[0].is.redis.memory_gb == 128);
    const struct autoscale_prometheus_query *p = &got.source[1].is.prometheus;
    assert_int_equal(p->metric, AUTOSCALE_NETWORK);
    assert_true(p->scale == 1);
    assert_string_equal(p->member_label, "");
    assert_string_equal(p->zone_label, "");
    assert_int_equal(p->step_ms, 0);
    const struct autoscale_cloudwatch_query *c = &got.source[2].is.cloudwatch;
    assert_string_equal(c->ns, "AWS/EC2");
    assert_int_equal(c->dimensions, 1);
    assert_string_equal(c->dimension[0].value, "hot");
    assert_int_equal(c->period_s, 300);
    assert_string_equal(c->member, "");
    assert_null(c->expression);
    assert_int_equal(got.source[3].is.cloudwatch.period_s, 60);
    assert_string_equal(got.source[4].is.jetstream.consumer, "c");
    assert_int_equal(got.source[5].kind, AUTOSCALE_SOURCE_BUS);
    assert_ok(read_text("[]", &err), &err);
    assert_int_equal(got.n, 0);
}

static void metrics_are_called_as_everywhere(void **state)
{
    (void)state;
    for (int m = 0; m < AUTOSCALE_METRICS; m++) {
        char text[200];
        struct pr_err err = { 0 };
        snprintf(text, sizeof text, "[{\"kind\":\"prometheus\",\"metric\":\"%s\",\"query\":\"1\"}]",
                 autoscale_metric_name((enum autoscale_metric)m));
        assert_ok(read_text(text, &err), &err);
        assert_int_equal(got.source[0].is.prometheus.metric, m);
    }
}

static void errors_name_the_path(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } row[] = {
        { "{}", "sources: want an array" },
        { "[1]", "sources[0]: want an object with \"kind\"" },
        { "[{\"kind\":\"bus\"},{\"kind\":\"snmp\"}]", "sources[1]: want" },
        { "[{\"kind\":\"redis\",\"url\":\"x\"}]", "url" },
        { "[{\"kind\":\"prometheus\",\"metric\":\"cpu\",\"query\":\"1\",\"bearer_file\":"
          "\"/etc/shadow\"}]",
          "bearer_file" }, /* files and addresses are not a fleet's to choose */
        { "[{\"kind\":\"prometheus\",\"metric\":\"cpu\",\"query\":\"1\",\"url\":\"http://x\"}]",
          "url" },
        { "[{\"kind\":\"prometheus\",\"query\":\"1\"}]", "sources[0].metric: is missing" },
        { "[{\"kind\":\"prometheus\",\"metric\":\"disk\",\"query\":\"1\"}]", "sources[0].metric" },
        { "[{\"kind\":\"prometheus\",\"metric\":\"cpu\"}]", "sources[0].query: is missing" },
        { "[{\"kind\":\"prometheus\",\"metric\":\"cpu\",\"query\":\"1\",\"scale\":0}]",
          "sources[0].scale" },
        { "[{\"kind\":\"prometheus\",\"metric\":\"cpu\",\"query\":\"1\",\"scale\":-1}]",
          "sources[0].scale" },
        { "[{\"kind\":\"cloudwatch\",\"metric\":\"cpu\"}]", "either expression" },
        { "[{\"kind\":\"cloudwatch\",\"metric\":\"cpu\",\"expression\":\"1\",\"ns\":\"x\"}]",
          "either expression" },
        { "[{\"kind\":\"cloudwatch\",\"metric\":\"cpu\",\"ns\":\"x\",\"name\":\"y\"}]",
          "either expression" },
        { "[{\"kind\":\"cloudwatch\",\"metric\":\"cpu\",\"expression\":\"1\",\"period_s\":59}]",
          "period_s" },
        { "[{\"kind\":\"cloudwatch\",\"metric\":\"cpu\",\"expression\":\"1\",\"period_s\":90}]",
          "period_s" },
        { "[{\"kind\":\"cloudwatch\",\"metric\":\"cpu\",\"ns\":\"x\",\"name\":\"y\",\"stat\":\"z\","
          "\"dimension\":[{\"name\":\"a\"}]}]",
          "sources[0].dimension[0].value: is missing" },
        { "[{\"kind\":\"jetstream\",\"stream\":\"S\"}]", "sources[0].consumer: is missing" },
        { "[{\"kind\":\"redis\"},{\"kind\":\"redis\"}]", "sources[1]: redis is named twice" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { 0 };
        assert_int_equal(read_text(row[i].text, &err), PR_EINVAL);
        if (strstr(err.text, row[i].says) == NULL)
            fail_msg("row %zu: %s", i, err.text);
        assert_int_equal(got.n, 0);
    }
}

static void no_more_than_fit(void **state)
{
    (void)state;
    char text[2048] = "[";
    struct pr_err err = { 0 };
    for (int i = 0; i < AUTOSCALE_SOURCES; i++)
        strcat(text, i == 0 ? "{\"kind\":\"bus\"}" : ",{\"kind\":\"bus\"}");
    const size_t n = strlen(text);
    strcpy(text + n, "]");
    assert_ok(read_text(text, &err), &err);
    assert_int_equal(got.n, AUTOSCALE_SOURCES);
    strcpy(text + n, ",{\"kind\":\"bus\"}]");
    assert_int_equal(read_text(text, &err), PR_EINVAL);
}

/* What is not configured or not there is unknown, each by its own name; the rest goes on. */
static void sources_that_fail_are_unknown_one_by_one(void **state)
{
    (void)state;
    const struct autoscale_prometheus nobody = { .url = "http://127.0.0.1:1", .timeout_ms = 1000 };
    const struct autoscale_endpoints at = { .prometheus = &nobody };
    const struct autoscale_span when = { .now_ms = 1700000000000, .from_ms = 1699999940000 };
    struct autoscale_readings out = { .arena = &arena };
    struct autoscale_redis_memory memory = { 0 };
    struct autoscale_asked asked[AUTOSCALE_SOURCES];
    struct pr_err err = { 0 };
    assert_ok(read_text("[{\"kind\":\"redis\"},"
                        "{\"kind\":\"prometheus\",\"metric\":\"cpu\",\"query\":\"up\"},"
                        "{\"kind\":\"cloudwatch\",\"metric\":\"memory\",\"expression\":\"1\"},"
                        "{\"kind\":\"bus\"},"
                        "{\"kind\":\"jetstream\",\"stream\":\"S\",\"consumer\":\"c\"}]",
                        &err),
              &err);
    assert_int_equal(autoscale_collect(&at, &got, &when, &memory, &out, asked), 4);
    assert_int_equal(out.n, 4);
    assert_int_equal(asked[0].rc, PR_EINVAL);
    assert_non_null(strstr(asked[0].err.text, "redis is not configured"));
    assert_int_equal(asked[1].rc, PR_EUNAVAIL);
    assert_int_equal(asked[2].rc, PR_EINVAL);
    assert_int_equal(asked[3].rc, PR_OK);
    assert_int_equal(asked[4].rc, PR_EINVAL);
    for (size_t i = 0; i < out.n; i++) {
        assert_int_not_equal(out.reading[i].why[0], '\0');
        for (size_t m = 0; m < AUTOSCALE_METRICS; m++)
            assert_true(isnan(out.reading[i].value[m]));
    }
    assert_string_equal(out.reading[1].source, "prometheus cpu");
    struct autoscale_merge in = { .end_ms = 1699999980000 + 60000,
                                  .now_ms = 1700000100000,
                                  .reading = out.reading,
                                  .readings = out.n };
    struct autoscale_merged merged;
    assert_ok(autoscale_merge(&in, &arena, &merged, &err), &err);
    assert_false(merged.measured); /* nobody said a number: no sample, not zero */
    assert_int_equal(merged.odd[AUTOSCALE_ODD_EMPTY], 4);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        T(every_kind_with_its_defaults),
        T(metrics_are_called_as_everywhere),
        T(errors_name_the_path),
        T(no_more_than_fit),
        T(sources_that_fail_are_unknown_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
