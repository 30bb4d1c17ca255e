/* prism-dr list: what the bucket holds. */
#include "cli/cli.h"
#include "io/index.h"

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
    dr_time_text(g->ended_ms, begun);
    dr_time_text(route.last_ms, until);
    (void)printf("{\"shard\":\"%s\",\"generation\":\"%016" PRIx64 "-%04x\",\"from\":\"%s\","
                 "\"until\":\"%s\",\"base_bytes\":%" PRIu64 ",\"stream_bytes\":%" PRIu64
                 ",\"offset\":%" PRIu64 ",\"gap\":%s,\"why_it_ends\":\"%s\"}\n",
                 g->shard, g->id.epoch, g->id.n, begun, until, bytes, route.to - g->offset,
                 route.to, route.gap ? "true" : "false", route.why);
    free(route.take);
    return PR_OK;
}

static enum pr_code list(struct dr_cli_store *s, struct pr_err *err)
{
    struct dr_index ix;
    enum pr_code rc = dr_index_open(&ix, &s->store.s3, NULL, s->cfg.cluster, NULL, err);
    if (rc != PR_OK)
        return rc;
    dr_index_want_all(&ix);
    rc = dr_index_read(&ix, err);
    for (size_t i = 0; rc == PR_OK && i < ix.shards; i++)
        for (size_t g = 0; rc == PR_OK && g < ix.shard[i].n; g++)
            rc = print(&ix.shard[i].g[g], &ix.shard[i].pieces, err);
    dr_index_close(&ix);
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
    if (argc > 2)
        return dr_cli_wrong(&(struct dr_cli_use){ "list", usage }, "it takes no arguments");
    enum pr_code rc = dr_cli_open(&s, &err);
    if (rc == PR_OK)
        rc = list(&s, &err);
    dr_cli_close(&s);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-dr list: %s\n", err.text);
    return rc == PR_OK ? 0 : 1;
}
