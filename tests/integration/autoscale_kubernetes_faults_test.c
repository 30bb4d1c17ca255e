/* The Kubernetes actuator when its answers are refusals, late, malformed or none; tokens and
 * certificates. */
#include "autoscale_kube_stage.h"

#include "t.h"

#include <string.h>
#include <unistd.h>

static void throttling_is_waited_for_as_asked(void **state)
{
    struct provider *p = *state;

    provider_fault(
        p, "PATCH scale", 1,
        "\"status\": 429, \"code\": \"TooManyRequests\", \"headers\": {\"Retry-After\": \"3\"}");
    provider_fault(
        p, "PATCH scale", 1,
        "\"status\": 429, \"code\": \"TooManyRequests\", \"details\": {\"retryAfterSeconds\": 9}");
    provider_fault(p, "PATCH scale", 1, "\"status\": 503, \"code\": \"ServiceUnavailable\"");
    assert_ok(provider_set(p, PROXY, 4), &p->err);
    assert_int_equal(p->gaps, 3);
    assert_true(p->gap[0] >= 3000 && p->gap[0] <= 3200);
    assert_true(p->gap[1] >= 9000 && p->gap[1] <= 9400);
    assert_true(p->gap[2] <= 800);

    provider_fault(p, "GET scale", 1000, "\"status\": 500, \"code\": \"InternalError\"");
    assert_int_equal(provider_set(p, PROXY, 5), PR_EUNAVAIL);
    assert_non_null(strstr(p->err.text, "kubernetes deployments/proxy-a: GET: HTTP status 500 "
                                        "InternalError"));
    assert_non_null(strstr(p->err.text, "gave up after"));
}

static void refusals_are_sent_once(void **state)
{
    struct provider *p = *state;
    static const struct {
        const char *what, *says;
        enum pr_code code;
    } row[] = {
        { "\"status\": 401, \"code\": \"Unauthorized\", \"message\": \"Unauthorized\"",
          "HTTP status 401 Unauthorized: Unauthorized", PR_EDENIED },
        { "\"status\": 403, \"code\": \"Forbidden\", \"message\": \"User cannot patch\"",
          "User cannot patch", PR_EDENIED },
        { "\"status\": 404, \"code\": \"NotFound\", \"message\": \"not found\"", "not found",
          PR_ENOTFOUND },
        { "\"status\": 422, \"code\": \"Invalid\", \"message\": \"must be positive\"",
          "must be positive", PR_EINVAL },
        { "\"status\": 400, \"body\": \"what?\"", "HTTP status 400", PR_EINVAL },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        provider_fault(p, "PATCH scale", 1, row[i].what);
        assert_int_equal(provider_set(p, PROXY, 4), row[i].code);
        assert_false(p->sent);
        if (strstr(p->err.text, row[i].says) == NULL ||
            strstr(p->err.text, "kubernetes deployments/proxy-a") == NULL)
            fail_msg("row %zu: %s", i, p->err.text);
        assert_int_equal(times_said(provider_log(p), "PATCH"), 1);
    }
    assert_int_equal(p->gaps, 0);
}

