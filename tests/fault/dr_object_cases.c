/* Objects that are damaged, and restores that are killed, have no room, or are told wrong. */
#include "dr_scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- a bucket with an older generation -----------------------------------------------------------
 */

static bool all_have_newer(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_shards d JOIN was USING (shard_id) WHERE "
                           "(d.generation_epoch, d.generation_n) > (was.epoch, was.n)") ==
           (long)dr_ledger_shards();
}

/* Of each shard something that only the newest generation has is durable: another one is told from
 * it by what it lacks. */
static bool all_have_more(void *ctx)
{
    const uint64_t *before = ctx;
    for (size_t i = 0; i < dr_ledger_shards(); i++)
        if (dr_ledger_acked_of(i) < before[i] + 5)
            return false;
    return true;
}

/* Every shard with two generations or more; what is before the newest has floor entries at least.
 * Nothing runs then. */
static void two_generations(uint64_t floor[DR_LEDGER_SHARDS])
{
    dr_stage_write(5, 100);
    dr_serve();
    dr_ledger_await_acked(60);
    for (size_t i = 0; i < dr_ledger_shards(); i++)
        floor[i] = dr_ledger_acked_of(i);
    it_sql(dr.uri,
           "CREATE TABLE was AS SELECT shard_id, generation_epoch AS epoch, generation_n AS n FROM "
           "dr_shards",
           NULL, 0);
    dr_kill();
    dr_stage_set("PRISM_DR_REBASE_MS", "1000");
    dr_stage_start();
    const bool newer = it_await(all_have_newer, NULL, DR_AWAIT_MS);
    it_sql(dr.uri, "DROP TABLE was", NULL, 0);
    assert_true(newer);
    dr_kill();
    dr_stage_set("PRISM_DR_REBASE_MS", "0");
    dr_stage_start();
    uint64_t before[DR_LEDGER_SHARDS];
    for (size_t i = 0; i < dr_ledger_shards(); i++)
        before[i] = dr_ledger_acked_of(i);
    if (!it_await(all_have_more, before, DR_AWAIT_MS))
        fail_msg("not every shard gets on: %llu entries are durable",
                 (unsigned long long)dr_ledger_acked());
    dr_ledger_stop();
    dr_kill();
}

static size_t shard_in(const char *key, size_t otherwise)
{
    for (size_t i = 0; i < dr_ledger_shards(); i++) {
        char part[80];
        (void)snprintf(part, sizeof part, "/%s/", dr_ledger_shard(i));
        if (strstr(key, part) != NULL)
            return i;
    }
    return otherwise % dr_ledger_shards();
}

/* Is it the manifest or a part of the generation that a restore takes? */
static bool of_the_newest(const char *key, size_t shard)
{
    char kind[80], newest[DR_BUCKET_KEY];
    (void)snprintf(kind, sizeof kind, "gen/%s", dr_ledger_shard(shard));
    dr_bucket_last(kind, 1, newest);
    return strstr(key, "/log/") == NULL && strstr(key, strrchr(newest, '/')) != NULL;
}

/* Any object: manifests, parts and containers alike, however many there are of each. */
static void pick_object(struct pr_rng *rng, struct dr_bucket_object *o)
{
    static const char *const kind[] = { "gen", "base", "log" };
    char key[DR_BUCKET_KEY];
    const char *k = kind[pr_rng_below(rng, PR_COUNT(kind))];
    assert_true(dr_bucket_nth(k, 1, (size_t)pr_rng_below(rng, dr_bucket_count(k)), key));
    dr_bucket_take(key, o);
}

static void try_damaged(const struct dr_bucket_object *o, size_t otherwise, const uint64_t *floor)
{
    struct dr_tried t;
    const size_t shard = shard_in(o->key, otherwise);
    const bool used = of_the_newest(o->key, shard);
    dr_try(shard, &t);
    const enum dr_outcome was = dr_judge(&t, dr_ledger_acked_of(shard), floor[shard], false);
    if (used && was != DR_PREVIOUS)
        fail_msg("%s is damaged, and used: %s", o->key, t.out);
    dr_struck(was);
}

void dr_object_has_a_flipped_bit(void **state)
{
    (void)state;
    const long strikes = dr_strikes(50);
    uint64_t floor[DR_LEDGER_SHARDS];
    two_generations(floor);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("flipped", i);
        struct dr_bucket_object o;
        pick_object(&rng, &o);
        dr_bucket_flip(&o, (size_t)pr_rng_below(&rng, o.n), (unsigned)pr_rng_below(&rng, 8));
        try_damaged(&o, (size_t)i, floor);
        dr_bucket_put_back(&o);
    }
    for (long i = 0; i < (long)dr_ledger_shards(); i++)
        dr_check(i);
}

