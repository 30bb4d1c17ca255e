#include "t.h"

#include "it.h"
#include "prism/slot.h"

#include <stdio.h>
#include <string.h>

static char uri[IT_URI], db_env[IT_URI + 32];

static int start(void **state)
{
    (void)state;
    it_database("admin", uri);
    (void)snprintf(db_env, sizeof db_env, "PRISM_DB_URI=%s", uri);
    return 0;
}

/* prism-admin with words, as ./dev calls it; its exit status, and its output. */
static int admin(const char *const *env, char out[512], const char *const *words)
{
    const char *argv[12] = { PRISM_BIN_DIR "/prism-admin" };
    for (size_t i = 0; words[i] != NULL; i++)
        argv[i + 1] = words[i];
    return it_run(env, argv, out, 512, 30000);
}

#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void the_store_is_made_once_and_for_its_life(void **state)
{
    const char *env[] = { db_env, NULL };
    char out[512], cell[32], slot[16];
    (void)state;

    assert_int_not_equal(admin(env, out, WORDS("store", "--partitions", "0")), 0);
    assert_int_not_equal(admin(env, out, WORDS("store", "--partitions", "1048577")), 0);
    assert_int_not_equal(admin(env, out, WORDS("store", "--partitions", "many")), 0);
    assert_int_not_equal(admin(env, out, WORDS("store")), 0);
    assert_int_equal(admin(env, out, WORDS("store", "--partitions", "10000")), 0);
    assert_int_equal(admin(env, out, WORDS("store", "init", "--partitions", "10000")), 0);
    assert_int_not_equal(admin(env, out, WORDS("store", "--partitions", "9999")), 0);

    it_sql(uri, "SELECT partitions FROM store", cell, sizeof cell);
    assert_string_equal(cell, "10000");
    it_sql(uri, "SELECT count(*) || ' ' || min(id) || ' ' || max(id) FROM partitions", cell,
           sizeof cell);
    assert_string_equal(cell, "10000 0 9999");
    it_sql(uri, "SELECT slot FROM partitions WHERE id = 9001", cell, sizeof cell);
    (void)snprintf(slot, sizeof slot, "%d", pr_partition_slot(9001));
    assert_string_equal(cell, slot);
}

static void a_token_is_printed_once_and_only_its_hash_kept(void **state)
{
    const char *env[] = { db_env, NULL };
    char token[512], second[512], sql[700], cell[128];
    (void)state;

    assert_int_not_equal(admin(env, token, WORDS("token", "--name", "a", "--role", "root")), 0);
    assert_int_not_equal(admin(env, token, WORDS("token", "--role", "admin")), 0);
    assert_int_equal(admin(env, token, WORDS("token", "create", "--name", "a", "--role", "admin")),
                     0);
    token[strcspn(token, "\n")] = '\0';
    assert_int_equal(strlen(token), 6 + 64);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM api_tokens WHERE name = 'a' AND role = 'admin' "
                   "AND hash = sha256(convert_to('%s', 'UTF8'))",
                   token);
    it_sql(uri, sql, cell, sizeof cell);
    assert_string_equal(cell, "1");

    assert_int_not_equal(admin(env, second, WORDS("token", "--name", "a", "--role", "viewer")), 0);
    it_sql(uri, sql, cell, sizeof cell);
    assert_string_equal(cell, "1"); /* as it was */
    it_sql(uri,
           "UPDATE api_tokens SET created_by = 'eve', revoked_by = 'eve', revoked_at = now() "
           "WHERE name = 'a' RETURNING 1",
           cell, sizeof cell);
    assert_int_equal(
        admin(env, second, WORDS("token", "--name", "a", "--role", "viewer", "--replace")), 0);
    assert_string_not_equal(second, token);
    it_sql(uri, sql, cell, sizeof cell);
    assert_string_equal(cell, "0");
    it_sql(uri,
           "SELECT created_by || revoked_by || (revoked_at IS NULL) FROM api_tokens "
           "WHERE name = 'a'",
           cell, sizeof cell);
    assert_string_equal(cell, "true"); /* nothing of what the old one was */
    it_sql(uri,
           "SELECT string_agg(principal || ' ' || action || ' ' || (after->>'role'), ', ' ORDER BY "
           "id) FROM audit WHERE resource = 'tokens/a'",
           cell, sizeof cell);
    assert_string_equal(cell, "prism-admin token.create admin, prism-admin token.replace viewer");
}

