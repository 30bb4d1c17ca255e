/* Creation and deletion by the reference client on a real cluster, as a user of
 * the store with the rights of a client. */
#include "dp_tools.h"

#include "prism/dp/exec.h"
#include "prism/slot.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RACES = 24 };

struct user {
    struct pr_cluster *cluster;
    struct dp_exec exec;
};

static struct user main_user;

static void user_start(struct user *u)
{
    struct pr_err err = { .text = "" };
    const struct pr_redis_auth auth = { it_env("IT_CLIENT_REDIS_USER"),
                                        it_env("IT_CLIENT_REDIS_PASSWORD") };
    assert_ok(pr_cluster_open(&u->cluster, it_env("IT_REDIS_SEEDS"), &auth, 5000, &err), &err);
    u->exec = (struct dp_exec){ .cluster = u->cluster,
                                .partitions = PARTITIONS,
                                .run = { .wait_replicas = atoi(it_env("IT_REPLICAS")),
                                         .wait_ms = 5000,
                                         .deadline_ms = 15000 },
                                .deadline_ms = 30000,
                                .max_backoffs = 50 };
}

static void user_stop(struct user *u)
{
    dp_exec_done(&u->exec);
    pr_cluster_close(u->cluster);
}

static int start(void **state)
{
    if (tools_start(state) != 0)
        return -1;
    user_start(&main_user);
    return 0;
}

static int stop(void **state)
{
    user_stop(&main_user);
    return tools_stop(state);
}

static int fresh(void **state)
{
    (void)state;
    it_redis_flush();
    return 0;
}

static struct dp_vertex vertex_of(const char *id)
{
    struct dp_vertex v = { .id_len = (uint8_t)strlen(id) };
    memcpy(v.id, id, strlen(id) + 1);
    v.hash = pr_vertex_hash(id, strlen(id));
    return v;
}

static uint32_t home_of(const struct dp_vertex *v)
{
    return pr_home_partition(v->hash, PARTITIONS);
}

static uint32_t away_from_home(const struct dp_vertex *v, uint32_t by)
{
    return (home_of(v) + by) % PARTITIONS;
}

/* --- one operation; the number behind its status word is left in version --- */
static const char *const fields[] = { "1", "p:name", "a" };
static const size_t field_len[] = { 1, 6, 1 };
static const char *const wanted[] = { "p:name" };
static const size_t wanted_len[] = { 6 };

static struct dp_op creation(const struct dp_vertex *v, uint32_t at)
{
    return (struct dp_op){ .vertex = v,
                           .op = CLIENT_CREATE,
                           .function = "prism_create",
                           .arg = fields,
                           .arg_len = field_len,
                           .n_args = 3,
                           .cached = home_of(v),
                           .create_at = at,
                           .wait = true };
}

static struct dp_op run_one(struct user *u, struct dp_op op, long long *version)
{
    struct pr_err err = { .text = "" };
    assert_ok(dp_exec(&u->exec, &op, 1, &err), &err);
    assert_ok(op.rc, &err);
    if (op.reply != NULL) {
        if (version != NULL) {
            assert_true(op.reply->elements >= 2);
            *version = op.reply->element[1]->integer;
        }
        freeReplyObject(op.reply);
        op.reply = NULL;
    }
    return op;
}

static long long create(const struct dp_vertex *v, uint32_t at, uint32_t lives_at)
{
    long long version = -1;
    const struct dp_op op = run_one(&main_user, creation(v, at), &version);
    assert_int_equal(op.outcome, CLIENT_DONE);
    assert_int_equal(op.found_at, lives_at);
    assert_true(op.acked >= main_user.exec.run.wait_replicas);
    return version;
}

static enum client_outcome delete_it(const struct dp_vertex *v)
{
    return run_one(&main_user,
                   (struct dp_op){ .vertex = v,
                                   .op = CLIENT_DELETE,
                                   .function = "prism_delete",
                                   .cached = home_of(v),
                                   .wait = true },
                   NULL)
        .outcome;
}

static enum client_outcome look(const struct dp_vertex *v, uint32_t *found_at)
{
    const struct dp_op op = run_one(&main_user,
                                    (struct dp_op){ .vertex = v,
                                                    .op = CLIENT_READ,
                                                    .function = "prism_get",
                                                    .arg = wanted,
                                                    .arg_len = wanted_len,
                                                    .n_args = 1,
                                                    .cached = home_of(v) },
                                    NULL);
    *found_at = op.found_at;
    return op.outcome;
}

static void assert_found(const struct dp_vertex *v, uint32_t at)
{
    uint32_t found_at = 0;
    assert_int_equal(look(v, &found_at), CLIENT_DONE);
    assert_int_equal(found_at, at);
}

