/* prism-admin: what is done once for an installation, with rights that no
 * service has. Every command may be repeated. */
#include "prism/dp/library.h"
#include "prism/io/bus.h"
#include "prism/io/clock.h"
#include "prism/io/config.h"
#include "prism/io/db.h"
#include "prism/io/log.h"
#include "prism/io/redis.h"
#include "prism/io/token.h"
#include "prism/slot.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    REDIS_TIMEOUT_MS = 5000,
    PARTITION_BATCH = 8192, /* rows an INSERT */
};

#define CONFIG(...) PR_CFG_FIELD(__VA_ARGS__)
struct admin_config {
#include "admin_config.def"
};
#undef CONFIG
#define CONFIG(...) PR_CFG_ROW(struct admin_config, __VA_ARGS__)
static const struct pr_cfg_row CONFIG_ROWS[] = {
#include "admin_config.def"
};
#undef CONFIG

struct options {
    long long partitions;
    const char *name, *role, *expires;
    bool replace;
};

static const char USAGE[] =
    "Usage: prism-admin COMMAND [OPTIONS]\n"
    "\n"
    "  bus                       make or update the NATS streams and consumers\n"
    "  library                   load the Redis function library on every primary, and check\n"
    "  store [init] --partitions P   fix the number of partitions, and list them\n"
    "  token [create] --name N --role viewer|operator|admin [--expires TIME] [--replace]\n"
    "                            print a fresh API token, once; only its hash is kept\n"
    "  --help, --print-config\n"
    "\n"
    "Settings come from the environment, or from the file that NAME_FILE names:\n";

/* --- bus ------------------------------------------------------------------- */

static enum pr_code await_bus(struct pr_bus *bus, int64_t wait_s, struct pr_err *err)
{
    int64_t until_us = pr_mono_us() + wait_s * 1000000;
    enum pr_code rc;
    while ((rc = pr_bus_ready(bus, err)) != PR_OK && pr_mono_us() < until_us)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 100 * 1000000L }, NULL);
    return rc;
}

static enum pr_code run_bus(const struct admin_config *cfg, const struct options *o,
                            struct pr_err *err)
{
    struct pr_bus *bus = NULL;
    const struct pr_bus_options bo = { .url = cfg->nats_url,
                                       .ca_path = cfg->nats_ca_path,
                                       .user = cfg->nats_user[0] == '\0' ? NULL : cfg->nats_user,
                                       .password = cfg->nats_password,
                                       .name = "prism-admin" };
    (void)o;
    enum pr_code rc = pr_bus_open(&bus, &bo, err);
    if (rc == PR_OK && (rc = await_bus(bus, cfg->wait_s, err)) != PR_OK)
        rc = pr_wrap(err, rc, "%s", cfg->nats_url);
    if (rc == PR_OK)
        rc = pr_bus_setup(bus, (int)cfg->stream_replicas, err);
    /* A refused subject is reported beside the call, which only times out. */
    struct pr_bus_stats stats = { 0 };
    if (bus != NULL)
        pr_bus_stats(bus, &stats);
    if (rc != PR_OK && stats.denied > 0)
        rc = pr_fail(err, PR_EDENIED, "NATS: user %s: %s", cfg->nats_user, stats.last_error);
    pr_bus_close(bus);
    if (rc == PR_OK)
        puts("streams and consumers are there");
    return rc;
}

/* --- library --------------------------------------------------------------- */

static enum pr_code run_library(const struct admin_config *cfg, const struct options *o,
                                struct pr_err *err)
{
    struct pr_cluster *cluster = NULL;
    const struct pr_redis_auth auth = {
        .user = cfg->redis_user[0] == '\0' ? NULL : cfg->redis_user,
        .password = cfg->redis_password,
    };
    (void)o;
    if (cfg->redis_seeds[0] == '\0')
        return pr_fail(err, PR_EINVAL, "PRISM_REDIS_SEEDS is not set");
    enum pr_code rc = pr_cluster_open(&cluster, cfg->redis_seeds, &auth, REDIS_TIMEOUT_MS, err);
    if (rc == PR_OK)
        rc = pr_cluster_load_library(cluster, pr_library_code, err);
    if (rc == PR_OK)
        rc = pr_cluster_check(cluster, PR_LIBRARY_VERSION, err);
    pr_cluster_close(cluster);
    if (rc == PR_OK)
        printf("library prism, version %d, is on every primary\n", PR_LIBRARY_VERSION);
    return rc;
}

/* --- store ----------------------------------------------------------------- */

