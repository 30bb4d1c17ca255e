/* Real moves on a real cluster with two replicas a shard: the primary of the
 * source, of the target and of home is killed between every two steps, at one
 * stroke: a vertex for every step and role is brought there first. Then each
 * move goes on, or begins anew as after a crash of the mover, and afterwards
 * there is one copy, with every acknowledged write, found from everywhere. */
#include "prism/dp/client.h"
#include "prism/dp/library.h"
#include "prism/dp/mover.h"
#include "prism/io/redis.h"
#include "prism/slot.h"
#include "t.h"

#include "it.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEPS = 10, /* 0 to 9 commands done before the kill */
    ROLES = 5,
    SHARDS = 3,
    VERTICES = STEPS * ROLES,
    MAX_EPOCHS = 16,
    ARGS = 12,
    MAX_COMMANDS = 500,
};

struct vertex {
    char id[16];
    uint32_t s, d, home;
    struct mover m;
    redisReply *taken;
    unsigned drops, done; /* drops: when its last command was executed */
    uint64_t epoch[MAX_EPOCHS];
    size_t epochs;
    bool second_write;
};

static struct pr_cluster *cluster;
static unsigned drops; /* connections lost: no WAIT after it is about what was before */
static uint64_t last_epoch = 1000;
static struct vertex vertex[VERTICES];

/* --- talking to whoever owns a partition ------------------------------------ */

struct args {
    int n;
    const char *v[ARGS];
    size_t len[ARGS];
    char text[ARGS][PR_MAX_KEY_BYTES];
};

static void add_bytes(struct args *a, const char *p, size_t len)
{
    assert_true(a->n < ARGS);
    a->v[a->n] = p;
    a->len[a->n++] = len;
}

static void add(struct args *a, const char *word)
{
    (void)snprintf(a->text[a->n], sizeof(a->text[0]), "%s", word);
    add_bytes(a, a->text[a->n], strlen(word));
}

static void add_number(struct args *a, uint64_t n)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    add(a, text);
}

static void add_vertex(struct args *a, const struct vertex *v, uint32_t p)
{
    char key[PR_MAX_KEY_BYTES];

    (void)pr_key_vertex(key, p, v->id, strlen(v->id));
    add(a, key);
}

static void add_staging(struct args *a, const struct vertex *v, uint64_t epoch)
{
    char key[PR_MAX_KEY_BYTES];

    (void)pr_key_staging(key, v->d, v->id, strlen(v->id), epoch);
    add(a, key);
}

static void owner_of(uint32_t p, char id[PR_NODE_ID], char name[16])
{
    const struct pr_topology *t = pr_cluster_topology(cluster);
    int16_t i = t->slot_owner[pr_partition_slot(p)];

    id[0] = '\0';
    if (i < 0)
        return;
    (void)snprintf(id, PR_NODE_ID, "%s", t->node[i].id);
    if (name != NULL)
        (void)snprintf(name, 16, "redis-%d", t->node[i].port);
}

/* NULL: no answer, or one that only says to look elsewhere. */
static redisReply *send(uint32_t p, const struct args *a)
{
    char id[PR_NODE_ID];
    struct pr_redis *c = NULL;
    redisReply *r = NULL;
    struct pr_err err;

    owner_of(p, id, NULL);
    if (id[0] != '\0' && pr_cluster_conn(cluster, id, &c, &err) == PR_OK &&
        pr_redis_append(c, a->n, a->v, a->len, &err) == PR_OK &&
        pr_redis_reply(c, &r, &err) == PR_OK && r->type != REDIS_REPLY_ERROR)
        return r;
    if (r != NULL)
        freeReplyObject(r);
    pr_cluster_drop(cluster, id);
    drops++;
    if (pr_cluster_refresh(cluster, &err) != PR_OK)
        print_message("refresh: %s\n", err.text); /* what was known stays */
    return NULL;
}

static bool replicated(uint32_t p)
{
    struct args a = { .n = 0 };

    add(&a, "WAIT");
    add(&a, "2");
    add(&a, "2000");
    redisReply *r = send(p, &a);
    bool all = r != NULL && r->type == REDIS_REPLY_INTEGER && r->integer == 2;
    if (r != NULL)
        freeReplyObject(r);
    return all;
}

static bool says(const redisReply *r, const char *word)
{
    return r->type == REDIS_REPLY_ARRAY && r->elements > 0 && r->element[0]->str != NULL &&
           strcmp(r->element[0]->str, word) == 0;
}

