#include "prism/io/db.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/map.h"

#include <assert.h>
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <xxhash.h>

enum {
    MAX_ARGS = 64,
    MAX_CHANNELS = 4,
    MAX_PREPARED = 1024, /* then the connection forgets them all */
    TX_ATTEMPTS = 5,
    TX_PAUSE_MS = 20,       /* doubled on every attempt */
    TX_RETRY_FOR_MS = 10000 /* connecting to a silent host must not take 5 timeouts */
};

struct pr_db {
    PGconn *pg; /* NULL: not connected */
    char *uri, *name;
    struct pr_map prepared; /* hash of SQL text -> 1, of this connection */
    bool in_tx;
    bool retry; /* the running transaction failed in a way that a retry may cure */
    bool fresh; /* connected since the last pr_db_wait: notifications may be missed */
    bool was_connected;
    char *channel[MAX_CHANNELS];
    size_t channels;
};

/* --- arguments and cells ------------------------------------------------- */

struct pr_arg pr_text(const char *s)
{
    if (s == NULL)
        return (struct pr_arg){ .kind = PR_ARG_NULL };
    return (struct pr_arg){ .p = s, .kind = PR_ARG_TEXT };
}

struct pr_arg pr_bytes(const void *p, size_t n)
{
    /* A NULL parameter would be SQL NULL; no bytes are an empty bytea. */
    return (struct pr_arg){ .p = p == NULL ? "" : p, .len = (int)n, .kind = PR_ARG_BYTES };
}

struct pr_arg pr_i64(int64_t v)
{
    struct pr_arg a = { .kind = PR_ARG_INLINE };
    (void)snprintf(a.text, sizeof a.text, "%lld", (long long)v);
    return a;
}

struct pr_arg pr_real(double v)
{
    struct pr_arg a = { .kind = PR_ARG_INLINE };
    (void)snprintf(a.text, sizeof a.text, "%.17g", v);
    return a;
}

struct pr_arg pr_bool(bool v)
{
    struct pr_arg a = { .kind = PR_ARG_INLINE };
    a.text[0] = v ? 't' : 'f';
    return a;
}

const char *pr_cell(const PGresult *r, int row, int col)
{
    return PQgetisnull(r, row, col) ? NULL : PQgetvalue(r, row, col);
}

int64_t pr_cell_i64(const PGresult *r, int row, int col)
{
    return strtoll(PQgetvalue(r, row, col), NULL, 10);
}

double pr_cell_real(const PGresult *r, int row, int col)
{
    return strtod(PQgetvalue(r, row, col), NULL);
}

bool pr_cell_bool(const PGresult *r, int row, int col)
{
    return PQgetvalue(r, row, col)[0] == 't';
}

/* --- errors -------------------------------------------------------------- */

enum { LOST = 1, RETRY = 2, STALE_PLAN = 4 }; /* what a SQLSTATE means besides its code */

struct state_row {
    const char *state; /* a prefix */
    enum pr_code code;
    int means;
};

/* First match wins. Source: PostgreSQL documentation, appendix A. */
static const struct state_row STATE[] = {
    { "40001", PR_ECONFLICT, RETRY },       /* serialization_failure */
    { "40P01", PR_ECONFLICT, RETRY },       /* deadlock_detected */
    { "23505", PR_EEXISTS, 0 },             /* unique_violation */
    { "23503", PR_ECONFLICT, 0 },           /* foreign_key_violation */
    { "23514", PR_ECONFLICT, 0 },           /* check_violation */
    { "23P01", PR_ECONFLICT, 0 },           /* exclusion_violation */
    { "55P03", PR_ECONFLICT, 0 },           /* lock_not_available */
    { "PR001", PR_EFENCED, 0 },             /* raised by lease checks */
    { "42501", PR_EDENIED, 0 },             /* insufficient_privilege */
    { "28", PR_EDENIED, LOST },             /* invalid authorization */
    { "57014", PR_ETIMEOUT, 0 },            /* query_canceled, statement_timeout */
    { "57P", PR_EUNAVAIL, LOST | RETRY },   /* shutdown, crash, starting up, idle timeout */
    { "08", PR_EUNAVAIL, LOST | RETRY },    /* connection exception */
    { "25006", PR_EUNAVAIL, LOST | RETRY }, /* read-only: this server is no primary any more */
    { "25P03", PR_EUNAVAIL, LOST | RETRY }, /* idle_in_transaction_session_timeout */
    { "53300", PR_EUNAVAIL, LOST | RETRY }, /* too_many_connections */
    { "53", PR_EFULL, 0 },                  /* disk full, out of memory */
    { "26000", PR_EUNAVAIL, LOST | RETRY | STALE_PLAN }, /* prepared statement is gone */
    { "0A000", PR_EINVAL, STALE_PLAN }, /* "cached plan must not change result type", and others */
    { "58", PR_EUNAVAIL, 0 },           /* system error, I/O */
};

