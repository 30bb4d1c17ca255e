/* prism-dr scrub, prism-dr retention. */
#include "cli/cli.h"
#include "io/gives.h"
#include "io/life_store.h"
#include "io/region/marker.h"
#include "io/scrub.h"

#include "prism/io/clock.h"
#include "prism/io/json_text.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- scrub ---------------------------------------------------------------------------------- */

static const char scrub_usage[] =
    "usage: prism-dr scrub [--shard NAME] [--rate BYTES]\n"
    "Reads everything in the bucket, or a shard's, at most BYTES a second (PRISM_DR_SCRUB_BPS), "
    "and\n"
    "verifies it. A JSON line for every generation: good, or damaged and which object. Nothing is\n"
    "recorded: the service does the same by itself. Exit status: 0 all is good; 1 not; 2 wrong\n"
    "arguments.\n";

struct scrubbing {
    size_t good, damaged;
};

static void print_generation(const struct dr_generation *g, const char *state, const char *why)
{
    struct pr_buf b;
    char id[DR_GENERATION];
    dr_generation_print(&g->id, id);
    pr_buf_init(&b, 0);
    pr_buf_printf(&b,
                  "{\"shard\":\"%s\",\"generation\":\"%s\",\"state\":\"%s\",\"reason\":", g->shard,
                  id, state);
    pr_json_add(&b, why);
    pr_buf_str(&b, "}\n");
    (void)fputs(b.failed ? "{}\n" : b.data, stdout);
    pr_buf_done(&b);
}

static void on_damage(void *ctx, const struct dr_generation *g, bool newest, const char *why)
{
    (void)newest;
    ((struct scrubbing *)ctx)->damaged++;
    print_generation(g, "damaged", why);
}

static void on_good(void *ctx, const struct dr_generation *g)
{
    ((struct scrubbing *)ctx)->good++;
    print_generation(g, "good", "");
}

static enum pr_code read_all(struct dr_scrub *s, int64_t rate_bps, struct pr_err *err)
{
    const int64_t begun_us = pr_mono_us();
    uint64_t sum = 0;
    bool done = false;
    enum pr_code rc = PR_OK;
    while (rc == PR_OK && !done) {
        uint64_t bytes;
        const int64_t early_us =
            begun_us + (int64_t)(sum * 1000000 / (uint64_t)rate_bps) - pr_mono_us();
        if (early_us > 0)
            (void)nanosleep(&(struct timespec){ early_us / 1000000, early_us % 1000000 * 1000 },
                            NULL);
        rc = dr_scrub_step(s, &bytes, &done, err);
        sum += bytes;
    }
    return rc;
}

static int scrub(const char *shard, int64_t rate_bps)
{
    struct dr_cli_store s;
    struct dr_scrub *pass = NULL;
    struct scrubbing found = { 0, 0 };
    struct pr_err err = { 0 };
    enum pr_code rc = dr_cli_open(&s, &err);
    const struct dr_scrub_of of = { .store = &s.store.s3,
                                    .codec = &s.store.codec,
                                    .cluster = s.cfg.cluster,
                                    .shard = shard,
                                    .after = "",
                                    .damaged = on_damage,
                                    .ctx = &found };
    if (rc == PR_OK)
        rc = dr_scrub_open(&pass, &of, &err);
    if (rc == PR_OK)
        rc = read_all(pass, rate_bps > 0 ? rate_bps : s.cfg.scrub_bps, &err);
    if (rc == PR_OK)
        dr_scrub_each_good(pass, on_good, &found);
    if (rc == PR_OK && found.good + found.damaged == 0)
        rc = pr_fail(&err, PR_ENOTFOUND, "the bucket holds no generation %s%s",
                     shard != NULL ? "of shard " : "", shard != NULL ? shard : "");
    dr_scrub_close(pass);
    dr_cli_close(&s);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-dr scrub: %s\n", err.text);
    return rc == PR_OK && found.damaged == 0 ? 0 : 1;
}

struct scrub_asked {
    const char *shard;
    int64_t rate_bps;
};

static const char *take_scrub(void *ctx, int c)
{
    struct scrub_asked *a = ctx;
    if (c == 's') {
        a->shard = optarg;
        return NULL;
    }
    a->rate_bps = strtoll(optarg, NULL, 10);
    return a->rate_bps >= 1 ? NULL : "--rate is not a number of bytes from 1";
}

