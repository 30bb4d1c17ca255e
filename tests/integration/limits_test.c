/* The function library's limits on a real Redis: large vertices, and the rights
 * of who calls. */
#include "own_redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K       "{p1}v:k"
#define LIVE    "HSET " K " _v 3 _e 5 o:1 9"
#define LIVE_IS "_e=5 _v=3 o:1=9"

static struct own_redis server;
static redisContext *redis;

static int start(void **state)
{
    (void)state;
    own_redis_start(&server, 0);
    redis = own_redis_connect(&server);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(redis);
    own_redis_stop(&server);
    return 0;
}

/* --- large vertices ------------------------------------------------------ */

enum { MAX_FIELDS = 100000, BATCH = 2000, BIG = 1 << 20 };

/* One prism_load of n fields o:<from> ... with this value. */
static const char *load(int from, int n, const char *value, size_t value_len)
{
    static char name[BATCH][16];
    static const char *argv[4 + 2 * BATCH];
    static size_t len[4 + 2 * BATCH];
    static const char *const head[] = { "FCALL", "prism_load", "1", K };

    for (size_t i = 0; i < 4; i++) {
        argv[i] = head[i];
        len[i] = strlen(head[i]);
    }
    for (int i = 0; i < n; i++) {
        (void)snprintf(name[i], sizeof(name[i]), "o:%d", from + i);
        argv[4 + 2 * i] = name[i];
        len[4 + 2 * i] = strlen(name[i]);
        argv[5 + 2 * i] = value;
        len[5 + 2 * i] = value_len;
    }
    redisReply *r = redisCommandArgv(redis, 4 + 2 * n, argv, len);
    assert_non_null(r);
    const char *text = reply_text(r);
    freeReplyObject(r);
    return text;
}

static void a_vertex_holds_100000_fields_and_no_more(void **state)
{
    (void)state;
    (void)ask(redis, "FLUSHALL");
    for (int from = 0; from < MAX_FIELDS; from += BATCH)
        assert_memory_equal(load(from, BATCH, "1", 1), "OK", 2);
    assert_string_equal(ask(redis, "HLEN " K), "100002"); /* and _v, _e */
    assert_string_equal(load(MAX_FIELDS, 1, "1", 1), "FULL");
    assert_string_equal(load(MAX_FIELDS - 1, 2, "1", 1), "FULL");
    assert_string_equal(ask(redis, "FCALL prism_write 1 " K " 1 p:new 1"), "FULL");
    assert_string_equal(ask(redis, "FCALL prism_create 1 " K " 1 p:new 1"), "FULL");
    assert_string_equal(ask(redis, "HLEN " K), "100002");
    assert_string_equal(ask(redis, "FCALL prism_write 1 " K " 2 o:5 7 o:5 8"), "OK 51");
    assert_string_equal(ask(redis, "FCALL prism_write 1 " K " 0 o:5"), "OK 52");
    assert_string_equal(ask(redis, "FCALL prism_write 1 " K " 1 p:new 1"), "OK 53");
    assert_string_equal(ask(redis, "FCALL prism_delete 1 " K), "OK 54");
    assert_string_equal(hash_text(redis, K), "_e=0 _v=54 _x=1");
}

static void a_vertex_holds_16_megabytes_and_no_more(void **state)
{
    (void)state;
    char *value = malloc(17 * BIG);

    assert_non_null(value);
    memset(value, 'x', 17 * BIG);
    (void)ask(redis, "FLUSHALL");
    assert_string_equal(load(0, 1, value, 17 * BIG), "FULL");
    assert_string_equal(ask(redis, "EXISTS " K), "0");
    for (int i = 0; i < 15; i++)
        assert_memory_equal(load(i, 1, value, BIG - 100), "OK", 2);
    assert_string_equal(load(15, 1, value, 2 * BIG), "FULL");
    assert_string_equal(ask(redis, "FCALL prism_write 1 " K " 1 o:15 %b", value, (size_t)2 * BIG),
                        "FULL");
    assert_string_equal(ask(redis, "FCALL prism_write 1 " K " 1 o:15 1"), "OK 16");
    assert_string_equal(ask(redis, "FCALL prism_write 1 " K " 0 o:0 o:1 o:2"), "OK 17");
    assert_string_equal(ask(redis, "FCALL prism_write 1 " K " 1 o:15 %b", value, (size_t)2 * BIG),
                        "OK 18");
    free(value);
}

static void many_middling_values_reach_the_same_end(void **state)
{
    (void)state;
    char *value = calloc(1, 20000);
    int i = 0;

    assert_non_null(value);
    (void)ask(redis, "FLUSHALL");
    while (i < 2000 && strncmp(load(i, 1, value, 20000), "OK", 2) == 0)
        i++;
    assert_in_range(i, 600, 840); /* 16 MB by Redis's own estimate */
    free(value);
}

