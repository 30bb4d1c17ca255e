/* prism-autoscale replay: a stored decision, decided again. Needs the database, nothing else. */
#include "cli/cli.h"

#include "io/replay.h"

#include "prism/io/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: prism-autoscale replay ID\n"
    "Reads decision ID with all that it was decided from, decides again, and prints \"equal\", or "
    "a\n"
    "line for everything that differs. PRISM_DB_URI (or PRISM_DB_URI_FILE) is the service's own\n"
    "setting.\n"
    "Exit status: 0 equal; 1 it differs, or cannot be read; 2 wrong arguments.\n";

struct settings {
    pr_cfg_STR db_uri;
};
static const struct pr_cfg_row rows[] = {
    { .name = "PRISM_DB_URI",
      .type = PR_CFG_STR,
      .offset = offsetof(struct settings, db_uri),
      .min = 1,
      .max = 2048,
      .unit = "",
      .help = "libpq URI",
      .flags = PR_CFG_SECRET },
};

static enum pr_code replay(int64_t id, struct pr_buf *difference, bool *same, struct pr_err *err)
{
    struct settings s = { 0 };
    struct pr_db *db = NULL;
    struct pr_buf problems;
    pr_buf_init(&problems, 0);
    enum pr_code rc = pr_config_load(rows, PR_COUNT(rows), &s, getenv, &problems);
    if (rc != PR_OK)
        rc =
            pr_fail(err, rc, "%.*s", (int)strcspn(problems.data == NULL ? "" : problems.data, "\n"),
                    problems.data == NULL ? "" : problems.data);
    if (rc == PR_OK)
        rc = pr_db_open(&db, s.db_uri, "prism-autoscale-replay", err);
    if (rc == PR_OK)
        rc = autoscale_decision_replay(db, id, same, difference, err);
    pr_db_close(db);
    pr_config_free(rows, PR_COUNT(rows), &s);
    pr_buf_done(&problems);
    return rc;
}

int autoscale_cli_replay(int argc, char **argv)
{
    const char *arg = argc == 3 ? argv[2] : "";
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    char *end = NULL;
    errno = 0;
    const long long id = strtoll(arg, &end, 10);
    if (arg[0] < '0' || arg[0] > '9' || *end != '\0' || errno != 0) {
        (void)fprintf(stderr, "prism-autoscale replay: want the number of one decision\n%s", usage);
        return 2;
    }
    struct pr_buf difference;
    struct pr_err err = { 0 };
    bool same = false;
    pr_buf_init(&difference, 0);
    const enum pr_code rc = replay(id, &difference, &same, &err);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-autoscale replay: %s\n", err.text);
    else if (same)
        (void)printf("equal\n");
    else
        (void)fputs(difference.data, stdout);
    pr_buf_done(&difference);
    return rc == PR_OK && same ? 0 : 1;
}
