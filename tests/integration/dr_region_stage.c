#include "dr_region_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct region_stage region;

static const char USER[] = "region", PASSWORD[] = "only for tests";

/* --- Redis ----------------------------------------------------------------------------------- */

static void said(redisReply *r, int port, const char *what)
{
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        fail_msg("port %d: %s: %s", port, what, r != NULL ? r->str : "no answer");
    freeReplyObject(r);
}

redisContext *region_redis(int port)
{
    return it_redis_user(port, USER, PASSWORD);
}

static void add_user(redisContext *c, int port)
{
    const char *argv[] = { "ACL", "SETUSER", USER, "on", ">only for tests", "~*", "&*", "+@all" };
    said(redisCommandArgv(c, 8, argv, NULL), port, "ACL SETUSER");
}

/* A line of ACL LIST, on another server. */
static void copy_user(redisContext *to, int port, const char *line)
{
    char text[4096], *word[256], *save = NULL;
    size_t n = 2;
    (void)snprintf(text, sizeof text, "%s", line);
    word[0] = (char[]){ "ACL" };
    word[1] = (char[]){ "SETUSER" };
    for (char *w = strtok_r(text + strlen("user "), " ", &save); w != NULL && n < 256;
         w = strtok_r(NULL, " ", &save))
        word[n++] = w;
    said(redisCommandArgv(to, (int)n, (const char **)(uintptr_t)word, NULL), port, line);
}

/* West has the same users; its default user goes off, as east's is. */
static void make_users(int port)
{
    redisContext *from = it_redis_admin(region.east[0]), *c = redisConnect("127.0.0.1", port);
    redisReply *all = redisCommand(from, "ACL LIST");
    redisReply *auth = redisCommand(from, "CONFIG GET masterauth");
    assert_true(all != NULL && all->type == REDIS_REPLY_ARRAY && auth->elements == 2);
    said(redisCommand(c, "CONFIG SET masteruser replica masterauth %s", auth->element[1]->str),
         port, "CONFIG SET");
    add_user(c, port);
    for (size_t i = 0; i < all->elements; i++)
        if (strncmp(all->element[i]->str, "user default ", 13) != 0)
            copy_user(c, port, all->element[i]->str);
    said(redisCommand(c, "ACL SETUSER default off"), port, "ACL SETUSER default");
    freeReplyObject(all);
    freeReplyObject(auth);
    redisFree(from);
    redisFree(c);
}

static void let_in(int port)
{
    static const char *const NAMES[] = { "admin",     "client", "rebalance",
                                         "autoscale", "dr",     "replica" };
    redisContext *c = region_redis(port);
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        said(redisCommand(c, "ACL SETUSER %s on", NAMES[i]), port, NAMES[i]);
    said(redisCommand(c, "ACL DELUSER prism-locked-out"), port, "ACL DELUSER");
    redisFree(c);
}

/* "admin": clients' in these tests. -1: who was hung up on in the midst of it. */
static int gets_in(int port)
{
    redisContext *c = redisConnect("127.0.0.1", port);
    redisReply *r = c != NULL && c->err == 0
                        ? redisCommand(c, "AUTH %s %s", it_env("IT_REDIS_ADMIN_USER"),
                                       it_env("IT_REDIS_ADMIN_PASSWORD"))
                        : NULL;
    const int in = r != NULL ? r->type == REDIS_REPLY_STATUS : -1;
    freeReplyObject(r);
    redisFree(c);
    return in;
}

bool region_user_gets_in(int port)
{
    int in = -1;
    for (int i = 0; i < 5 && in < 0; i++)
        in = gets_in(port);
    if (in < 0)
        fail_msg("port %d does not answer", port);
    return in > 0;
}

bool region_locked_out(void *ports)
{
    for (const int *p = ports; *p != 0; p++)
        if (region_user_gets_in(*p))
            return false;
    return true;
}

int *region_east(void)
{
    static int port[IT_MAX_NODES + 1];
    memcpy(port, region.east, region.easts * sizeof port[0]);
    return port;
}

int *region_west(void)
{
    static int port[OWN_NODES + 1];
    memcpy(port, region.west.port, sizeof region.west.port);
    return port;
}

/* --- the file of the sites ----------------------------------------------------------------------
 */

static void add_nodes(FILE *f, const int *port, size_t n, const char *prefix, bool ghost)
{
    for (size_t i = 0; i < n; i++)
        (void)fprintf(f, "%s{\"id\":\"%s%d\",\"address\":\"127.0.0.1:%d\",\"zone\":\"%c\"}",
                      i > 0 ? "," : "", prefix, port[i], port[i], "abc"[i % 3]);
    if (ghost)
        (void)fprintf(f, ",{\"id\":\"ghost\",\"address\":\"127.0.0.1:%d\",\"zone\":\"a\"}",
                      it_free_port());
}

