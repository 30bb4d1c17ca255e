/* Region fail-over with PostgreSQL: both stores, there and back; what both had acknowledged. */
#include "dr_pg_stage.h"
#include "dr_region_stage.h"

#include <glob.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char out[REGION_OUT];
static struct pg_server b;

static void describe(char more[900], const struct pg_server *s)
{
    (void)snprintf(more, 900,
                   ",\"postgres\":{\"uri\":\"%s\",\"data\":\"%s\",\"settings\":[\"port=%d\"]}",
                   s->uri, s->dir, s->port);
}

/* PRISM_DB_URI is of a login that may be locked out, as a service's is. */
static void use_server(const struct pg_server *s, const char *site)
{
    char uri[IT_URI];
    (void)snprintf(uri, sizeof uri, "postgresql://dr_login:dr@127.0.0.1:%d/app", s->port);
    pg_stage_set("PRISM_DB_URI", uri);
    pg_stage_set("PRISM_DR_PG_URI", s->uri);
    pg_stage_set("PRISM_DR_PG_DATA_PATH", s->dir);
    pg_stage_set("PRISM_DR_SITE", site);
}

static int open_all(void **state)
{
    region_stage_open(state);
    region_service_stop();
    pg_stage_open(state);
    b.port = it_free_port();
    pg_server_address(&b);
    (void)snprintf(b.dir, sizeof b.dir, "%s/west", pg.dir);
    describe(region.east_more, &pg.a);
    describe(region.west_more, &b);
    region_sites(NULL, false);
    assert_int_equal(chmod(region.dir, 0755), 0); /* for the servers' user */
    pg_stage_set("PRISM_REDIS_USER", it_env("IT_DR_REDIS_USER"));
    pg_stage_set("PRISM_REDIS_PASSWORD", it_env("IT_DR_REDIS_PASSWORD"));
    pg_stage_set("PRISM_DR_SITES_PATH", region.sites);
    pg_stage_set("PRISM_DR_SCRATCH_PATH", pg.dir);
    pg_stage_set("PRISM_DR_FLUSH_MS", "100");
    pg_stage_set("PRISM_DR_BEAT_MS", "500");
    pg_stage_set("PRISM_DR_PRIMARY_TOO", "true");
    pg_sql(&pg.a,
           "SET synchronous_commit = local; CREATE ROLE dr_login LOGIN PASSWORD 'dr' IN "
           "ROLE prism_dr; GRANT CONNECT ON DATABASE app TO dr_login",
           NULL, 0);
    use_server(&pg.a, "east");
    return 0;
}

static int close_all(void **state)
{
    pg_service_stop();
    pg_server_stop(&b, "immediate");
    return pg_stage_close(state) | region_stage_close(state);
}

static bool streams(void *server)
{
    return pg_number(server, "SELECT (count(*) > 0 AND count(*) = (SELECT count(*) FROM shards "
                             "WHERE slots > 0))::int FROM dr_shards WHERE streaming AND "
                             "generation_epoch > 0 AND updated_at > now() - interval '3 s'") == 1;
}

static bool watched(void *server)
{
    return pg_number(server, "SELECT (count(*) = 16384)::int FROM slots") == 1 &&
           pg_number(server, "SELECT count(*) FROM nodes WHERE state <> 'up'") == 0;
}

static void write_topology(struct pg_server *s, const char *seeds)
{
    struct it_service rebalance;
    char text[4200];
    (void)snprintf(text, sizeof text, "PRISM_REDIS_SEEDS=%s", seeds);
    char db[IT_URI + 16];
    (void)snprintf(db, sizeof db, "PRISM_DB_URI=%s", s->uri);
    const char *env[] = { text, db, NULL };
    it_service(&rebalance, "rebalance", s->uri, env);
    const bool there = it_await(watched, s, DR_AWAIT_MS);
    assert_int_equal(it_stop(rebalance.pid), 0);
    if (!there)
        fail_msg("the topology was not written");
}

static void run_ok(const char *const *arg)
{
    const int status = pg_program(out, sizeof out, arg, 3 * REGION_AWAIT_MS);
    if (status != 0)
        fail_msg("%s %s ended with %d: %s", arg[0], arg[1], status, out);
}

static long number(const char *name)
{
    char text[64];
    region_json(out, name, text, sizeof text);
    return strtol(text, NULL, 10);
}

static bool app_gets_in(const struct pg_server *s)
{
    char uri[IT_URI];
    (void)snprintf(uri, sizeof uri, "postgresql://app_user:app@127.0.0.1:%d/app", s->port);
    PGconn *c = PQconnectdb(uri);
    const bool ok = PQstatus(c) == CONNECTION_OK;
    if (!ok && strstr(PQerrorMessage(c), "permission denied for database") == NULL)
        fail_msg("%s", PQerrorMessage(c));
    PQfinish(c);
    return ok;
}

static void put_keys(const int *ports, const char *value)
{
    for (const int *p = ports; *p != 0; p++) {
        redisContext *c = region_redis(*p);
        for (int i = 0; i < 200; i++)
            freeReplyObject(redisCommand(c, "SET k%d %s", i, value)); /* MOVED, or its own */
        redisFree(c);
    }
}

static int count_keys(const int *ports, const char *value)
{
    int n = 0;
    for (const int *p = ports; *p != 0; p++) {
        redisContext *c = region_redis(*p);
        for (int i = 0; i < 200; i++) {
            redisReply *r = redisCommand(c, "GET k%d", i);
            n += r != NULL && r->type == REDIS_REPLY_STRING && strcmp(r->str, value) == 0;
            freeReplyObject(r);
        }
        redisFree(c);
    }
    return n;
}

