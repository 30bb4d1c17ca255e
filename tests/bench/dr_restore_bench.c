/* How fast does a store come back from the bucket? The real commands against a real S3 server,
 * beside what they are made of: curl that gets the same objects, and redis-server that loads the
 * same file. What was restored has the digest of its source. */
#include "dr_restore_stage.h"
#include "dr_rows.h"

#include "prism/io/clock.h"
#include "prism/s3/s3.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { PIPE = 100, VALUE = 1024, TIMEOUT_MS = 600000, OUT = 1 << 16 };

static const char usage[] = "usage: dr-restore-bench [options]\n"
                            "  --quick       one round of 30 MB a shard\n"
                            "  --rounds N    medians of N (3)\n"
                            "  --mb N        MB of keys a shard, and as much of stream (100)\n";

static struct {
    int rounds, mb;
    struct dr_shard_at shard[IT_MAX_NODES];
    size_t shards;
    char dir[64], digest[IT_MAX_NODES][64];
    struct row get, load_rdb, fetch, load, one, files, cluster;
} b = { .rounds = 3, .mb = 100 };

/* --- data ---------------------------------------------------------------------------------------
 */

/* Values that do not shrink; each key once. */
static void fill(const struct dr_shard_at *s, uint64_t seed)
{
    static char value[VALUE * 64];
    char tag[16];
    struct pr_rng rng;
    redisContext *c = it_redis_admin(s->port);
    dr_stage_tag(s, tag);
    pr_rng_init(&rng, seed);
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (char)pr_rng_below(&rng, 256);
    for (int done = 0; done < b.mb * 1000; done += PIPE) {
        for (int k = 0; k < PIPE; k++)
            redisAppendCommand(c, "SET {%s}r%d %b", tag, done + k,
                               value + pr_rng_below(&rng, sizeof value - VALUE), (size_t)VALUE);
        for (int k = 0; k < PIPE; k++) {
            void *r = NULL;
            if (redisGetReply(c, &r) != REDIS_OK || ((redisReply *)r)->type == REDIS_REPLY_ERROR)
                fail_msg("port %d: %s", s->port, c->errstr);
            freeReplyObject(r);
        }
    }
    redisFree(c);
}

/* A base of so many MB for each shard, and a stream behind it that writes each key once more. */
static void make_backup(void)
{
    dr_stage_set("PRISM_DR_REBASE_MS", "86400000");
    for (size_t i = 0; i < b.shards; i++)
        fill(&b.shard[i], i);
    dr_stage_start();
    for (size_t i = 0; i < b.shards; i++)
        fill(&b.shard[i], 100 + i);
    dr_stage_await_durable();
    assert_int_equal(it_stop(dr.dr.pid), 0);
    for (size_t i = 0; i < b.shards; i++)
        dr_stage_digest(b.shard[i].port, false, b.digest[i]);
}

/* --- running ------------------------------------------------------------------------------------
 */

static double since_s(int64_t us)
{
    return (double)(pr_mono_us() - us) / 1e6;
}

static void put(struct row *r, double bytes, double s)
{
    r->v[r->n++] = bytes / 1e6 / s;
}

static void remove_dir(const char *name)
{
    char path[128];
    const char *rm[] = { "/bin/rm", "-rf", path, NULL };
    (void)snprintf(path, sizeof path, "%s/%s", b.dir, name);
    assert_int_equal(it_run(NULL, rm, NULL, 0, TIMEOUT_MS), 0);
}

static double run(const char *const *args, char *out)
{
    const char *argv[24] = { PRISM_BIN_DIR "/prism-dr" };
    for (int i = 0; args[i] != NULL; i++)
        argv[i + 1] = args[i];
    const int64_t begun_us = pr_mono_us();
    const int status = it_run(dr.env, argv, out, OUT, TIMEOUT_MS);
    if (status != 0)
        fail_msg("prism-dr %s: %d: %s", args[0], status, out);
    return since_s(begun_us);
}

/* --- what it is made of -------------------------------------------------------------------------
 */

struct urls {
    FILE *f;
    double bytes;
};

static bool add_url(void *ctx, const struct pr_s3_entry *e)
{
    struct urls *u = ctx;
    (void)fprintf(u->f, "url = \"%s/%s/%s\"\noutput = /dev/null\n", it_env("IT_S3_URL"),
                  it_env("IT_S3_BUCKET"), e->key);
    u->bytes += (double)e->size_bytes;
    return true;
}