void region_sites(const char *west_switch, bool ghost)
{
    static const char redis[] = "\"redis\":{\"user\":\"%s\",\"password_path\":\"%s/password\","
                                "\"keep\":[\"dr\",\"replica\"],\"nodes\":[";
    char path[128];
    (void)snprintf(path, sizeof path, "%s/password", region.dir);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fprintf(f, "%s\n", PASSWORD);
    assert_int_equal(fclose(f), 0);
    f = fopen(region.sites, "we");
    assert_non_null(f);
    (void)fprintf(f, "{\"sites\":[{\"name\":\"east\",");
    (void)fprintf(f, redis, USER, region.dir);
    add_nodes(f, region.east, region.easts, "n", ghost);
    (void)fprintf(f, "]}%s},{\"name\":\"west\",", region.east_more);
    (void)fprintf(f, redis, USER, region.dir);
    add_nodes(f, region.west.port, OWN_NODES, "w", false);
    (void)fprintf(f, "]}%s", region.west_more);
    if (west_switch != NULL)
        (void)fprintf(f, ",\"hooks\":{\"switch\":\"%s\",\"timeout_s\":60}", west_switch);
    (void)fprintf(f, "}]}\n");
    assert_int_equal(fclose(f), 0);
}

/* --- the stage -----------------------------------------------------------------------------------
 */

static bool watched(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM slots") == 16384 &&
           dr_stage_number("SELECT count(*) FROM nodes WHERE state <> 'up'") == 0;
}

/* Only while nobody fails over: who executes plans would be in the way. */
static void write_topology(const char *site)
{
    char role[IT_URI], seeds[4200];
    (void)snprintf(seeds, sizeof seeds, "PRISM_REDIS_SEEDS=%s",
                   strcmp(site, "east") == 0 ? it_env("IT_REDIS_SEEDS") : region.west.seeds);
    const char *env[] = { seeds, NULL };
    it_role_uri(dr.uri, "rebalance", role);
    it_service(&dr.rebalance, "rebalance", role, env);
    const bool there = it_await(watched, NULL, DR_AWAIT_MS);
    assert_int_equal(it_stop(dr.rebalance.pid), 0);
    if (!there)
        fail_msg("the topology of %s was not written", site);
}

void region_service_start(const char *site)
{
    write_topology(site);
    dr_stage_set("PRISM_DR_SITE", site);
    it_service(&region.service, "dr", dr.uri, dr.env);
    dr_stage_await_streaming();
}

void region_service_stop(void)
{
    if (region.service.pid > 0)
        assert_int_equal(it_stop(region.service.pid), 0);
    region.service.pid = 0;
}

static void settings(int number)
{
    dr_stage_settings(number);
    dr_stage_set("PRISM_DR_BEAT_MS", "500");
    dr_stage_set("PRISM_DR_PRIMARY_TOO", "true"); /* west has shards without a replica */
    dr_stage_set("PRISM_DR_SITES_PATH", region.sites);
    dr_stage_set("PRISM_DR_SCRATCH_PATH", region.dir);
    dr_stage_set("PRISM_DB_URI", dr.role); /* as the service runs it */
    dr_stage_set("PRISM_DR_SITE", "east");
}

int region_stage_open(void **state)
{
    const int rc = dr_stage_open(state);
    (void)snprintf(region.dir, sizeof region.dir, "/tmp/prism-region-XXXXXX");
    assert_non_null(mkdtemp(region.dir));
    (void)snprintf(region.sites, sizeof region.sites, "%s/sites.json", region.dir);
    region.easts = it_redis_ports(region.east);
    for (size_t i = 0; i < region.easts; i++) {
        redisContext *c = it_redis_admin(region.east[i]);
        add_user(c, region.east[i]);
        redisFree(c);
    }
    own_cluster_start(&region.west);
    for (int i = 0; i < OWN_NODES; i++)
        make_users(region.west.port[i]);
    region_sites(NULL, false);
    settings(dr.rebalance.pid);
    assert_int_equal(it_stop(dr.rebalance.pid), 0);
    region_service_start("east");
    return rc;
}

static void let_east_in(void)
{
    it_cluster_revive();
    for (size_t i = 0; i < region.easts; i++)
        let_in(region.east[i]);
}

int region_stage_close(void **state)
{
    const char *rm[] = { "/bin/rm", "-rf", region.dir, NULL };
    (void)state;
    dr_ledger_stop();
    region_service_stop();
    let_east_in();
    own_cluster_stop(&region.west);
    return it_run(NULL, rm, NULL, 0, 20000);
}

static void empty_west(void)
{
    for (int i = 0; i < OWN_NODES; i++) {
        redisContext *c = region_redis(region.west.port[i]);
        freeReplyObject(redisCommand(c, "FLUSHALL")); /* a replica refuses */
        freeReplyObject(redisCommand(c, "FUNCTION FLUSH"));
        redisFree(c);
        let_in(region.west.port[i]);
    }
}