static void assert_not_found(const struct dp_vertex *v)
{
    uint32_t found_at = 0;
    assert_int_equal(look(v, &found_at), CLIENT_NOT_FOUND);
}

/* --- what is in the store, as the administrator sees it ------------------ */
static void assert_in_store(const struct dp_vertex *v, uint32_t partition, const char *name,
                            const char *want)
{
    char text[64];
    (void)snprintf(text, sizeof text, "HGET %%s %s", name);
    redisReply *r = ask_vertex(v->id, (int)partition, text);
    const char *have = r->type == REDIS_REPLY_STRING ? r->str : NULL;
    if ((have == NULL) != (want == NULL) || (want != NULL && strcmp(have, want) != 0))
        fail_msg("vertex %s in %u: %s is %s, not %s", v->id, partition, name,
                 have != NULL ? have : "absent", want != NULL ? want : "absent");
    freeReplyObject(r);
}

/* Partitions where it lives; the last of them goes to where. */
static int copies(const struct dp_vertex *v, uint32_t *where)
{
    int n = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        redisReply *r = ask_vertex(v->id, (int)p, "HEXISTS %s _v");
        if (r->integer == 1) {
            *where = p;
            n++;
        }
        freeReplyObject(r);
    }
    return n;
}

static void one_created_at_home_lives_there(void **state)
{
    (void)state;
    const struct dp_vertex v = vertex_of("at-home");
    const uint32_t home = home_of(&v);
    uint32_t where = 0;
    assert_int_equal(create(&v, home, home), 2); /* the claim made the empty vertex */
    assert_in_store(&v, home, "p:name", "a");
    assert_in_store(&v, home, "_e", "0");
    assert_in_store(&v, home, "_m", NULL);
    assert_int_equal(copies(&v, &where), 1);
    assert_found(&v, home);
}

static void one_created_elsewhere_leaves_its_claim_at_home(void **state)
{
    (void)state;
    const struct dp_vertex v = vertex_of("elsewhere");
    const uint32_t home = home_of(&v), t = away_from_home(&v, 9);
    char stub[32];
    uint32_t where = 0;
    assert_int_equal(create(&v, t, t), 1);
    (void)snprintf(stub, sizeof stub, "%u:0", t);
    assert_in_store(&v, home, "_m", stub);
    assert_in_store(&v, home, "_v", NULL);
    assert_in_store(&v, t, "p:name", "a");
    assert_in_store(&v, t, "_e", "0");
    assert_int_equal(copies(&v, &where), 1);
    assert_found(&v, t);
}

static void creating_an_existing_one_raises_its_version(void **state)
{
    (void)state;
    const struct dp_vertex v = vertex_of("twice");
    const uint32_t home = home_of(&v), t = away_from_home(&v, 3);
    uint32_t where = 0;
    assert_int_equal(create(&v, t, t), 1);
    assert_int_equal(create(&v, t, t), 2);
    assert_int_equal(create(&v, home, t), 3); /* wherever it is wanted, it is where it is */
    assert_int_equal(create(&v, away_from_home(&v, 5), t), 4);
    assert_int_equal(copies(&v, &where), 1);
}

static void a_deleted_one_can_be_created_again(void **state)
{
    (void)state;
    const struct dp_vertex v = vertex_of("again");
    const uint32_t t = away_from_home(&v, 7);
    uint32_t where = 0;
    const long long first = create(&v, t, t);
    assert_int_equal(delete_it(&v), CLIENT_DONE);
    assert_not_found(&v);
    assert_in_store(&v, t, "p:name", NULL);
    assert_int_equal(delete_it(&v), CLIENT_NOT_FOUND);
    assert_true(create(&v, home_of(&v), t) > first + 1); /* the tombstone kept counting */
    assert_found(&v, t);
    assert_int_equal(copies(&v, &where), 1);
}

static void one_that_moved_is_created_where_it_lives(void **state)
{
    (void)state;
    const struct dp_vertex v = vertex_of("moved");
    const uint32_t at = away_from_home(&v, 11);
    char text[64];
    uint32_t where = 0;
    (void)snprintf(text, sizeof text, "HSET %%s _m %u:7", at);
    freeReplyObject(ask_vertex(v.id, -1, text));
    freeReplyObject(ask_vertex(v.id, (int)at, "HSET %s _v 3 _e 7"));
    assert_int_equal(create(&v, away_from_home(&v, 2), at), 4);
    assert_int_equal(copies(&v, &where), 1);
}

