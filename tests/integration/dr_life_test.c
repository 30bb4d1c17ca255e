/* What goes on regularly, against a real cluster and a real S3 server: drills prove that shards
 * come back, and say which object is damaged when they do not; the scrub finds a flipped byte;
 * what retention leaves restores as before. */
#include "dr_bucket.h"
#include "dr_stage.h"

#include "io/life_store.h"
#include "io/region/journal.h"
#include "io/region/marker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUT = 65536 };
#define H INT64_C(3600000)

static char dir[64];
static struct dr_shard_at shard[IT_MAX_NODES];
static size_t shards;

static int open_all(void **state)
{
    (void)dr_stage_open(state);
    shards = dr_stage_shards(shard);
    dr_bucket_open();
    (void)snprintf(dir, sizeof dir, "/tmp/prism-dr-XXXXXX");
    assert_non_null(mkdtemp(dir));
    dr_stage_set("PRISM_DR_BEAT_MS", "500");
    dr_stage_set("PRISM_DR_DRILL_CRON", "");
    dr_stage_set("PRISM_DR_SCRATCH_PATH", dir);
    dr_stage_set("PRISM_DR_SCRUB_MS", "2000");
    dr_stage_write(1, 1000);
    dr_stage_start();
    dr_stage_write(2, 1000);
    dr_stage_await_durable();
    return 0;
}

static int close_all(void **state)
{
    const char *rm[] = { "/bin/rm", "-rf", dir, NULL };
    dr_bucket_close();
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
    return dr_stage_close(state);
}

/* --- drills --------------------------------------------------------------------------------- */

static int run(const char *const *env, const char *command, const char *a, const char *b, char *out)
{
    char program[4096];
    (void)snprintf(program, sizeof program, "%s/prism-dr", PRISM_BIN_DIR);
    const char *argv[] = { program, command, a, b, NULL };
    return it_run(env, argv, out, OUT, DR_AWAIT_MS);
}

static bool all_held(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_drills WHERE state <> 'done'") == 0;
}

static bool beats_are_there(void *ctx)
{
    (void)ctx;
    return dr_stage_number(
               "SELECT count(*) FROM dr_shards WHERE beat_at > now() - interval '2 s'") ==
           (long)shards;
}

static void a_drill_proves_that_every_shard_comes_back(void **state)
{
    (void)state;
    char text[2048];
    assert_true(it_await(beats_are_there, NULL, DR_AWAIT_MS));
    it_sql(dr.uri,
           "INSERT INTO dr_drills (shard_id, asked_by) SELECT id, 'test' FROM shards "
           "WHERE slots > 0",
           NULL, 0);
    assert_true(it_await(all_held, NULL, DR_AWAIT_MS));
    dr_stage_text(text, sizeof text,
                  "SELECT coalesce(string_agg(d::text, '; '), '') FROM dr_drills d "
                  "WHERE outcome <> 'good' OR rto_ms < 1 OR load_ms < 1 OR rpo_ms NOT BETWEEN 0 "
                  "AND 5000 OR keys < 1 OR skipped <> 0 OR generation IS NULL OR reason <> ''");
    assert_string_equal(text, "");
    assert_int_equal(dr_stage_number("SELECT count(*) FROM dr_drills"), (long)shards);
    /* what was restored is verified */
    assert_int_equal(dr_stage_number("SELECT count(*) FROM dr_generations g JOIN dr_drills d ON "
                                     "g.shard_id = d.shard_id WHERE g.verified_at IS NOT NULL"),
                     (long)shards);
    const char *ls[] = { "/bin/sh", "-c", "ls $0 | wc -l", dir, NULL };
    assert_int_equal(it_run(NULL, ls, text, sizeof text, 20000), 0);
    assert_int_equal(strtol(text, NULL, 10), 0); /* nothing is left of it */
}