static void malformed_answers_change_nothing(void **state)
{
    struct provider *p = *state;
    static const char *const BODY[] = {
        "",
        "<html>Sign in</html>",
        "[]",
        "{\\\"spec\\\": {\\\"replicas\\\": 2}}",
        "{\\\"spec\\\": {\\\"replicas\\\": \\\"2\\\"}, \\\"status\\\": {\\\"replicas\\\": 2}}",
        "{\\\"spec\\\": {\\\"replicas\\\": -1}, \\\"status\\\": {\\\"replicas\\\": 2}}",
        "{\\\"spec\\\": {\\\"replicas\\\": 2.5}, \\\"status\\\": {\\\"replicas\\\": 2}}",
        "{\\\"spec\\\": {\\\"replicas\\\": 99999999999}, \\\"status\\\": {\\\"replicas\\\": 2}}",
        "{\\\"spec\\\": {\\\"replicas\\\": 2}, \\\"status\\\": {\\\"replicas\\\": nu",
        "{\\\"spec\\\": 4, \\\"status\\\": {\\\"replicas\\\": 2}}",
    };
    char what[256];

    for (size_t i = 0; i < PR_COUNT(BODY); i++) {
        (void)snprintf(what, sizeof what, "\"status\": 200, \"body\": \"%s\"", BODY[i]);
        provider_fault(p, "GET scale", 1, what);
        if (provider_set(p, PROXY, 4) != PR_EDATA ||
            strncmp(p->err.text, "kubernetes deployments/proxy-a", 30) != 0)
            fail_msg("row %zu: %s", i, p->err.text);
        assert_int_equal(times_said(provider_log(p), "PATCH"), 0);
    }
    provider_fault(p, "GET pods", 1, "\"status\": 200, \"body\": \"{\\\"items\\\": 3}\"");
    assert_ok(provider_describe(p), &p->err);
    assert_int_equal(p->report.target[PROXY].code, PR_EDATA);
    assert_int_equal(p->report.target[REDIS].code, PR_OK);
    provider_fault(
        p, "GET pods", 1000,
        "\"status\": 200, \"body\": \"{\\\"items\\\": [], \\\"metadata\\\": {\\\"continue\\\":"
        "\\\"again\\\"}}\"");
    assert_int_equal(provider_describe(p), PR_EDATA);
    assert_non_null(strstr(p->err.text, "pages without an end"));
}

static void late_answers_are_not_waited_for(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);

    s.pace.timeout_ms = 120;
    s.pace.deadline_ms = 1000; /* of the test's clock */
    provider_open(p, &s);
    provider_fault(p, "GET scale", 1000, "\"stall\": true");
    assert_int_equal(provider_set(p, PROXY, 4), PR_ETIMEOUT);
    assert_non_null(strstr(p->err.text, "no answer in "));
    assert_int_equal(provider_settle(p, PROXY, 2, 4).outcome, AUTOSCALE_UNKNOWN_STATE);

    s = settings_of(p);
    s.endpoint = "http://127.0.0.1:1/";
    provider_open(p, &s);
    assert_int_equal(provider_set(p, PROXY, 4), PR_EUNAVAIL);
}

/* --- tokens and certificates ------------------------------------------------------------------ */

static void token_is_read_anew_for_each_request(void **state)
{
    struct provider *p = *state;

    assert_ok(provider_set(p, PROXY, 3), &p->err);
    provider_tell(p, "{\"set\": {\"tokens\": [\"second\"]}}"); /* rotated: ours is out of date */
    assert_int_equal(provider_set(p, PROXY, 4), PR_EDENIED);
    const struct autoscale_settlement s = provider_settle(p, PROXY, 3, 4);
    assert_int_equal(s.outcome, AUTOSCALE_REFUSED);
    assert_true(s.alarm);
    provider_write(p, "token", "second", token_path);
    assert_ok(provider_set(p, PROXY, 4), &p->err);
    assert_true(p->sent);

    static const char *const BAD[] = { "", "\n", "two words", "a\r\nX-Evil: 1\r\n", "\xc3\xbc" };
    for (size_t i = 0; i < PR_COUNT(BAD); i++) {
        provider_write(p, "token", BAD[i], token_path);
        assert_int_equal(provider_set(p, PROXY, 5), PR_EDENIED);
        assert_non_null(strstr(p->err.text, "holds no token"));
    }
    assert_int_equal(unlink(token_path), 0);
    assert_int_equal(provider_set(p, PROXY, 5), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "No such file"));
    assert_int_equal(times_said(provider_log(p), " 401"), 2 + 1);
}

static void token_goes_to_no_other_machine_in_the_clear(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);
    static const char *const URL[] = { "http://kubernetes.default.svc", "http://192.0.2.1:6443",
                                       "http://127.example.org", "http://localhost.example.org" };

    for (size_t i = 0; i < PR_COUNT(URL); i++) {
        s.endpoint = URL[i];
        provider_open(p, &s);
        assert_int_equal(provider_set(p, PROXY, 4), PR_EINVAL);
        assert_non_null(strstr(p->err.text, "nothing secret is sent over plain http"));
    }
}

