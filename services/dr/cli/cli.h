/* prism-dr's commands: they need the bucket, and no service. */
#ifndef DR_CLI_H
#define DR_CLI_H

#include "io/store.h"
#include "io/time_text.h"

#include <getopt.h>

/* argv[1] is the command; prints to stdout, errors to stderr; returns the exit status: 0,
 * 1 failed, 2 wrong usage. */
int dr_cli(int argc, char **argv);

int dr_cli_list(int argc, char **argv);    /* what the bucket holds */
int dr_cli_restore(int argc, char **argv); /* a shard's files */
int dr_cli_pg(int argc, char **argv);      /* PostgreSQL */
int dr_cli_drill(int argc, char **argv);
int dr_cli_scrub(int argc, char **argv);
int dr_cli_retention(int argc, char **argv);
int dr_cli_restore_cluster(int argc, char **argv);
int dr_cli_rebuild_routes(int argc, char **argv);
int dr_cli_failover(int argc, char **argv);

struct dr_cli_use { /* static */
    const char *command, *usage;
};
/* Says why to stderr, and how it is used; 2. */
int dr_cli_wrong(const struct dr_cli_use *use, const char *why);
/* take(ctx, c) for each option but --help (its value: optarg); it returns NULL, or what is wrong.
 * True: go on from argv[optind]. False: *status is what to exit with. */
bool dr_cli_options(const struct dr_cli_use *use, const struct option *options,
                    const char *(*take)(void *ctx, int c), void *ctx, int argc, char **argv,
                    int *status);

/* The settings of the bucket from the environment, as the service has them. Close with
 * dr_cli_close. */
struct dr_cli_store {
    struct dr_config cfg;
    struct dr_store store;
};
PR_CHECKED enum pr_code dr_cli_open(struct dr_cli_store *s, struct pr_err *err);
void dr_cli_close(struct dr_cli_store *s);

/* PostgreSQL and Redis, by PRISM_DB_URI, PRISM_REDIS_USER and PRISM_REDIS_PASSWORD, or the files
 * that PRISM_DB_URI_FILE and so on name. Free with dr_cli_servers_done, also after a failure. */
struct dr_cli_servers {
    char *db_uri; /* NULL: not set */
    char *redis_user, *redis_password;
};
/* PR_EINVAL: also where the database is needed, and not set. */
PR_CHECKED enum pr_code dr_cli_servers(struct dr_cli_servers *s, bool db_needed,
                                       struct pr_err *err);
void dr_cli_servers_done(struct dr_cli_servers *s);

bool dr_cli_threads(const char *text, unsigned *out); /* 1 to 64; false: it is not */
/* "2030-01-31T12:00:00Z", or milliseconds since 1970. */
bool dr_cli_until(const char *text, int64_t *ms);

#endif