static void a_few_long_values_do_not_make_a_hub_look_full(void **state)
{
    (void)state;
    char *value = calloc(1, BIG);

    assert_non_null(value);
    (void)ask(redis, "FLUSHALL");
    for (int i = 0; i < 3; i++)
        assert_memory_equal(load(i, 1, value, BIG), "OK", 2);
    for (int from = 10; from < 20000; from += BATCH)
        assert_memory_equal(load(from, BATCH, "1", 1), "OK", 2);
    assert_memory_equal(ask(redis, "FCALL prism_write 1 " K " 1 o:99999 1"), "OK", 2);
    free(value);
}

static void neighbours_come_page_by_page_each_at_least_once(void **state)
{
    (void)state;
    enum { N = 1000 };
    static bool seen[N];
    char cursor[24] = "0";
    int pages = 0, found = 0;

    (void)ask(redis, "FLUSHALL");
    assert_string_equal(load(0, N, "3", 1), "OK 1");
    (void)ask(redis, "FCALL prism_load 1 " K " i:5 1 i:6 1 p:name x");
    do {
        redisReply *r = redisCommand(redis, "FCALL_RO prism_neighbors 1 " K " o %s 100", cursor);
        assert_string_equal(r->element[0]->str, "LIVE");
        (void)snprintf(cursor, sizeof(cursor), "%s", r->element[1]->str);
        for (size_t i = 2; i < r->elements; i += 2) {
            int id = atoi(r->element[i]->str);
            assert_in_range(id, 0, N - 1);
            assert_string_equal(r->element[i + 1]->str, "3");
            found += !seen[id];
            seen[id] = true;
        }
        freeReplyObject(r);
        pages++;
    } while (strcmp(cursor, "0") != 0);
    assert_int_equal(found, N);
    assert_in_range(pages, 5, 50);
}

/* --- rights --------------------------------------------------------------- */

static redisContext *as_user(const char *rules)
{
    char line[512];

    (void)snprintf(line, sizeof(line), "ACL SETUSER u reset on >secret resetchannels %s", rules);
    assert_string_equal(ask(redis, line), "OK");
    redisContext *c = own_redis_connect(&server);
    assert_string_equal(ask(c, "AUTH u secret"), "OK");
    return c;
}

#define CLIENT_RULES                                                                               \
    "~{p*}v:* -@all +fcall|prism_write +fcall_ro|prism_get +hget +hmget +hset +hdel +hlen "        \
    "+hexists +exists +memory|usage"

static void a_user_calls_only_the_functions_it_is_given(void **state)
{
    (void)state;
    (void)ask(redis, "FLUSHALL");
    (void)ask(redis, LIVE);
    redisContext *c = as_user(CLIENT_RULES);
    assert_string_equal(ask(c, "FCALL prism_write 1 " K " 1 o:1 2"), "OK 4");
    assert_string_equal(ask(c, "FCALL_RO prism_get 1 " K " o:1"), "LIVE 4 2");
    assert_memory_equal(ask(c, "FCALL prism_fence 1 " K " 4 9 5"), "-NOPERM", 7);
    assert_memory_equal(ask(c, "FCALL prism_delete 1 " K), "-NOPERM", 7);
    assert_memory_equal(ask(c, "FCALL_RO prism_neighbors 1 " K " o 0 1"), "-NOPERM", 7);
    assert_memory_equal(ask(c, "FCALL prism_write 1 {p1}g:k:7 1 o:1 2"), "-NOPERM", 7);
    assert_memory_equal(ask(c, "DEL " K), "-NOPERM", 7);
    assert_string_equal(hash_text(redis, K), "_e=5 _v=4 o:1=2");
    redisFree(c);
}

static void a_function_has_no_more_rights_than_its_caller(void **state)
{
    (void)state;
    (void)ask(redis, "FLUSHALL");
    (void)ask(redis, LIVE);
    redisContext *c = as_user("~{p*}v:* -@all +fcall|prism_write +hget +hlen");
    const char *got = ask(c, "FCALL prism_write 1 " K " 1 o:1 2");
    assert_int_equal(got[0], '-');
    assert_string_equal(hash_text(redis, K), LIVE_IS);
    redisFree(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vertex_holds_100000_fields_and_no_more),
        cmocka_unit_test(a_vertex_holds_16_megabytes_and_no_more),
        cmocka_unit_test(many_middling_values_reach_the_same_end),
        cmocka_unit_test(a_few_long_values_do_not_make_a_hub_look_full),
        cmocka_unit_test(neighbours_come_page_by_page_each_at_least_once),
        cmocka_unit_test(a_user_calls_only_the_functions_it_is_given),
        cmocka_unit_test(a_function_has_no_more_rights_than_its_caller),
    };
    return cmocka_run_group_tests_name("integration/limits", tests, start, stop);
}
