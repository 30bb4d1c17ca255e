/* prism-dr rebuild-routes: PostgreSQL's routes from what a cluster holds. */
#include "io/routes.h"
#include "cli/cli.h"
#include "io/target.h"

#include "prism/io/log.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: prism-dr rebuild-routes --cluster HOST:PORT,... [--threads N]\n"
    "Looks through every key of a Redis Cluster, replaces the routes in PostgreSQL by what it "
    "finds\n"
    "there, and sets the sequence of epochs above every epoch that it meets. Run it after a "
    "restore,\n"
    "before anything moves: no plan may be running. PRISM_DB_URI names the database,\n"
    "PRISM_REDIS_USER and PRISM_REDIS_PASSWORD a user that may SCAN and HMGET.\n"
    "Prints JSON. Exit status: 0; 1 failed; 2 wrong arguments.\n";

static int wrong(const char *why)
{
    (void)fprintf(stderr, "prism-dr rebuild-routes: %s\n%s", why, usage);
    return 2;
}

static enum pr_code rebuild(struct pr_db *db, const char *seeds, unsigned threads,
                            struct dr_routes *out, struct pr_err *err)
{
    const char *user = getenv("PRISM_REDIS_USER"), *password = getenv("PRISM_REDIS_PASSWORD");
    const struct pr_redis_auth auth = { user != NULL ? user : "",
                                        password != NULL ? password : "" };
    struct dr_survey_of of = { .threads = threads };
    struct dr_survey s = { .n = 0 };
    struct dr_target t = { .seeds = NULL };
    struct pr_lease lease = { .epoch = 0 };
    enum pr_code rc = dr_routes_partitions(db, &of.partitions, err);
    if (rc == PR_OK)
        rc = dr_target_open(&t, seeds, &auth, err);
    if (rc == PR_OK)
        rc = dr_routes_begin(db, &lease, err);
    of.conn = t.primary;
    of.to = t.primaries;
    if (rc == PR_OK)
        rc = dr_survey(&of, &s, err);
    if (rc == PR_OK)
        rc = dr_routes_write(db, &lease, of.partitions, &s, 0, out, err);
    dr_routes_end(db, &lease);
    dr_survey_done(&s);
    dr_target_close(&t);
    return rc;
}

static int run(const char *seeds, unsigned threads)
{
    const char *uri = getenv("PRISM_DB_URI");
    struct dr_routes out = { .entries = 0 };
    struct pr_db *db = NULL;
    struct pr_err err = { 0 };
    if (uri == NULL)
        return wrong("PRISM_DB_URI is not set");
    pr_log_init("dr", PR_INFO);
    enum pr_code rc = pr_db_open(&db, uri, "prism-dr-routes", &err);
    if (rc == PR_OK)
        rc = rebuild(db, seeds, threads, &out, &err);
    pr_db_close(db);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-dr rebuild-routes: %s\n", err.text);
    else
        (void)printf("{\"routes\":%" PRIu64 ",\"next_epoch_above\":%" PRIu64 "}\n", out.entries,
                     out.epoch);
    return rc == PR_OK ? 0 : 1;
}

int dr_cli_rebuild_routes(int argc, char **argv)
{
    static const struct option options[] = { { "cluster", required_argument, NULL, 'c' },
                                             { "threads", required_argument, NULL, 't' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    const char *seeds = NULL;
    unsigned threads = 8;
    int c;
    optind = 2;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (c) {
        case 'c':
            seeds = optarg;
            break;
        case 't':
            if (!dr_cli_threads(optarg, &threads))
                return wrong("--threads is not 1 to 64");
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return 0;
        default:
            return wrong("see above");
        }
    if (seeds == NULL || optind != argc)
        return wrong("--cluster is wanted, and nothing else");
    return run(seeds, threads);
}
