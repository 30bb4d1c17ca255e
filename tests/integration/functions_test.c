/* The function library on a real Redis: what each function does to each kind of
 * key, what it refuses, and wrong calls. */
#include "own_redis.h"

#include "prism/dp/library.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define K        "{p1}v:k"
#define G        "{p1}g:k:7"

/* What may be there. */
#define NOTHING "PING"
#define LIVE    "HSET " K " _v 3 _e 5 o:1 9"
#define DEAD    "HSET " K " _v 3 _e 5 _x 1"
#define STUB    "HSET " K " _m 4:6"
#define CLAIM   "HSET " K " _m 4:0"
#define FOREIGN "HSET " K " name alice"
#define STRING  "SET " K " x"
#define STAGED  "HSET " G " _v 3 _e 7 o:1 9"
#define LIVE_IS "_e=5 _v=3 o:1=9"
#define DEAD_IS "_e=5 _v=3 _x=1"

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

struct row {
    const char *before, *call, *reply, *after;
};

/* A reply in the table that ends in "..." is a beginning. */
static bool matches(const char *got, const char *want)
{
    size_t n = strlen(want);

    if (n >= 3 && strcmp(want + n - 3, "...") == 0)
        return strncmp(got, want, n - 3) == 0;
    return strcmp(got, want) == 0;
}

static void check(const struct row *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)ask(redis, "FLUSHALL");
        assert_true(ask(redis, row[i].before)[0] != '-');
        const char *got = ask(redis, row[i].call);
        if (!matches(got, row[i].reply))
            fail_msg("%s; %s: '%s', not '%s'", row[i].before, row[i].call, got, row[i].reply);
        if (row[i].after == NULL)
            continue;
        got = hash_text(redis, K);
        if (strcmp(got, row[i].after) != 0)
            fail_msg("%s; %s: leaves '%s', not '%s'", row[i].before, row[i].call, got,
                     row[i].after);
    }
}

static void take_marks_a_live_vertex_and_returns_a_copy(void **state)
{
    (void)state;
    static const struct row row[] = {
        { NOTHING, "FCALL prism_take 1 " K " 7", "ABSENT", "" },
        { LIVE, "FCALL prism_take 1 " K " 7", "LIVE 3 ...", "_e=7 _v=3 o:1=9" },
        { LIVE, "FCALL prism_take 1 " K " 5", "LIVE 3 ...", LIVE_IS },
        { LIVE, "FCALL prism_take 1 " K " 4", "REFUSED 5", LIVE_IS },
        { LIVE, "FCALL prism_take 1 " K " 9007199254740991", "LIVE 3 ...",
          "_e=9007199254740991 _v=3 o:1=9" },
        { DEAD, "FCALL prism_take 1 " K " 7", "LIVE 3 ...", "_e=7 _v=3 _x=1" },
        { STUB, "FCALL prism_take 1 " K " 7", "STUB 4:6", "_m=4:6" },
        { CLAIM, "FCALL prism_take 1 " K " 7", "STUB 4:0", "_m=4:0" },
    };
    check(row, COUNT(row));
}

static void fence_turns_the_taken_version_into_a_stub(void **state)
{
    (void)state;
    static const struct row row[] = {
        { LIVE, "FCALL prism_fence 1 " K " 3 9 5", "OK", "_m=9:5" },
        { DEAD, "FCALL prism_fence 1 " K " 3 9 5", "OK", "_m=9:5" },
        { LIVE, "FCALL prism_fence 1 " K " 2 9 5", "REFUSED version 3", LIVE_IS },
        { LIVE, "FCALL prism_fence 1 " K " 4 9 5", "REFUSED version 3", LIVE_IS },
        { LIVE, "FCALL prism_fence 1 " K " 3 9 6", "REFUSED epoch 5", LIVE_IS },
        { LIVE, "FCALL prism_fence 1 " K " 3 9 4", "REFUSED epoch 5", LIVE_IS },
        { STUB, "FCALL prism_fence 1 " K " 3 4 6", "OK", "_m=4:6" },
        { STUB, "FCALL prism_fence 1 " K " 3 4 7", "REFUSED stub 4:6", "_m=4:6" },
        { STUB, "FCALL prism_fence 1 " K " 3 9 6", "REFUSED stub 4:6", "_m=4:6" },
        { NOTHING, "FCALL prism_fence 1 " K " 3 9 5", "REFUSED absent", "" },
    };
    check(row, COUNT(row));
}

