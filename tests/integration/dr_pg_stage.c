#include "dr_pg_stage.h"

#include "dr_pg_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS = 40 };

struct pg_stage pg;

static const char USER[] = "prism", PASSWORD[] = "only for tests'";
static const char QUOTED_PASSWORD[] = "only%20for%20tests%27";

/* --- programs, as a user who may run PostgreSQL --------------------------------------------- */

static const char **as_user(const char *first[ARGS], const char *program, const char *const *arg)
{
    static const char *const BEFORE[] = { "/usr/bin/setpriv", "--reuid=prism",    "--regid=prism",
                                          "--init-groups",    "--pdeathsig=KILL", "--" };
    size_t n = 0;
    for (size_t i = 0; geteuid() == 0 && i < PR_COUNT(BEFORE); i++)
        first[n++] = BEFORE[i];
    first[n++] = program;
    for (; arg != NULL && *arg != NULL; arg++) {
        assert_true(n < ARGS - 1);
        first[n++] = *arg;
    }
    first[n] = NULL;
    return first;
}

static void give(const char *path)
{
    const struct passwd *who = geteuid() == 0 ? getpwnam(USER) : NULL;
    if (who != NULL && chown(path, who->pw_uid, who->pw_gid) != 0)
        fail_msg("%s: %s", path, strerror(errno));
}

static const char *bin(const char *name)
{
    static char path[8][256];
    static size_t turn;
    char *out = path[turn++ % 8];
    glob_t found;
    assert_int_equal(glob("/usr/lib/postgresql/*/bin", 0, NULL, &found), 0);
    (void)snprintf(out, 256, "%s/%s", found.gl_pathv[found.gl_pathc - 1], name);
    globfree(&found);
    return out;
}

static int run(const char *program, const char *const *arg, char *out, size_t n)
{
    const char *argv[ARGS];
    return it_run(NULL, as_user(argv, program, arg), out, n, PG_AWAIT_MS);
}

static void run_ok(const char *program, const char *const *arg)
{
    if (run(program, arg, NULL, 0) != 0)
        fail_msg("%s failed: see the log", program);
}

void pg_stage_set(const char *name, const char *value)
{
    size_t i = 0;
    while (pg.env[i] != NULL &&
           (strncmp(pg.env[i], name, strlen(name)) != 0 || pg.env[i][strlen(name)] != '='))
        i++;
    assert_true(i < sizeof pg.setting / sizeof pg.setting[0]);
    const int n = snprintf(pg.setting[i], sizeof pg.setting[i], "%s=%s", name, value);
    assert_true(n < (int)sizeof pg.setting[i]);
    pg.env[i] = pg.setting[i];
}

/* --- servers --------------------------------------------------------------------------------- */

static void write_file(const char *path, const char *mode, const char *text)
{
    FILE *f = fopen(path, mode);
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
        fail_msg("%s: %s", path, strerror(errno));
    assert_int_equal(chmod(path, 0600), 0);
    give(path);
}

void pg_server_conf(const struct pg_server *s, const char *line)
{
    char path[256], text[600];
    (void)snprintf(path, sizeof path, "%s/postgresql.conf", s->dir);
    (void)snprintf(text, sizeof text, "%s\n", line);
    write_file(path, "ae", text);
}

void pg_server_address(struct pg_server *s)
{
    (void)snprintf(s->uri, sizeof s->uri, "postgresql://postgres:%s@127.0.0.1:%d/app",
                   QUOTED_PASSWORD, s->port);
}

static void init_server(struct pg_server *s, const char *name)
{
    char file[128], pwfile[160], line[400];
    (void)snprintf(s->dir, sizeof s->dir, "%s/%s", pg.dir, name);
    (void)snprintf(file, sizeof file, "%s/password", pg.dir);
    write_file(file, "we", PASSWORD);
    (void)snprintf(pwfile, sizeof pwfile, "--pwfile=%s", file);
    const char *arg[] = {
        "-D", s->dir, "-U",   "postgres",         "-A",        "scram-sha-256",     pwfile,
        "-k", "-E",   "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions", NULL
    };
    run_ok(bin("initdb"), arg);
    s->port = it_free_port();
    pg_server_address(s);
    (void)snprintf(line, sizeof line,
                   "port = %d\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
                   "archive_mode = on\nmax_wal_size = 64MB\nmin_wal_size = 32MB\n"
                   "wal_keep_size = 64MB\nmax_slot_wal_keep_size = 256MB\nshared_buffers = 16MB\n"
                   "fsync = off\n",
                   s->port);
    pg_server_conf(s, line);
    (void)snprintf(line, sizeof line,
                   "archive_command = 'pgbackrest --config=%s/dr/pgbackrest.conf --stanza=prism "
                   "archive-push %%p'",
                   pg.dir);
    pg_server_conf(s, line);
}