static void stub_of(const redisReply *r, uint32_t *p, uint64_t *epoch)
{
    unsigned long long e;

    assert_int_equal(sscanf(r->element[1]->str, "%u:%llu", p, &e), 2);
    *epoch = e;
}

/* --- the mover ---------------------------------------------------------------- */

static uint64_t fresh_epoch(struct vertex *v)
{
    assert_true(v->epochs < MAX_EPOCHS);
    return v->epoch[v->epochs++] = ++last_epoch;
}

static void build(struct args *a, const struct vertex *v, const struct mover_cmd *cmd, uint32_t p)
{
    static const char *const function[] = {
        [MOVER_TAKE] = "prism_take",
        [MOVER_FENCE] = "prism_fence",
        [MOVER_PROMOTE] = "prism_promote",
        [MOVER_ROUTE] = "prism_route",
    };

    if (cmd->kind == MOVER_RESTORE) {
        add(a, "RESTORE");
        add_staging(a, v, cmd->epoch);
        add(a, "0");
        add_bytes(a, v->taken->element[2]->str, v->taken->element[2]->len);
        return;
    }
    add(a, "FCALL");
    add(a, function[cmd->kind]);
    add(a, cmd->kind == MOVER_PROMOTE ? "2" : "1");
    add_vertex(a, v, p);
    if (cmd->kind == MOVER_PROMOTE)
        add_staging(a, v, cmd->epoch);
    if (cmd->kind == MOVER_FENCE)
        add_number(a, cmd->version);
    if (cmd->kind == MOVER_FENCE || cmd->kind == MOVER_ROUTE)
        add_number(a, v->d);
    add_number(a, cmd->epoch);
}

static struct mover_reply understood(struct vertex *v, enum mover_kind kind, redisReply *r)
{
    struct mover_reply out = { .result = MOVER_R_OK };

    if (kind == MOVER_TAKE && says(r, "LIVE")) {
        out = (struct mover_reply){ .result = MOVER_R_LIVE,
                                    .version = (uint64_t)r->element[1]->integer };
        if (v->taken != NULL)
            freeReplyObject(v->taken);
        v->taken = r;
        return out;
    }
    if (says(r, "STUB")) {
        out.result = MOVER_R_STUB;
        stub_of(r, &out.partition, &out.epoch);
    } else if (says(r, "ABSENT"))
        out.result = MOVER_R_ABSENT;
    else if (says(r, "REFUSED"))
        out.result = MOVER_R_REFUSED;
    else if (says(r, "ALARM"))
        out.result = MOVER_R_ALARM;
    freeReplyObject(r);
    return out;
}

static bool sweep(struct vertex *v, const struct mover_cmd *cmd)
{
    bool ok = true;

    for (size_t i = 0; i < cmd->n_sweep && ok; i++) {
        struct args a = { .n = 0 };
        add(&a, "UNLINK");
        add_staging(&a, v, cmd->sweep[i]);
        redisReply *r = send(v->d, &a);
        ok = r != NULL;
        if (ok)
            freeReplyObject(r);
    }
    return ok;
}

static void step(struct vertex *v)
{
    const struct mover_cmd cmd = mover_next(&v->m);
    const uint32_t p = cmd.at == MOVER_AT_S ? v->s : cmd.at == MOVER_AT_D ? v->d : v->home;
    struct mover_reply out = { .result = MOVER_R_BROKEN };
    struct args a = { .n = 0 };

    v->done++;
    if (cmd.kind == MOVER_NEED_EPOCH) {
        out = (struct mover_reply){ .result = MOVER_R_OK, .epoch = fresh_epoch(v) };
    } else if (cmd.kind == MOVER_WAIT) {
        if (v->drops == drops && replicated(p))
            out.result = MOVER_R_OK;
    } else if (cmd.kind == MOVER_DEL_STAGING) {
        if (sweep(v, &cmd))
            out.result = MOVER_R_OK;
        v->drops = drops;
    } else {
        build(&a, v, &cmd, p);
        redisReply *r = send(p, &a);
        v->drops = drops;
        if (r != NULL)
            out = understood(v, cmd.kind, r);
    }
    mover_reply(&v->m, &out);
}

/* --- clients -------------------------------------------------------------------- */

