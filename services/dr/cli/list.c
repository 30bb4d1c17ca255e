/* prism-dr list: what the bucket holds. */
#include "cli/cli.h"
#include "io/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: prism-dr list\n"
    "A JSON line for every generation of every shard in the bucket: when its base was made, how\n"
    "large it is, and up to when its stream goes. The bucket is that of the settings\n"
    "PRISM_DR_CLUSTER, PRISM_DR_S3_... Exit status: 0; 1 failed; 2 wrong arguments.\n";

static enum pr_code print(const struct dr_generation *g, const struct dr_pieces *pieces,
                          struct pr_err *err)
{
    struct dr_route route = { .n = 0 };
    uint64_t bytes = 0;
    char begun[32], until[32];
    const enum pr_code rc = dr_chain_route(g, pieces->piece, pieces->n, INT64_MAX, &route, err);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; i < g->parts; i++)
        bytes += g->part[i].bytes;
    dr_cli_time(g->ended_ms, begun);
    dr_cli_time(route.last_ms, until);
    (void)printf("{\"shard\":\"%s\",\"generation\":\"%016" PRIx64 "-%04x\",\"from\":\"%s\","
                 "\"until\":\"%s\",\"base_bytes\":%" PRIu64 ",\"stream_bytes\":%" PRIu64
                 ",\"offset\":%" PRIu64 ",\"gap\":%s,\"why_it_ends\":\"%s\"}\n",
                 g->shard, g->id.epoch, g->id.n, begun, until, bytes, route.to - g->offset,
                 route.to, route.gap ? "true" : "false", route.why);
    free(route.take);
    return PR_OK;
}

static enum pr_code list_shard(const struct dr_cli_store *s, struct pr_s3 *s3, const char *shard,
                               const struct dr_pieces *pieces, struct pr_err *err)
{
    struct dr_generation *g = NULL;
    size_t n = 0;
    enum pr_code rc = dr_catalog_generations(s3, s->cfg.cluster, shard, &g, &n, NULL, err);
    for (size_t i = 0; rc == PR_OK && i < n; i++)
        rc = print(&g[i], pieces, err);
    dr_generations_free(g, n);
    return rc;
}

static enum pr_code list(struct dr_cli_store *s, struct pr_err *err)
{
    struct dr_pieces pieces = { .n = 0 };
    struct dr_names shards = { .n = 0 };
    struct pr_s3 *s3 = NULL;
    enum pr_code rc = pr_s3_open(&s->store.s3, NULL, &s3, err);
    if (rc == PR_OK)
        rc = dr_catalog_shards(s3, s->cfg.cluster, &shards, err);
    if (rc == PR_OK)
        rc = dr_catalog_pieces(&s->store.s3, s3, NULL, s->cfg.cluster, NULL, &pieces, err);
    for (size_t i = 0; rc == PR_OK && i < shards.n; i++)
        rc = list_shard(s, s3, shards.name[i], &pieces, err);
    dr_names_done(&shards);
    dr_pieces_done(&pieces);
    pr_s3_close(s3);
    return rc;
}

int dr_cli_list(int argc, char **argv)
{
    struct dr_cli_store s;
    struct pr_err err = { 0 };
    if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (argc > 2) {
        (void)fprintf(stderr, "prism-dr list: it takes no arguments\n%s", usage);
        return 2;
    }
    enum pr_code rc = dr_cli_open(&s, &err);
    if (rc == PR_OK)
        rc = list(&s, &err);
    dr_cli_close(&s);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-dr list: %s\n", err.text);
    return rc == PR_OK ? 0 : 1;
}