static void the_library_is_loaded_on_every_primary(void **state)
{
    char seeds[1024], user[128], password[256], out[512];
    int port[IT_MAX_NODES];
    const char *env[] = { seeds, user, password, NULL };
    (void)state;

    (void)snprintf(seeds, sizeof seeds, "PRISM_REDIS_SEEDS=%s", it_env("IT_REDIS_SEEDS"));
    (void)snprintf(user, sizeof user, "PRISM_REDIS_USER=%s", it_env("IT_REDIS_ADMIN_USER"));
    (void)snprintf(password, sizeof password, "PRISM_REDIS_PASSWORD=%s",
                   it_env("IT_REDIS_ADMIN_PASSWORD"));
    it_cluster_await(20000);
    assert_int_equal(admin(env, out, WORDS("library")), 0);
    assert_int_equal(admin(env, out, WORDS("library")), 0);
    size_t n = it_redis_ports(port);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        redisContext *c = it_redis_admin(port[i]);
        redisReply *r = redisCommand(c, "FUNCTION LIST LIBRARYNAME prism");
        assert_non_null(r);
        assert_int_equal(r->elements, 1);
        freeReplyObject(r);
        redisFree(c);
    }
}

static void the_bus_is_set_up_by_its_administrator_only(void **state)
{
    char url[256], user[128], password[256], out[512];
    const char *env[] = { url, user, password, "PRISM_ADMIN_WAIT_S=1", NULL };
    (void)state;

    (void)snprintf(url, sizeof url, "PRISM_NATS_URL=%s", it_env("IT_NATS_URL"));
    (void)snprintf(user, sizeof user, "PRISM_NATS_USER=%s", it_env("IT_NATS_ADMIN_USER"));
    (void)snprintf(password, sizeof password, "PRISM_NATS_PASSWORD=%s",
                   it_env("IT_NATS_ADMIN_PASSWORD"));
    assert_int_equal(admin(env, out, WORDS("bus")), 0);
    assert_int_equal(admin(env, out, WORDS("bus")), 0);
    (void)snprintf(user, sizeof user, "PRISM_NATS_USER=%s", it_env("IT_PLACEMENT_NATS_USER"));
    assert_int_not_equal(admin(env, out, WORDS("bus")), 0); /* with the wrong password */
    (void)snprintf(password, sizeof password, "PRISM_NATS_PASSWORD=%s",
                   it_env("IT_PLACEMENT_NATS_PASSWORD"));
    assert_int_not_equal(admin(env, out, WORDS("bus")), 0); /* without the right */
}

static void what_it_does_not_understand_it_refuses(void **state)
{
    const char *env[] = { db_env, NULL };
    const char *bad[] = { "PRISM_NATS_URL=", NULL };
    char out[512];
    (void)state;

    assert_int_not_equal(admin(env, out, WORDS("stores")), 0);
    assert_int_not_equal(admin(env, out, WORDS("store", "--partition")), 0);
    assert_int_not_equal(admin(env, out, WORDS("token", "--name", "b", "--role", "admin", "x")), 0);
    assert_int_not_equal(admin(NULL, out, WORDS("token", "--name", "b", "--role", "admin")), 0);
    assert_int_not_equal(admin(bad, out, WORDS("bus")), 0);
    assert_int_equal(admin(NULL, out, WORDS("--help")), 0);
    assert_non_null(strstr(out, "prism-admin COMMAND"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_is_made_once_and_for_its_life),
        cmocka_unit_test(a_token_is_printed_once_and_only_its_hash_kept),
        cmocka_unit_test(the_library_is_loaded_on_every_primary),
        cmocka_unit_test(the_bus_is_set_up_by_its_administrator_only),
        cmocka_unit_test(what_it_does_not_understand_it_refuses),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
