/* Settings of the service: what does not fit together, and where keys come from and go to. */
#include "autoscale_settings_stage.h"

#include "io/gather.h"

static void a_call_fits_into_the_lease(void **state)
{
    (void)state;
    static const struct {
        int64_t ttl_ms, call_ms, request_ms;
        enum pr_code want;
    } row[] = {
        { 40000, 20000, 5000, PR_OK },     { 40000, 29000, 5000, PR_OK },
        { 40000, 29001, 5000, PR_EINVAL }, { 8000, 5000, 5000, PR_OK },
        { 8000, 5001, 5000, PR_EINVAL },   { 40000, 5000, 5001, PR_EINVAL },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_config c = nothing();
        c.lease_ttl_ms = row[i].ttl_ms;
        c.call_ms = row[i].call_ms;
        c.request_ms = row[i].request_ms;
        struct pr_err err = { 0 };
        assert_int_equal(autoscale_config_check(&c, &err), row[i].want);
    }
}

static void keys_of_a_container_are_at_its_path_or_url(void **state)
{
    (void)state;
    static char none[] = "", path[] = "/v2/credentials/7?a=b", other[] = "@elsewhere/v2",
                url[] = "http://127.0.0.1:9/keys";
    static char longest[481] = "/";
    memset(longest + 1, 'x', sizeof longest - 2);
    static const struct {
        char *path, *url;
        enum pr_code rc;
        const char *want;
    } row[] = {
        { none, none, PR_OK, "" },
        { none, url, PR_OK, "http://127.0.0.1:9/keys" },
        { path, none, PR_OK, "http://169.254.170.2/v2/credentials/7?a=b" },
        { path, url, PR_OK, "http://169.254.170.2/v2/credentials/7?a=b" },
        { longest, none, PR_OK, "http://169.254.170.2/xxx" },
        { other, none, PR_EINVAL, "\"@elsewhere/v2\" does not begin with /" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_config c = nothing();
        c.aws_container_path = row[i].path;
        c.aws_container_url = row[i].url;
        struct pr_aws_source from;
        struct pr_err err = { 0 };
        assert_int_equal(pr_aws_source_of(&PR_AWS_SETTINGS(&c, "it", c.request_ms), &from, &err),
                         row[i].rc);
        const char *got = row[i].rc == PR_OK ? from.container_url : err.text;
        if (row[i].want[0] == '\0' ? got[0] != '\0' : strstr(got, row[i].want) == NULL)
            fail_msg("row %zu: \"%s\"", i, got);
    }
}

static void a_role_is_assumed_in_its_region(void **state)
{
    (void)state;
    static char none[] = "", region[] = "eu-central-1", china[] = "cn-north-1",
                own[] = "https://sts.example.org/";
    static const struct {
        char *region, *url;
        const char *want;
    } row[] = {
        { none, none, "https://sts.amazonaws.com/" },
        { region, none, "https://sts.eu-central-1.amazonaws.com/" },
        { china, none, "https://sts.cn-north-1.amazonaws.com.cn/" },
        { china, own, "https://sts.example.org/" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_config c = nothing();
        c.aws_region = row[i].region;
        c.aws_sts_url = row[i].url;
        struct pr_aws_source from;
        struct pr_err err = { 0 };
        assert_ok(pr_aws_source_of(&PR_AWS_SETTINGS(&c, "it", c.request_ms), &from, &err), &err);
        assert_string_equal(from.sts_url, row[i].want);
    }
}

/* Whoever is sent a key, or asked for one, is so over TLS, or is this machine. */
static void nothing_secret_goes_over_plain_http(void **state)
{
    (void)state;
    static char token[] = "/run/token";
    static const struct {
        size_t at;
        const char *url;
        bool token, good;
    } row[] = {
#define AT(member) offsetof(struct autoscale_config, member)
        { AT(prometheus_url), "http://prometheus:9090", false, true },
        { AT(prometheus_url), "http://prometheus:9090", true, false },
        { AT(prometheus_url), "https://prometheus:9090", true, true },
        { AT(prometheus_url), "http://127.0.0.1:9090", true, true },
        { AT(prometheus_url), "http://me:secret@prometheus:9090", false, false },
        { AT(aws_autoscaling_url), "http://autoscaling.example.org", false, false },
        { AT(aws_autoscaling_url), "http://localhost:4566", false, true },
        { AT(aws_autoscaling_url), "https://autoscaling.example.org", false, true },
        { AT(aws_cloudwatch_url), "http://10.0.0.7", false, false },
        { AT(aws_sts_url), "http://169.254.1.1", false, false },
        { AT(kubernetes_url), "http://kubernetes.default.svc", false, false },
        { AT(kubernetes_url), "http://[::1]:8001", false, true },
        { AT(aws_container_url), "http://169.254.170.23/v1/credentials", false, true },
        { AT(aws_container_url), "http://[fd00:ec2::23]/v1/credentials", false, true },
        { AT(aws_container_url), "http://10.0.0.7/v1/credentials", false, false },
        { AT(aws_metadata_url), "http://169.254.169.254", false, true },
        { AT(aws_metadata_url), "http://169.254.example.org", false, false },
        { AT(aws_metadata_url), "ftp://169.254.169.254", false, false },
#undef AT
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_config c = nothing();
        struct pr_err err = { 0 };
        const char *url = row[i].url;
        memcpy((char *)&c + row[i].at, &url, sizeof url);
        c.lease_ttl_ms = 40000;
        if (row[i].token)
            c.prometheus_token_file = token;
        const enum pr_code rc = autoscale_config_check(&c, &err);
        if (rc != (row[i].good ? PR_OK : PR_EINVAL))
            fail_msg("row %zu: %s: %s", i, url, err.text);
        if (rc != PR_OK)
            assert_null(strstr(err.text, "secret@"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_fits_into_the_lease),
        cmocka_unit_test(keys_of_a_container_are_at_its_path_or_url),
        cmocka_unit_test(a_role_is_assumed_in_its_region),
        cmocka_unit_test(nothing_secret_goes_over_plain_http),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