static void make_ca(struct provider *p, const char *name, char cert[64], char key[64])
{
    (void)snprintf(cert, 64, "%s/%s.pem", p->dir, name);
    (void)snprintf(key, 64, "%s/%s.key", p->dir, name);
    provider_run((const char *const[]){
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", "/CN=kubernetes", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", key, "-out", cert, NULL });
}

static void certificates_are_verified(void **state)
{
    struct provider *p = *state, tls;
    char cert[64], key[64], other[64], other_key[64], none[96];

    make_ca(p, "ours", cert, key);
    make_ca(p, "other", other, other_key);
    provider_start(&tls, "kubernetes", cert, key);
    provider_tell(&tls, "{\"set\": {\"objects\": {"
                        "\"deployments/proxy-a\": {\"replicas\": 2, \"version\": 7, \"pods\": []},"
                        "\"statefulsets/redis-b\": {\"replicas\": 0, \"version\": 1}}}}");
    struct autoscale_provider s = settings_of(&tls);
    s.ca_file = cert;
    provider_open(&tls, &s);
    assert_ok(provider_set(&tls, PROXY, 4), &tls.err);
    assert_true(tls.sent);
    (void)provider_log(&tls);

    s.ca_file = other; /* somebody else's */
    provider_open(&tls, &s);
    assert_int_equal(provider_set(&tls, PROXY, 5), PR_EDENIED);
    assert_non_null(strstr(tls.err.text, "127.0.0.1: its certificate is not trusted"));
    s.ca_file = ""; /* the system's: they do not know it either */
    provider_open(&tls, &s);
    assert_int_equal(provider_set(&tls, PROXY, 5), PR_EDENIED);
    (void)snprintf(none, sizeof none, "%s/none.pem", p->dir);
    s.ca_file = none;
    provider_open(&tls, &s);
    assert_int_equal(provider_set(&tls, PROXY, 5), PR_EINVAL);
    assert_non_null(strstr(tls.err.text, none));

    char url[64]; /* the right authority, for another name */
    (void)snprintf(url, sizeof url, "https://localhost:%d", tls.port);
    s.ca_file = cert;
    s.endpoint = url;
    provider_open(&tls, &s);
    assert_int_equal(provider_set(&tls, PROXY, 5), PR_EDENIED);
    assert_string_equal(provider_log(&tls), ""); /* no token was sent to any of them */
    assert_int_equal(tls.gaps, 0);
    provider_stop(&tls);
}

static void wrong_settings_are_named(void **state)
{
    struct provider *p = *state;
    struct autoscale_actuator *a = NULL;
    struct autoscale_target t[1] = { { "", 0, -1 } };
    static const char *const NAME[] = { "proxy-a",         "deployments/",
                                        "deployments/A",   "deployments/a/../b",
                                        "daemonsets/x",    "statefulsets/a?b",
                                        "deployments/a..b" };
    static const char *const SPACE[] = { "", "a/b", "A", "a.b" };

    for (size_t i = 0; i < PR_COUNT(NAME); i++) {
        struct autoscale_provider s = settings_of(p);
        (void)strcpy(t[0].name, NAME[i]);
        s.target = t, s.targets = 1;
        assert_int_equal(autoscale_actuator_open(&s, &a, &p->err), PR_EINVAL);
        assert_non_null(strstr(p->err.text, NAME[i]));
    }
    for (size_t i = 0; i < PR_COUNT(SPACE); i++) {
        struct autoscale_provider s = settings_of(p);
        s.space = SPACE[i];
        assert_int_equal(autoscale_actuator_open(&s, &a, &p->err), PR_EINVAL);
        assert_non_null(strstr(p->err.text, "is no namespace"));
    }
    assert_int_equal(provider_set(p, 2, 1), PR_EINVAL);
    assert_int_equal(provider_set(p, PROXY, -1), PR_EINVAL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, kube_setup, kube_teardown)
    const struct CMUnitTest tests[] = {
        T(throttling_is_waited_for_as_asked),   T(refusals_are_sent_once),
        T(malformed_answers_change_nothing),    T(late_answers_are_not_waited_for),
        T(token_is_read_anew_for_each_request), T(token_goes_to_no_other_machine_in_the_clear),
        T(certificates_are_verified),           T(wrong_settings_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
