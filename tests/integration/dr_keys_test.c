/* Where dr's keys for the bucket come from: its own settings, or a role's temporary ones as EKS
 * Pod Identity gives them. autoscale_server.py plays the endpoint that gives them; the S3 server is
 * real, and checks the signature over the session token. */
#include "t.h"

#include "autoscale_provider.h"
#include "it.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct provider server;
static char container[128], token_file[128], output[4096];

static int start(void **state)
{
    char path[64];
    (void)state;
    provider_start(&server, "aws", NULL, NULL);
    (void)snprintf(container, sizeof container, "AWS_CONTAINER_CREDENTIALS_FULL_URI=%s/container",
                   server.url);
    provider_write(&server, "token", "pod\n", path);
    (void)snprintf(token_file, sizeof token_file, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=%s",
                   path);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    provider_stop(&server);
    return 0;
}

static void role_gives(const char *access)
{
    provider_tell(&server,
                  "{\"set\": {\"container\": {\"authorization\": \"pod\", \"access\": \"%s\", "
                  "\"secret\": \"%s\", \"token\": \"t+o/k=\", \"expires\": "
                  "\"2090-01-01T00:00:00Z\"}}}",
                  access, it_env("IT_S3_SECRET"));
    (void)provider_log(&server);
}

/* prism-dr list of an empty prefix; what it says goes to output. env: up to 2. */
static int list(const char *first, const char *second)
{
    char endpoint[200], bucket[100], region[100];
    (void)snprintf(endpoint, sizeof endpoint, "PRISM_DR_S3_ENDPOINT=%s", it_env("IT_S3_URL"));
    (void)snprintf(bucket, sizeof bucket, "PRISM_DR_S3_BUCKET=%s", it_env("IT_S3_BUCKET"));
    (void)snprintf(region, sizeof region, "PRISM_DR_S3_REGION=%s", it_env("IT_S3_REGION"));
    const char *const env[] = { endpoint,
                                bucket,
                                region,
                                "PRISM_DR_S3_PATH_STYLE=true",
                                "PRISM_DR_S3_PREFIX=dr-keys/",
                                first,
                                first != NULL ? second : NULL,
                                NULL };
    const char *const argv[] = { "/bin/sh", "-c", PRISM_BIN_DIR "/prism-dr list 2>&1", NULL };
    return it_run(env, argv, output, sizeof output, 60000);
}

static int container_asked(void)
{
    return times_said(provider_log(&server), "/container 200");
}

static void role_of_the_pod_is_enough(void **state)
{
    (void)state;
    role_gives(it_env("IT_S3_ACCESS"));
    if (list(container, token_file) != 0)
        fail_msg("%s", output);
    assert_int_equal(container_asked(), 1);
}

/* Though they expire only in 2090: the role may have been made anew. */
static void refused_keys_are_asked_for_again(void **state)
{
    (void)state;
    role_gives("UNKNOWNKEY");
    assert_int_equal(list(container, token_file), 1);
    if (strstr(output, "InvalidAccessKeyId") == NULL)
        fail_msg("%s", output);
    assert_int_equal(container_asked(), 2);
}

static void own_keys_go_first(void **state)
{
    (void)state;
    char access[200], secret[300];
    (void)snprintf(access, sizeof access, "PRISM_DR_S3_ACCESS_KEY_ID=%s", it_env("IT_S3_ACCESS"));
    (void)snprintf(secret, sizeof secret, "PRISM_DR_S3_SECRET_ACCESS_KEY=%s",
                   it_env("IT_S3_SECRET"));
    role_gives("UNKNOWNKEY");
    assert_int_equal(setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", strchr(container, '=') + 1, 1),
                     0);
    const int status = list(access, secret);
    assert_int_equal(unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"), 0);
    if (status != 0)
        fail_msg("%s", output);
    assert_int_equal(container_asked(), 0);
}

static void no_keys_at_all_are_named(void **state)
{
    (void)state;
    assert_int_equal(list(NULL, NULL), 1);
    if (strstr(output, "PRISM_DR_S3_ACCESS_KEY_ID: aws: neither keys nor") == NULL)
        fail_msg("%s", output);
    assert_int_equal(list("PRISM_DR_PG_URI=postgresql:///prism", NULL), 1);
    if (strstr(output, "PRISM_DR_PG_URI: pgBackRest") == NULL)
        fail_msg("%s", output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(role_of_the_pod_is_enough),
        cmocka_unit_test(refused_keys_are_asked_for_again),
        cmocka_unit_test(own_keys_go_first),
        cmocka_unit_test(no_keys_at_all_are_named),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