/* Reads or writes one field, from a cached place; true when done. */
static bool client(struct vertex *v, enum client_op op, const char *field, uint32_t cached)
{
    struct client c;
    bool present = false;

    client_init(&c, op, v->home, cached, v->home, 20);
    while (client_next(&c).kind != CLIENT_END) {
        const struct client_cmd cmd = client_next(&c);
        struct args a = { .n = 0 };
        uint32_t p = 0;
        uint64_t epoch = 0;
        if (cmd.kind == CLIENT_BACKOFF) {
            client_reply(&c, CLIENT_R_OK, 0, 0);
            continue;
        }
        assert_int_equal(cmd.kind, CLIENT_DO);
        add(&a, "FCALL");
        add(&a, op == CLIENT_READ ? "prism_get" : "prism_write");
        add(&a, "1");
        add_vertex(&a, v, cmd.partition);
        if (op == CLIENT_WRITE)
            add(&a, "1");
        add(&a, field);
        if (op == CLIENT_WRITE)
            add(&a, "1");
        redisReply *r = send(cmd.partition, &a);
        enum client_result result = CLIENT_R_BROKEN;
        if (r != NULL && says(r, "MOVED")) {
            stub_of(r, &p, &epoch);
            result = CLIENT_R_STUB;
        } else if (r != NULL && says(r, "ABSENT")) {
            result = CLIENT_R_ABSENT;
        } else if (r != NULL && (says(r, "LIVE") || says(r, "OK")) && replicated(cmd.partition)) {
            present = op == CLIENT_WRITE || r->element[2]->type == REDIS_REPLY_STRING;
            result = CLIENT_R_OK;
        }
        if (r != NULL)
            freeReplyObject(r);
        client_reply(&c, result, p, epoch);
    }
    return client_outcome(&c) == CLIENT_DONE && present;
}

/* --- the scene --------------------------------------------------------------- */

static void call(uint32_t p, struct args *a)
{
    redisReply *r = send(p, a);

    assert_non_null(r);
    freeReplyObject(r);
    assert_true(replicated(p));
}

/* Where a vertex of this role lives when the partitions are those of the shard to
 * be killed and of two others. */
static void place(struct vertex *v, unsigned role, const uint32_t p[SHARDS])
{
    static const uint8_t where[ROLES][3] = {
        /* s d home; 0: killed */
        { 0, 1, 2 }, { 1, 0, 2 }, { 1, 2, 0 }, { 0, 1, 0 }, { 1, 0, 0 },
    };

    v->s = p[where[role][0]];
    v->d = p[where[role][1]];
    v->home = p[where[role][2]];
}

static void bring_to_life(struct vertex *v)
{
    struct args a = { .n = 0 }, b = { .n = 0 };

    add(&a, "FCALL");
    add(&a, "prism_load");
    add(&a, "1");
    add_vertex(&a, v, v->s);
    add(&a, "p:first");
    add(&a, "1");
    call(v->s, &a);
    if (v->home == v->s)
        return;
    add(&b, "FCALL");
    add(&b, "prism_route");
    add(&b, "1");
    add_vertex(&b, v, v->home);
    add_number(&b, v->s);
    add_number(&b, 1);
    call(v->home, &b);
}

static void set_the_scene(unsigned round, const uint32_t p[SHARDS])
{
    for (unsigned i = 0; i < VERTICES; i++) {
        struct vertex *v = &vertex[i];
        *v = (struct vertex){ .epochs = 0 };
        (void)snprintf(v->id, sizeof(v->id), "%u-%u", round, i);
        place(v, i / STEPS, p);
        bring_to_life(v);
        mover_init(&v->m, v->s, v->d, v->home, fresh_epoch(v), false);
        for (unsigned k = 0; k < i % STEPS && mover_next(&v->m).kind != MOVER_END; k++)
            step(v);
        /* somebody writes after the copy was taken */
        v->second_write = i % STEPS < 4 && i % 2 == 1;
        if (v->second_write)
            assert_true(client(v, CLIENT_WRITE, "p:second", v->s));
    }
}

struct deposed {
    uint32_t p;
    char id[PR_NODE_ID], name[16];
};

static bool taken_over(void *ctx)
{
    const struct deposed *old = ctx;
    char id[PR_NODE_ID];
    struct pr_err err;

    if (pr_cluster_refresh(cluster, &err) != PR_OK)
        return false;
    owner_of(old->p, id, NULL);
    return id[0] != '\0' && strcmp(id, old->id) != 0;
}

static void kill_primary_of(uint32_t p)
{
    struct deposed old = { .p = p };
    struct pr_err err;

    owner_of(p, old.id, old.name);
    it_server_kill(old.name, true);
    pr_cluster_drop(cluster, old.id);
    drops++;
    assert_true(it_await(taken_over, &old, 60000));
    it_server_up(old.name);
    it_cluster_await(60000);
    assert_ok(pr_cluster_refresh(cluster, &err), &err);
}

