/* prism-dr's commands with what the chart and Compose give them: names of files, no value in a
 * variable. */
#include "dr_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUT = 4096 };

static char dir[64], out[OUT];

static void write_file(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fprintf(f, "%s\n", text);
    assert_int_equal(fclose(f), 0);
}

/* With the bucket, and more; what it says to stderr is in out, too. */
static int run(const char *const *more, const char *const *args)
{
    const char *env[DR_SETTINGS + 4];
    const char *argv[16] = { "/bin/sh", "-c", "exec \"$0\" \"$@\" 2>&1",
                             PRISM_BIN_DIR "/prism-dr" };
    size_t n = 0, m = 4;
    for (; dr.env[n] != NULL; n++)
        env[n] = dr.env[n];
    while (*more != NULL)
        env[n++] = *more++;
    env[n] = NULL;
    while (*args != NULL)
        argv[m++] = *args++;
    return it_run(env, argv, out, OUT, DR_AWAIT_MS);
}

static void says(int want, int status, const char *text)
{
    if (status != want || strstr(out, text) == NULL)
        fail_msg("%d, not %d with \"%s\": %s", status, want, text, out);
}

static int open_all(void **state)
{
    (void)state;
    it_cluster_await(DR_AWAIT_MS);
    it_redis_flush();
    it_database("drcli", dr.uri);
    it_role_uri(dr.uri, "dr", dr.role);
    it_sql(dr.uri, "INSERT INTO store (partitions) VALUES (4096)", NULL, 0);
    dr_stage_settings((int)getpid()); /* nobody ships under that name */
    (void)snprintf(dir, sizeof dir, "/tmp/prism-dr-cli-XXXXXX");
    assert_non_null(mkdtemp(dir));
    write_file("db-uri", dr.role);
    write_file("redis-password", it_env("IT_REDIS_ADMIN_PASSWORD"));
    return 0;
}

static int close_all(void **state)
{
    const char *rm[] = { "/bin/rm", "-rf", dir, NULL };
    (void)state;
    return it_run(NULL, rm, NULL, 0, 20000);
}

static void retention_reads_the_database_s_name_from_a_file(void **state)
{
    (void)state;
    char uri[128];
    (void)snprintf(uri, sizeof uri, "PRISM_DB_URI_FILE=%s/db-uri", dir);
    says(0,
         run((const char *const[]){ uri, NULL },
             (const char *const[]){ "retention", "--dry-run", NULL }),
         "{\"generations\":0,");
}

/* dr's rights in PostgreSQL are enough for it, in Redis they are not. */
static void routes_are_rebuilt_with_secrets_in_files(void **state)
{
    (void)state;
    char uri[128], user[64], password[128];
    const char *const args[] = { "rebuild-routes", "--cluster", it_env("IT_REDIS_SEEDS"), NULL };
    const char *const env[] = { uri, user, password, NULL };
    (void)snprintf(uri, sizeof uri, "PRISM_DB_URI_FILE=%s/db-uri", dir);
    (void)snprintf(user, sizeof user, "PRISM_REDIS_USER=%s", it_env("IT_REDIS_ADMIN_USER"));
    (void)snprintf(password, sizeof password, "PRISM_REDIS_PASSWORD_FILE=%s/redis-password", dir);
    says(0, run(env, args), "{\"routes\":0,");
    (void)snprintf(user, sizeof user, "PRISM_REDIS_USER=dr");
    write_file("redis-password", it_env("IT_DR_REDIS_PASSWORD"));
    says(1, run(env, args), "NOPERM");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    static const char *const none[] = { NULL }, *const lost[] = { "PRISM_DB_URI_FILE=/lost", NULL };
    static const struct {
        const char *args[6];
        int status;
        bool needed;
    } command[] = {
        { { "retention", "--dry-run" }, 1, true },
        { { "rebuild-routes", "--cluster", "127.0.0.1:1" }, 1, true },
        { { "failover", "status" }, 2, false },
    };
    for (size_t i = 0; i < sizeof command / sizeof command[0]; i++) {
        says(command[i].status, run(lost, command[i].args), "PRISM_DB_URI_FILE: cannot open /lost");
        if (command[i].needed)
            says(command[i].status, run(none, command[i].args),
                 "PRISM_DB_URI: required but not set, nor is PRISM_DB_URI_FILE");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retention_reads_the_database_s_name_from_a_file),
        cmocka_unit_test(routes_are_rebuilt_with_secrets_in_files),
        cmocka_unit_test(what_is_missing_is_named),
    };
    return cmocka_run_group_tests_name("dr cli", tests, open_all, close_all);
}