static enum pr_code keys(void *arg, int64_t now_ms, struct pr_aws_keys *out, struct pr_err *err)
{
    (void)arg;
    (void)now_ms;
    (void)err;
    *out = (struct pr_aws_keys){ .token = "" };
    (void)snprintf(out->access, sizeof out->access, "%s", it_env("IT_S3_ACCESS"));
    (void)snprintf(out->secret, sizeof out->secret, "%s", it_env("IT_S3_SECRET"));
    return PR_OK;
}

/* Every base and container, 16 at a time, thrown away. */
static void get_all(void)
{
    const struct pr_s3_store store = { .endpoint = it_env("IT_S3_URL"),
                                       .bucket = it_env("IT_S3_BUCKET"),
                                       .region = it_env("IT_S3_REGION"),
                                       .path_style = true,
                                       .keys = keys };
    static const char *const kind[] = { "base", "log" };
    static const char hash[] = "x-amz-content-sha256: UNSIGNED-PAYLOAD"; /* this curl forgets it */
    char path[128], user[256], prefix[64];
    struct pr_s3 *s3 = NULL;
    struct pr_err err = { 0 };
    struct urls u = { .bytes = 0 };
    (void)snprintf(path, sizeof path, "%s/urls", b.dir);
    (void)snprintf(user, sizeof user, "%s:%s", it_env("IT_S3_ACCESS"), it_env("IT_S3_SECRET"));
    u.f = fopen(path, "we");
    assert_non_null(u.f);
    assert_ok(pr_s3_open(&store, NULL, &s3, &err), &err);
    for (size_t i = 0; i < PR_COUNT(kind); i++) {
        (void)snprintf(prefix, sizeof prefix, "%s/%s/", dr.cluster, kind[i]);
        const struct pr_s3_list what = { .prefix = prefix };
        assert_ok(pr_s3_list(s3, &what, add_url, &u, &err), &err);
    }
    pr_s3_close(s3);
    assert_int_equal(fclose(u.f), 0);
    const char *argv[] = { "/usr/bin/curl",
                           "-sfZ",
                           "--parallel-max",
                           "16",
                           "--aws-sigv4",
                           "aws:amz:us-east-1:s3",
                           "--user",
                           user,
                           "-H",
                           hash,
                           "-K",
                           path,
                           NULL };
    const int64_t begun_us = pr_mono_us();
    if (it_run(NULL, argv, NULL, 0, TIMEOUT_MS) != 0)
        fail_msg("curl cannot get the objects");
    put(&b.get, u.bytes, since_s(begun_us));
}

/* The RDB of a shard alone. */
static void load_rdb(const char *shard)
{
    char from[256], to[256];
    struct stat st;
    pid_t pid;
    (void)snprintf(to, sizeof to, "%s/rdb", b.dir);
    assert_int_equal(mkdir(to, 0700), 0);
    (void)snprintf(to, sizeof to, "%s/rdb/appendonlydir", b.dir);
    assert_int_equal(mkdir(to, 0700), 0);
    (void)snprintf(to, sizeof to, "%s/rdb/appendonlydir/appendonly.aof.1.base.rdb", b.dir);
    (void)snprintf(from, sizeof from, "%s/one/%s/appendonlydir/appendonly.aof.1.base.rdb", b.dir,
                   shard);
    assert_int_equal(link(from, to), 0);
    assert_int_equal(stat(to, &st), 0);
    (void)snprintf(to, sizeof to, "%s/rdb/appendonlydir/appendonly.aof.manifest", b.dir);
    FILE *f = fopen(to, "we");
    assert_non_null(f);
    (void)fprintf(f, "file appendonly.aof.1.base.rdb seq 1 type b\n");
    assert_int_equal(fclose(f), 0);
    const int64_t begun_us = pr_mono_us();
    (void)dr_stage_serve(b.dir, "rdb", &pid);
    put(&b.load_rdb, (double)st.st_size, since_s(begun_us));
    assert_int_equal(it_stop(pid), 0);
    remove_dir("rdb");
}

/* --- ours ---------------------------------------------------------------------------------------
 */