/* As an upload that was not finished would leave it, if there were such, or somebody's rm. */
void dr_object_is_cut_or_lost(void **state)
{
    (void)state;
    const long strikes = dr_strikes(20);
    uint64_t floor[DR_LEDGER_SHARDS];
    two_generations(floor);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("cut", i);
        struct dr_bucket_object o;
        pick_object(&rng, &o);
        if (pr_rng_below(&rng, 2) == 0)
            dr_bucket_lose(&o);
        else
            dr_bucket_cut(&o, (size_t)pr_rng_below(&rng, o.n));
        try_damaged(&o, (size_t)i, floor);
        dr_bucket_put_back(&o);
    }
    for (long i = 0; i < (long)dr_ledger_shards(); i++)
        dr_check(i);
}

/* --- restores that do not end --------------------------------------------------------------------
 */

static void shipped(void)
{
    dr_stage_write(6, 100);
    dr_serve();
    dr_ledger_await_acked(60);
    dr_ledger_stop();
    dr_kill();
}

static unsigned calls_of_a_restore(size_t shard)
{
    struct dr_tried t;
    dr_rules("%s", "");
    dr_try(shard, &t);
    return dr_calls();
}

/* Before its n-th call: no directory; what it leaves is no obstacle to the next. */
void dr_restore_is_killed(void **state)
{
    (void)state;
    const long strikes = dr_strikes(30);
    struct dr_tried t;
    shipped();
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("restore killed", i);
        const size_t shard = (size_t)i % dr_ledger_shards();
        char dir[256];
        (void)snprintf(dir, sizeof dir, "%s/%s", dr_scene.dir, dr_ledger_shard(shard));
        const char *args[] = { "restore", "--shard", dr_ledger_shard(shard), "--dir", dir, NULL };
        const unsigned calls = calls_of_a_restore(shard);
        const pid_t pid = dr_command_stopped(args);
        dr_rules("pass first=%u times=1 when=%s pid=%d signal=9",
                 1 + (unsigned)pr_rng_below(&rng, calls),
                 pr_rng_below(&rng, 2) == 0 ? "before" : "after", (int)pid);
        assert_int_equal(kill(pid, SIGCONT), 0);
        assert_int_equal(it_wait(pid, DR_AWAIT_MS), -SIGKILL);
        assert_int_equal(access(dir, F_OK), -1);
        dr_rules("%s", "");
        dr_try(shard, &t);
        const uint64_t acked = dr_ledger_acked_of(shard);
        dr_struck(dr_judge(&t, acked, acked, false));
    }
}

/* A mount of its own, which ends with the command; what the command leaves in it is told. */
static int in_little_room(uint64_t bytes, const char *const *args, char *out, size_t n)
{
    char size[32];
    (void)snprintf(size, sizeof size, "%llu", (unsigned long long)bytes);
    const char *wrap[] = { "/usr/bin/unshare",
                           geteuid() == 0 ? "-m" : "-rm",
                           "/bin/sh",
                           "-c",
                           "mount -t tmpfs -o size=$0 none \"$1\" || exit 99; dir=$1; shift; "
                           "\"$@\"; status=$?; ls -A \"$dir\" | sed 's/^/left: /'; exit $status",
                           size,
                           dr_scene.dir,
                           NULL };
    return dr_command(wrap, args, out, n);
}

static uint64_t bytes_of(size_t shard)
{
    struct dr_tried t;
    dr_try(shard, &t);
    const char *base = strstr(t.out, "\"base_bytes\":"),
               *stream = strstr(t.out, "\"stream_bytes\":");
    assert_true(t.status == 0 && base != NULL && stream != NULL);
    return strtoull(base + strlen("\"base_bytes\":"), NULL, 10) +
           strtoull(stream + strlen("\"stream_bytes\":"), NULL, 10);
}

enum { PAGE = 4096 };