static void promote_puts_the_staged_copy_in_place(void **state)
{
    (void)state;
    static const struct row row[] = {
        { STAGED, "FCALL prism_promote 2 " K " " G " 7", "OK", "_e=7 _v=3 o:1=9" },
        { NOTHING, "FCALL prism_promote 2 " K " " G " 7", "ALARM", "" },
        { LIVE, "FCALL prism_promote 2 " K " " G " 7", "DONE", LIVE_IS },
        { STUB, "FCALL prism_promote 2 " K " " G " 7", "ALARM", "_m=4:6" },
        { STUB, "FCALL prism_promote 2 " K " " G " 6", "DONE", "_m=4:6" },
        { STUB, "FCALL prism_promote 2 " K " " G " 5", "DONE", "_m=4:6" },
        { STAGED, "FCALL prism_promote 2 " K " " G " 8", "ALARM", "" }, /* another's copy */
    };
    check(row, COUNT(row));
}

static void promote_replaces_an_older_stub_and_leaves_no_staging(void **state)
{
    (void)state;
    (void)ask(redis, "FLUSHALL");
    (void)ask(redis, STUB);
    (void)ask(redis, STAGED);
    assert_string_equal(ask(redis, "FCALL prism_promote 2 " K " " G " 7"), "OK");
    assert_string_equal(hash_text(redis, K), "_e=7 _v=3 o:1=9");
    assert_string_equal(ask(redis, "EXISTS " G), "0");
    assert_string_equal(ask(redis, "FCALL prism_promote 2 " K " " G " 7"), "DONE");
}

static void promote_touches_neither_key_when_it_is_not_needed(void **state)
{
    (void)state;
    (void)ask(redis, "FLUSHALL");
    (void)ask(redis, LIVE);
    (void)ask(redis, STAGED);
    assert_string_equal(ask(redis, "FCALL prism_promote 2 " K " " G " 7"), "DONE");
    assert_string_equal(hash_text(redis, K), LIVE_IS);
    assert_string_equal(hash_text(redis, G), "_e=7 _v=3 o:1=9");
}

static void route_only_ever_goes_forward(void **state)
{
    (void)state;
    static const struct row row[] = {
        { NOTHING, "FCALL prism_route 1 " K " 9 7", "OK", "_m=9:7" },
        { STUB, "FCALL prism_route 1 " K " 9 7", "OK", "_m=9:7" },
        { CLAIM, "FCALL prism_route 1 " K " 9 1", "OK", "_m=9:1" },
        { STUB, "FCALL prism_route 1 " K " 4 6", "OK", "_m=4:6" },
        { STUB, "FCALL prism_route 1 " K " 9 6", "NEWER", "_m=4:6" },
        { STUB, "FCALL prism_route 1 " K " 9 5", "NEWER", "_m=4:6" },
        { LIVE, "FCALL prism_route 1 " K " 9 7", "LIVE", LIVE_IS },
        { DEAD, "FCALL prism_route 1 " K " 9 7", "LIVE", DEAD_IS },
    };
    check(row, COUNT(row));
}

static void write_changes_only_what_is_live(void **state)
{
    (void)state;
    static const struct row row[] = {
        { LIVE, "FCALL prism_write 1 " K " 1 o:2 4", "OK 4", "_e=5 _v=4 o:1=9 o:2=4" },
        { LIVE, "FCALL prism_write 1 " K " 2 o:1 1 p:a b", "OK 4", "_e=5 _v=4 o:1=1 p:a=b" },
        { LIVE, "FCALL prism_write 1 " K " 1 o:2 4 o:1", "OK 4", "_e=5 _v=4 o:2=4" },
        { LIVE, "FCALL prism_write 1 " K " 0 o:1 o:3", "OK 4", "_e=5 _v=4" },
        { LIVE, "FCALL prism_write 1 " K " 0", "OK 4", "_e=5 _v=4 o:1=9" },
        { LIVE, "FCALL prism_write 1 " K " 2 o:2 1 o:2 2", "OK 4", "_e=5 _v=4 o:1=9 o:2=2" },
        { DEAD, "FCALL prism_write 1 " K " 1 o:2 4", "DELETED", DEAD_IS },
        { STUB, "FCALL prism_write 1 " K " 1 o:2 4", "MOVED 4:6", "_m=4:6" },
        { NOTHING, "FCALL prism_write 1 " K " 1 o:2 4", "ABSENT", "" },
        { "HSET " K " _v 9007199254740990 _e 0", "FCALL prism_write 1 " K " 1 a b",
          "OK 9007199254740991", "_e=0 _v=9007199254740991 a=b" },
    };
    check(row, COUNT(row));
}