static const struct state_row *state_of(const char *sqlstate)
{
    for (size_t i = 0; i < PR_COUNT(STATE); i++)
        if (strncmp(sqlstate, STATE[i].state, strlen(STATE[i].state)) == 0)
            return &STATE[i];
    return NULL;
}

static void disconnect(struct pr_db *db)
{
    PQfinish(db->pg);
    db->pg = NULL;
    pr_map_done(&db->prepared);
    pr_map_init(&db->prepared);
}

static enum pr_code lost(struct pr_db *db, struct pr_err *err)
{
    enum pr_code rc = pr_fail(err, PR_EUNAVAIL, "PostgreSQL: connection lost: %s",
                              db->pg == NULL ? "" : PQerrorMessage(db->pg));
    disconnect(db);
    db->retry = true;
    return rc;
}

/* Turns a refused statement into a code and words; *means gets LOST and so on. */
static enum pr_code refused(struct pr_db *db, const PGresult *r, const char *sql, int *means,
                            struct pr_err *err)
{
    const char *state = r == NULL ? NULL : PQresultErrorField(r, PG_DIAG_SQLSTATE);
    *means = 0;
    if (state == NULL || PQstatus(db->pg) == CONNECTION_BAD) {
        *means = LOST | RETRY;
        const char *said = state == NULL ? NULL : PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
        if (said == NULL)
            return lost(db, err);
        pr_fail(err, PR_EUNAVAIL, "PostgreSQL: connection lost: %s", said);
        disconnect(db);
        db->retry = true;
        return PR_EUNAVAIL;
    }

    const struct state_row *row = state_of(state);
    const char *said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
    enum pr_code rc = row == NULL ? PR_EINVAL : row->code;
    *means = row == NULL ? 0 : row->means;
    if (rc == PR_EINVAL && (*means & STALE_PLAN) != 0 &&
        (said == NULL || strstr(said, "cached plan") == NULL))
        *means = 0; /* 0A000 of another kind: a feature not supported */
    pr_fail(err, rc, "PostgreSQL: %.100s%s%.80s (SQLSTATE %s) in: %.40s",
            said == NULL ? "no words" : said, detail == NULL ? "" : ": ",
            detail == NULL ? "" : detail, state, sql);
    if ((*means & (LOST | STALE_PLAN)) != 0)
        disconnect(db);
    if (*means != 0)
        db->retry = true;
    return rc;
}

/* --- connecting ---------------------------------------------------------- */

static void notice(void *ctx, const char *text)
{
    (void)ctx;
    pr_debug(PR_EV("db.notice"), PR_S("text", text));
}

static enum pr_code listen_on(struct pr_db *db, const char *channel, struct pr_err *err)
{
    char *quoted = PQescapeIdentifier(db->pg, channel, strlen(channel));
    char sql[160];
    int n = quoted == NULL ? -1 : snprintf(sql, sizeof sql, "LISTEN %s", quoted);
    PQfreemem(quoted);
    if (n < 0 || (size_t)n >= sizeof sql)
        return pr_fail(err, PR_EINVAL, "LISTEN: bad channel name");

    PR_AUTO(PGresult) *r = PQexec(db->pg, sql);
    int means;
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        return refused(db, r, sql, &means, err);
    return PR_OK;
}

static PGconn *dial(const struct pr_db *db)
{
    /* What stands in the URI comes last and so overrides the rest. A dead
     * server is noticed within about 15 s: idle by keepalives, busy by
     * tcp_user_timeout. */
    const char *key[] = {
        "application_name", "target_session_attrs", "connect_timeout",  "keepalives",
        "keepalives_idle",  "keepalives_interval",  "keepalives_count", "tcp_user_timeout",
        "gssencmode",       "client_encoding",      "dbname",           NULL
    };
    const char *value[] = { db->name, "read-write", "5",       "1",    "5",     "5",
                            "2",      "15000",      "disable", "UTF8", db->uri, NULL };
    return PQconnectdbParams(key, value, 1);
}

