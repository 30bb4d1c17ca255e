#include "dr_scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dr_scene dr_scene;

/* --- settings -------------------------------------------------------------------------------- */

static void settings(void)
{
    dr_stage_set("PRISM_DR_S3_ENDPOINT", dr_scene.proxy.url);
    dr_stage_set("PRISM_DR_S3_BUCKET", it_env("IT_S3_BUCKET"));
    dr_stage_set("PRISM_DR_S3_ACCESS_KEY_ID", it_env("IT_S3_ACCESS"));
    dr_stage_set("PRISM_DR_S3_SECRET_ACCESS_KEY", it_env("IT_S3_SECRET"));
    dr_stage_set("PRISM_DR_KEY_PATH", "");
    dr_stage_set("PRISM_DR_LEASE_TTL_MS", "2000");
    dr_stage_set("PRISM_DR_PART_BYTES", "65536");
    dr_stage_set("PRISM_DR_BEAT_MS", "500");
    dr_stage_set("PRISM_DR_REBASE_MS", "0");
    dr_stage_set("PRISM_DR_SCRUB_MS", "86400000");
    dr_stage_set("PRISM_DR_DRILL_CRON", "");
    dr_stage_set("PRISM_DR_SCRATCH_PATH", dr_scene.dir);
    dr_stage_set("LD_PRELOAD", "");
}

int dr_scene_open(void **state)
{
    (void)dr_stage_open(state);
    dr_bucket_open();
    it_proxy(&dr_scene.proxy, atoi(strrchr(it_env("IT_S3_URL"), ':') + 1));
    (void)snprintf(dr_scene.dir, sizeof dr_scene.dir, "/tmp/prism-fdr-XXXXXX");
    assert_non_null(mkdtemp(dr_scene.dir));
    return 0;
}

static void empty_dir(void)
{
    const char *rm[] = { "/bin/sh", "-c", "rm -rf \"$0\"/*", dr_scene.dir, NULL };
    assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
}

int dr_scene_close(void **state)
{
    dr_table_print();
    empty_dir();
    (void)rmdir(dr_scene.dir);
    dr_bucket_close();
    return dr_stage_close(state);
}

static void mend(void)
{
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "redis-%d", port[i]);
        const pid_t pid = it_server_pid(name);
        if (pid > 1)
            (void)kill(pid, SIGCONT);
        it_server_up(name);
    }
    it_cluster_await(DR_AWAIT_MS);
    dr_stage_config("client-output-buffer-limit", "replica 256mb 64mb 60");
    dr_stage_config("repl-backlog-size", "16mb");
}

int dr_case_begin(void **state)
{
    dr_table_begin(*state);
    settings();
    dr_rules("%s", "");
    mend();
    dr_fresh();
    return 0;
}

int dr_case_end(void **state)
{
    (void)state;
    dr_ledger_stop();
    dr_kill();
    empty_dir();
    dr_table_end();
    return 0;
}

/* --- the service -------------------------------------------------------------------------------
 */

void dr_fresh(void)
{
    dr_stage_fresh();
    dr_ledger_forget();
}

void dr_rules(const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    const int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    assert_in_range(n, 0, sizeof text - 1);
    it_proxy_rules(&dr_scene.proxy, text);
}

struct calls {
    unsigned all, hit;
};

static struct calls count_calls(void)
{
    static char log[1 << 20];
    struct calls n = { 0, 0 };
    it_proxy_log(&dr_scene.proxy, log, sizeof log);
    for (char *save = NULL, *line = strtok_r(log, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char fault[32];
        n.all++;
        n.hit += sscanf(line, "%*u %*s %*s %31s", fault) == 1 && strcmp(fault, "pass") != 0;
    }
    return n;
}

unsigned dr_calls(void)
{
    return count_calls().all;
}

static bool hit(void *ctx)
{
    (void)ctx;
    return count_calls().hit > 0;
}

bool dr_rule_hit(int timeout_ms)
{
    return it_await(hit, NULL, timeout_ms);
}

void dr_serve(void)
{
    dr_stage_start();
    dr_ledger_stop();
    dr_ledger_start(dr_counts.seed);
}

void dr_kill(void)
{
    if (dr.dr.pid > 0 && it_alive(dr.dr.pid))
        it_kill(dr.dr.pid);
    dr.dr.pid = 0;
    dr_stage_end_leases();
}

void dr_kill_at(const char *match, unsigned n, bool after)
{
    it_service_launch(&dr.dr, "dr", dr.uri, dr.env, it_free_port());
    dr_rules("pass %s first=%u times=1 when=%s pid=%d signal=9", match, n,
             after ? "after" : "before", (int)dr.dr.pid);
    if (it_wait(dr.dr.pid, DR_AWAIT_MS) != -SIGKILL)
        fail_msg("it was not killed %s call %u of \"%s\"", after ? "after" : "before", n, match);
    dr.dr.pid = 0;
    dr_rules("%s", "");
    dr_stage_end_leases();
}

/* --- restores ----------------------------------------------------------------------------------
 */

enum { WORDS = 40 };

/* The words before it, a shell that does as it is told, the program and its arguments. */
static void put_words(const char *argv[WORDS], const char *const *wrap, const char *shell,
                      const char *const *args)
{
    static char program[4096];
    size_t n = 0;
    (void)snprintf(program, sizeof program, "%s/prism-dr", PRISM_BIN_DIR);
    for (; wrap != NULL && *wrap != NULL; wrap++)
        argv[n++] = *wrap;
    argv[n++] = "/bin/sh";
    argv[n++] = "-c";
    argv[n++] = shell;
    argv[n++] = program;
    for (; *args != NULL; args++) {
        assert_true(n < WORDS - 1);
        argv[n++] = *args;
    }
    argv[n] = NULL;
}

int dr_command(const char *const *wrap, const char *const *args, char *out, size_t n)
{
    const char *argv[WORDS];
    put_words(argv, wrap, "exec \"$0\" \"$@\" 2>&1", args);
    return it_run(dr.env, argv, out, n, DR_AWAIT_MS);
}

static bool is_stopped(void *ctx)
{
    char path[64], text[256] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)*(const pid_t *)ctx);
    FILE *f = fopen(path, "re");
    const bool got = f != NULL && fgets(text, sizeof text, f) != NULL;
    if (f != NULL)
        (void)fclose(f);
    return got && strstr(text, ") T ") != NULL;
}

