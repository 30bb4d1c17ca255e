/* The AWS actuator's settings, where its keys come from, and a dry run on top of it. */
#include "autoscale_aws_stage.h"

#include "t.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void wrong_settings_are_named(void **state)
{
    struct provider *p = *state;
    struct autoscale_actuator *a = NULL;
    struct autoscale_target two[2] = { { "a", 0, 0 }, { "a", 1, 1 } };
    struct autoscale_provider s = settings_of(p);

    s.kind = "gcp";
    assert_int_equal(autoscale_actuator_open(&s, &a, &p->err), PR_EINVAL);
    assert_non_null(strstr(p->err.text, "\"gcp\" is none of: local, aws, kubernetes, dry-run"));
    s = settings_of(p);
    s.region = "";
    assert_int_equal(autoscale_actuator_open(&s, &a, &p->err), PR_EINVAL);
    assert_non_null(strstr(p->err.text, "region"));
    s = settings_of(p);
    memset(&s.keys, 0, sizeof s.keys);
    assert_int_equal(autoscale_actuator_open(&s, &a, &p->err), PR_EINVAL);
    assert_non_null(strstr(p->err.text, "keys"));
    s = settings_of(p);
    s.target = two, s.targets = 2;
    assert_int_equal(autoscale_actuator_open(&s, &a, &p->err), PR_EINVAL);
    assert_non_null(strstr(p->err.text, "a is named twice"));
    (void)strcpy(two[1].name, "b");
    two[1].zone = two[1].group = 0;
    assert_int_equal(autoscale_actuator_open(&s, &a, &p->err), PR_EINVAL);
    assert_non_null(strstr(p->err.text, "for one place"));
    two[1].name[0] = '\0';
    assert_int_equal(autoscale_actuator_open(&s, &a, &p->err), PR_EINVAL);
    assert_null(a);

    static const char *const URL[] = { "ftp://127.0.0.1/", "127.0.0.1:port", "http://",
                                       "http://a b/" };
    for (size_t i = 0; i < PR_COUNT(URL); i++) {
        s = settings_of(p);
        s.endpoint = URL[i];
        provider_open(p, &s);
        assert_int_equal(provider_describe(p), PR_EINVAL);
    }
    s = settings_of(p);
    s.region = "eu:central";
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EINVAL);
    assert_int_equal(autoscale_target_find(one_target, 1, 0, 0), 0);
    assert_int_equal(autoscale_target_find(one_target, 1, 0, -1), -1);
}

/* --- where keys come from ------------------------------------------------------------------ */

#define KEYS(access, expires)                                                                      \
    "\"access\": \"" access                                                                        \
    "\", \"secret\": \"s3cret\", \"token\": \"tok\", \"expires\": \"" expires "\""

static void instance_metadata_gives_keys_and_renews_them(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);

    memset(&s.keys.keys, 0, sizeof s.keys.keys);
    (void)strcpy(s.keys.metadata_url, p->url);
    provider_tell(p, "{\"set\": {\"access\": \"ASIA1\", \"secret\": \"s3cret\", \"token\": \"tok\","
                     "\"metadata\": {\"role\": \"prism-autoscale\"," KEYS(
                         "ASIA1", "2090-01-01T00:00:00Z") "}}}");
    provider_open(p, &s);
    assert_ok(provider_describe(p), &p->err);
    assert_ok(provider_describe(p), &p->err);
    const char *log = provider_log(p);
    assert_int_equal(times_said(log, "PUT /latest/api/token 200"), 1); /* kept */
    assert_int_equal(times_said(log, "security-credentials/prism-autoscale 200"), 1);

    /* The service calls them expired: others are fetched, and it goes on. */
    provider_tell(
        p, "{\"set\": {\"expired\": [\"ASIA1\"], \"access\": \"ASIA2\", \"metadata\": {" KEYS(
               "ASIA2", "2090-01-01T00:00:00Z") "}}}");
    assert_ok(provider_set(p, 0, 4), &p->err);
    assert_true(p->sent);
    assert_int_equal(times_said(provider_log(p), "PUT /latest/api/token 200"), 1);

    /* Still the same expired ones: until the deadline, and then it is a refusal. */
    provider_tell(p, "{\"set\": {\"expired\": [\"ASIA2\"]}}");
    assert_int_equal(provider_set(p, 0, 5), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "ExpiredToken"));
    (void)provider_log(p);

    /* About to expire: asked for anew each time, and used while nobody answers. */
    provider_tell(p, "{\"set\": {\"expired\": [], \"metadata\": {" KEYS(
                         "ASIA2", "1999-01-01T00:00:00Z") "}}}");
    provider_open(p, &s);
    assert_ok(provider_describe(p), &p->err);
    assert_ok(provider_describe(p), &p->err);
    assert_int_equal(times_said(provider_log(p), "PUT /latest/api/token 200"), 2);
}