static enum pr_code open_connection(struct pr_db *db, struct pr_err *err)
{
    db->pg = dial(db);
    if (db->pg == NULL)
        return pr_fail(err, PR_ENOMEM, "PostgreSQL: no memory to connect");
    if (PQstatus(db->pg) != CONNECTION_OK) {
        pr_fail(err, PR_EUNAVAIL, "PostgreSQL: %s", PQerrorMessage(db->pg));
        disconnect(db);
        db->retry = true;
        return PR_EUNAVAIL;
    }
    (void)PQsetNoticeProcessor(db->pg, notice, NULL);
    if (db->was_connected)
        pr_info(PR_EV("db.reconnected"), PR_S("host", PQhost(db->pg)), PR_S("name", db->name));
    db->was_connected = true;
    db->fresh = true;
    for (size_t i = 0; i < db->channels; i++) {
        enum pr_code rc = listen_on(db, db->channel[i], err);
        if (rc != PR_OK)
            return rc;
    }
    return PR_OK;
}

/* An idle connection that the server closed shows it as readable: noticing
 * here costs one poll(2) and saves a statement whose fate would be unknown. */
static bool closed_while_idle(struct pr_db *db)
{
    for (int i = 0; i < 8; i++) {
        struct pollfd p = { .fd = PQsocket(db->pg), .events = POLLIN };
        if (poll(&p, 1, 0) <= 0)
            return false;
        if (PQconsumeInput(db->pg) == 0 || PQstatus(db->pg) == CONNECTION_BAD)
            return true;
        (void)PQisBusy(db->pg); /* parses notifications and the server's last words */
    }
    return false;
}

static enum pr_code ensure_connected(struct pr_db *db, struct pr_err *err)
{
    if (db->in_tx) /* never go on outside of the transaction that was lost */
        return db->pg != NULL ? PR_OK
                              : pr_fail(err, PR_EUNAVAIL,
                                        "PostgreSQL: connection lost in a "
                                        "transaction");
    if (db->pg != NULL && closed_while_idle(db)) {
        pr_info(PR_EV("db.connection_lost"), PR_S("name", db->name));
        disconnect(db);
    }
    return db->pg != NULL ? PR_OK : open_connection(db, err);
}

enum pr_code pr_db_open(struct pr_db **out, const char *uri, const char *name, struct pr_err *err)
{
    /* libpq's words may repeat the URI, and so the password: use our own. */
    PQconninfoOption *parsed = PQconninfoParse(uri, NULL);
    if (parsed == NULL)
        return pr_fail(err, PR_EINVAL,
                       "database URI: want postgresql://user:password@host:port/database");
    PQconninfoFree(parsed);

    struct pr_db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return pr_fail(err, PR_ENOMEM, "PostgreSQL: no memory");
    pr_map_init(&db->prepared);
    db->uri = strdup(uri);
    db->name = strdup(name);
    if (db->uri == NULL || db->name == NULL) {
        pr_db_close(db);
        return pr_fail(err, PR_ENOMEM, "PostgreSQL: no memory");
    }
    *out = db;
    return PR_OK;
}

void pr_db_close(struct pr_db *db)
{
    if (db == NULL)
        return;
    disconnect(db);
    pr_map_done(&db->prepared);
    for (size_t i = 0; i < db->channels; i++)
        free(db->channel[i]);
    free(db->uri);
    free(db->name);
    free(db);
}

/* --- statements ---------------------------------------------------------- */

static bool done(const PGresult *r)
{
    ExecStatusType s = PQresultStatus(r);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK;
}

/* Name of the prepared statement: two texts share a 64-bit hash once in
 * 2^64 pairs, and there are some hundred texts. */
static enum pr_code prepare(struct pr_db *db, const char *sql, char name[24], int *means,
                            struct pr_err *err)
{
    uint64_t hash = XXH64(sql, strlen(sql), 0);
    uint64_t known;
    (void)snprintf(name, 24, "s%016llx", (unsigned long long)hash);
    if (pr_map_get(&db->prepared, hash, &known))
        return PR_OK;

