#include "it_internal.h"

#include <dirent.h>
#include <errno.h>
#include <libpq-fe.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_VARS = 128, MAX_DATABASES = 64, MAX_MIGRATIONS = 256 };

/* --- $PRISM_IT_DIR/env -------------------------------------------------- */
static struct {
    char *name[MAX_VARS], *value[MAX_VARS];
    size_t n;
} vars;

const char *it_dir(void)
{
    const char *dir = getenv("PRISM_IT_DIR");

    if (dir == NULL || dir[0] == '\0')
        fail_msg("PRISM_IT_DIR is not set: this test needs the stack fixture (run it by ctest)");
    return dir;
}

static void load_from(const char *dir, int len)
{
    char path[4096], line[8192];
    FILE *f;

    snprintf(path, sizeof path, "%.*s/env", len, dir);
    f = fopen(path, "re");
    if (f == NULL)
        fail_msg("%s: %s (is the fixture running?)", path, strerror(errno));
    while (fgets(line, sizeof line, f) != NULL && vars.n < MAX_VARS) {
        char *eq = strchr(line, '=');

        line[strcspn(line, "\n")] = '\0';
        if (eq == NULL)
            continue;
        *eq = '\0';
        vars.name[vars.n] = strdup(line);
        vars.value[vars.n] = strdup(eq + 1);
        vars.n++;
    }
    fclose(f);
}

/* The fixture's, and those of the test's other fixtures. */
static void load_env(void)
{
    const char *more = getenv("PRISM_IT_MORE");

    load_from(it_dir(), INT_MAX);
    for (int n; more != NULL && *more != '\0'; more += n + (more[n] == ':')) {
        n = (int)strcspn(more, ":");
        load_from(more, n);
    }
}

static void free_env(void)
{
    for (size_t i = 0; i < vars.n; i++) {
        free(vars.name[i]);
        free(vars.value[i]);
    }
    vars.n = 0;
}

const char *it_env(const char *name)
{
    if (vars.n == 0) {
        load_env();
        atexit(free_env);
    }
    for (size_t i = 0; i < vars.n; i++)
        if (strcmp(vars.name[i], name) == 0)
            return vars.value[i];
    fail_msg("%s/env has no %s", it_dir(), name);
    return "";
}

/* --- databases ---------------------------------------------------------- */
static char created[MAX_DATABASES][96];
static size_t n_created;
static char admin_uri[IT_URI];

static PGconn *connect_to(const char *uri)
{
    PGconn *pg = PQconnectdb(uri);

    if (PQstatus(pg) != CONNECTION_OK) {
        char why[512];
        snprintf(why, sizeof why, "%s", PQerrorMessage(pg));
        PQfinish(pg);
        fail_msg("PostgreSQL: %s", why);
    }
    return pg;
}

static void run(PGconn *pg, const char *what, const char *sql)
{
    PGresult *r = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(r);

    PQclear(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        char why[1024];
        snprintf(why, sizeof why, "%s", PQerrorMessage(pg));
        PQfinish(pg);
        fail_msg("%s: %s", what, why);
    }
}

static void drop_databases(void)
{
    PGconn *pg = PQconnectdb(admin_uri);

    for (size_t i = 0; i < n_created; i++) {
        char sql[160];
        snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)", created[i]);
        PQclear(PQexec(pg, sql));
    }
    PQfinish(pg);
    n_created = 0;
}

static char *read_file(const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "re");
    char *text;
    size_t n;

    if (f == NULL || fstat(fileno(f), &st) != 0)
        fail_msg("%s: %s", path, strerror(errno));
    text = malloc((size_t)st.st_size + 1);
    assert_non_null(text);
    n = fread(text, 1, (size_t)st.st_size, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

/* One file in dbmate's format: what stands between the two marks, and a row in
 * dbmate's table, in one transaction (a simple query is one). */
static void apply_migration(PGconn *pg, const char *name)
{
    char path[4096], *text, *up, *down, *sql;
    size_t n;

    snprintf(path, sizeof path, "%s/migrations/%s", PRISM_SOURCE_DIR, name);
    text = read_file(path);
    up = strstr(text, "-- migrate:up");
    if (up == NULL)
        fail_msg("%s: no -- migrate:up", path);
    down = strstr(up, "-- migrate:down");
    if (down != NULL)
        *down = '\0';
    n = strlen(up) + 256;
    sql = malloc(n);
    assert_non_null(sql);
    snprintf(sql, n, "%s\nINSERT INTO schema_migrations (version) VALUES ('%.*s');", up,
             (int)strcspn(name, "_"), name);
    run(pg, path, sql);
    free(sql);
    free(text);
}

static int is_sql(const struct dirent *d)
{
    size_t n = strlen(d->d_name);

    return n > 4 && strcmp(d->d_name + n - 4, ".sql") == 0;
}

void it_migrate(const char *uri)
{
    PGconn *pg = connect_to(uri);
    struct dirent **names;
    int n = scandir(PRISM_SOURCE_DIR "/migrations", &names, is_sql, alphasort);

    if (n <= 0)
        fail_msg("no migrations in %s/migrations", PRISM_SOURCE_DIR);
    run(pg, "schema_migrations", "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)");
    for (int i = 0; i < n; i++) {
        apply_migration(pg, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    PQfinish(pg);
}

void it_database(const char *prefix, char uri[IT_URI])
{
    const char *base = it_env("IT_DB_URI"), *slash = strrchr(base, '/');
    char sql[192];
    PGconn *pg;

    assert_non_null(slash);
    assert_true(n_created < MAX_DATABASES);
    snprintf(created[n_created], sizeof created[0], "it_%.32s_%d_%zu", prefix, (int)getpid(),
             n_created);
    snprintf(sql, sizeof sql, "CREATE DATABASE \"%s\"", created[n_created]);
    pg = connect_to(base);
    run(pg, "create database", sql);
    PQfinish(pg);
    snprintf(uri, IT_URI, "%.*s/%s", (int)(slash - base), base, created[n_created]);
    if (n_created++ == 0) {
        snprintf(admin_uri, sizeof admin_uri, "%s", base);
        atexit(drop_databases);
    }
    it_migrate(uri);
}

void it_role_uri(const char *uri, const char *service, char out[IT_URI])
{
    const char *at = strchr(uri, '@');
    char upper[32], name[64];

    assert_non_null(at);
    snprintf(upper, sizeof upper, "%s", service);
    for (char *c = upper; *c != '\0'; c++)
        *c = (char)(*c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    snprintf(name, sizeof name, "IT_%s_DB_USER", upper);
    const char *user = it_env(name);
    snprintf(name, sizeof name, "IT_%s_DB_PASSWORD", upper);
    snprintf(out, IT_URI, "postgresql://%s:%s%s", user, it_env(name), at);
}

void it_sql(const char *uri, const char *sql, char *cell, size_t n)
{
    PGconn *pg = connect_to(uri);
    PGresult *r = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(r);
    char why[1024];

    if (cell != NULL)
        snprintf(cell, n, "%s", PQntuples(r) > 0 && PQnfields(r) > 0 ? PQgetvalue(r, 0, 0) : "");
    snprintf(why, sizeof why, "%s", PQerrorMessage(pg));
    PQclear(r);
    PQfinish(pg);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, why);
}

bool it_await(bool (*predicate)(void *ctx), void *ctx, int timeout_ms)
{
    int64_t deadline = it_now_ms() + timeout_ms;

    for (;;) {
        if (predicate(ctx))
            return true;
        if (it_now_ms() >= deadline)
            return false;
        it_pause_ms(10);
    }
}
