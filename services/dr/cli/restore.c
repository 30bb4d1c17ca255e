/* prism-dr restore: a shard's files from the bucket. */
#include "io/restore.h"
#include "cli/cli.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: prism-dr restore --shard NAME --dir DIR [--until TIME] [--threads N]\n"
    "Brings a shard back as the data directory of a redis-server (RDB and append-only file): its\n"
    "newest generation that is whole, as far as it goes, or to TIME (2030-01-31T12:00:00Z).\n"
    "DIR must be absent or empty; it is there when everything is, or not at all. Nothing is "
    "served\n"
    "yet: start a redis-server on it with `appendonly yes` and `aof-load-truncated no`.\n"
    "The bucket is that of the settings PRISM_DR_CLUSTER, PRISM_DR_S3_..., PRISM_DR_KEY_PATH.\n"
    "Prints JSON. Exit status: 0; 1 failed; 2 wrong arguments.\n";

static const struct dr_cli_use use = { "restore", usage };

static void print(const struct dr_restored *r, const char *dir)
{
    char at[32];
    dr_time_text(r->last_ms, at);
    (void)printf("{\"dir\":\"%s\",\"generation\":\"%016" PRIx64 "-%04x\",\"base_bytes\":%" PRIu64
                 ",\"base_keys\":",
                 dir, r->generation.epoch, r->generation.n, r->base_bytes);
    if (r->base_keys == UINT64_MAX)
        (void)printf("null");
    else
        (void)printf("%" PRIu64, r->base_keys);
    (void)printf(
        ",\"stream_bytes\":%" PRIu64 ",\"pieces\":%zu,\"replid\":\"%s\",\"offset\":%" PRIu64
        ",\"until\":\"%s\",\"skipped_generations\":%zu,\"gap\":%s,\"why_it_ends\":\"%s\"}\n",
        r->stream_bytes, r->pieces, r->replid, r->offset, at, r->skipped, r->gap ? "true" : "false",
        r->why);
}

static int run(const struct dr_restore *asked)
{
    struct dr_restore w = *asked;
    struct dr_cli_store s;
    struct dr_restored r;
    struct pr_err err = { 0 };
    enum pr_code rc = dr_cli_open(&s, &err);
    w.store = &s.store.s3;
    w.codec = &s.store.codec;
    w.cluster = s.cfg.cluster;
    if (rc == PR_OK)
        rc = dr_restore_shard(&w, &r, &err);
    dr_cli_close(&s);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-dr restore: %s\n", err.text);
    else
        print(&r, w.dir);
    return rc == PR_OK ? 0 : 1;
}

static const char *take(void *ctx, int c)
{
    struct dr_restore *w = ctx;
    switch (c) {
    case 's':
        w->shard = optarg;
        return NULL;
    case 'd':
        w->dir = optarg;
        return NULL;
    case 'u':
        return dr_cli_until(optarg, &w->until_ms) ? NULL : "--until is no time";
    default:
        return dr_cli_threads(optarg, &w->threads) ? NULL : "--threads is not 1 to 64";
    }
}

int dr_cli_restore(int argc, char **argv)
{
    static const struct option options[] = {
        { "shard", required_argument, NULL, 's' }, { "dir", required_argument, NULL, 'd' },
        { "until", required_argument, NULL, 'u' }, { "threads", required_argument, NULL, 't' },
        { "help", no_argument, NULL, 'h' },        { NULL, 0, NULL, 0 }
    };
    struct dr_restore w = { .until_ms = INT64_MAX };
    int status;
    if (!dr_cli_options(&use, options, take, &w, argc, argv, &status))
        return status;
    if (w.shard == NULL || w.dir == NULL || optind != argc)
        return dr_cli_wrong(&use, "--shard and --dir are wanted, and nothing else");
    if (!dr_name_ok(w.shard))
        return dr_cli_wrong(&use, "--shard is no name of a shard");
    return run(&w);
}