static void a_drill_by_command_says_the_same(void **state)
{
    (void)state;
    static char out[OUT];
    assert_true(it_await(beats_are_there, NULL, DR_AWAIT_MS));
    if (run(dr.env, "drill", "--all", NULL, out) != 0)
        fail_msg("%s", out);
    size_t good = 0;
    for (const char *at = out; (at = strstr(at, "\"outcome\":\"good\"")) != NULL; at++)
        good++;
    assert_int_equal(good, shards);
    assert_int_equal(run(dr.env, "drill", "--shard", "nobody", out), 1);
    assert_non_null(strstr(out, "\"outcome\":\"failed\""));
    assert_non_null(strstr(out, "no generation of it"));
    assert_int_equal(run(dr.env, "drill", NULL, NULL, out), 2);
}

static void prismctl_waits_for_the_service(void **state)
{
    (void)state;
    static char out[OUT];
    struct it_service api;
    char role[IT_URI], url[160];
    it_sql(dr.uri,
           "INSERT INTO api_tokens (name, hash, role) VALUES ('op', sha256('tok-op'), 'operator')",
           NULL, 0);
    it_role_uri(dr.uri, "metadata-api", role);
    it_service(&api, "metadata-api", role, NULL);
    (void)snprintf(url, sizeof url, "PRISM_API_URL=%s", api.url);
    const char *env[] = { url, "PRISM_TOKEN=tok-op", NULL };
    const char *argv[] = { PRISM_BIN_DIR "/prismctl", "-o", "json", "dr", "drill", "--all", NULL };
    assert_true(it_await(beats_are_there, NULL, DR_AWAIT_MS));
    const int status = it_run(env, argv, out, sizeof out, DR_AWAIT_MS);
    if (status != 0)
        fail_msg("prismctl dr drill --all: %d: %s", status, out);
    assert_int_equal(dr_stage_number("SELECT count(*) FROM dr_drills WHERE asked_by = 'op' AND "
                                     "outcome = 'good'"),
                     (long)shards);
    assert_int_equal(it_stop(api.pid), 0);
}

/* --- damage ---------------------------------------------------------------------------------- */

/* Of every shard the newest generation, by a pass that ended. */
static bool verified_all(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_generations g JOIN dr_shards s ON "
                           "(s.shard_id, s.generation_epoch, s.generation_n) = "
                           "(g.shard_id, g.epoch, g.n), dr_life l "
                           "WHERE g.verified_at IS NOT NULL AND g.damaged_at IS NULL AND "
                           "l.scrub_ended_at > l.scrub_begun_at") == (long)shards;
}

static bool a_damaged_one(void *ctx)
{
    return dr_stage_number("SELECT count(*) FROM dr_generations WHERE damaged_at IS NOT NULL AND "
                           "position('%s' IN reason) > 0",
                           (const char *)ctx) > 0;
}

static bool has_new_base(void *ctx)
{
    (void)ctx;
    return dr_stage_number(
               "SELECT count(*) FROM dr_generations g JOIN dr_shards s USING (shard_id) "
               "WHERE g.damaged_at IS NOT NULL AND (s.generation_epoch, "
               "s.generation_n) > (g.epoch, g.n) AND s.durable_offset > 0") > 0;
}

static bool no_damage(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_generations WHERE damaged_at IS NOT NULL") == 0;
}