static void delete_leaves_a_tombstone(void **state)
{
    (void)state;
    static const struct row row[] = {
        { LIVE, "FCALL prism_delete 1 " K, "OK 4", "_e=5 _v=4 _x=1" },
        { DEAD, "FCALL prism_delete 1 " K, "DELETED", DEAD_IS },
        { STUB, "FCALL prism_delete 1 " K, "MOVED 4:6", "_m=4:6" },
        { NOTHING, "FCALL prism_delete 1 " K, "ABSENT", "" },
    };
    check(row, COUNT(row));
}

static void claim_takes_only_an_absent_key(void **state)
{
    (void)state;
    static const struct row row[] = {
        { NOTHING, "FCALL prism_claim 1 " K " 4 0", "STUB 4:0", "_m=4:0" },
        { NOTHING, "FCALL prism_claim 1 " K " 1 1", "OK", "_e=0 _v=1" },
        { CLAIM, "FCALL prism_claim 1 " K " 8 0", "STUB 4:0", "_m=4:0" },
        { STUB, "FCALL prism_claim 1 " K " 8 0", "STUB 4:6", "_m=4:6" },
        { STUB, "FCALL prism_claim 1 " K " 1 1", "STUB 4:6", "_m=4:6" },
        { LIVE, "FCALL prism_claim 1 " K " 8 0", "LIVE", LIVE_IS },
        { DEAD, "FCALL prism_claim 1 " K " 8 0", "DELETED", DEAD_IS },
    };
    check(row, COUNT(row));
}

static void create_makes_or_revives_but_never_over_a_stub(void **state)
{
    (void)state;
    static const struct row row[] = {
        { NOTHING, "FCALL prism_create 1 " K " 1 o:2 4", "OK 1", "_e=0 _v=1 o:2=4" },
        { NOTHING, "FCALL prism_create 1 " K " 0", "OK 1", "_e=0 _v=1" },
        { NOTHING, "FCALL prism_create 1 " K " 1 o:2 4 existing", "ABSENT", "" },
        { LIVE, "FCALL prism_create 1 " K " 1 o:2 4", "OK 4", "_e=5 _v=4 o:1=9 o:2=4" },
        { LIVE, "FCALL prism_create 1 " K " 1 o:2 4 existing", "OK 4", "_e=5 _v=4 o:1=9 o:2=4" },
        { DEAD, "FCALL prism_create 1 " K " 1 o:2 4", "OK 4", "_e=5 _v=4 o:2=4" },
        { DEAD, "FCALL prism_create 1 " K " 0 existing", "OK 4", "_e=5 _v=4" },
        { STUB, "FCALL prism_create 1 " K " 1 o:2 4", "MOVED 4:6", "_m=4:6" },
        { CLAIM, "FCALL prism_create 1 " K " 1 o:2 4 existing", "MOVED 4:0", "_m=4:0" },
    };
    check(row, COUNT(row));
}

static void load_adds_to_whatever_lives_here(void **state)
{
    (void)state;
    static const struct row row[] = {
        { NOTHING, "FCALL prism_load 1 " K " o:2 4 i:3 5", "OK 1", "_e=0 _v=1 i:3=5 o:2=4" },
        { NOTHING, "FCALL prism_load 1 " K, "OK 1", "_e=0 _v=1" },
        { LIVE, "FCALL prism_load 1 " K " o:2 4", "OK 4", "_e=5 _v=4 o:1=9 o:2=4" },
        { DEAD, "FCALL prism_load 1 " K " o:2 4", "DELETED", DEAD_IS },
        { STUB, "FCALL prism_load 1 " K " o:2 4", "MOVED 4:6", "_m=4:6" },
    };
    check(row, COUNT(row));
}