static bool answers(void *ctx)
{
    const struct pg_server *s = ctx;
    PGconn *c = PQconnectdb(s->uri);
    const bool ok =
        PQstatus(c) == CONNECTION_OK || strstr(PQerrorMessage(c), "does not exist") != NULL;
    PQfinish(c);
    return ok;
}

void pg_server_start(struct pg_server *s)
{
    const char *argv[ARGS], *arg[] = { "-D", s->dir, NULL };
    s->pid = it_spawn(NULL, as_user(argv, bin("postgres"), arg));
    if (!it_await(answers, s, PG_AWAIT_MS))
        fail_msg("PostgreSQL in %s does not answer", s->dir);
}

void pg_server_stop(struct pg_server *s, const char *mode)
{
    const char *arg[] = { "stop", "-D", s->dir, "-m", mode, "-w", NULL };
    if (s->dir[0] == '\0')
        return;
    (void)run(bin("pg_ctl"), arg, NULL, 0);
    if (s->pid != 0)
        (void)it_wait(s->pid, PG_AWAIT_MS);
    s->pid = 0;
}

void pg_sql(const struct pg_server *s, const char *sql, char *cell, size_t n)
{
    it_sql(s->uri, sql, cell, n);
}

long pg_number(const struct pg_server *s, const char *format, ...)
{
    char sql[1024], cell[64];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(sql, sizeof sql, format, ap);
    va_end(ap);
    pg_sql(s, sql, cell, sizeof cell);
    return strtol(cell, NULL, 10);
}

/* --- the stage ------------------------------------------------------------------------------- */

static void copy_ca(const char *to)
{
    char text[16384];
    FILE *f = fopen(it_env("IT_S3_CA_FILE"), "re");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    write_file(to, "we", text);
}

void pg_relay(bool up)
{
    if (pg.relay > 0) {
        (void)kill(pg.relay, SIGKILL);
        (void)waitpid(pg.relay, NULL, 0);
    }
    pg.relay = up ? dr_pg_relay(pg.relay_port, (int)strtol(it_env("IT_S3_TLS_PORT"), NULL, 10)) : 0;
    assert_true(pg.relay >= 0);
}

