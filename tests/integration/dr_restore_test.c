/* prism-dr restore-cluster: a cluster whose vertices are moved by the rebalance service and
 * written to while its backup is cut comes back in another cluster, with another number of shards:
 * each vertex once, reachable from home, with all that was durable. And what goes wrong on the way
 * leaves nothing half-filled that looks healthy. */
#include "dr_bucket.h"
#include "dr_restore_stage.h"

#include "prism/io/clock.h"
#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OUT = 1 << 16 };

static struct own_cluster own;
static char scratch[64], files[64], uri[IT_URI], out[OUT];
static long floor_of[STAGE_VERTICES]; /* of p:n: acknowledged and durable before the last plan */
static long quiet_attempted[STAGE_VERTICES];
static uint32_t quiet_at[STAGE_VERTICES];
static int64_t quiet_ms; /* after all that, before the last plan */
static long keys;        /* in the cluster, when it was restored well */

/* --- a backup that is cut while vertices move ---------------------------------------------------
 */

static redisReply *send(redisContext *c, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    redisReply *r = redisvCommand(c, format, ap);
    va_end(ap);
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", format, r != NULL ? r->str : c->errstr);
    return r;
}

static redisContext *primary_of(uint32_t partition)
{
    return it_redis_admin((int)dr_stage_number(
        "SELECT n.port FROM slots s JOIN nodes n ON n.id = s.node_id WHERE s.slot = %u",
        pr_partition_slot(partition)));
}

/* A move that stops before its last steps, as a mover's death leaves it. */
static void move_halfway(const char *id, uint32_t epoch, bool fenced)
{
    const uint32_t home = pr_home_partition(pr_vertex_hash(id, strlen(id)), STAGE_PARTITIONS);
    const uint32_t to = (home + 7) % STAGE_PARTITIONS;
    redisContext *s = primary_of(home), *d = primary_of(to);
    freeReplyObject(send(s, "FCALL prism_load 1 {p%u}v:%s p:n 1", home, id));
    redisReply *taken = send(s, "FCALL prism_take 1 {p%u}v:%s %u", home, id, epoch);
    assert_int_equal(taken->elements, 3);
    freeReplyObject(send(d, "RESTORE {p%u}g:%s:%u 0 %b", to, id, epoch, taken->element[2]->str,
                         taken->element[2]->len));
    if (fenced)
        freeReplyObject(send(s, "FCALL prism_fence 1 {p%u}v:%s %lld %u %u", home, id,
                             taken->element[1]->integer, to, epoch));
    freeReplyObject(taken);
    redisFree(s);
    redisFree(d);
}

static void carry_out(void)
{
    const long plan = stage_plan(stage_run("done"), "{}");
    stage_await_plan(plan, "proposed");
    stage_execute(plan);
    stage_await_plan(plan, "done");
}

static void cut_while_moving(void)
{
    char beside[48];
    dr_stage_start();
    stage_writer_pace(20000);
    stage_writer_start(1);
    stage_targets(1, 0.05);
    carry_out();
    assert_true(stage_writer_stop() > 0);
    carry_out(); /* what was written to all the time */
    stage_verify();
    move_halfway("half-fenced", 900001, true);
    move_halfway("half-staged", 900002, false);
    dr_stage_await_durable();
    for (int i = 0; i < STAGE_VERTICES; i++) {
        floor_of[i] = stage.v[i].acked;
        quiet_attempted[i] = stage.v[i].attempted;
        quiet_at[i] = stage.v[i].at;
    }
    quiet_ms = pr_now_ms();
    stage_writer_start(2);
    stage_targets(2, 0.3);
    const long second = stage_plan(stage_run("done"), "{}");
    stage_await_plan(second, "proposed");
    stage_execute(second);
    stage_await_batches(second, 20);
    it_kill(dr.dr.pid);
    (void)snprintf(beside, sizeof beside, "%s-beside", dr.cluster);
    dr_stage_set("PRISM_DR_CLUSTER",
                 beside); /* the plan waits for a dr; what is cut stays as it is */
    dr_stage_start();
    stage_await_plan(second, "done");
    it_kill(dr.dr.pid);
    dr_stage_set("PRISM_DR_CLUSTER", dr.cluster);
    assert_true(stage_writer_stop() > 0);
}