pid_t dr_command_stopped(const char *const *args)
{
    const char *argv[WORDS];
    put_words(argv, NULL, "kill -STOP $$; exec \"$0\" \"$@\"", args);
    pid_t pid = it_spawn(dr.env, argv);
    assert_true(it_await(is_stopped, &pid, 5000));
    return pid;
}

static long number_behind(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at != NULL ? strtol(at + strlen(name), NULL, 10) : -1;
}

void dr_try(size_t shard, struct dr_tried *out)
{
    char dir[256];
    *out = (struct dr_tried){ .shard = shard % dr_ledger_shards() };
    const char *name = dr_ledger_shard(out->shard);
    (void)snprintf(dir, sizeof dir, "%s/%s", dr_scene.dir, name);
    const char *args[] = { "restore", "--shard", name, "--dir", dir, NULL };
    out->status = dr_command(NULL, args, out->out, sizeof out->out);
    if ((access(dir, F_OK) == 0) != (out->status == 0))
        fail_msg("restore ends with %d, its directory is %sthere: %s", out->status,
                 out->status == 0 ? "not " : "", out->out);
    if (out->status == 0) {
        out->entries = dr_ledger_entries(out->shard, dr_scene.dir);
        out->skipped = number_behind(out->out, "\"skipped_generations\":");
        out->gap = strstr(out->out, "\"gap\":true") != NULL;
    }
    empty_dir();
}

enum dr_outcome dr_judge(const struct dr_tried *t, uint64_t acked, uint64_t floor, bool may_refuse)
{
    const char *shard = dr_ledger_shard(t->shard);
    if (t->status != 0) {
        if (acked > 0 && !may_refuse)
            fail_msg("shard %s: %llu entries were durable: %s", shard, (unsigned long long)acked,
                     t->out);
        return DR_REFUSED;
    }
    if (t->entries >= acked) {
        dr_compared(acked);
        return DR_RESUMED;
    }
    if (t->skipped <= 0 && !t->gap)
        fail_msg("shard %s: %llu entries of %llu, and nothing is said of it: %s", shard,
                 (unsigned long long)t->entries, (unsigned long long)acked, t->out);
    if (t->entries < floor)
        fail_msg("shard %s: %llu entries, what is before the damage has %llu: %s", shard,
                 (unsigned long long)t->entries, (unsigned long long)floor, t->out);
    return DR_PREVIOUS;
}

void dr_check(long strike)
{
    struct dr_tried t;
    const size_t shard = (size_t)strike % dr_ledger_shards();
    const uint64_t acked = dr_ledger_acked_of(shard); /* before: it may go on */
    dr_try(shard, &t);
    if (dr_judge(&t, acked, acked, false) == DR_PREVIOUS)
        fail_msg("shard %s: something was skipped: %s", dr_ledger_shard(shard), t.out);
}

void dr_ends_well(void)
{
    static bool compared;
    dr_ledger_stop();
    if (dr_counts.strikes == 1 && compared) /* seconds each time */
        return;
    compared = true;
    dr_stage_set("PRISM_DR_BEAT_MS", "60000"); /* heartbeats would make primaries differ */
    dr_stage_set("PRISM_DR_REBASE_MS", "0");
    dr_kill();
    dr_stage_start();
    dr_stage_await_durable();
    dr_ledger_check(DR_LEDGER_ALL, true);
    dr_compared(dr_ledger_acked());
}
