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
    "before anything moves: no plan may be running. PRISM_DB_URI (or PRISM_DB_URI_FILE)\n"
    "names the database, as dr or an administrator; PRISM_REDIS_USER and PRISM_REDIS_PASSWORD (or\n"
    "PRISM_REDIS_PASSWORD_FILE) are the administrator's: dr's own user may not look at keys.\n"
    "Prints JSON. Exit status: 0; 1 failed; 2 wrong arguments.\n";

static const struct dr_cli_use use = { "rebuild-routes", usage };

static enum pr_code rebuild(struct pr_db *db, const struct pr_redis_auth *auth, const char *seeds,
                            unsigned threads, struct dr_routes *out, struct pr_err *err)
{
    struct dr_survey_of of = { .threads = threads };
    struct dr_survey s = { .n = 0 };
    struct dr_target t = { .seeds = NULL };
    struct pr_lease lease = { .epoch = 0 };
    enum pr_code rc = dr_routes_partitions(db, &of.partitions, err);
    if (rc == PR_OK)
        rc = dr_target_open(&t, seeds, auth, err);
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
    struct dr_cli_servers at;
    struct dr_routes out = { .entries = 0 };
    struct pr_db *db = NULL;
    struct pr_err err = { 0 };
    pr_log_init("dr", PR_INFO);
    enum pr_code rc = dr_cli_servers(&at, true, &err);
    const struct pr_redis_auth auth = { at.redis_user, at.redis_password };
    if (rc == PR_OK)
        rc = pr_db_open(&db, at.db_uri, "prism-dr-routes", &err);
    if (rc == PR_OK)
        rc = rebuild(db, &auth, seeds, threads, &out, &err);
    pr_db_close(db);
    dr_cli_servers_done(&at);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-dr rebuild-routes: %s\n", err.text);
    else
        (void)printf("{\"routes\":%" PRIu64 ",\"next_epoch_above\":%" PRIu64 "}\n", out.entries,
                     out.epoch);
    return rc == PR_OK ? 0 : 1;
}

struct asked {
    const char *seeds;
    unsigned threads;
};

static const char *take(void *ctx, int c)
{
    struct asked *a = ctx;
    if (c == 't')
        return dr_cli_threads(optarg, &a->threads) ? NULL : "--threads is not 1 to 64";
    a->seeds = optarg;
    return NULL;
}

int dr_cli_rebuild_routes(int argc, char **argv)
{
    static const struct option options[] = { { "cluster", required_argument, NULL, 'c' },
                                             { "threads", required_argument, NULL, 't' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    struct asked a = { .threads = 8 };
    int status;
    if (!dr_cli_options(&use, options, take, &a, argc, argv, &status))
        return status;
    if (a.seeds == NULL || optind != argc)
        return dr_cli_wrong(&use, "--cluster is wanted, and nothing else");
    return run(a.seeds, a.threads);
}