static void use_database(const char *name)
{
    char super[IT_URI];
    it_database(name, super);
    it_role_uri(super, "dr", uri);
    it_sql(super, "INSERT INTO store (partitions) VALUES (4096)", NULL, 0);
    dr_stage_set("PRISM_DB_URI", uri);
    (void)snprintf(uri, sizeof uri, "%s", super);
}

static int open_all(void **state)
{
    assert_int_equal(stage_open(state), 0);
    memcpy(dr.uri, stage.uri, sizeof dr.uri);
    dr_stage_settings((int)getpid());
    /* Every batch of a move waits for it; and a restore fetches each piece by itself. */
    dr_stage_set("PRISM_DR_FLUSH_MS", "200");
    (void)snprintf(scratch, sizeof scratch, "/tmp/prism-scr-%d", (int)getpid());
    (void)snprintf(files, sizeof files, "/tmp/prism-files-%d", (int)getpid());
    cut_while_moving();
    own_cluster_start(&own);
    use_database("restored");
    return 0;
}

static int close_all(void **state)
{
    const char *rm[] = { "/bin/rm", "-rf", scratch, files, NULL };
    own_cluster_stop(&own);
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
    return stage_close(state);
}

/* --- looking ------------------------------------------------------------------------------------
 */

static int restore(const char *one, const char *two)
{
    const char *args[] = {
        "restore-cluster", "--into-cluster", own.seeds, "--scratch", scratch, one, two, NULL
    };
    return own_dr(args, out, sizeof out);
}

static void restores(const char *one, const char *two)
{
    const int status = restore(one, two);
    if (status != 0)
        fail_msg("restore-cluster ends with %d: %s", status, out);
    assert_int_equal(access(scratch, F_OK), -1);
}

static bool all_say(const char *want)
{
    bool all = true;
    for (int i = 0; i < OWN_PRIMARIES; i++) {
        char text[256];
        own_cluster_version(&own, i, text, sizeof text);
        all = all && strstr(text, want) != NULL;
    }
    return all;
}

static void expect_version(const char *want)
{
    assert_true(all_say(want));
}

static size_t check_vertices(void)
{
    static struct own_seen seen[STAGE_VERTICES];
    size_t away = 0;
    assert_int_equal(own_cluster_look(&own, seen), 0);
    for (int i = 0; i < STAGE_VERTICES; i++) {
        const struct stage_vertex *v = &stage.v[i];
        if (seen[i].live != 1)
            fail_msg("%s is there %d times", v->id, seen[i].live);
        if (seen[i].n < floor_of[i] || seen[i].n > v->attempted)
            fail_msg("%s: p:n is %ld, durable %ld, attempted %ld", v->id, seen[i].n, floor_of[i],
                     v->attempted);
        if (seen[i].at != v->home && seen[i].home_to != (long)seen[i].at)
            fail_msg("%s is in %u, home says %ld", v->id, seen[i].at, seen[i].home_to);
        away += seen[i].at != v->home;
    }
    return away;
}

static void check_routes(size_t away)
{
    char cell[64];
    it_sql(uri, "SELECT coalesce(sum(entries), 0) FROM route_bases WHERE kind = 'current'", cell,
           sizeof cell);
    assert_int_equal(strtol(cell, NULL, 10), away);
    it_sql(uri, "SELECT nextval('move_epochs')", cell, sizeof cell);
    assert_true(strtol(cell, NULL, 10) > 900002);
}

/* --- tests --------------------------------------------------------------------------------------
 */