static enum pr_code add_partitions(struct pr_db *db, uint32_t first, uint32_t end,
                                   struct pr_err *err)
{
    struct pr_buf ids, slots;
    pr_buf_init(&ids, 0);
    pr_buf_init(&slots, 0);
    for (uint32_t p = first; p < end; p++) {
        const char *before = p == first ? "{" : ",";
        pr_buf_printf(&ids, "%s%u", before, (unsigned)p);
        pr_buf_printf(&slots, "%s%u", before, (unsigned)pr_partition_slot(p));
    }
    pr_buf_str(&ids, "}");
    pr_buf_str(&slots, "}");
    enum pr_code rc =
        ids.failed || slots.failed
            ? pr_fail(err, PR_ENOMEM, "partitions from %u: no memory", (unsigned)first)
            : pr_db_exec(db,
                         "INSERT INTO partitions (id, slot) "
                         "SELECT * FROM unnest($1::int[], $2::int[]) ON CONFLICT DO NOTHING",
                         PR_ARGS(pr_text(ids.data), pr_text(slots.data)), NULL, err);
    pr_buf_done(&ids);
    pr_buf_done(&slots);
    return rc;
}

static enum pr_code store_tx(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct options *o = ctx;
    PGresult *found = NULL;
    enum pr_code rc = pr_db_exec(db,
                                 "INSERT INTO store (partitions) VALUES ($1::int) "
                                 "ON CONFLICT (id) DO UPDATE SET partitions = store.partitions "
                                 "RETURNING partitions",
                                 PR_ARGS(pr_i64(o->partitions)), &found, err);
    if (rc != PR_OK)
        return rc;
    int64_t have = pr_cell_i64(found, 0, 0);
    PQclear(found);
    if (have != o->partitions)
        return pr_fail(err, PR_EEXISTS,
                       "the store has %lld partitions for its life; it cannot have %lld",
                       (long long)have, o->partitions);

    const uint32_t partitions = (uint32_t)o->partitions;
    for (uint32_t p = 0; rc == PR_OK && p < partitions; p += PARTITION_BATCH) {
        uint32_t end = partitions - p < PARTITION_BATCH ? partitions : p + PARTITION_BATCH;
        rc = add_partitions(db, p, end, err);
    }
    return rc;
}

static enum pr_code open_db(const struct admin_config *cfg, struct pr_db **db, struct pr_err *err)
{
    if (cfg->db_uri[0] == '\0')
        return pr_fail(err, PR_EINVAL, "PRISM_DB_URI is not set");
    return pr_db_open(db, cfg->db_uri, "prism-admin", err);
}

static enum pr_code run_store(const struct admin_config *cfg, const struct options *o,
                              struct pr_err *err)
{
    struct pr_db *db = NULL;
    if (o->partitions < 1 || o->partitions > PR_MAX_PARTITIONS)
        return pr_fail(err, PR_EINVAL, "store: --partitions P: want 1..%d", PR_MAX_PARTITIONS);
    enum pr_code rc = open_db(cfg, &db, err);
    if (rc == PR_OK)
        rc = pr_db_tx(db, store_tx, (void *)(uintptr_t)o, err);
    pr_db_close(db);
    if (rc == PR_OK)
        printf("the store has %lld partitions\n", o->partitions);
    return rc;
}

/* --- token ----------------------------------------------------------------- */

static enum pr_code store_token(struct pr_db *db, const struct options *o,
                                const unsigned char hash[PR_TOKEN_HASH], struct pr_err *err)
{
#define MAKE                                                                                       \
    "WITH t AS (INSERT INTO api_tokens (name, hash, role, expires_at) "                            \
    "VALUES ($1, $2, $3, $4::timestamptz) "
/* On the trail, as what the API makes is; in one statement with it. */
#define TRAIL                                                                                      \
    "RETURNING name, role, expires_at) INSERT INTO audit (principal, action, resource, after) "    \
    "SELECT 'prism-admin', $5, 'tokens/' || name, json_build_object('id', name, 'role', role, "    \
    "'expires_at', CASE WHEN isfinite(expires_at) THEN expires_at END) FROM t"
    static const char INSERT[] = MAKE TRAIL;
    static const char REPLACE[] =
        MAKE "ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, role = excluded.role, "
             "expires_at = excluded.expires_at, created_at = now(), created_by = '', "
             "revoked_at = NULL, revoked_by = '' " TRAIL;
#undef MAKE
#undef TRAIL
    enum pr_code rc = pr_db_exec(db, o->replace ? REPLACE : INSERT,
                                 PR_ARGS(pr_text(o->name), pr_bytes(hash, PR_TOKEN_HASH),
                                         pr_text(o->role), pr_text(o->expires),
                                         pr_text(o->replace ? "token.replace" : "token.create")),
                                 NULL, err);
    if (rc == PR_EEXISTS)
        return pr_fail(err, rc, "token %s exists; --replace makes the old one invalid", o->name);
    return rc;
}

static enum pr_code run_token(const struct admin_config *cfg, const struct options *o,
                              struct pr_err *err)
{
    char token[PR_TOKEN_TEXT];
    unsigned char hash[PR_TOKEN_HASH];
    struct pr_db *db = NULL;