static void the_scrub_finds_a_flipped_byte(void **state)
{
    (void)state;
    static char out[OUT];
    char key[DR_BUCKET_KEY];
    struct dr_bucket_object f;
    assert_true(it_await(verified_all, NULL, DR_AWAIT_MS));
    assert_int_equal(run(dr.env, "scrub", NULL, NULL, out), 0);
    dr_bucket_last("log/g0", 1000, key);
    dr_bucket_take(key, &f);
    dr_bucket_flip(&f, f.n - 4, 0); /* of a piece */
    assert_int_equal(run(dr.env, "scrub", "--rate", "1000000000", out), 1);
    assert_non_null(strstr(out, key));
    assert_non_null(strstr(out, "\"state\":\"damaged\""));
    assert_non_null(strstr(out, "\"state\":\"good\""));     /* only that shard's is not */
    assert_true(it_await(a_damaged_one, key, DR_AWAIT_MS)); /* by the service's own pass */
    assert_int_equal(
        dr_stage_number("SELECT count(*) FROM dr_generations WHERE damaged_at IS NOT NULL"), 1);
    assert_true(it_await(has_new_base, NULL, DR_AWAIT_MS)); /* nobody had to ask for it */
    dr_bucket_put_back(&f);
    assert_true(it_await(no_damage, NULL, DR_AWAIT_MS)); /* and it takes it back */
}

/* What it is on any node: the fixture starts them alike. */
static void backlog(char out[32])
{
    redisContext *c = it_redis_admin(shard[0].port);
    redisReply *r = redisCommand(c, "CONFIG GET repl-backlog-size");
    assert_true(r != NULL && r->type == REDIS_REPLY_ARRAY && r->elements == 2);
    (void)snprintf(out, 32, "%s", r->element[1]->str);
    freeReplyObject(r);
    redisFree(c);
}

/* Every shard begins anew: its source cannot go on from where it was. */
static void new_generations(void)
{
    char was[32];
    const long before = dr_stage_number("SELECT sum(generation_epoch) FROM dr_shards");
    assert_int_equal(it_stop(dr.dr.pid), 0);
    backlog(was);
    dr_stage_config("repl-backlog-size", "16384");
    dr_stage_write(7, 1000);
    dr_stage_config("repl-backlog-size", was);
    dr_stage_start();
    dr_stage_await_durable();
    assert_true(dr_stage_number("SELECT sum(generation_epoch) FROM dr_shards") > before);
}

static void a_damaged_base_is_named_and_the_one_before_used(void **state)
{
    (void)state;
    static char out[OUT];
    char key[DR_BUCKET_KEY], kind[128], older[DR_GENERATION], text[1024];
    struct dr_bucket_object f;
    dr_stage_text(older, sizeof older,
                  "SELECT lpad(to_hex(generation_epoch), 16, '0') || '-' || lpad(to_hex("
                  "generation_n), 4, '0') FROM dr_shards WHERE shard_id = '%s'",
                  shard[0].id);
    new_generations();
    (void)snprintf(kind, sizeof kind, "base/%s", shard[0].id);
    dr_bucket_last(kind, 1, key);
    assert_null(strstr(key, older));
    dr_bucket_take(key, &f);
    dr_bucket_flip(&f, f.n - 101, 0);

    assert_int_equal(run(dr.env, "drill", "--shard", shard[0].id, out), 1);
    assert_non_null(strstr(out, "\"outcome\":\"damaged\""));
    assert_non_null(strstr(out, key));
    assert_non_null(strstr(out, older)); /* what was restored */
    it_sql(dr.uri, "DELETE FROM dr_drills", NULL, 0);
    dr_stage_text(text, sizeof text,
                  "INSERT INTO dr_drills (shard_id, asked_by) VALUES ('%s', 'test') RETURNING id",
                  shard[0].id);
    assert_true(it_await(all_held, NULL, DR_AWAIT_MS));
    dr_stage_text(text, sizeof text,
                  "SELECT outcome || ' ' || generation || ' ' || skipped || ' ' "
                  "|| reason FROM dr_drills");
    assert_non_null(strstr(text, key));
    assert_memory_equal(text, "damaged ", 8);
    assert_memory_equal(text + 8, older, strlen(older));
    assert_true(it_await(a_damaged_one, key, DR_AWAIT_MS));
    dr_bucket_put_back(&f);
    assert_true(it_await(no_damage, NULL, DR_AWAIT_MS));
}

/* --- new bases ---------------------------------------------------------------------------------
 */