int dr_cli_scrub(int argc, char **argv)
{
    static const struct dr_cli_use use = { "scrub", scrub_usage };
    static const struct option options[] = { { "shard", required_argument, NULL, 's' },
                                             { "rate", required_argument, NULL, 'r' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    struct scrub_asked a = { .shard = NULL };
    int status;
    if (!dr_cli_options(&use, options, take_scrub, &a, argc, argv, &status))
        return status;
    if (optind != argc)
        return dr_cli_wrong(&use, "it takes no other arguments");
    if (a.shard != NULL && !dr_name_ok(a.shard))
        return dr_cli_wrong(&use, "--shard is no name of a shard");
    return scrub(a.shard, a.rate_bps);
}

/* --- retention -------------------------------------------------------------------------------- */

static const char retention_usage[] =
    "usage: prism-dr retention --dry-run\n"
    "The name of every object that would be deleted now, and a JSON line with the sums. What was\n"
    "verified is known from PostgreSQL (PRISM_DB_URI, or PRISM_DB_URI_FILE); PRISM_DR_KEEP_HOURS\n"
    "says how far back must be kept. With PRISM_DR_SITE it is the name that the store ships under\n"
    "now that is looked at, and those it had before the last region fail-overs. The service\n"
    "deletes by itself; this never does. Exit status: 0; 1 failed; 2 wrong arguments.\n";

static void print_key(void *ctx, const char *key)
{
    (void)ctx;
    (void)printf("%s\n", key);
}

/* The name that the store ships under since the last fail-over. */
static enum pr_code present(const struct dr_cli_store *s, struct dr_retain *what,
                            struct dr_marker *now, struct pr_err *err)
{
    struct pr_s3 *s3 = NULL;
    enum pr_code rc = pr_s3_open(&s->store.s3, NULL, &s3, err);
    if (rc == PR_OK)
        rc = dr_marker_newest(s3, s->cfg.cluster, now, err);
    pr_s3_close(s3);
    what->home = s->cfg.cluster;
    what->cluster = now->data;
    return rc;
}

static int retention(void)
{
    struct dr_cli_store s;
    struct dr_cli_servers at = { .db_uri = NULL };
    struct dr_mark *mark = NULL;
    struct dr_retained sum;
    struct dr_marker now;
    struct pr_db *db = NULL;
    struct pr_err err = { 0 };
    enum pr_code rc = dr_cli_open(&s, &err);
    if (rc == PR_OK)
        rc = dr_cli_servers(&at, true, &err);
    struct dr_retain what = { .store = &s.store.s3,
                              .cluster = s.cfg.cluster,
                              .rule = { pr_now_ms(), s.cfg.keep_hours * 3600000 },
                              .dry = true,
                              .goes = print_key };
    if (rc == PR_OK && s.cfg.site[0] != '\0')
        rc = present(&s, &what, &now, &err);
    if (rc == PR_OK)
        rc = pr_db_open(&db, at.db_uri, "prism-dr-retention", &err);
    if (rc == PR_OK)
        rc = dr_life_marks(db, &mark, &what.marks, &err);
    if (rc == PR_OK)
        rc = dr_gives_live(db, &what.live, &err);
    what.mark = mark;
    if (rc == PR_OK)
        rc = dr_retain(&what, &sum, &err);
    free(mark);
    pr_db_close(db);
    dr_cli_close(&s);
    dr_cli_servers_done(&at);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-dr retention: %s\n", err.text);
    else
        (void)printf("{\"generations\":%zu,\"parts\":%zu,\"orphans\":%zu,\"containers\":%zu,"
                     "\"of_earlier_names\":%zu,\"containers_that_stay\":%zu,\"bytes\":%" PRIu64
                     "}\n",
                     sum.manifests, sum.parts, sum.orphans, sum.containers, sum.earlier, sum.stay,
                     sum.bytes);
    return rc == PR_OK ? 0 : 1;
}

int dr_cli_retention(int argc, char **argv)
{
    static const struct dr_cli_use use = { "retention", retention_usage };
    if (argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
        (void)fputs(retention_usage, stdout);
        return 0;
    }
    if (argc != 3 || strcmp(argv[2], "--dry-run") != 0)
        return dr_cli_wrong(&use, "--dry-run is wanted, and nothing else");
    return retention();
}
