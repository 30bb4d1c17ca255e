/* The region is lost while a slot is on its way, and the objects that say who took it are damaged
 * or missing: a restore uses what is sound, names what is not, and asks before it may take an older
 * value for a newer one. */
#include "dr_bucket.h"
#include "dr_stage.h"

#include "core/gives.h"

#include "prism/slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUT = 1 << 16, KEYS = 4, REFUSED = 3 };
static const char *const NAME[KEYS] = { "gone", "came", "same", "k" }; /* behind the tag */

static struct dr_shard_at shard[IT_MAX_NODES];
static char id[2][64], dir[64], tag[16], out[OUT];
static int slot;
static struct dr_bucket_object object[DR_GIVES_COPIES];

static redisReply *order(int at, const char *format, ...)
{
    va_list args;
    redisContext *c = it_redis_admin(shard[at].port);
    freeReplyObject(redisCommand(c, "ASKING"));
    va_start(args, format);
    redisReply *r = redisvCommand(c, format, args);
    va_end(args);
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s: %s", shard[at].id, format, r != NULL ? r->str : c->errstr);
    redisFree(c);
    return r;
}

#define ORDER(...) freeReplyObject(order(__VA_ARGS__))

/* An empty slot of the first shard, and a tag that lies in it. */
static bool is_free(int i)
{
    (void)snprintf(tag, sizeof tag, "{m%d}", i);
    slot = pr_slot_of_key(tag, strlen(tag));
    if (dr_stage_number("SELECT count(*) FROM slots WHERE slot = %d AND shard_id = '%s'", slot,
                        shard[0].id) != 1)
        return false;
    redisReply *r = order(0, "CLUSTER COUNTKEYSINSLOT %d", slot);
    const bool is = r->integer == 0;
    freeReplyObject(r);
    return is;
}

/* --- what the service writes before the first key moves -----------------------------------------
 */

static void put_objects(void)
{
    struct dr_gives g = { .at_ms = 1700000000000 };
    struct pr_buf text;
    struct pr_err err = { 0 };
    (void)snprintf(g.giver, sizeof g.giver, "%s", shard[0].id);
    (void)snprintf(g.taker, sizeof g.taker, "%s", shard[1].id);
    g.slots[slot / 8] = (uint8_t)(1u << slot % 8);
    pr_buf_init(&text, 0);
    dr_gives_print(&g, &text);
    for (int i = 0; i < DR_GIVES_COPIES; i++) {
        char key[DR_BUCKET_KEY];
        (void)snprintf(key, sizeof key, "%s/map/%016x/%016x", dr.cluster, 1, (unsigned)i);
        assert_ok(pr_s3_put(dr_bucket, key, text.data, text.len, NULL, NULL, &err), &err);
        dr_bucket_take(key, &object[i]);
    }
    pr_buf_done(&text);
}

static int open_all(void **state)
{
    (void)dr_stage_open(state);
    dr_bucket_open();
    assert_true(dr_stage_shards(shard) >= 2);
    for (int i = 0; i < 2; i++) {
        redisReply *r = order(i, "CLUSTER MYID");
        (void)snprintf(id[i], sizeof id[i], "%s", r->str);
        freeReplyObject(r);
    }
    (void)snprintf(dir, sizeof dir, "/tmp/prism-maps-%d", (int)getpid());
    dr_stage_write(1, 200);
    for (int i = 0; !is_free(i); i++)
        ;
    dr_stage_start();
    ORDER(0, "SET %sgone 0", tag);
    ORDER(0, "SET %ssame 1", tag);
    ORDER(0, "SET %sk old", tag);
    ORDER(1, "CLUSTER SETSLOT %d IMPORTING %s", slot, id[0]);
    ORDER(0, "CLUSTER SETSLOT %d MIGRATING %s", slot, id[1]);
    ORDER(1, "SET %scame 2", tag);
    ORDER(1, "SET %ssame 1", tag);
    ORDER(1, "SET %sk old", tag);
    put_objects();
    dr_stage_await_durable();
    assert_int_equal(it_stop(dr.dr.pid), 0);
    return 0;
}

static int close_all(void **state)
{
    ORDER(0, "UNLINK %sgone %ssame %sk", tag, tag, tag);
    ORDER(1, "UNLINK %scame %ssame %sk", tag, tag, tag);
    ORDER(0, "CLUSTER SETSLOT %d STABLE", slot);
    ORDER(1, "CLUSTER SETSLOT %d STABLE", slot);
    for (int i = 0; i < DR_GIVES_COPIES; i++)
        dr_bucket_put_back(&object[i]);
    dr_bucket_close();
    return dr_stage_close(state);
}

/* --- restoring ----------------------------------------------------------------------------------
 */

static void clear(void)
{
    const char *rm[] = { "/bin/rm", "-rf", dir, NULL };
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
}