/* Every shard wants one all the time; meanwhile somebody writes, and what is said to be durable is
 * asked for again and again: a restore brings back no less. */
static void a_new_base_takes_nothing_back(void **state)
{
    (void)state;
    enum { WANTED = 3, LOOKS = 100 };
    static char out[OUT];
    char to[128];
    const size_t before = dr_bucket_count("gen");
    size_t bases = 0;
    assert_int_equal(it_stop(dr.dr.pid), 0);
    dr_stage_set("PRISM_DR_REBASE_MS", "2000");
    dr_stage_start();
    (void)snprintf(to, sizeof to, "%s/n", dir);
    const char *mk[] = { "/bin/mkdir", "-p", to, NULL };
    const char *rm[] = { "/bin/rm", "-rf", to, NULL };
    for (int i = 0; i < LOOKS && bases < WANTED * shards; i++) {
        const size_t k = (size_t)i % shards;
        dr_stage_write(100 + (uint64_t)i, 50);
        const long durable = dr_stage_number(
            "SELECT durable_offset FROM dr_shards WHERE shard_id = '%s'", shard[k].id);
        assert_int_equal(it_run(NULL, mk, NULL, 0, 20000), 0);
        if (dr_stage_restore(shard[k].id, to, NULL, out, sizeof out) != 0)
            fail_msg("look %d: shard %s is not restored: %s", i, shard[k].id, out);
        assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
        const char *at = strstr(out, "\"offset\":");
        assert_non_null(at);
        if (strtol(at + 9, NULL, 10) < durable)
            fail_msg("look %d: %ld was durable: %s", i, durable, out);
        bases = dr_bucket_count("gen") - before;
    }
    if (bases < WANTED * shards)
        fail_msg("only %zu new bases", bases);
    dr_stage_await_durable();
    assert_int_equal(it_stop(dr.dr.pid), 0);
    dr_stage_set("PRISM_DR_REBASE_MS", "0");
    dr_stage_start();
    assert_true(it_await(verified_all, NULL, DR_AWAIT_MS));
}

/* --- retention -------------------------------------------------------------------------------- */

static const char *home; /* where markers are; NULL: there are none */

static struct dr_retained retain(int64_t now_ms, int64_t keep_ms, bool dry)
{
    struct dr_mark *mark;
    struct dr_retained out;
    struct pr_db *db;
    struct pr_err err;
    struct dr_retain r = { .store = &dr_bucket_store,
                           .cluster = dr.cluster,
                           .home = home,
                           .rule = { now_ms, keep_ms },
                           .dry = dry };
    assert_ok(pr_db_open(&db, dr.role, "test", &err), &err);
    assert_ok(dr_life_marks(db, &mark, &r.marks, &err), &err);
    r.mark = mark;
    assert_ok(dr_retain(&r, &out, &err), &err);
    free(mark);
    pr_db_close(db);
    return out;
}

static void every_shard_restores_as_it_is(void)
{
    char to[128];
    (void)snprintf(to, sizeof to, "%s/r", dir);
    const char *rm[] = { "/bin/rm", "-rf", to, NULL }, *mk[] = { "/bin/mkdir", "-p", to, NULL };
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
    assert_int_equal(it_run(NULL, mk, NULL, 0, 20000), 0);
    for (size_t i = 0; i < shards; i++) {
        char out[2048], want[64], got[64];
        pid_t pid;
        if (dr_stage_restore(shard[i].id, to, NULL, out, sizeof out) != 0)
            fail_msg("shard %s is not restored: %s", shard[i].id, out);
        const int port = dr_stage_serve(to, shard[i].id, &pid);
        dr_stage_digest(shard[i].port, false, want);
        dr_stage_digest(port, true, got);
        assert_string_equal(want, got);
        (void)it_stop(pid);
    }
}

/* --- earlier names: the store was here, was moved, and moved back ---------------------------- */

enum { LIVES = 3 };
static char life[LIVES][DR_NAME]; /* home, the second, another store's */