static void go_on(struct vertex *v, bool crashed)
{
    if (crashed) {
        struct mover m;
        mover_init(&m, v->s, v->d, v->home, fresh_epoch(v), false);
        for (size_t i = 0; i + 1 < v->epochs; i++)
            assert_true(mover_add_sweep(&m, v->epoch[i]));
        v->m = m;
    }
    v->done = 0;
    while (mover_next(&v->m).kind != MOVER_END && v->done < MAX_COMMANDS)
        step(v);
    if (mover_outcome(&v->m) != MOVER_MOVED)
        fail_msg("vertex %s: outcome %d after %u commands", v->id, (int)mover_outcome(&v->m),
                 v->done);
}

static bool has(const struct vertex *v, uint32_t p, const char *field)
{
    struct args a = { .n = 0 };

    add(&a, "HEXISTS");
    add_vertex(&a, v, p);
    add(&a, field);
    redisReply *r = send(p, &a);
    assert_non_null(r);
    bool yes = r->integer == 1;
    freeReplyObject(r);
    return yes;
}

static void no_staging(const struct vertex *v)
{
    for (size_t i = 0; i < v->epochs; i++) {
        struct args a = { .n = 0 };
        add(&a, "EXISTS");
        add_staging(&a, v, v->epoch[i]);
        redisReply *r = send(v->d, &a);
        assert_non_null(r);
        if (r->integer != 0)
            fail_msg("vertex %s: staging of epoch %llu is left", v->id,
                     (unsigned long long)v->epoch[i]);
        freeReplyObject(r);
    }
}

static void is_well(struct vertex *v)
{
    const uint32_t from[] = { v->s, v->d, v->home };

    assert_true(has(v, v->d, "_v"));
    assert_false(has(v, v->s, "_v"));
    assert_true(v->home == v->d || has(v, v->home, "_m"));
    for (size_t i = 0; i < 3; i++) {
        if (!client(v, CLIENT_READ, "p:first", from[i]) ||
            (v->second_write && !client(v, CLIENT_READ, "p:second", from[i])))
            fail_msg("vertex %s: an acknowledged write is lost from partition %u", v->id, from[i]);
        assert_true(client(v, CLIENT_WRITE, "p:third", from[i]));
    }
    no_staging(v);
}

/* A partition of each shard, the one to be killed first. */
static void partitions(unsigned first, uint32_t p[SHARDS])
{
    const struct pr_topology *t = pr_cluster_topology(cluster);
    int16_t owner[SHARDS];
    unsigned n = 0;

    for (uint32_t i = 0; n < SHARDS && i < 4096; i++) {
        int16_t o = t->slot_owner[pr_partition_slot(i)];
        bool seen = false;
        for (unsigned k = 0; k < n; k++)
            seen = seen || owner[k] == o;
        if (seen)
            continue;
        owner[n] = o;
        p[(n + SHARDS - first) % SHARDS] = i;
        n++;
    }
    assert_int_equal(n, SHARDS);
}

static void a_primary_may_die_between_any_two_steps(void **state)
{
    (void)state;
    for (unsigned round = 0; round < SHARDS; round++) {
        uint32_t p[SHARDS];
        partitions(round, p);
        set_the_scene(round, p);
        kill_primary_of(p[0]);
        for (unsigned i = 0; i < VERTICES; i++)
            go_on(&vertex[i], i % 3 == 2);
        for (unsigned i = 0; i < VERTICES; i++) {
            is_well(&vertex[i]);
            if (vertex[i].taken != NULL)
                freeReplyObject(vertex[i].taken);
        }
    }
}

static int start(void **state)
{
    (void)state;
    const struct pr_redis_auth auth = { it_env("IT_REDIS_ADMIN_USER"),
                                        it_env("IT_REDIS_ADMIN_PASSWORD") };
    struct pr_err err;

    it_cluster_await(60000);
    it_redis_flush();
    assert_ok(pr_cluster_open(&cluster, it_env("IT_REDIS_SEEDS"), &auth, 5000, &err), &err);
    assert_ok(pr_cluster_load_library(cluster, pr_library_code, &err), &err);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    pr_cluster_close(cluster);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_primary_may_die_between_any_two_steps),
    };
    return cmocka_run_group_tests_name("fault/move", tests, start, stop);
}