static void every_vertex_comes_back_once(void **state)
{
    (void)state;
    restores(NULL, NULL);
    print_message("  %.*s\n", (int)strcspn(strstr(out, "\"oldest_end\""), "["),
                  strstr(out, "\"oldest_end\""));
    assert_true(own_json(out, "promoted") >= 1); /* half-fenced */
    const size_t away = check_vertices() + 1;    /* and half-fenced */
    expect_version("OK 1");
    check_routes(away);
    keys = own_cluster_keys(&own);
    assert_int_equal(own_json(out, "copied_keys"), keys);
}

static void routes_are_rebuilt_from_the_cluster(void **state)
{
    (void)state;
    const char *args[] = { "rebuild-routes", "--cluster", own.seeds, NULL };
    it_sql(uri, "UPDATE route_bases SET blob = '', entries = 0", NULL, 0);
    assert_int_equal(own_dr(args, out, sizeof out), 0);
    check_routes((size_t)own_json(out, "routes"));
    assert_true(own_json(out, "routes") > 0);
}

static void a_target_with_keys_is_refused(void **state)
{
    (void)state;
    assert_int_equal(restore(NULL, NULL), 1);
    assert_int_equal(own_cluster_keys(&own), keys);
    expect_version("OK 1");
    restores("--over-existing", NULL);
    assert_int_equal(own_cluster_keys(&own), keys);
    (void)check_vertices();
}

/* Each server is loaded to be looked at, and again to be copied, with none of the others beside it.
 */
static void what_does_not_fit_at_once_comes_in_waves(void **state)
{
    (void)state;
    restores("--over-existing", "--parallel=1");
    assert_int_equal(own_json(out, "parallel"), 1);
    assert_true(own_json(out, "promoted") >= 1);
    const size_t away = check_vertices() + 1;
    expect_version("OK 1");
    check_routes(away);
    assert_int_equal(own_cluster_keys(&own), keys);
    assert_int_equal(own_json(out, "copied_keys"), keys);
}

static void what_is_killed_leaves_a_seal_and_may_be_repeated(void **state)
{
    (void)state;
    char program[4096];
    (void)snprintf(program, sizeof program, "%s/prism-dr", PRISM_BIN_DIR);
    const char *argv[] = { program,     "restore-cluster", "--into-cluster",  own.seeds,
                           "--scratch", scratch,           "--over-existing", NULL };
    const pid_t pid = it_spawn(dr.env, argv);
    while (!all_say("RESTORING"))
        assert_true(it_alive(pid));
    it_kill(pid);
    expect_version("RESTORING");
    restores(NULL, NULL); /* what the killed one left does not count as data */
    expect_version("OK 1");
    assert_int_equal(own_cluster_keys(&own), keys);
    (void)check_vertices();
}

/* --- objects that are damaged or gone -----------------------------------------------------------
 */

/* The object in the middle of those of a kind. */
static void take_object(const char *kind, struct dr_bucket_object *o)
{
    char key[DR_BUCKET_KEY];
    dr_bucket_open();
    assert_true(dr_bucket_nth(kind, 0, dr_bucket_count(kind) / 2, key));
    dr_bucket_take(key, o);
}

static void put_back(struct dr_bucket_object *o)
{
    dr_bucket_put_back(o);
    dr_bucket_close();
}

static void a_damaged_part_stops_it_before_the_target_is_touched(void **state)
{
    (void)state;
    struct dr_bucket_object part;
    take_object("base", &part);
    dr_bucket_flip(&part, part.n / 2, 0);
    assert_int_equal(restore("--over-existing", NULL), 1);
    put_back(&part);
    expect_version("OK 1");
    assert_int_equal(own_cluster_keys(&own), keys);
    assert_int_equal(access(scratch, F_OK), -1);
}

/* Shards that have nothing in it go on beyond it. They may disagree about vertices then, and more
 * than a mover's death explains: that is refused unless accepted. */