/* Whoever goes on after a kill knows by it what the directory holds: in it, not beside. */
static void is_marked(const struct pg_server *s, int number)
{
    char pattern[512];
    glob_t found = { .gl_pathc = 0 };
    (void)snprintf(pattern, sizeof pattern, "%.400s/prism-failover-%d-*", s->dir, number);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    globfree(&found);
}

static void both_stores_fail_over(void **state)
{
    (void)state;
    static const char *const PLAN[] = { "failover", "plan", "--to", "west", NULL };
    static const char *const EXECUTE[] = { "failover", "execute", "--to", "west", NULL };
    struct pg_writer w;
    for (size_t i = 0; i < region.easts; i++) {
        char sql[300];
        (void)snprintf(sql, sizeof sql,
                       "SET synchronous_commit = local; INSERT INTO zones VALUES ('%s') ON "
                       "CONFLICT DO NOTHING; INSERT INTO nodes (id, host, port, zone_id) VALUES "
                       "('n%d', '127.0.0.1', %d, '%s')",
                       it_redis_zone(region.east[i]), region.east[i], region.east[i],
                       it_redis_zone(region.east[i]));
        pg_sql(&pg.a, sql, NULL, 0);
    }
    pg_sql(&pg.a, "SET synchronous_commit = local; INSERT INTO store (partitions) VALUES (4096)",
           NULL, 0);
    pg_service_start();
    pg_await("attached AND synchronous AND full_at IS NOT NULL");
    write_topology(&pg.a, it_env("IT_REDIS_SEEDS"));
    if (!it_await(streams, &pg.a, DR_AWAIT_MS))
        fail_msg("not every shard is followed");
    put_keys(region_east(), "one");
    assert_int_equal(count_keys(region_east(), "one"), 200);
    pg_sql(&pg.a, "GRANT CONNECT ON DATABASE app TO app_user", NULL, 0);
    assert_true(app_gets_in(&pg.a));
    pg_writer_start(&w, &pg.a);
    pg_writer_await(&w, 200);
    run_ok(PLAN);
    assert_non_null(strstr(out, "\"ready\":true"));
    run_ok(EXECUTE);
    const long acked = pg_writer_stop(&w);
    print_message("fail-over with PostgreSQL: RPO %ld ms, RTO %ld ms, %ld rows\n", number("rpo_ms"),
                  number("rto_ms"), acked);
    assert_int_equal(number("rpo_ms"), 0);
    assert_in_range(number("rto_ms"), 1, 120000);
    assert_in_range(pg_number(&b, "SELECT max(id) FROM t"), acked, acked + 1);
    assert_int_equal(pg_number(&b, "SELECT count(*) - max(id) FROM t"), 0);
    assert_int_equal(pg_number(&b, "SELECT pg_is_in_recovery()::int"), 0);
    is_marked(&b, 1);
    assert_true(app_gets_in(&b));
    assert_false(app_gets_in(&pg.a));
    assert_true(region_locked_out(region_east()));
    assert_int_equal(count_keys(region_west(), "one"), 200);
    assert_int_equal(pg_number(&b, "SELECT count(*) FROM dr_failovers WHERE rpo_ms = 0"), 1);
    assert_int_equal(pg_number(&b, "SELECT count(*) FROM nodes WHERE id LIKE 'w%%'"), OWN_NODES);
    assert_int_equal(pg_number(&b, "SELECT count(*) FROM leases WHERE expires_at > now()"), 0);
}

/* East's PostgreSQL runs, locked out, and has rows of its own by its superuser: they go. */
static void and_back(void **state)
{
    (void)state;
    static const char *const BACK[] = { "failover", "execute",         "--to",
                                        "east",     "--over-existing", NULL };
    pg_service_stop();
    pg_sql(&pg.a, "SET synchronous_commit = local; INSERT INTO t VALUES (999999)", NULL, 0);
    use_server(&b, "west");
    const struct pg_server was = pg.a;
    pg.a = b; /* which the stage looks after */
    pg_service_start();
    pg_await("attached AND NOT synchronous AND full_at IS NOT NULL");
    pg.a = was;
    write_topology(&b, region.west.seeds);
    if (!it_await(streams, &b, DR_AWAIT_MS))
        fail_msg("not every shard of west is followed");
    put_keys(region_west(), "two");
    const long rows = pg_number(&b, "SELECT count(*) FROM t");
    pg_sql(&b, "INSERT INTO t SELECT g FROM generate_series(2000001, 2000100) g", NULL, 0);
    run_ok(BACK);
    print_message("failback with PostgreSQL: RPO %ld ms, RTO %ld ms\n", number("rpo_ms"),
                  number("rto_ms"));
    assert_non_null(strstr(out, "follows west")); /* rewound, not restored */
    assert_int_equal(number("rpo_ms"), 0);
    assert_int_equal(pg_number(&pg.a, "SELECT count(*) FROM t"), rows + 100);
    assert_int_equal(pg_number(&pg.a, "SELECT count(*) FROM t WHERE id = 999999"), 0);
    assert_int_equal(pg_number(&pg.a, "SELECT pg_is_in_recovery()::int"), 0);
    is_marked(&pg.a, 2);
    assert_true(app_gets_in(&pg.a));
    assert_false(app_gets_in(&b));
    assert_int_equal(count_keys(region_east(), "two"), 200);
    assert_true(region_locked_out(region_west()));
    assert_true(region_user_gets_in(region.east[0]));
    assert_int_equal(pg_number(&pg.a, "SELECT count(*) FROM dr_failovers"), 2);
}

int main(int argc, char **argv)
{
    if (argc > 1) /* a pattern: those alone */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_stores_fail_over),
        cmocka_unit_test(and_back),
    };
    return cmocka_run_group_tests_name("dr region postgres", tests, open_all, close_all);
}