    if (o->name == NULL || o->name[0] == '\0')
        return pr_fail(err, PR_EINVAL, "token: --name is missing");
    if (!pr_token_name_valid(o->name))
        return pr_fail(err, PR_EINVAL,
                       "token: --name %.80s: want 1 to %d letters, digits, '.', '_' or '-'",
                       o->name, PR_TOKEN_NAME - 1);
    if (o->role == NULL || (strcmp(o->role, "viewer") != 0 && strcmp(o->role, "operator") != 0 &&
                            strcmp(o->role, "admin") != 0))
        return pr_fail(err, PR_EINVAL, "token: --role: want viewer, operator or admin");
    enum pr_code rc = pr_token_make(token, hash, err);
    if (rc == PR_OK)
        rc = open_db(cfg, &db, err);
    if (rc == PR_OK)
        rc = store_token(db, o, hash, err);
    pr_db_close(db);
    if (rc == PR_OK)
        puts(token);
    explicit_bzero(token, sizeof token);
    return rc;
}

/* --- command line ---------------------------------------------------------- */

static const struct command {
    const char *name, *verb; /* verb: may follow the name */
    enum pr_code (*run)(const struct admin_config *cfg, const struct options *o,
                        struct pr_err *err);
} COMMANDS[] = {
    { "bus", NULL, run_bus },
    { "library", NULL, run_library },
    { "store", "init", run_store },
    { "token", "create", run_token },
};

static bool parse_number(const char *text, long long *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static enum pr_code parse_options(int argc, char **argv, struct options *o, struct pr_err *err)
{
    static const struct option known[] = {
        { "partitions", required_argument, NULL, 'p' }, { "name", required_argument, NULL, 'n' },
        { "role", required_argument, NULL, 'r' },       { "expires", required_argument, NULL, 'e' },
        { "replace", no_argument, NULL, 'R' },          { NULL, 0, NULL, 0 },
    };
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'p' && !parse_number(optarg, &o->partitions))
            return pr_fail(err, PR_EINVAL, "--partitions %s: not a number", optarg);
        if (c == 'n')
            o->name = optarg;
        else if (c == 'r')
            o->role = optarg;
        else if (c == 'e')
            o->expires = optarg;
        else if (c == 'R')
            o->replace = true;
        else if (c != 'p')
            return pr_fail(err, PR_EINVAL, "%s: unknown, or its value is missing",
                           argv[optind - 1]);
    }
    return optind == argc ? PR_OK : pr_fail(err, PR_EINVAL, "%s: what is this?", argv[optind]);
}

static enum pr_code run(const struct command *c, int argc, char **argv,
                        const struct admin_config *cfg, struct pr_err *err)
{
    struct options o = { 0 };
    int skip = c->verb != NULL && argc > 2 && strcmp(argv[2], c->verb) == 0 ? 2 : 1;
    enum pr_code rc = parse_options(argc - skip, argv + skip, &o, err);
    return rc == PR_OK ? c->run(cfg, &o, err) : rc;
}

static int with_config(int argc, char **argv, const struct admin_config *cfg)
{
    struct pr_err err = { 0 };
    const char *name = argc > 1 ? argv[1] : "--help";
    enum pr_level level;
    bool help = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    for (int i = 2; i < argc; i++)
        help = help || strcmp(argv[i], "--help") == 0;

    if (help || strcmp(name, "--print-config") == 0) {
        if (help)
            fputs(USAGE, stdout);
        pr_config_print(CONFIG_ROWS, PR_COUNT(CONFIG_ROWS), cfg, stdout);
        return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    pr_log_init("admin", pr_log_level_parse(cfg->log_level, &level) ? level : PR_WARN);
    enum pr_code rc = pr_fail(&err, PR_EINVAL, "%s: no such command; see --help", name);
    for (size_t i = 0; i < PR_COUNT(COMMANDS); i++)
        if (strcmp(name, COMMANDS[i].name) == 0)
            rc = run(&COMMANDS[i], argc, argv, cfg, &err);
    if (rc == PR_OK)
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "prism-admin: %s\n", err.text);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct admin_config cfg = { 0 };
    struct pr_buf problems;
    pr_buf_init(&problems, 0);
    int status = EXIT_FAILURE;
    if (pr_config_load(CONFIG_ROWS, PR_COUNT(CONFIG_ROWS), &cfg, getenv, &problems) == PR_OK)
        status = with_config(argc, argv, &cfg);
    else
        (void)fprintf(stderr, "prism-admin: bad settings:\n%s", problems.data);
    pr_config_free(CONFIG_ROWS, PR_COUNT(CONFIG_ROWS), &cfg);
    pr_buf_done(&problems);
    return status;
}