static void metadata_that_gives_nothing_is_a_refusal(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);

    memset(&s.keys.keys, 0, sizeof s.keys.keys);
    (void)strcpy(s.keys.metadata_url, p->url);
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "keys from the instance's metadata: status 404"));
    provider_tell(p, "{\"set\": {\"metadata\": {\"role\": \"../../x\"," KEYS("A", "soon") "}}}");
    assert_int_equal(provider_describe(p), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "status 404"));
    provider_tell(p, "{\"set\": {\"metadata\": {\"role\": \"r\"}}}");
    assert_int_equal(provider_describe(p), PR_EDATA); /* an expiry that is no time */
    assert_non_null(strstr(p->err.text, "holds no keys"));
    provider_tell(p, "{\"set\": {\"metadata\": {\"role\": \"\"}}}");
    assert_int_equal(provider_describe(p), PR_EDENIED);
    provider_tell(p, "{\"fault\": {\"match\": \"PUT /latest/api/token\", \"status\": 503,"
                     "\"times\": 100}}");
    assert_int_equal(provider_describe(p), PR_EUNAVAIL);
    assert_true(p->gaps > 5);
}

static void containers_endpoint_gives_keys(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);
    char path[64];

    memset(&s.keys.keys, 0, sizeof s.keys.keys);
    (void)snprintf(s.keys.container_url, sizeof s.keys.container_url, "%s/container", p->url);
    (void)strcpy(s.keys.container_token, "first");
    provider_tell(p, "{\"set\": {\"access\": \"ASIA1\", \"secret\": \"s3cret\", \"token\": \"tok\","
                     "\"container\": {\"authorization\": \"first\"," KEYS(
                         "ASIA1", "2090-01-01T00:00:00Z") "}}}");
    provider_open(p, &s);
    assert_ok(provider_describe(p), &p->err);

    provider_write(p, "token", "second\n", path);
    (void)strcpy(s.keys.container_token_file, path);
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "keys from the container's endpoint: status 401"));
    provider_tell(p, "{\"set\": {\"container\": {\"authorization\": \"second\"}}}");
    assert_ok(provider_describe(p), &p->err);
}

/* Who gives them is asked once, not by every request, and those that work are kept until there are
 * others. */
static void keys_that_work_outlast_who_gives_them(void **state)
{
    struct provider *p = *state;
    struct pr_aws_source from = { .timeout_ms = 5000 };
    struct pr_aws_keyring *ring = NULL;
    struct pr_aws_keys keys;
    int64_t end_ms;

    assert_true(pr_time_parse("2090-01-01T00:00:00Z", &end_ms));
    (void)snprintf(from.container_url, sizeof from.container_url, "%s/container", p->url);
    (void)strcpy(from.container_token, "first");
    provider_tell(p, "{\"set\": {\"container\": {\"authorization\": \"first\"," KEYS(
                         "ASIA1", "2090-01-01T00:00:00Z") "}}}");
    (void)provider_log(p);
    assert_ok(pr_aws_keyring_open(&from, &ring, &p->err), &p->err);
    for (int i = 0; i < 3; i++) /* they expire in a minute, and no others are to be had */
        assert_ok(pr_aws_keys(ring, end_ms - 60000, &keys, &p->err), &p->err);
    assert_int_equal(times_said(provider_log(p), "/container 200"), 1);

    provider_tell(p,
                  "{\"fault\": {\"match\": \"GET /container\", \"status\": 503, \"times\": 100}}");
    for (int i = 0; i < 3; i++) { /* refused: perhaps for what they may not do */
        assert_true(pr_aws_keys_refused(ring, &keys));
        assert_ok(pr_aws_keys(ring, end_ms - 60000, &keys, &p->err), &p->err);
        assert_string_equal(keys.access, "ASIA1");
    }
    assert_int_equal(times_said(provider_log(p), "/container 503"), 1);
    assert_int_equal(pr_aws_keys(ring, end_ms, &keys, &p->err), PR_EUNAVAIL);
    pr_aws_keyring_close(ring);
}