void region_stage_fresh(void)
{
    static int number = 1;
    char name[32];
    dr_ledger_stop();
    dr_ledger_anew();
    region_service_stop();
    let_east_in();
    it_cluster_await(DR_AWAIT_MS);
    it_redis_flush();
    empty_west();
    it_sql(dr.uri,
           "DELETE FROM slots; DELETE FROM shards; DELETE FROM nodes; DELETE FROM dr_shards; "
           "DELETE FROM dr_groups; DELETE FROM dr_failovers",
           NULL, 0);
    for (size_t i = 0; i < region.easts; i++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO nodes (id, host, port, zone_id) VALUES ('n%d', '127.0.0.1', "
                       "%d, '%s')",
                       region.east[i], region.east[i], it_redis_zone(region.east[i]));
        it_sql(dr.uri, sql, NULL, 0);
    }
    settings(dr.rebalance.pid);
    (void)snprintf(name, sizeof name, "t%d-%d", (int)dr.rebalance.pid, number++);
    dr_stage_set("PRISM_DR_CLUSTER", name);
    region_sites(NULL, false);
    region_service_start("east");
}

static void each_east(void (*fn)(const char *name))
{
    for (size_t i = 0; i < region.easts; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "redis-%d", region.east[i]);
        fn(name);
    }
}

static void keep_down(const char *name)
{
    it_server_kill(name, true);
}

void region_east_down(void)
{
    each_east(keep_down);
}

void region_east_up(void)
{
    each_east(it_server_up);
    for (size_t i = 0; i < region.easts; i++) {
        redisContext *c = it_redis_admin(region.east[i]);
        add_user(c, region.east[i]);
        redisFree(c);
    }
}

/* --- the program ---------------------------------------------------------------------------------
 */

static const char **command(const char *argv[16], char program[4096], const char *const *arg)
{
    (void)snprintf(program, 4096, "%s/prism-dr", PRISM_BIN_DIR);
    argv[0] = program;
    argv[1] = "failover";
    size_t n = 2;
    while (*arg != NULL)
        argv[n++] = *arg++;
    argv[n] = NULL;
    return argv;
}

int region_failover(char *out, const char *const *arg)
{
    char program[4096];
    const char *argv[16];
    return it_run(dr.env, command(argv, program, arg), out, REGION_OUT, REGION_AWAIT_MS);
}

pid_t region_failover_spawn(const char *const *arg, const char *endpoint)
{
    char program[4096], keep[256], name[] = "PRISM_DR_S3_ENDPOINT=";
    const char *argv[16];
    size_t i = 0;
    while (strncmp(dr.env[i], name, strlen(name)) != 0)
        i++;
    (void)snprintf(keep, sizeof keep, "%s", dr.env[i] + strlen(name));
    if (endpoint != NULL)
        dr_stage_set("PRISM_DR_S3_ENDPOINT", endpoint);
    const pid_t pid = it_spawn(dr.env, command(argv, program, arg));
    dr_stage_set("PRISM_DR_S3_ENDPOINT", keep);
    return pid;
}

void region_json(const char *json, const char *name, char *out, size_t n)
{
    char key[64];
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key);
    if (at == NULL)
        fail_msg("no %s in %s", key, json);
    at += strlen(key);
    (void)snprintf(out, n, "%.*s", (int)strcspn(at, ",}]"), at);
}

/* --- what is there -------------------------------------------------------------------------------
 */

static redisReply *ask(const int *ports, const char *format, const char *tag, redisContext **c)
{
    for (const int *p = ports; *p != 0; p++) {
        *c = region_redis(*p);
        redisReply *r = redisCommand(*c, format, tag);
        if (r != NULL && r->type != REDIS_REPLY_ERROR)
            return r;
        freeReplyObject(r);
        redisFree(*c);
    }
    fail_msg("nobody owns the slot of %s", tag);
    return NULL;
}

uint64_t region_entries(const int *ports, const struct dr_ledger_line *l)
{
    redisContext *c = NULL;
    redisReply *log = ask(ports, "LRANGE {%s}log 0 -1", l->tag, &c);
    redisReply *count = redisCommand(c, "GET {%s}count", l->tag);
    const uint64_t n = log->elements;
    for (size_t i = 0; i < n; i++)
        if (strtoull(log->element[i]->str, NULL, 10) != i + 1)
            fail_msg("shard %s: entry %zu is %s", l->shard, i + 1, log->element[i]->str);
    assert_true(count->str != NULL ? strtoull(count->str, NULL, 10) == n : n == 0);
    freeReplyObject(log);
    freeReplyObject(count);
    redisFree(c);
    return n;
}

void region_check(const int *ports, const int *of)
{
    struct dr_ledger_line line[DR_LEDGER_SHARDS];
    const size_t n = dr_ledger_lines(line);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        const uint64_t there = region_entries(ports, &line[i]);
        if (there < line[i].acked)
            fail_msg("shard %s: %llu entries were said to be durable, %llu are there",
                     line[i].shard, (unsigned long long)line[i].acked, (unsigned long long)there);
        if (of != NULL && there < region_entries(of, &line[i]))
            fail_msg("shard %s: the side that was left has more than %llu entries", line[i].shard,
                     (unsigned long long)there);
    }
}