static void settings(void)
{
    char text[320];
    (void)snprintf(text, sizeof text, "t%d", (int)getpid());
    pg_stage_set("PRISM_DR_CLUSTER", text);
    (void)snprintf(text, sizeof text, "https://localhost:%d", pg.relay_port);
    pg_stage_set("PRISM_DR_S3_ENDPOINT", text);
    pg_stage_set("PRISM_DR_S3_BUCKET", it_env("IT_S3_BUCKET"));
    pg_stage_set("PRISM_DR_S3_REGION", it_env("IT_S3_REGION"));
    pg_stage_set("PRISM_DR_S3_PATH_STYLE", "true");
    pg_stage_set("PRISM_DR_S3_ACCESS_KEY_ID", it_env("IT_S3_ACCESS"));
    pg_stage_set("PRISM_DR_S3_SECRET_ACCESS_KEY", it_env("IT_S3_SECRET"));
    (void)snprintf(text, sizeof text, "%s/ca.pem", pg.dir);
    copy_ca(text);
    pg_stage_set("PRISM_DR_S3_CA_PATH", text);
    (void)snprintf(text, sizeof text, "%s/key", pg.dir);
    write_file(text, "we", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
    pg_stage_set("PRISM_DR_KEY_PATH", text);
    (void)snprintf(text, sizeof text, "%s/dr", pg.dir);
    pg_stage_set("PRISM_DR_PG_PATH", text);
    pg_stage_set("PRISM_DR_PG_DATA_PATH", pg.a.dir);
    pg_stage_set("PRISM_DR_PG_URI", pg.a.uri);
    pg_stage_set("PRISM_DR_PG_LOOK_MS", "1000");
    pg_stage_set("PRISM_DR_LEASE_TTL_MS", "3000");
    pg_stage_set("PRISM_DB_URI", pg.a.uri);
    pg_stage_set("PRISM_NATS_URL", it_env("IT_NATS_URL"));
    pg_stage_set("PRISM_NATS_USER", it_env("IT_DR_NATS_USER"));
    pg_stage_set("PRISM_NATS_PASSWORD", it_env("IT_DR_NATS_PASSWORD"));
}

int pg_stage_open(void **state)
{
    char uri[IT_URI];
    (void)state;
    memset(&pg, 0, sizeof pg);
    (void)snprintf(pg.dir, sizeof pg.dir, "/tmp/prism-pg-XXXXXX");
    assert_non_null(mkdtemp(pg.dir));
    give(pg.dir);
    pg.relay_port = it_free_port();
    pg_relay(true);
    init_server(&pg.a, "a");
    settings();
    pg_server_start(&pg.a);
    (void)snprintf(uri, sizeof uri, "%.*s/postgres", (int)(strrchr(pg.a.uri, '/') - pg.a.uri),
                   pg.a.uri);
    it_sql(uri, "CREATE DATABASE app", NULL, 0);
    it_migrate(pg.a.uri);
    pg_sql(&pg.a, "CREATE TABLE t (id bigint PRIMARY KEY, pad text)", NULL, 0);
    pg_sql(&pg.a, "CREATE ROLE app_user LOGIN PASSWORD 'app'", NULL, 0);
    pg_sql(&pg.a, "ALTER SYSTEM SET synchronous_standby_names = 'prism_dr'", NULL, 0);
    pg_sql(&pg.a, "SELECT pg_reload_conf()", NULL, 0);
    return 0;
}

int pg_stage_close(void **state)
{
    const char *rm[] = { "/bin/rm", "-rf", pg.dir, NULL };
    (void)state;
    pg_service_stop();
    pg_relay(false);
    pg_server_stop(&pg.a, "immediate");
    return it_run(NULL, rm, NULL, 0, 20000);
}

/* --- the service ----------------------------------------------------------------------------- */

static bool ready_or_dead(void *ctx)
{
    const struct it_service *s = ctx;
    return it_service_ready(s) || !it_alive(s->pid);
}

void pg_service_start(void)
{
    const char *argv[ARGS];
    char port[16], newer[64];
    const long epoch = pg_number(&pg.a, "SELECT coalesce(max(epoch), 0) FROM dr_pg");
    pg.service.port = it_free_port();
    (void)snprintf(port, sizeof port, "%d", pg.service.port);
    pg_stage_set("PRISM_HTTP_PORT", port);
    pg.service.pid = it_spawn(pg.env, as_user(argv, PRISM_BIN_DIR "/prism-dr", NULL));
    (void)it_await(ready_or_dead, &pg.service, PG_AWAIT_MS);
    if (!it_alive(pg.service.pid) || !it_service_ready(&pg.service))
        fail_msg("prism-dr does not start: see %s", it_env("IT_LOG_DIR"));
    (void)snprintf(newer, sizeof newer, "epoch > %ld", epoch);
    pg_await(newer); /* what the row tells is its own */
}

void pg_service_stop(void)
{
    if (pg.service.pid != 0)
        assert_int_equal(it_stop(pg.service.pid), 0);
    pg.service.pid = 0;
}

static bool holds(void *ctx)
{
    return pg_number(&pg.a,
                     "SELECT count(*) FROM dr_pg WHERE updated_at > now() - interval '3 s' "
                     "AND (%s)",
                     (const char *)ctx) == 1;
}

void pg_await(const char *condition)
{
    if (!it_await(holds, (void *)(uintptr_t)condition, PG_AWAIT_MS)) {
        char row[2048];
        pg_sql(&pg.a, "SELECT row_to_json(t) FROM dr_pg t", row, sizeof row);
        fail_msg("not %s: %s", condition, row);
    }
}

long pg_receiver_pid(void)
{
    char want[128], text[4096];
    glob_t found;
    long pid = 0;
    (void)snprintf(want, sizeof want, "%s/dr/wal/", pg.dir);
    assert_int_equal(glob("/proc/[0-9]*/cmdline", 0, NULL, &found), 0);
    for (size_t i = 0; pid == 0 && i < found.gl_pathc; i++) {
        FILE *f = fopen(found.gl_pathv[i], "re");
        const size_t n = f != NULL ? fread(text, 1, sizeof text, f) : 0;
        if (n > 0 && memmem(text, n, "pg_receivewal", 13) != NULL &&
            memmem(text, n, want, strlen(want)) != NULL)
            pid = strtol(found.gl_pathv[i] + strlen("/proc/"), NULL, 10);
        if (f != NULL)
            (void)fclose(f);
    }
    globfree(&found);
    return pid;
}

/* --- commands -------------------------------------------------------------------------------- */

/* The words before it, and the command as the servers' user. */
static const char *const *command(const char *argv[ARGS], const char *const *wrap,
                                  const char *const *arg)
{
    const char *all[ARGS] = { "-c", "exec \"$0\" pg \"$@\" 2>&1", PRISM_BIN_DIR "/prism-dr" };
    size_t k = 3, n = 0;
    while (*arg != NULL)
        all[k++] = *arg++;
    all[k] = NULL;
    for (; wrap != NULL && *wrap != NULL; wrap++)
        argv[n++] = *wrap;
    const char *own[ARGS];
    (void)as_user(own, "/bin/sh", all);
    for (k = 0; own[k] != NULL; k++) {
        assert_true(n < ARGS - 1);
        argv[n++] = own[k];
    }
    argv[n] = NULL;
    return argv;
}

int pg_command_in(const char *const *wrap, char *out, size_t n, const char *const *arg)
{
    const char *argv[ARGS];
    return it_run(pg.env, command(argv, wrap, arg), out, n, 2 * PG_AWAIT_MS);
}

int pg_command(char *out, size_t n, const char *const *arg)
{
    return pg_command_in(NULL, out, n, arg);
}

pid_t pg_command_begin(const char *const *arg)
{
    const char *argv[ARGS];
    return it_spawn(pg.env, command(argv, NULL, arg));
}

int pg_program(char *out, size_t n, const char *const *arg, int timeout_ms)
{
    const char *argv[ARGS];
    return it_run(pg.env, as_user(argv, PRISM_BIN_DIR "/prism-dr", arg), out, n, timeout_ms);
}

void pg_command_ok(char *out, size_t n, const char *const *arg)
{
    if (pg_command(out, n, arg) != 0)
        fail_msg("prism-dr pg %s: %s", arg[0], out);
}

void pg_restore(const char *name, const char *until, struct pg_server *out)
{
    char text[2048], port[32];
    memset(out, 0, sizeof *out);
    out->port = it_free_port();
    pg_server_address(out);
    (void)snprintf(out->dir, sizeof out->dir, "%s/%s", pg.dir, name);
    (void)snprintf(port, sizeof port, "port=%d", out->port);
    const char *restore[] = {
        "restore", "--dir", out->dir, "--set", port, "--scratch", until != NULL ? "--until" : NULL,
        until,     NULL
    };
    const char *promote[] = { "promote", "--dir", out->dir, "--wait", "60", NULL };
    pg_command_ok(text, sizeof text, restore);
    pg_command_ok(text, sizeof text, promote);
}

/* --- writing --------------------------------------------------------------------------------- */

static void *write_rows(void *arg)
{
    struct pg_writer *w = arg;
    PGconn *c = PQconnectdb(w->uri);
    while (!atomic_load(&w->stop) && PQstatus(c) == CONNECTION_OK) {
        char sql[160];
        const long next = atomic_load(&w->acked) + 1;
        (void)snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%ld, repeat('x', 500))", next);
        PGresult *r = PQexec(c, sql);
        if (PQresultStatus(r) == PGRES_COMMAND_OK)
            atomic_store(&w->acked, next);
        PQclear(r);
    }
    PQfinish(c);
    return NULL;
}

void pg_writer_start(struct pg_writer *w, const struct pg_server *s)
{
    pthread_t thread;
    memset(w, 0, sizeof *w);
    (void)snprintf(w->uri, sizeof w->uri, "%s", s->uri);
    atomic_store(&w->acked, pg_number(s, "SELECT coalesce(max(id), 0) FROM t"));
    assert_int_equal(pthread_create(&thread, NULL, write_rows, w), 0);
    w->thread = thread;
}

void pg_writer_await(struct pg_writer *w, long more)
{
    const long want = atomic_load(&w->acked) + more;
    for (int i = 0; i < PG_AWAIT_MS / 10 && atomic_load(&w->acked) < want; i++)
        (void)poll(NULL, 0, 10);
    if (atomic_load(&w->acked) < want)
        fail_msg("%ld rows were acknowledged, not %ld", atomic_load(&w->acked), want);
}

long pg_writer_stop(struct pg_writer *w)
{
    atomic_store(&w->stop, true);
    assert_int_equal(pthread_join((pthread_t)w->thread, NULL), 0);
    return atomic_load(&w->acked);
}