/* EKS, IAM roles for service accounts: the file is rewritten, and read each time. */
static void web_identity_assumes_a_role(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);
    char path[64];

    memset(&s.keys.keys, 0, sizeof s.keys.keys);
    (void)snprintf(s.keys.sts_url, sizeof s.keys.sts_url, "%s/", p->url);
    (void)strcpy(s.keys.role_arn, "arn:aws:iam::1:role/prism+autoscale");
    (void)strcpy(s.keys.role_session, "prism-autoscale");
    provider_write(p, "identity", "head.first.sign-_\n", path);
    (void)strcpy(s.keys.web_token_file, path);
    /* It goes before the container's, as in the AWS SDKs. */
    (void)snprintf(s.keys.container_url, sizeof s.keys.container_url, "%s/container", p->url);
    provider_tell(p, "{\"set\": {\"access\": \"ASIA1\", \"secret\": \"s3cret\", \"token\": "
                     "\"t+o/k=\", \"identity\": {\"role\": \"arn:aws:iam::1:role/"
                     "prism+autoscale\", \"session\": \"prism-autoscale\", \"token\": "
                     "\"head.first.sign-_\", \"access\": \"ASIA1\", \"secret\": \"s3cret\", "
                     "\"token_out\": \"t+o/k=\", \"expires\": \"2090-01-01T00:00:00Z\"}}}");
    provider_open(p, &s);
    assert_ok(provider_describe(p), &p->err);
    assert_ok(provider_describe(p), &p->err);
    const char *log = provider_log(p);
    assert_int_equal(times_said(log, "AssumeRoleWithWebIdentity"), 1); /* kept */
    assert_int_equal(times_said(log, "container"), 0);

    /* The keys expire, the token has been rotated meanwhile: both are had anew. */
    provider_write(p, "identity", "head.second.sign", path);
    provider_tell(p, "{\"set\": {\"expired\": [\"ASIA1\"], \"access\": \"ASIA2\", "
                     "\"identity\": {\"token\": \"head.second.sign\", \"access\": \"ASIA2\"}}}");
    assert_ok(provider_set(p, 0, 4), &p->err);
    assert_true(p->sent);
    assert_int_equal(times_said(provider_log(p), "AssumeRoleWithWebIdentity"), 1);

    (void)strcpy(s.keys.role_session, "ours");
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "another session: ours"));
}