static void restore_one(size_t i)
{
    static char out[OUT];
    char to[256], digest[64], what[80];
    const char *shard = b.shard[i].id;
    pid_t pid;
    (void)snprintf(what, sizeof what, "%s/one", b.dir);
    assert_int_equal(mkdir(what, 0700), 0);
    (void)snprintf(to, sizeof to, "%s/one/%s", b.dir, shard);
    const char *args[] = { "restore", "--shard", shard, "--dir", to, NULL };
    const int64_t begun_us = pr_mono_us();
    const double fetch_s = run(args, out);
    const double bytes =
        (double)own_json(out, "base_bytes") + (double)own_json(out, "stream_bytes");
    load_rdb(shard); /* in between: not counted */
    const double rdb_s = since_s(begun_us) - fetch_s;
    const int64_t load_us = pr_mono_us();
    const int port = dr_stage_serve(what, shard, &pid);
    put(&b.load, bytes, since_s(load_us));
    put(&b.fetch, bytes, fetch_s);
    put(&b.one, bytes, since_s(begun_us) - rdb_s);
    dr_stage_digest(port, true, digest);
    assert_string_equal(digest, b.digest[i]);
    assert_int_equal(it_stop(pid), 0);
    remove_dir("one");
}

static double file_bytes; /* of all shards, as fetched */

static void restore_files(void)
{
    static char out[OUT];
    char to[128];
    (void)snprintf(to, sizeof to, "%s/files", b.dir);
    const char *args[] = { "restore-cluster", "--into", to, "--partitions", "4096", NULL };
    const double s = run(args, out);
    file_bytes = (double)own_json(out, "fetched_bytes");
    put(&b.files, file_bytes, s);
    for (size_t i = 0; i < b.shards; i++) {
        char digest[64];
        pid_t pid;
        dr_stage_digest(dr_stage_serve(to, b.shard[i].id, &pid), true, digest);
        assert_string_equal(digest, b.digest[i]);
        assert_int_equal(it_stop(pid), 0);
    }
    remove_dir("files");
}

static void restore_into(void)
{
    static char out[OUT];
    static struct own_cluster own;
    char to[128];
    own_cluster_start(&own);
    (void)snprintf(to, sizeof to, "%s/scratch", b.dir);
    const char *args[] = { "restore-cluster", "--into-cluster", own.seeds, "--scratch", to,
                           "--partitions",    "4096",           NULL };
    const double s = run(args, out); /* it compares digests itself */
    put(&b.cluster, (double)own_json(out, "fetched_bytes"), s);
    assert_int_equal(own_json(out, "copied_keys"), own_cluster_keys(&own));
    own_cluster_stop(&own);
}

/* --- all ----------------------------------------------------------------------------------------
 */

static void options(int argc, char **argv)
{
    static const struct option LONG[] = { { "quick", no_argument, NULL, 'q' },
                                          { "rounds", required_argument, NULL, 'r' },
                                          { "mb", required_argument, NULL, 'm' },
                                          { "help", no_argument, NULL, 'h' },
                                          { NULL, 0, NULL, 0 } };
    for (int o; (o = getopt_long(argc, argv, "", LONG, NULL)) != -1;) {
        if (o == 'q') {
            b.rounds = 1;
            b.mb = 30;
        } else if (o == 'r')
            b.rounds = atoi(optarg);
        else if (o == 'm')
            b.mb = atoi(optarg);
        else {
            fputs(usage, o == 'h' ? stdout : stderr);
            exit(o == 'h' ? 0 : 2);
        }
    }
    if (b.rounds < 1 || b.rounds > MAX_ROUNDS || b.mb < 1) {
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    void *state = NULL;
    struct utsname is;
    options(argc, argv);
    (void)dr_stage_open(&state);
    b.shards = dr_stage_shards(b.shard);
    (void)snprintf(b.dir, sizeof b.dir, "/tmp/prism-rb-XXXXXX");
    assert_non_null(mkdtemp(b.dir));
    make_backup();
    for (int i = 0; i < b.rounds; i++) {
        get_all();
        restore_one((size_t)i % b.shards);
        restore_files();
        restore_into();
    }
    (void)uname(&is);
    printf("%s %s, %ld cores shared by S3 server, redis-servers and the commands; %zu shards of "
           "%d MB in 1 KB values and as much of stream, %.0f MB in all; %d rounds, medians\n",
           is.sysname, is.release, sysconf(_SC_NPROCESSORS_ONLN), b.shards, b.mb, file_bytes / 1e6,
           b.rounds);
    row_head();
    row_print("curl gets the same objects, 16 at a time", &b.get, "MB/s", "");
    row_print("redis-server loads the same RDB", &b.load_rdb, "MB/s", "");
    row_print("restore a shard: fetch, verify, write", &b.fetch, "MB/s", ">= 100");
    row_print("redis-server loads what was restored", &b.load, "MB/s", "");
    row_print("restore a shard and load it", &b.one, "MB/s", "");
    row_print("restore-cluster into files", &b.files, "MB/s", ">= 100");
    row_print("restore-cluster into a cluster", &b.cluster, "MB/s", ">= 100");
    remove_dir("");
    return dr_stage_close(&state);
}