static size_t below(const char *name, const char *kind)
{
    char prefix[DR_KEY];
    struct dr_objects found;
    struct pr_err err = { 0 };
    (void)snprintf(prefix, sizeof prefix, "%s/%s/", name, kind);
    assert_ok(dr_catalog_list(dr_bucket, prefix, "", 0, &found, &err), &err);
    const size_t n = found.n;
    dr_objects_done(&found);
    return n;
}

static size_t of_life(int i)
{
    return below(life[i], "gen") + below(life[i], "base") + below(life[i], "log") +
           below(life[i], "map");
}

static void put_lives(void)
{
    static const char *const object[] = { "gen/s/0000000000000001-0001",
                                          "base/s/0000000000000001-0001/00000",
                                          "log/g0/0000000000000001/0000000000000000",
                                          "map/0000000000000002/0000000000000000",
                                          "map/0000000000000002/0000000000000001" };
    char key[DR_KEY];
    struct pr_err err = { 0 };
    (void)snprintf(life[0], DR_NAME, "%s.home", dr.cluster);
    (void)snprintf(life[1], DR_NAME, "%s.home.1", dr.cluster);
    (void)snprintf(life[2], DR_NAME, "%s.home.12", dr.cluster);
    for (int l = 0; l < LIVES; l++)
        for (size_t i = 0; i < PR_COUNT(object); i++) {
            (void)snprintf(key, sizeof key, "%s/%s", life[l], object[i]);
            assert_ok(pr_s3_put(dr_bucket, key, "x", 1, NULL, NULL, &err), &err);
        }
}

static void put_marker(uint64_t epoch, const char *site, const char *data, int64_t at_ms)
{
    struct pr_err err = { 0 };
    struct dr_marker m = { .epoch = epoch, .failover = epoch, .at_ms = at_ms };
    (void)snprintf(m.site, sizeof m.site, "%s", site);
    (void)snprintf(m.data, sizeof m.data, "%s", data);
    assert_ok(dr_marker_write(dr_bucket, home, &m, &err), &err);
}

/* 30 hours later, of which `keep` are kept. */
static void earlier_go(int64_t now_ms, int keep, size_t want)
{
    const size_t had[] = { of_life(0), of_life(1), of_life(2) };
    const struct dr_retained would = retain(now_ms + 30 * H, keep * H, true);
    assert_int_equal(would.earlier, want);
    assert_true(of_life(0) == had[0] && of_life(1) == had[1]);
    const struct dr_retained did = retain(now_ms + 30 * H, keep * H, false);
    assert_int_equal(did.earlier, want);
    assert_int_equal(had[0] + had[1] - of_life(0) - of_life(1), want);
    assert_int_equal(of_life(2), had[2]);
}

static void what_was_shipped_under_earlier_names_goes(int64_t now_ms)
{
    struct dr_journal j;
    struct pr_err err = { 0 };
    const struct dr_region_facts facts = { .from = "east", .to = "west", .by = "test" };
    home = life[0];
    put_lives();
    earlier_go(now_ms, 1, 0); /* no marker names anything */
    put_marker(1, "west", life[1], now_ms - H);
    earlier_go(now_ms, 1, 0); /* it is another site's */
    put_marker(2, "east", dr.cluster, now_ms);
    assert_ok(dr_journal_open(&j, dr_bucket, home, &err), &err);
    assert_ok(dr_journal_begin(&j, &facts, false, &err), &err);
    assert_ok(dr_journal_write(&j, DR_REGION_ABORT, DR_REGION_CHECK, NULL, "", &err), &err);
    earlier_go(now_ms, 1, 0); /* what is being taken back may name the one before again */
    assert_ok(dr_journal_write(&j, DR_REGION_END, DR_REGION_CHECK, NULL, "", &err), &err);
    dr_journal_done(&j);
    earlier_go(now_ms, 29, 0); /* a time before it may be asked for */
    earlier_go(now_ms, 1, 10);
    earlier_go(now_ms, 1, 0);
    assert_int_equal(below(home, "site"), 2);
    assert_int_equal(below(home, "failover"), 3);
    home = NULL;
}