static void reads_tell_live_moved_absent_and_deleted_apart(void **state)
{
    (void)state;
    static const struct row row[] = {
        { LIVE, "FCALL_RO prism_get 1 " K " o:1 o:2 o:1", "LIVE 3 9 nil 9", LIVE_IS },
        { LIVE, "FCALL_RO prism_get 1 " K, "LIVE 3", LIVE_IS },
        { DEAD, "FCALL_RO prism_get 1 " K " o:1", "DELETED", DEAD_IS },
        { STUB, "FCALL_RO prism_get 1 " K " o:1", "MOVED 4:6", "_m=4:6" },
        { NOTHING, "FCALL_RO prism_get 1 " K " o:1", "ABSENT", "" },
        { LIVE, "FCALL_RO prism_neighbors 1 " K " o 0 10", "LIVE 0 1 9", LIVE_IS },
        { LIVE, "FCALL_RO prism_neighbors 1 " K " i 0 10", "LIVE 0", LIVE_IS },
        { DEAD, "FCALL_RO prism_neighbors 1 " K " o 0 10", "DELETED", DEAD_IS },
        { STUB, "FCALL_RO prism_neighbors 1 " K " o 0 10", "MOVED 4:6", "_m=4:6" },
        { NOTHING, "FCALL_RO prism_neighbors 1 " K " o 0 10", "ABSENT", "" },
        { NOTHING, "FCALL_RO prism_version 1 " K, "OK 1", "" },
    };
    check(row, COUNT(row));
    assert_int_equal(PR_LIBRARY_VERSION, 1);
}

/* A script without blanks: these part the words of a command. */
#define TIMES "EVAL for\ti=1,"
#define DO    "\tdo\tredis.call("

/* What it says of two values as `make` made them; same: one print. */
static void prints(const char *first, const char *second, bool same)
{
    char one[256];
    (void)ask(redis, "FLUSHALL");
    (void)ask(redis, first);
    (void)snprintf(one, sizeof one, "%s", ask(redis, "FCALL_RO prism_print 1 " K));
    (void)ask(redis, "FLUSHALL");
    (void)ask(redis, second);
    const char *two = ask(redis, "FCALL_RO prism_print 1 " K);
    if (strlen(one) == 0 || (strcmp(one, two) == 0) != same)
        fail_msg("%s: \"%s\"; %s: \"%s\"", first, one, second, two);
}

#define YOUNG "HSET " K " _e 0 _v 1 "
#define MANY  "a 1 b 1 c 1 d 1 e 1 f 1 g 1 h 1 i 1 j 1 k 1 "

static void a_print_changes_with_the_value(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        bool same;
    } row[] = {
        { LIVE, LIVE, true },
        { LIVE, "HSET " K " o:1 9 _v 4 _e 5", false },
        { LIVE, "HSET " K " o:1 9 _v 3 _e 6", false },
        { LIVE, "HSET " K " o:1 9 o:2 9 _v 3 _e 5", false },
        { LIVE,
          "EVAL "
          "return\tredis.call('HSET',KEYS[1],'o:1','9','_v',3,'_e',5)+redis.call('PEXPIREAT',KEYS["
          "1],33177117420000) 1 " K,
          false },
        /* one of epoch 0 is told from one that was made anew, however many its fields are */
        { YOUNG "o:1 9", YOUNG "o:2 9", false },
        { YOUNG "o:1 9", YOUNG "o:1 8", false },
        { YOUNG "o:1 9", YOUNG "o:1 9", true },
        { YOUNG "a 1 b 2", YOUNG "b 2 a 1", true },
        { YOUNG "a 1 b 2", YOUNG "a 2 b 1", false },
        { YOUNG "a 1", YOUNG "a1 1", false },
        { YOUNG "a 1:b", YOUNG "a1 :b", false },
        { TIMES "1" DO "'HSET',KEYS[1],'_v',1,'_e',0,'a','a\\0b')end 1 " K,
          TIMES "1" DO "'HSET',KEYS[1],'_v',1,'_e',0,'a','a\\0c')end 1 " K, false },
        { YOUNG MANY "l 2", YOUNG MANY "l 3", false },
        { YOUNG MANY "l 2", YOUNG MANY "l 2", true },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        prints(row[i].first, row[i].second, row[i].same);
}

/* What does not count its writes, or is not what it was. Of a vertex that has moved before there is
 * one whatever its size: it costs no more. */