static void a_missing_container_is_said_and_loss_refused(void **state)
{
    (void)state;
    static struct own_seen seen[STAGE_VERTICES];
    struct dr_bucket_object log;
    take_object("log", &log);
    dr_bucket_lose(&log);
    const long before = own_cluster_keys(&own);
    const int status = restore("--over-existing", NULL);
    assert_non_null(strstr(out, "\"gap\":true"));
    if (status != 0) { /* it may be that no vertex moved across the gap */
        assert_int_equal(status, 3);
        assert_non_null(strstr(out, "\"refused\":true"));
        assert_int_equal(own_cluster_keys(&own), before); /* not touched */
    }
    restores("--over-existing", "--accept-loss");
    put_back(&log);
    assert_int_equal(own_cluster_look(&own, seen), 0);
    for (int i = 0; i < STAGE_VERTICES; i++)
        assert_in_range(seen[i].live, 0, 1);
}

/* Between the plans nobody wrote: what is there then is known to the last write. */
static void an_earlier_time_is_restored_as_it_was(void **state)
{
    (void)state;
    static struct own_seen seen[STAGE_VERTICES];
    char until[64];
    (void)snprintf(until, sizeof until, "--until=%lld", (long long)quiet_ms);
    restores("--over-existing", until);
    assert_int_equal(own_cluster_look(&own, seen), 0);
    for (int i = 0; i < STAGE_VERTICES; i++) {
        assert_int_equal(seen[i].live, 1);
        assert_in_range(seen[i].n, floor_of[i], quiet_attempted[i]);
        assert_int_equal(seen[i].at, quiet_at[i]);
    }
}

/* --- files --------------------------------------------------------------------------------------
 */

static void check_file_shard(const char *in, const char *json, const char *name, long *slots,
                             long *all)
{
    char dir[128];
    pid_t pid;
    const int port = dr_stage_serve(in, name, &pid);
    redisContext *c = redisConnect("127.0.0.1", port);
    redisReply *r = redisCommand(c, "DBSIZE");
    *all += (long)r->integer;
    freeReplyObject(r);
    redisFree(c);
    (void)it_stop(pid);
    (void)snprintf(dir, sizeof dir, "\"dir\": \"%.63s\", ", name);
    const char *at = strstr(json, dir);
    assert_non_null(at);
    at = strstr(at, "\"slots\": [");
    assert_non_null(at);
    for (at += strlen("\"slots\": ["); *at == '[' || *at == ',' || *at == ' ';) {
        int from, to, n;
        at = strchr(at, '[');
        assert_int_equal(sscanf(at, "[%d, %d]%n", &from, &to, &n), 2);
        *slots += to - from + 1;
        at += n;
    }
}

static void read_json(const char *dir, char json[OUT])
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/cluster.json", dir);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    json[fread(json, 1, OUT - 1, f)] = '\0';
    fclose(f);
}

static void check_files(const char *parallel)
{
    struct dr_shard_at shard[IT_MAX_NODES];
    const char *args[] = { "restore-cluster", "--into", files, "--partitions", "4096",
                           "--parallel",      parallel, NULL };
    char json[OUT];
    long slots = 0, all = 0;
    if (own_dr(args, out, sizeof out) != 0)
        fail_msg("restore-cluster --into: %s", out);
    read_json(files, json);
    const size_t n = dr_stage_shards(shard);
    for (size_t i = 0; i < n; i++)
        check_file_shard(files, json, shard[i].id, &slots, &all);
    assert_int_equal(slots, PR_SLOTS);
    assert_int_equal(all, keys);
    assert_int_equal(own_dr(args, out, sizeof out), 1); /* it is there already */
}

static void files_agree_and_own_every_slot(void **state)
{
    const char *rm[] = { "/bin/rm", "-rf", files, NULL };
    (void)state;
    check_files("64"); /* all at once */
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
    check_files("2");
}