static void retention_keeps_what_it_must(void **state)
{
    (void)state;
    static char out[OUT];
    char uri[IT_URI + 16], key[DR_KEY];
    const int64_t now_ms = dr_stage_number("SELECT (extract(epoch FROM now()) * 1000)::bigint");
    struct pr_err err;
    assert_true(it_await(verified_all, NULL, DR_AWAIT_MS));
    assert_int_equal(it_stop(dr.dr.pid), 0); /* nothing beats any more */
    const size_t generations = dr_bucket_count("gen"), logs = dr_bucket_count("log"),
                 bases = dr_bucket_count("base");
    assert_true(generations >= 2 * shards);

    /* Within the window nothing goes; the command says so, and deletes nothing. */
    const char *env[20];
    size_t n = 0;
    for (; dr.env[n] != NULL; n++)
        env[n] = dr.env[n];
    (void)snprintf(uri, sizeof uri, "PRISM_DB_URI=%s", dr.role);
    env[n++] = uri;
    env[n] = NULL;
    assert_int_equal(run(env, "retention", "--dry-run", NULL, out), 0);
    assert_non_null(strstr(out, "{\"generations\":0,\"parts\":0,\"orphans\":0,\"containers\":0,"));

    /* Parts that nobody finished: of a generation before all, and of one after. */
    for (int i = 0; i < 2; i++) {
        (void)snprintf(key, sizeof key, "%s/base/%s/%d000000000000001-00ff/00000", dr.cluster,
                       shard[0].id, i);
        assert_ok(pr_s3_put(dr_bucket, key, "x", 1, NULL, NULL, &err), &err);
    }

    /* 30 hours later, of which one is kept: the last generation alone, and what it needs. */
    const struct dr_retained would = retain(now_ms + 30 * H, H, true);
    assert_int_equal(dr_bucket_count("gen"), generations);
    assert_int_equal(dr_bucket_count("base"), bases + 2);
    assert_int_equal(dr_bucket_count("log"), logs);
    const struct dr_retained did = retain(now_ms + 30 * H, H, false);
    assert_memory_equal(&would, &did, sizeof did);
    assert_int_equal(did.manifests, generations - shards);
    assert_int_equal(did.parts + did.orphans, bases + 2 - dr_bucket_count("base"));
    assert_int_equal(dr_bucket_count("base"), shards); /* each of one part */
    assert_true(did.orphans >= 1); /* and what a base had that was stopped half-way, if any */
    assert_int_equal(dr_bucket_count("gen"), shards);
    assert_true(did.containers > 0 && did.containers < logs);
    assert_int_equal(dr_bucket_count("log"), logs - did.containers);
    every_shard_restores_as_it_is();
    what_was_shipped_under_earlier_names_goes(now_ms);
    every_shard_restores_as_it_is();

    /* Nothing is verified: then everything stays. */
    it_sql(dr.uri, "UPDATE dr_generations SET verified_at = NULL", NULL, 0);
    const struct dr_retained none = retain(now_ms + 3000 * H, H, false);
    assert_int_equal(none.manifests + none.parts + none.containers + none.orphans, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drill_proves_that_every_shard_comes_back),
        cmocka_unit_test(a_drill_by_command_says_the_same),
        cmocka_unit_test(prismctl_waits_for_the_service),
        cmocka_unit_test(the_scrub_finds_a_flipped_byte),
        cmocka_unit_test(a_damaged_base_is_named_and_the_one_before_used),
        cmocka_unit_test(a_new_base_takes_nothing_back),
        cmocka_unit_test(retention_keeps_what_it_must),
    };
    return cmocka_run_group_tests_name("dr life", tests, open_all, close_all);
}