static void vertices_alone_have_prints(void **state)
{
    (void)state;
    static const struct {
        const char *make;
        bool has;
    } row[] = {
        { LIVE, true },
        { STUB, false },
        { CLAIM, false },
        { DEAD, false },
        { FOREIGN, false },
        { STRING, false },
        { "HSET " K " _v 1 a 1", false }, /* of a hash that only looks like one */
        { "HSET " K " _m 1 a 1", false },
        { "HSET " K " _e 1 a 1", false },
        { "SADD " K " a", false },
        { "RPUSH " K " a", false },
        { "ZADD " K " 1 a", false },
        { "XADD " K " 1-1 a b", false },
        { "PING", false },
        { TIMES "9999" DO "'HSET',KEYS[1],i,i,'_v',1,'_e',1)end 1 " K, true },
        { TIMES "510" DO "'HSET',KEYS[1],i,i,'_v',1,'_e',0)end 1 " K, true },
        { TIMES "511" DO "'HSET',KEYS[1],i,i,'_v',1,'_e',0)end 1 " K, false },
        { TIMES "1" DO "'HSET',KEYS[1],'_v',1,'_e',0,'a',string.rep('x',65000))end 1 " K, true },
        { TIMES "1" DO "'HSET',KEYS[1],'_v',1,'_e',0,'a',string.rep('x',65536))end 1 " K, false },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        (void)ask(redis, "FLUSHALL");
        (void)ask(redis, row[i].make);
        const char *got = ask(redis, "FCALL_RO prism_print 1 " K);
        if ((strlen(got) > 0) != row[i].has)
            fail_msg("%s: \"%s\"", row[i].make, got);
    }
}

static void a_key_that_is_not_a_vertex_is_left_alone(void **state)
{
    (void)state;
    static const char *const call[] = {
        "FCALL prism_take 1 " K " 7",
        "FCALL prism_fence 1 " K " 3 9 7",
        "FCALL prism_promote 2 " K " " G " 7",
        "FCALL prism_route 1 " K " 9 7",
        "FCALL prism_write 1 " K " 1 a b",
        "FCALL prism_delete 1 " K,
        "FCALL prism_claim 1 " K " 4 0",
        "FCALL prism_create 1 " K " 1 a b",
        "FCALL prism_load 1 " K " a b",
        "FCALL_RO prism_get 1 " K " a",
        "FCALL_RO prism_neighbors 1 " K " o 0 10",
    };

    for (size_t i = 0; i < COUNT(call); i++) {
        char want[128];
        int name = (int)strcspn(strchr(call[i], ' ') + 1, " ");
        (void)snprintf(want, sizeof(want), "-ERR %.*s: key \"" K "\" holds neither...", name,
                       strchr(call[i], ' ') + 1);
        struct row row = { FOREIGN, call[i], want, "name=alice" };
        check(&row, 1);
        row = (struct row){ STRING, call[i], "-WRONGTYPE...", NULL };
        check(&row, 1);
        assert_string_equal(ask(redis, "GET " K), "x");
    }
}