static pid_t spawn_part(const char *part, const char *to, const char *shared)
{
    const char *argv[] = { PRISM_BIN_DIR "/prism-dr",
                           "restore-cluster",
                           "--into",
                           to,
                           "--part",
                           part,
                           "--exchange",
                           shared,
                           "--partitions",
                           "4096",
                           "--parallel",
                           "1",
                           NULL };
    return it_spawn(dr.env, argv);
}

/* Each has half of the shards, and judges by what both found: together they are the whole. */
static void two_machines_restore_a_half_each(void **state)
{
    (void)state;
    static char json[2][OUT], to[2][96], shared[96];
    struct dr_shard_at shard[IT_MAX_NODES];
    const size_t n = dr_stage_shards(shard);
    const char *rm[] = { "/bin/rm", "-rf", files, NULL };
    long slots = 0, all = 0;
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
    assert_int_equal(mkdir(files, 0700), 0);
    (void)snprintf(shared, sizeof shared, "%s/shared", files);
    assert_int_equal(mkdir(shared, 0700), 0);
    for (int i = 0; i < 2; i++)
        (void)snprintf(to[i], sizeof to[i], "%s/part%d", files, i + 1);
    const pid_t second = spawn_part("2/2", to[1], shared), first = spawn_part("1/2", to[0], shared);
    assert_int_equal(it_wait(first, DR_AWAIT_MS), 0);
    assert_int_equal(it_wait(second, DR_AWAIT_MS), 0);
    for (int i = 0; i < 2; i++)
        read_json(to[i], json[i]);
    assert_string_equal(json[0], json[1]); /* which part has which */
    for (size_t i = 0; i < n; i++) {
        const size_t part = i < n / 2 ? 0 : 1;
        char where[128];
        (void)snprintf(where, sizeof where, "\"dir\": \"%.63s\", \"part\": %zu,", shard[i].id,
                       part + 1);
        assert_non_null(strstr(json[0], where));
        check_file_shard(to[part], json[part], shard[i].id, &slots, &all);
    }
    assert_int_equal(slots, PR_SLOTS);
    assert_int_equal(all, keys);
}

/* A part that fails takes the others with it, and what it left is not gone on with. */
static void when_one_part_gives_up_all_do(void **state)
{
    (void)state;
    static char to[96], shared[96];
    const char *rm[] = { "/bin/rm", "-rf", files, NULL };
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
    assert_int_equal(mkdir(files, 0700), 0);
    (void)snprintf(shared, sizeof shared, "%s/shared", files);
    assert_int_equal(mkdir(shared, 0700), 0);
    (void)snprintf(to, sizeof to, "%s/part1", files);
    const pid_t first = spawn_part("1/2", to, shared);
    assert_int_equal(it_wait(spawn_part("2/2", "/proc/nowhere", shared), DR_AWAIT_MS), 1);
    assert_int_equal(it_wait(first, DR_AWAIT_MS), 1);
    assert_int_equal(access(to, F_OK), -1);
    assert_int_equal(it_wait(spawn_part("1/2", to, shared), DR_AWAIT_MS), 1);
    assert_int_equal(access(to, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vertex_comes_back_once),
        cmocka_unit_test(routes_are_rebuilt_from_the_cluster),
        cmocka_unit_test(a_target_with_keys_is_refused),
        cmocka_unit_test(what_does_not_fit_at_once_comes_in_waves),
        cmocka_unit_test(what_is_killed_leaves_a_seal_and_may_be_repeated),
        cmocka_unit_test(a_damaged_part_stops_it_before_the_target_is_touched),
        cmocka_unit_test(files_agree_and_own_every_slot),
        cmocka_unit_test(two_machines_restore_a_half_each),
        cmocka_unit_test(when_one_part_gives_up_all_do),
        cmocka_unit_test(an_earlier_time_is_restored_as_it_was),
        cmocka_unit_test(a_missing_container_is_said_and_loss_refused),
    };
    return cmocka_run_group_tests_name("dr restore", tests, open_all, close_all);
}