    if (db->prepared.count >= MAX_PREPARED) { /* texts made at run time */
        PR_AUTO(PGresult) *r = PQexec(db->pg, "DEALLOCATE ALL");
        if (!done(r))
            return refused(db, r, "DEALLOCATE ALL", means, err);
        pr_map_done(&db->prepared);
        pr_map_init(&db->prepared);
    }
    PR_AUTO(PGresult) *r = PQprepare(db->pg, name, sql, 0, NULL);
    if (!done(r))
        return refused(db, r, sql, means, err);
    if (pr_map_put(&db->prepared, hash, 1) != PR_OK) {
        disconnect(db); /* else the next use would prepare the name twice */
        db->retry = true;
        return pr_fail(err, PR_ENOMEM, "PostgreSQL: no memory");
    }
    return PR_OK;
}

static enum pr_code exec_once(struct pr_db *db, const char *sql, const struct pr_arg *args,
                              size_t n, int format, PGresult **res, int *means, struct pr_err *err)
{
    const char *value[MAX_ARGS];
    int length[MAX_ARGS], binary[MAX_ARGS];
    char name[24];

    *means = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pr_arg *a = &args[i];
        value[i] = a->kind == PR_ARG_NULL ? NULL : a->kind == PR_ARG_INLINE ? a->text : a->p;
        length[i] = a->len;
        binary[i] = a->kind == PR_ARG_BYTES;
    }
    enum pr_code rc = ensure_connected(db, err);
    if (rc == PR_OK)
        rc = prepare(db, sql, name, means, err);
    if (rc != PR_OK)
        return rc;

    PGresult *r = PQexecPrepared(db->pg, name, (int)n, value, length, binary, format);
    if (!done(r)) {
        ExecStatusType s = PQresultStatus(r);
        if (s == PGRES_EMPTY_QUERY || s == PGRES_COPY_IN || s == PGRES_COPY_OUT) {
            pr_fail(err, PR_EINVAL, "PostgreSQL: no statement, or COPY: %.60s", sql);
            disconnect(db);
            rc = PR_EINVAL;
        } else {
            rc = refused(db, r, sql, means, err);
        }
        PQclear(r);
        return rc;
    }
    if (res != NULL)
        *res = r;
    else
        PQclear(r);
    return PR_OK;
}

static bool is_select(const char *sql)
{
    while (isspace((unsigned char)*sql))
        sql++;
    return strncasecmp(sql, "select", 6) == 0;
}

static enum pr_code exec_format(struct pr_db *db, const char *sql, const struct pr_arg *args,
                                size_t n, int format, PGresult **res, struct pr_err *err)
{
    if (n > MAX_ARGS)
        return pr_fail(err, PR_EINTERNAL, "PostgreSQL: %zu parameters, at most %d", n, MAX_ARGS);

    int means;
    bool had = db->pg != NULL;
    enum pr_code rc = exec_once(db, sql, args, n, format, res, &means, err);
    if (rc == PR_OK || db->in_tx)
        return rc;
    /* A stale plan was refused before it ran, so any statement may go again. */
    bool again = (means & STALE_PLAN) != 0 || (had && (means & LOST) != 0 && is_select(sql));
    return again ? exec_once(db, sql, args, n, format, res, &means, err) : rc;
}

enum pr_code pr_db_exec(struct pr_db *db, const char *sql, const struct pr_arg *args, size_t n,
                        PGresult **res, struct pr_err *err)
{
    return exec_format(db, sql, args, n, 0, res, err);
}

enum pr_code pr_db_exec_binary(struct pr_db *db, const char *sql, const struct pr_arg *args,
                               size_t n, PGresult **res, struct pr_err *err)
{
    return exec_format(db, sql, args, n, 1, res, err);
}

/* --- transactions -------------------------------------------------------- */

static enum pr_code plain(struct pr_db *db, const char *sql, struct pr_err *err)
{
    enum pr_code rc = ensure_connected(db, err);
    if (rc != PR_OK)
        return rc;
    int means;
    PR_AUTO(PGresult) *r = PQexec(db->pg, sql);
    return done(r) ? PR_OK : refused(db, r, sql, &means, err);
}