static void wrong_calls_name_the_function_and_the_argument(void **state)
{
    (void)state;
#define IS_NOT_WHOLE " is not a whole number below 2^53"
    static const struct row row[] = {
        { LIVE, "FCALL prism_take 1 " K, "-ERR prism_take: wants 1 argument(s), got 0", LIVE_IS },
        { LIVE, "FCALL prism_take 1 " K " 1 2", "-ERR prism_take: wants 1 argument(s), got 2",
          LIVE_IS },
        { LIVE, "FCALL prism_take 2 " K " " G " 1", "-ERR prism_take: wants 1 key(s), got 2",
          LIVE_IS },
        { LIVE, "FCALL prism_take 0 7", "-ERR prism_take: wants 1 key(s), got 0", LIVE_IS },
        { LIVE, "FCALL prism_take 1 " K " -1", "-ERR prism_take: E \"-1\"" IS_NOT_WHOLE, LIVE_IS },
        { LIVE, "FCALL prism_take 1 " K " 1e3", "-ERR prism_take: E \"1e3\"" IS_NOT_WHOLE,
          LIVE_IS },
        { LIVE, "FCALL prism_take 1 " K " 07", "-ERR prism_take: E \"07\"" IS_NOT_WHOLE, LIVE_IS },
        { LIVE, "FCALL prism_take 1 " K " x", "-ERR prism_take: E \"x\"" IS_NOT_WHOLE, LIVE_IS },
        { LIVE, "FCALL prism_take 1 " K " 9007199254740992",
          "-ERR prism_take: E \"9007199254740992\"" IS_NOT_WHOLE, LIVE_IS },
        { LIVE, "FCALL prism_fence 1 " K " 3 9", "-ERR prism_fence: wants 3 argument(s), got 2",
          LIVE_IS },
        { LIVE, "FCALL prism_fence 1 " K " v 9 5", "-ERR prism_fence: v \"v\"" IS_NOT_WHOLE,
          LIVE_IS },
        { LIVE, "FCALL prism_fence 1 " K " 3 9.5 5", "-ERR prism_fence: d \"9.5\"" IS_NOT_WHOLE,
          LIVE_IS },
        { LIVE, "FCALL prism_fence 1 " K " 3 9 0x5", "-ERR prism_fence: E \"0x5\"" IS_NOT_WHOLE,
          LIVE_IS },
        { LIVE, "FCALL prism_promote 1 " K " 7", "-ERR prism_promote: wants 2 key(s), got 1",
          LIVE_IS },
        { LIVE, "FCALL prism_route 1 " K " d 7", "-ERR prism_route: d \"d\"" IS_NOT_WHOLE,
          LIVE_IS },
        { LIVE, "FCALL prism_write 1 " K, "-ERR prism_write: wants 1 or more argument(s), got 0",
          LIVE_IS },
        { LIVE, "FCALL prism_write 1 " K " one a b", "-ERR prism_write: n \"one\"" IS_NOT_WHOLE,
          LIVE_IS },
        { LIVE, "FCALL prism_write 1 " K " 2 a b c",
          "-ERR prism_write: n is 2 but only 3 argument(s) follow", LIVE_IS },
        { LIVE, "FCALL prism_write 1 " K " 1 _v 9", "-ERR prism_write: field \"_v\" is reserved",
          LIVE_IS },
        { LIVE, "FCALL prism_write 1 " K " 1 a b _e", "-ERR prism_write: field \"_e\" is reserved",
          LIVE_IS },
        { NOTHING, "FCALL prism_create 1 " K " 1 _m 4:9",
          "-ERR prism_create: field \"_m\" is reserved", "" },
        { NOTHING, "FCALL prism_create 1 " K " 1 a b c",
          "-ERR prism_create: n is 1 but 3 argument(s) follow", "" },
        { NOTHING, "FCALL prism_load 1 " K " a b _x 1", "-ERR prism_load: field \"_x\" is reserved",
          "" },
        { NOTHING, "FCALL prism_load 1 " K " a b c", "-ERR prism_load: field \"c\" has no value",
          "" },
        { LIVE, "FCALL prism_delete 1 " K " x", "-ERR prism_delete: wants 0 argument(s), got 1",
          LIVE_IS },
        { NOTHING, "FCALL prism_claim 1 " K " 4", "-ERR prism_claim: wants 2 argument(s), got 1",
          "" },
        { NOTHING, "FCALL prism_claim 1 " K " 4 yes",
          "-ERR prism_claim: ishome \"yes\" is neither 0 nor 1", "" },
        { LIVE, "FCALL_RO prism_neighbors 1 " K " x 0 10",
          "-ERR prism_neighbors: dir \"x\" is neither o nor i", LIVE_IS },
        { LIVE, "FCALL_RO prism_neighbors 1 " K " o -1 10",
          "-ERR prism_neighbors: cursor \"-1\" is not a cursor", LIVE_IS },
        { LIVE, "FCALL_RO prism_neighbors 1 " K " o 0 0",
          "-ERR prism_neighbors: count \"0\" is not 1 to 10000", LIVE_IS },
        { LIVE, "FCALL_RO prism_neighbors 1 " K " o 0 10001",
          "-ERR prism_neighbors: count \"10001\" is not 1 to 10000", LIVE_IS },
        { LIVE, "FCALL_RO prism_write 1 " K " 0",
          "-ERR Can not execute a script with write flag using *_ro command....", LIVE_IS },
    };
    check(row, COUNT(row));
}