static void one_on_its_way_is_not_created_a_second_time(void **state)
{
    (void)state;
    const struct dp_vertex v = vertex_of("on-its-way");
    const uint32_t at = away_from_home(&v, 11);
    char text[64];
    uint32_t where = 0;
    struct user hasty = main_user; /* its promotion never comes: gives up soon */
    hasty.exec.memory = NULL;
    hasty.exec.max_backoffs = 2;
    (void)snprintf(text, sizeof text, "HSET %%s _m %u:7", at);
    freeReplyObject(ask_vertex(v.id, -1, text));
    assert_int_equal(run_one(&hasty, creation(&v, at), NULL).outcome, CLIENT_GAVE_UP);
    assert_int_equal(copies(&v, &where), 0);
    dp_exec_done(&hasty.exec);
}

static void nothing_is_created_before_the_claim_is_on_every_replica(void **state)
{
    (void)state;
    const struct dp_vertex v = vertex_of("unsafe");
    const uint32_t t = away_from_home(&v, 1);
    uint32_t where = 0;
    struct user strict = main_user; /* wants one replica more than there is */
    strict.exec.memory = NULL;
    strict.exec.max_backoffs = 2;
    strict.exec.run.wait_replicas++;
    strict.exec.run.wait_ms = 50;
    assert_int_equal(run_one(&strict, creation(&v, t), NULL).outcome, CLIENT_GAVE_UP);
    assert_int_equal(copies(&v, &where), 0);
    assert_not_found(&v);                            /* claimed, not created */
    assert_int_equal(create(&v, home_of(&v), t), 1); /* another finishes it where it was claimed */
    dp_exec_done(&strict.exec);
}

static void one_never_created_is_not_found(void **state)
{
    (void)state;
    const struct dp_vertex v = vertex_of("never");
    assert_not_found(&v);
    assert_int_equal(delete_it(&v), CLIENT_NOT_FOUND);
}

/* --- two creators --------------------------------------------------------- */
struct creator {
    struct user user;
    pthread_barrier_t *together;
    pthread_t thread;
    uint32_t by;
    struct dp_vertex vertex[RACES];
    struct dp_op op[RACES];
    enum pr_code rc;
    struct pr_err err;
};

static void *race(void *arg)
{
    struct creator *c = arg;
    (void)pthread_barrier_wait(c->together);
    c->rc = dp_exec(&c->user.exec, c->op, RACES, &c->err);
    return NULL;
}

static void creator_start(struct creator *c, uint32_t by, pthread_barrier_t *together)
{
    *c = (struct creator){ .by = by, .together = together };
    user_start(&c->user);
    for (int i = 0; i < RACES; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "race-%d", i);
        c->vertex[i] = vertex_of(id);
        c->op[i] = creation(&c->vertex[i], away_from_home(&c->vertex[i], by));
    }
    assert_int_equal(pthread_create(&c->thread, NULL, race, c), 0);
}

/* Version of what a creation answered; frees the reply. */
static long long settled(struct creator *c, int i)
{
    assert_ok(c->op[i].rc, &c->err);
    assert_int_equal(c->op[i].outcome, CLIENT_DONE);
    const long long version = c->op[i].reply->element[1]->integer;
    freeReplyObject(c->op[i].reply);
    return version;
}

static void two_creators_with_different_places_end_in_one_vertex(void **state)
{
    (void)state;
    struct creator *c = calloc(2, sizeof *c);
    pthread_barrier_t together;
    assert_non_null(c);
    assert_int_equal(pthread_barrier_init(&together, NULL, 2), 0);
    creator_start(&c[0], 5, &together);
    creator_start(&c[1], 21, &together);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(pthread_join(c[k].thread, NULL), 0);
        assert_ok(c[k].rc, &c[k].err);
    }
    for (int i = 0; i < RACES; i++) {
        uint32_t where = 0;
        assert_int_equal(c[0].op[i].found_at, c[1].op[i].found_at);
        assert_int_equal(copies(&c[0].vertex[i], &where), 1);
        assert_int_equal(where, c[0].op[i].found_at);
        assert_int_equal(settled(&c[0], i) + settled(&c[1], i), 3); /* versions 1 and 2 */
    }
    user_stop(&c[0].user);
    user_stop(&c[1].user);
    pthread_barrier_destroy(&together);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_created_at_home_lives_there, fresh),
        cmocka_unit_test_setup(one_created_elsewhere_leaves_its_claim_at_home, fresh),
        cmocka_unit_test_setup(creating_an_existing_one_raises_its_version, fresh),
        cmocka_unit_test_setup(a_deleted_one_can_be_created_again, fresh),
        cmocka_unit_test_setup(one_that_moved_is_created_where_it_lives, fresh),
        cmocka_unit_test_setup(one_on_its_way_is_not_created_a_second_time, fresh),
        cmocka_unit_test_setup(nothing_is_created_before_the_claim_is_on_every_replica, fresh),
        cmocka_unit_test_setup(one_never_created_is_not_found, fresh),
        cmocka_unit_test_setup(two_creators_with_different_places_end_in_one_vertex, fresh),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