static void web_identity_that_is_refused_says_why(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);
    char path[64];

    memset(&s.keys.keys, 0, sizeof s.keys.keys);
    provider_write(p, "identity", "old", path);
    (void)strcpy(s.keys.web_token_file, path);
    (void)snprintf(s.keys.sts_url, sizeof s.keys.sts_url, "%s/", p->url);
    assert_int_equal(autoscale_actuator_open(&s, &p->actuator, &p->err), PR_EINVAL);
    assert_non_null(strstr(p->err.text, "without AWS_ROLE_ARN"));

    (void)strcpy(s.keys.role_arn, "arn:aws:iam::1:role/r");
    (void)strcpy(s.keys.role_session, "prism-autoscale");
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "keys for the web identity: AccessDenied: Not authorized"));
    provider_tell(
        p,
        "{\"set\": {\"identity\": {\"role\": \"arn:aws:iam::1:role/r\", "
        "\"session\": \"prism-autoscale\", \"token\": \"new\", \"access\": \"A\", "
        "\"secret\": \"S\", \"token_out\": \"T\", \"expires\": \"2090-01-01T00:00:00+05:00\"}}}");
    assert_int_equal(provider_describe(p), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "ExpiredTokenException"));
    assert_null(strstr(p->err.text, "old"));
    provider_write(p, "identity", "new", path);
    assert_int_equal(provider_describe(p), PR_EDATA); /* an expiry that we cannot read */
    assert_non_null(strstr(p->err.text, "holds no keys"));
    provider_tell(p, "{\"fault\": {\"match\": \"AssumeRoleWithWebIdentity\", \"status\": 400, "
                     "\"code\": \"IDPCommunicationError\", \"message\": \"busy\", \"times\": "
                     "100}}");
    p->gaps = 0;
    assert_int_equal(provider_describe(p), PR_EUNAVAIL);
    assert_true(p->gaps > 5); /* tried again */

    (void)strcpy(s.keys.sts_url, "http://192.0.2.1/");
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EINVAL);
    assert_non_null(strstr(p->err.text, "nothing secret is sent over plain http"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(provider_describe(p), PR_EDENIED);
    assert_non_null(strstr(p->err.text, "No such file"));
}

/* Signatures, keys and what they are asked with: to other machines over TLS alone. */
static void keys_go_to_no_other_machine_in_the_clear(void **state)
{
    struct provider *p = *state;
    struct autoscale_provider s = settings_of(p);

    s.endpoint = "http://autoscaling.example.org/";
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EINVAL);
    assert_non_null(strstr(p->err.text, "autoscaling.example.org: nothing secret is sent"));
    s = settings_of(p);
    memset(&s.keys.keys, 0, sizeof s.keys.keys);
    (void)strcpy(s.keys.container_url, "http://192.0.2.1/v1/credentials");
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EINVAL);
    assert_non_null(strstr(p->err.text, "nothing secret is sent"));
    s.keys.container_url[0] = '\0';
    (void)strcpy(s.keys.metadata_url, "http://192.0.2.1");
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EINVAL);
    assert_non_null(strstr(p->err.text, "nothing secret is sent"));
}

/* --- dry run -------------------------------------------------------------------------------- */

static void note(void *ctx, const char *what)
{
    char *said = ctx;
    const size_t n = strlen(said);

    (void)snprintf(said + n, 1024 - n, "%s\n", what);
}

static void dry_run_says_it_and_sends_nothing(void **state)
{
    struct provider *p = *state;
    char said[1024] = "";
    struct autoscale_provider s = settings_of(p);

    s.kind = "dry-run";
    s.beneath = p->actuator;
    s.say = note;
    s.say_ctx = said;
    p->actuator = NULL; /* taken over */
    provider_open(p, &s);
    assert_int_equal(p->actuator->can(p->actuator, 0), AUTOSCALE_CAN_TERMINATE);
    assert_ok(provider_describe(p), &p->err);
    assert_int_equal(p->report.target[0].desired, 3);

    for (int again = 0; again < 2; again++) { /* said once */
        assert_ok(provider_set(p, 0, 5), &p->err);
        assert_false(p->sent);
    }
    assert_ok(provider_set(p, 0, 3), &p->err); /* already so */
    assert_ok(p->actuator->terminate(p->actuator, 0, "i-a1", 2, &p->sent, &p->err), &p->err);
    assert_string_equal(said, "dry-run: redis-a-pg1: would set the desired number from 3 to 5\n"
                              "dry-run: redis-a-pg1: would terminate i-a1 and want 2 from then "
                              "on\n");
    assert_int_equal(provider_set(p, 0, 11), PR_EFULL);
    assert_int_equal(provider_set(p, 0, -1), PR_EINVAL);
    const char *log = provider_log(p);
    assert_int_equal(times_said(log, "SetDesired") + times_said(log, "Terminate"), 0);

    s.beneath = NULL; /* without anybody to ask */
    said[0] = '\0';
    provider_open(p, &s);
    assert_int_equal(provider_describe(p), PR_EUNAVAIL);
    assert_ok(provider_set(p, 0, 5), &p->err);
    assert_string_equal(said, "dry-run: redis-a-pg1: would set the desired number to 5\n");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, aws_setup, aws_teardown)
    const struct CMUnitTest tests[] = {
        T(wrong_settings_are_named),
        T(instance_metadata_gives_keys_and_renews_them),
        T(metadata_that_gives_nothing_is_a_refusal),
        T(containers_endpoint_gives_keys),
        T(keys_that_work_outlast_who_gives_them),
        T(web_identity_assumes_a_role),
        T(web_identity_that_is_refused_says_why),
        T(keys_go_to_no_other_machine_in_the_clear),
        T(dry_run_says_it_and_sends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