static enum pr_code commit(struct pr_db *db, struct pr_err *err)
{
    if (db->pg == NULL) /* the body hid a lost connection; nothing was committed */
        return pr_fail(err, PR_EUNAVAIL, "PostgreSQL: connection lost in a transaction");
    if (PQtransactionStatus(db->pg) == PQTRANS_INERROR)
        return pr_fail(err, PR_EINTERNAL, "transaction went on after a refused statement");

    PR_AUTO(PGresult) *r = PQexec(db->pg, "COMMIT");
    if (done(r))
        return PR_OK;

    int means;
    enum pr_code rc = refused(db, r, "COMMIT", &means, err);
    if (db->pg == NULL && rc == PR_EUNAVAIL) { /* it may have been committed: never retry */
        db->retry = false;
        return pr_wrap(err, PR_ETIMEOUT, "effect of COMMIT unknown");
    }
    return rc;
}

static enum pr_code tx_once(struct pr_db *db, pr_tx_fn *body, void *ctx, struct pr_err *err)
{
    db->retry = false;
    enum pr_code rc = plain(db, "BEGIN", err);
    if (rc != PR_OK)
        return rc;

    db->in_tx = true;
    rc = body(db, ctx, err);
    if (rc == PR_OK)
        rc = commit(db, err);
    db->in_tx = false;
    if (db->pg != NULL && PQtransactionStatus(db->pg) != PQTRANS_IDLE) {
        PR_AUTO(PGresult) *r = PQexec(db->pg, "ROLLBACK");
        if (!done(r))
            disconnect(db);
    }
    return rc;
}

static void pause_ms(int ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    (void)nanosleep(&t, NULL);
}

enum pr_code pr_db_tx(struct pr_db *db, pr_tx_fn *body, void *ctx, struct pr_err *err)
{
    if (db->in_tx)
        return pr_fail(err, PR_EINTERNAL, "transaction inside a transaction");

    int64_t start_us = pr_mono_us();
    for (int attempt = 1;; attempt++) {
        enum pr_code rc = tx_once(db, body, ctx, err);
        bool late = pr_mono_us() - start_us > (int64_t)TX_RETRY_FOR_MS * 1000;
        if (rc == PR_OK || !db->retry || attempt == TX_ATTEMPTS || late)
            return rc;
        /* Two that collide must not collide again: spread by address of db. */
        int spread = (int)(((uintptr_t)db >> 4) % TX_PAUSE_MS);
        pause_ms((TX_PAUSE_MS << (attempt - 1)) + spread);
    }
}

/* --- notifications ------------------------------------------------------- */

enum pr_code pr_db_listen(struct pr_db *db, const char *channel, struct pr_err *err)
{
    if (db->channels == MAX_CHANNELS)
        return pr_fail(err, PR_EFULL, "LISTEN: at most %d channels", MAX_CHANNELS);
    char *copy = strdup(channel);
    if (copy == NULL)
        return pr_fail(err, PR_ENOMEM, "LISTEN: no memory");
    /* Kept first: if we are not connected, connecting listens. */
    bool connected = db->pg != NULL;
    db->channel[db->channels++] = copy;
    enum pr_code rc = ensure_connected(db, err);
    return rc == PR_OK && connected ? listen_on(db, channel, err) : rc;
}

static bool take_notifications(struct pr_db *db)
{
    bool any = false;
    for (PGnotify *n; (n = PQnotifies(db->pg)) != NULL; any = true)
        PQfreemem(n);
    return any;
}

enum pr_code pr_db_wait(struct pr_db *db, int timeout_ms, bool *notified, struct pr_err *err)
{
    *notified = false;
    enum pr_code rc = ensure_connected(db, err);
    if (rc != PR_OK)
        return rc;
    if (db->fresh) { /* what was sent while we were away is gone: look for yourself */
        db->fresh = false;
        *notified = true;
        return PR_OK;
    }
    if (take_notifications(db)) {
        *notified = true;
        return PR_OK;
    }
    struct pollfd p = { .fd = PQsocket(db->pg), .events = POLLIN };
    if (poll(&p, 1, timeout_ms) <= 0)
        return PR_OK; /* time is up, or a signal came */
    if (PQconsumeInput(db->pg) == 0)
        return lost(db, err);
    *notified = take_notifications(db);
    return PR_OK;
}