static void read_keys(int at, char value[KEYS][16], int *found)
{
    pid_t pid;
    const int port = dr_stage_serve(dir, shard[at].id, &pid);
    redisContext *c = redisConnect("127.0.0.1", port);
    assert_true(c != NULL && c->err == 0);
    for (int i = 0; i < KEYS; i++) {
        redisReply *r = redisCommand(c, "GET %s%s", tag, NAME[i]);
        assert_non_null(r);
        if (r->type == REDIS_REPLY_STRING) {
            (void)snprintf(value[i], sizeof value[i], "%s", r->str);
            ++*found;
        }
        freeReplyObject(r);
    }
    redisFree(c);
    it_kill(pid);
}

/* Every key once, and on one of the two; that of k as said. */
static void restores(const char *k, const char *loss)
{
    const char *argv[] = {
        PRISM_BIN_DIR "/prism-dr", "restore-cluster", "--into", dir, loss, NULL
    };
    char value[KEYS][16] = { "" };
    int found[2] = { 0, 0 };
    if (it_run(dr.env, argv, out, sizeof out, DR_AWAIT_MS) != 0)
        fail_msg("restore-cluster: %s", out);
    read_keys(0, value, &found[0]);
    read_keys(1, value, &found[1]);
    assert_int_equal(found[0] + found[1], KEYS);
    assert_true(found[0] == 0 || found[1] == 0);
    assert_string_equal(value[0], "0");
    assert_string_equal(value[1], "2");
    assert_string_equal(value[2], "1");
    assert_string_equal(value[3], k);
    clear();
}

static void refuses(void)
{
    const char *argv[] = { PRISM_BIN_DIR "/prism-dr", "restore-cluster", "--into", dir, NULL };
    char key[64];
    if (it_run(dr.env, argv, out, sizeof out, DR_AWAIT_MS) != REFUSED)
        fail_msg("restore-cluster did not refuse: %s", out);
    (void)snprintf(key, sizeof key, "\"doubtful_keys\":[\"%sk\"]", tag);
    if (strstr(out, key) == NULL)
        fail_msg("%s is not in %s", key, out);
    assert_int_not_equal(access(dir, F_OK), 0);
}

/* What is damaged is named. */
static void names(int copies)
{
    const char *at = strstr(out, "\"damaged_moves\":[");
    assert_non_null(at);
    const char *end = strchr(at, ']');
    int n = 0;
    for (int i = 0; i < DR_GIVES_COPIES; i++) {
        const char *key = strstr(at, object[i].key);
        n += key != NULL && key < end;
    }
    assert_int_equal(n, copies);
}

static void put_back(int i)
{
    struct dr_bucket_object again;
    dr_bucket_put_back(&object[i]);
    (void)snprintf(out, sizeof out, "%s/map/%016x/%016x", dr.cluster, 1, (unsigned)i);
    dr_bucket_take(out, &again);
    object[i] = again;
}

static void flip(int i, unsigned at)
{
    dr_bucket_flip(&object[i], object[i].n * at / 7, at % 8);
}

static void equal_values_need_nobody_to_say(void **state)
{
    (void)state;
    restores("old", NULL);
    names(0);
    flip(0, 2);
    flip(1, 5);
    restores("old", NULL);
    names(2);
    put_back(0);
    put_back(1);
}

static void the_taker_writes(void)
{
    it_service(&dr.dr, "dr", dr.uri, dr.env);
    ORDER(1, "SET %sk new", tag);
    dr_stage_await_durable();
    assert_int_equal(it_stop(dr.dr.pid), 0);
}

static void the_copy_says_it_too(void **state)
{
    (void)state;
    the_taker_writes();
    restores("new", NULL);
    names(0);
    for (unsigned at = 0; at < 7; at += 3) {
        flip(0, at);
        restores("new", NULL);
        names(1);
    }
    dr_bucket_lose(&object[0]);
    restores("new", NULL);
    names(1);
    put_back(0);
    flip(1, 4);
    restores("new", NULL); /* nobody looks at it */
    names(0);
    dr_bucket_lose(&object[1]); /* as an older program wrote it */
    restores("new", NULL);
    names(0);
    put_back(1);
}

static void without_any_it_asks(void **state)
{
    (void)state;
    flip(0, 1);
    flip(1, 6);
    refuses();
    names(2);
    restores("new", "--accept-loss"); /* to one of them the keys came since its base */
    names(2);
    dr_bucket_lose(&object[0]);
    refuses();
    names(2);
    dr_bucket_lose(&object[1]);
    refuses();
    names(0);
    restores("new", "--accept-loss");
    put_back(0);
    put_back(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_values_need_nobody_to_say),
        cmocka_unit_test(the_copy_says_it_too),
        cmocka_unit_test(without_any_it_asks),
    };
    return cmocka_run_group_tests_name("dr maps", tests, open_all, close_all);
}
