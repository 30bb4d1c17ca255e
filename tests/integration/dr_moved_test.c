/* A slot moves between two bases: the old owner's base claims it, and the new owner's. A restore
 * gives it to who owned it last, by the epochs in the manifests. */
#include "dr_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUT = 65536 };

static struct dr_shard_at shard[IT_MAX_NODES];
static size_t shards;
static char id[2][64], dir[64];
static int slot = -1;

static void order(const char *what, int port)
{
    redisContext *c = it_redis_admin(port);
    redisReply *r = redisCommand(c, what);
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        fail_msg("port %d: %s: %s", port, what, r != NULL ? r->str : c->errstr);
    freeReplyObject(r);
    redisFree(c);
}

/* An empty slot of the first shard, whose name comes first: it would be taken for the owner if
 * nothing told them apart. */
static void choose_slot(void)
{
    redisContext *c = it_redis_admin(shard[0].port);
    const int first =
        (int)dr_stage_number("SELECT min(slot) FROM slots WHERE shard_id = '%s'", shard[0].id);
    for (int s = first + 1; slot < 0; s++) { /* not the first: heartbeats are there */
        redisReply *r = redisCommand(c, "CLUSTER COUNTKEYSINSLOT %d", s);
        assert_int_equal(r->type, REDIS_REPLY_INTEGER);
        slot = r->integer == 0 ? s : -1;
        freeReplyObject(r);
    }
    redisFree(c);
    assert_int_equal(dr_stage_number("SELECT count(*) FROM slots WHERE slot = %d AND "
                                     "shard_id = '%s'",
                                     slot, shard[0].id),
                     1);
}

static bool told(void *ctx)
{
    return dr_stage_number("SELECT count(*) FROM slots WHERE slot = %d AND shard_id = '%s'", slot,
                           ((const struct dr_shard_at *)ctx)->id) == 1;
}

static void move_slot(int from, int to)
{
    char text[128];
    (void)snprintf(text, sizeof text, "CLUSTER SETSLOT %d IMPORTING %s", slot, id[from]);
    order(text, shard[to].port);
    (void)snprintf(text, sizeof text, "CLUSTER SETSLOT %d MIGRATING %s", slot, id[to]);
    order(text, shard[from].port);
    (void)snprintf(text, sizeof text, "CLUSTER SETSLOT %d NODE %s", slot, id[to]);
    order(text, shard[to].port);
    order(text, shard[from].port);
    if (!it_await(told, &shard[to], DR_AWAIT_MS))
        fail_msg("slot %d is not known to be of shard %s", slot, shard[to].id);
}

static int open_all(void **state)
{
    (void)dr_stage_open(state);
    shards = dr_stage_shards(shard);
    assert_true(shards >= 2);
    for (int i = 0; i < 2; i++) {
        redisContext *c = it_redis_admin(shard[i].port);
        redisReply *r = redisCommand(c, "CLUSTER MYID");
        (void)snprintf(id[i], sizeof id[i], "%s", r->str);
        freeReplyObject(r);
        redisFree(c);
    }
    assert_true(strcmp(shard[0].id, shard[1].id) < 0);
    (void)snprintf(dir, sizeof dir, "/tmp/prism-moved-%d", (int)getpid());
    dr_stage_write(1, 200);
    choose_slot();
    return 0;
}

static int close_all(void **state)
{
    const char *rm[] = { "/bin/rm", "-rf", dir, NULL };
    move_slot(1, 0);
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
    return dr_stage_close(state);
}

static bool has_second_base(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_shards s JOIN dr_bases_wanted w "
                           "USING (shard_id) WHERE shard_id = '%s' AND (s.generation_epoch, "
                           "s.generation_n) > (w.epoch, w.n) AND s.durable_offset > 0",
                           shard[1].id) == 1;
}

static void the_last_owner_has_it_again(void **state)
{
    (void)state;
    static char out[OUT], json[OUT];
    char path[128], own[128];
    const char *argv[] = { PRISM_BIN_DIR "/prism-dr", "restore-cluster", "--into", dir, NULL };
    dr_stage_start();
    move_slot(0, 1);
    dr_stage_text(out, sizeof out,
                  "INSERT INTO dr_bases_wanted (shard_id, epoch, n, reason) SELECT shard_id, "
                  "generation_epoch, generation_n, 'test' FROM dr_shards WHERE shard_id = '%s' "
                  "RETURNING shard_id",
                  shard[1].id);
    assert_string_equal(out, shard[1].id);
    if (!it_await(has_second_base, NULL, DR_AWAIT_MS))
        fail_msg("shard %s gets no new base", shard[1].id);
    dr_stage_await_durable();
    assert_int_equal(it_stop(dr.dr.pid), 0);
    if (it_run(dr.env, argv, out, sizeof out, DR_AWAIT_MS) != 0)
        fail_msg("restore-cluster: %s", out);
    (void)snprintf(path, sizeof path, "%s/cluster.json", dir);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    json[fread(json, 1, sizeof json - 1, f)] = '\0';
    fclose(f);
    (void)snprintf(own, sizeof own, "[%d, %d]", slot, slot); /* between those of the first shard */
    const char *second = strstr(json, shard[1].id);
    const char *at = second != NULL ? strstr(second, own) : NULL;
    if (at == NULL || memchr(second, '\n', (size_t)(at - second)) != NULL)
        fail_msg("slot %d is not of shard %s: %s", slot, shard[1].id, json);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_last_owner_has_it_again) };
    return cmocka_run_group_tests_name("dr moved", tests, open_all, close_all);
}
