/* prism-dr drill: shards are restored to scratch, loaded, looked at, and removed again. */
#include "io/drill.h"
#include "cli/cli.h"

#include "prism/io/json_text.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: prism-dr drill --shard NAME | --all [--scratch DIR]\n"
    "Restores a shard, or one after another, into a new directory in DIR (PRISM_DR_SCRATCH_PATH),\n"
    "loads it in a redis-server that nobody else can reach, looks at what came back, and removes\n"
    "it. A JSON line for each: good, late (older than PRISM_DR_RPO_MS, or slower than\n"
    "PRISM_DR_RTO_MS), damaged (an older generation had to be used) or failed, why, and how long\n"
    "listing, fetching and loading took. Nothing is recorded: `prismctl dr drill` has the service\n"
    "do it. Exit status: 0 all are good; 1 not; 2 wrong arguments.\n";

static const struct dr_cli_use use = { "drill", usage };

static void print(const char *shard, const struct dr_drilled *d)
{
    const struct dr_restored *r = &d->restored;
    struct pr_buf b;
    char id[DR_GENERATION] = "";
    if (r->generation.n != 0)
        dr_generation_print(&r->generation, id);
    pr_buf_init(&b, 0);
    pr_buf_printf(&b, "{\"shard\":\"%s\",\"outcome\":\"%s\",\"reason\":", shard,
                  dr_drill_outcome_name(d->verdict.outcome));
    pr_json_add(&b, d->verdict.reason);
    pr_buf_printf(&b,
                  ",\"generation\":\"%s\",\"skipped_generations\":%zu,\"list_ms\":%" PRId64
                  ",\"fetch_ms\":%" PRId64 ",\"load_ms\":%" PRId64 ",\"rto_ms\":%" PRId64,
                  id, r->skipped, r->list_ms, r->fetch_ms, d->load_ms, d->took_ms);
    if (d->verdict.age_ms < 0)
        pr_buf_str(&b, ",\"rpo_ms\":null");
    else
        pr_buf_printf(&b, ",\"rpo_ms\":%" PRId64, d->verdict.age_ms);
    pr_buf_printf(
        &b, ",\"base_bytes\":%" PRIu64 ",\"stream_bytes\":%" PRIu64 ",\"keys\":%" PRIu64 "}\n",
        r->base_bytes, r->stream_bytes, d->keys);
    (void)fputs(b.failed ? "{}\n" : b.data, stdout);
    (void)fflush(stdout);
    pr_buf_done(&b);
}

static enum pr_code one(const struct dr_drill *of, const char *shard, bool *good,
                        struct pr_err *err)
{
    struct dr_drilled d;
    struct dr_drill what = *of;
    what.shard = shard;
    const enum pr_code rc = dr_drill_hold(&what, &d, err);
    if (rc != PR_OK)
        return rc;
    print(shard, &d);
    *good = *good && d.verdict.outcome == DR_DRILL_GOOD;
    return PR_OK;
}

/* The bucket is read once for all of them. */
static enum pr_code all(const struct dr_drill *what, bool *good, struct pr_err *err)
{
    struct dr_index ix;
    struct dr_drill each = *what;
    enum pr_code rc = dr_index_open(&ix, what->store, NULL, what->cluster, NULL, err);
    if (rc != PR_OK)
        return rc;
    if (ix.shards == 0)
        rc = pr_fail(err, PR_ENOTFOUND, "the bucket holds no shard of %s", what->cluster);
    dr_index_want(&ix, INT64_MAX);
    if (rc == PR_OK)
        rc = dr_index_read(&ix, err);
    each.index = &ix;
    for (size_t i = 0; rc == PR_OK && i < ix.shards; i++)
        rc = one(&each, ix.shard[i].name, good, err);
    dr_index_close(&ix);
    return rc;
}

static int run(const char *shard, const char *scratch)
{
    struct dr_cli_store s;
    struct pr_err err = { 0 };
    bool good = true;
    enum pr_code rc = dr_cli_open(&s, &err);
    const struct dr_drill what = { .store = &s.store.s3,
                                   .codec = &s.store.codec,
                                   .cluster = s.cfg.cluster,
                                   .scratch = scratch != NULL ? scratch : s.cfg.scratch_dir,
                                   .limits = { s.cfg.rpo_ms, s.cfg.rto_ms } };
    if (rc == PR_OK)
        rc = shard != NULL ? one(&what, shard, &good, &err) : all(&what, &good, &err);
    dr_cli_close(&s);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-dr drill: %s\n", err.text);
    return rc == PR_OK && good ? 0 : 1;
}

struct asked {
    const char *shard, *scratch;
    bool every;
};

static const char *take(void *ctx, int c)
{
    struct asked *a = ctx;
    if (c == 's')
        a->shard = optarg;
    else if (c == 'd')
        a->scratch = optarg;
    else
        a->every = true;
    return NULL;
}

int dr_cli_drill(int argc, char **argv)
{
    static const struct option options[] = { { "shard", required_argument, NULL, 's' },
                                             { "all", no_argument, NULL, 'a' },
                                             { "scratch", required_argument, NULL, 'd' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    struct asked a = { .shard = NULL };
    int status;
    if (!dr_cli_options(&use, options, take, &a, argc, argv, &status))
        return status;
    if ((a.shard != NULL) == a.every || optind != argc)
        return dr_cli_wrong(&use, "--shard or --all is wanted, and nothing else");
    if (a.shard != NULL && !dr_name_ok(a.shard))
        return dr_cli_wrong(&use, "--shard is no name of a shard");
    return run(a.shard, a.scratch);
}