static void a_copy_travels_whole(void **state)
{
    (void)state;
    (void)ask(redis, "FLUSHALL");
    (void)ask(redis, "FCALL prism_load 1 {p1}v:k o:1 1 i:2 0.5 p:name alice");
    redisReply *r = redisCommand(redis, "FCALL prism_take 1 {p1}v:k 7");
    assert_int_equal(r->elements, 3);
    assert_int_equal(r->element[0]->type, REDIS_REPLY_STRING);
    assert_int_equal(r->element[1]->type, REDIS_REPLY_INTEGER);
    assert_string_equal(
        ask(redis, "RESTORE {p2}g:k:7 0 %b", r->element[2]->str, r->element[2]->len), "OK");
    freeReplyObject(r);
    assert_string_equal(ask(redis, "FCALL prism_fence 1 {p1}v:k 1 2 7"), "OK");
    assert_string_equal(ask(redis, "FCALL prism_promote 2 {p2}v:k {p2}g:k:7 7"), "OK");
    assert_string_equal(hash_text(redis, "{p2}v:k"), "_e=7 _v=1 i:2=0.5 o:1=1 p:name=alice");
    assert_string_equal(hash_text(redis, "{p1}v:k"), "_m=2:7");
}

static void loading_it_again_replaces_it(void **state)
{
    (void)state;
    assert_memory_equal(ask(redis, "FUNCTION LOAD %s", pr_library_code), "-ERR Library", 12);
    assert_string_equal(ask(redis, "FUNCTION LOAD REPLACE %s", pr_library_code), "prism");
    assert_string_equal(ask(redis, "FCALL_RO prism_version 1 x"), "OK 1");
}

/* A fence without its promote would leave a vertex unreachable, and a full node
 * must be able to give vertices away. */
static void a_full_node_finishes_moves_and_takes_nothing_new(void **state)
{
    (void)state;
    static const struct {
        const char *before, *call, *reply;
    } row[] = {
        { LIVE, "FCALL prism_take 1 " K " 7", "LIVE 3 ..." },
        { LIVE, "FCALL prism_fence 1 " K " 3 9 5", "OK" },
        { STAGED, "FCALL prism_promote 2 " K " " G " 7", "OK" },
        { NOTHING, "FCALL prism_route 1 " K " 9 7", "OK" },
        { LIVE, "FCALL prism_delete 1 " K, "OK 4" },
        { LIVE, "FCALL prism_write 1 " K " 1 p:a 1", "-OOM..." },
        { NOTHING, "FCALL prism_claim 1 " K " 1 1", "-OOM..." },
        { NOTHING, "FCALL prism_load 1 " K " p:a 1", "-OOM..." },
        { NOTHING, "SET " G " x", "-OOM..." }, /* so is RESTORE */
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        (void)ask(redis, "FLUSHALL");
        assert_true(ask(redis, row[i].before)[0] != '-');
        assert_string_equal(ask(redis, "CONFIG SET maxmemory 1"), "OK");
        const char *got = ask(redis, row[i].call);
        if (!matches(got, row[i].reply))
            fail_msg("%s; %s: '%s', not '%s'", row[i].before, row[i].call, got, row[i].reply);
        assert_string_equal(ask(redis, "CONFIG SET maxmemory 0"), "OK");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_marks_a_live_vertex_and_returns_a_copy),
        cmocka_unit_test(fence_turns_the_taken_version_into_a_stub),
        cmocka_unit_test(promote_puts_the_staged_copy_in_place),
        cmocka_unit_test(promote_replaces_an_older_stub_and_leaves_no_staging),
        cmocka_unit_test(promote_touches_neither_key_when_it_is_not_needed),
        cmocka_unit_test(route_only_ever_goes_forward),
        cmocka_unit_test(write_changes_only_what_is_live),
        cmocka_unit_test(delete_leaves_a_tombstone),
        cmocka_unit_test(claim_takes_only_an_absent_key),
        cmocka_unit_test(create_makes_or_revives_but_never_over_a_stub),
        cmocka_unit_test(load_adds_to_whatever_lives_here),
        cmocka_unit_test(reads_tell_live_moved_absent_and_deleted_apart),
        cmocka_unit_test(a_print_changes_with_the_value),
        cmocka_unit_test(vertices_alone_have_prints),
        cmocka_unit_test(a_key_that_is_not_a_vertex_is_left_alone),
        cmocka_unit_test(wrong_calls_name_the_function_and_the_argument),
        cmocka_unit_test(a_copy_travels_whole),
        cmocka_unit_test(a_full_node_finishes_moves_and_takes_nothing_new),
        cmocka_unit_test(loading_it_again_replaces_it),
    };
    return cmocka_run_group_tests_name("integration/functions", tests, start, stop);
}
