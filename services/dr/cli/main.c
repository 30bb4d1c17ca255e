/* prism-dr's commands: which one, and how they are used. */
#include "cli/cli.h"

#include "prism/io/cli.h"
#include "prism/io/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pr_cli_command command[] = {
    { "list", "what the bucket holds: shards, generations, how far back and forward", dr_cli_list },
    { "restore", "brings a shard back as the files of a redis-server", dr_cli_restore },
    { "pg", "PostgreSQL: status, backup, restore, promote, lock out, rewind", dr_cli_pg },
    { "drill", "restores shards to scratch, to prove that it works and how long it takes",
      dr_cli_drill },
    { "scrub", "reads and verifies what is in the bucket", dr_cli_scrub },
    { "retention", "says what would be deleted", dr_cli_retention },
    { "restore-cluster", "brings all shards back, into a cluster or as files that agree",
      dr_cli_restore_cluster },
    { "rebuild-routes", "makes PostgreSQL's routes anew from what a cluster holds",
      dr_cli_rebuild_routes },
    { "failover", "brings the store up at another site, and back", dr_cli_failover },
};

int dr_cli(int argc, char **argv)
{
    return pr_cli("prism-dr", command, PR_COUNT(command), argc, argv);
}

static enum pr_code load(const struct pr_cfg_row *rows, size_t n, void *out, struct pr_err *err)
{
    struct pr_buf problems;
    pr_buf_init(&problems, 0);
    enum pr_code rc = pr_config_load(rows, n, out, getenv, &problems);
    if (rc != PR_OK) { /* the first is enough to go on with */
        const char *text = problems.data != NULL ? problems.data : "no memory";
        rc = pr_fail(err, rc, "%.*s", (int)strcspn(text, "\n"), text);
    }
    pr_buf_done(&problems);
    return rc;
}

enum pr_code dr_cli_open(struct dr_cli_store *s, struct pr_err *err)
{
    *s = (struct dr_cli_store){ .store = { .s3 = { .endpoint = NULL } } };
    enum pr_code rc = load(dr_config_rows, dr_config_count, &s->cfg, err);
    if (rc == PR_OK)
        rc = dr_config_check(&s->cfg, err);
    return rc == PR_OK ? dr_store_init(&s->store, &s->cfg, err) : rc;
}

void dr_cli_close(struct dr_cli_store *s)
{
    dr_store_done(&s->store);
    pr_config_free(dr_config_rows, dr_config_count, &s->cfg);
}

#define TEXT(field, nm, most, he, fl)                                                              \
    {                                                                                              \
        .name = nm, .dflt = "", .unit = "", .help = he, .type = PR_CFG_STR,                        \
        .offset = offsetof(struct dr_cli_servers, field), .max = most, .flags = fl                 \
    }

enum pr_code dr_cli_servers(struct dr_cli_servers *s, bool db_needed, struct pr_err *err)
{
    struct pr_cfg_row row[] = {
        TEXT(db_uri, "PRISM_DB_URI", 2048, "libpq URI", PR_CFG_SECRET),
        TEXT(redis_user, "PRISM_REDIS_USER", 128, "Redis user", 0),
        TEXT(redis_password, "PRISM_REDIS_PASSWORD", 512, "Redis password", PR_CFG_SECRET),
    };
    if (db_needed) {
        row[0].dflt = NULL;
        row[0].min = 1;
    }
    *s = (struct dr_cli_servers){ .db_uri = NULL };
    const enum pr_code rc = load(row, PR_COUNT(row), s, err);
    if (s->db_uri != NULL && s->db_uri[0] == '\0') {
        free(s->db_uri);
        s->db_uri = NULL;
    }
    return rc;
}

void dr_cli_servers_done(struct dr_cli_servers *s)
{
    free(s->db_uri);
    free(s->redis_user);
    free(s->redis_password);
    *s = (struct dr_cli_servers){ .db_uri = NULL };
}

bool dr_cli_threads(const char *text, unsigned *out)
{
    char *end;
    const unsigned long n = strtoul(text, &end, 10);
    *out = (unsigned)n;
    return end != text && *end == '\0' && n >= 1 && n <= 64;
}

bool dr_cli_until(const char *text, int64_t *ms)
{
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0')
        return pr_time_parse(text, ms);
    errno = 0;
    *ms = strtoll(text, NULL, 10);
    return errno == 0;
}