void dr_restore_has_no_room(void **state)
{
    (void)state;
    const long strikes = dr_strikes(12);
    shipped();
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("no room", i);
        const size_t shard = (size_t)i % dr_ledger_shards();
        char dir[256], out[4096];
        (void)snprintf(dir, sizeof dir, "%s/r", dr_scene.dir);
        const char *args[] = { "restore", "--shard", dr_ledger_shard(shard), "--dir", dir, NULL };
        const uint64_t room = PAGE + pr_rng_below(&rng, bytes_of(shard) - 2 * PAGE);
        const int status = in_little_room(room, args, out, sizeof out);
        if (status != 1 || strstr(out, "No space left") == NULL || strstr(out, "left: ") != NULL)
            fail_msg("restore in %llu bytes: %d: %s", (unsigned long long)room, status, out);
        dr_struck(DR_REFUSED);
        dr_check((long)shard);
    }
}

void dr_drill_has_no_room(void **state)
{
    (void)state;
    const long strikes = dr_strikes(6);
    shipped();
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("no room to drill", i);
        const size_t shard = (size_t)i % dr_ledger_shards();
        char out[4096];
        const char *args[] = { "drill", "--shard", dr_ledger_shard(shard), NULL };
        const uint64_t room = PAGE + pr_rng_below(&rng, bytes_of(shard) - 2 * PAGE);
        const int status = in_little_room(room, args, out, sizeof out);
        if (status != 1 || strstr(out, "\"outcome\":\"failed\"") == NULL ||
            strstr(out, "left: ") != NULL)
            fail_msg("drill in %llu bytes: %d: %s", (unsigned long long)room, status, out);
        dr_struck(DR_REFUSED);
    }
}

/* --- restores that are told wrong
 * ------------------------------------------------------------------
 */

void dr_restore_over_something(void **state)
{
    (void)state;
    static const char *const make[] = {
        "mkdir \"$0\" && echo kept >\"$0/dump.rdb\"",
        "mkdir -p \"$0/appendonlydir\"",
        "echo kept >\"$0\"",
    };
    const long strikes = dr_strikes(3);
    shipped();
    for (long i = 0; i < strikes; i++) {
        char dir[256], out[2048], before[512], after[512];
        (void)snprintf(dir, sizeof dir, "%s/over%ld", dr_scene.dir, i);
        const char *mk[] = { "/bin/sh", "-c", make[i % (long)PR_COUNT(make)], dir, NULL };
        const char *look[] = { "/bin/sh", "-c", "find \"$0\" -printf '%p %s %T@\\n'", dir, NULL };
        const char *args[] = { "restore", "--shard", dr_ledger_shard(0), "--dir", dir, NULL };
        assert_int_equal(it_run(NULL, mk, NULL, 0, 5000), 0);
        assert_int_equal(it_run(NULL, look, before, sizeof before, 5000), 0);
        assert_int_equal(dr_command(NULL, args, out, sizeof out), 1);
        assert_int_equal(it_run(NULL, look, after, sizeof after, 5000), 0);
        assert_string_equal(before, after);
        dr_struck(DR_REFUSED);
    }
    dr_check(0);
}

void dr_restore_with_wrong_settings(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *words;
    } WRONG[] = {
        { "PRISM_DR_S3_SECRET_ACCESS_KEY", "wrong", "403" },
        { "PRISM_DR_S3_ACCESS_KEY_ID", "NOBODY", "403" },
        { "PRISM_DR_S3_BUCKET", "prism-nobody", "404" },
        { "PRISM_DR_CLUSTER", "nobody", "no generation of it" },
        { "PRISM_DR_KEY_PATH", "/nonexistent/key", "/nonexistent/key" },
        { "PRISM_DR_KEY_PATH", "/proc/self/status", "/proc/self/status" },
    };
    const long strikes = dr_strikes(12);
    shipped();
    for (long i = 0; i < strikes; i++) {
        const size_t k = ((size_t)i + (size_t)dr_counts.seed) % PR_COUNT(WRONG);
        char right[256] = "";
        struct dr_tried t;
        for (size_t e = 0; dr.env[e] != NULL; e++)
            if (strncmp(dr.env[e], WRONG[k].name, strlen(WRONG[k].name)) == 0 &&
                dr.env[e][strlen(WRONG[k].name)] == '=')
                (void)snprintf(right, sizeof right, "%s", strchr(dr.env[e], '=') + 1);
        dr_stage_set(WRONG[k].name, WRONG[k].value);
        dr_try((size_t)i, &t);
        if (dr_judge(&t, 1, 1, true) != DR_REFUSED || strstr(t.out, WRONG[k].words) == NULL)
            fail_msg("%s=%s: %d: %s", WRONG[k].name, WRONG[k].value, t.status, t.out);
        dr_stage_set(WRONG[k].name, right);
        dr_check(i);
        dr_struck(DR_REFUSED);
    }
}
