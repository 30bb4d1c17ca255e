/* PostgreSQL: one connection per thread, prepared statements by SQL text,
 * transactions that are retried. PostgreSQL is the only truth of the system. */
#ifndef PRISM_IO_DB_H
#define PRISM_IO_DB_H

#include "prism/err.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pr_db; /* not thread-safe: one per thread */

static inline void pr_auto_PGresult(PGresult **r)
{
    PQclear(*r);
}

/* One statement parameter. Make with the functions below. */
struct pr_arg {
    const void *p; /* borrowed until the call returns; NULL: see kind */
    int len;
    enum { PR_ARG_NULL, PR_ARG_TEXT, PR_ARG_BYTES, PR_ARG_INLINE } kind;
    char text[32];
};
struct pr_arg pr_text(const char *s); /* NULL becomes SQL NULL */
struct pr_arg pr_bytes(const void *p, size_t n);
struct pr_arg pr_i64(int64_t v);
struct pr_arg pr_real(double v);
struct pr_arg pr_bool(bool v);

/* uri: libpq URI, several hosts allowed; target_session_attrs=read-write is
 * added when absent. Does not connect: the first use does, and so does the
 * first use after a lost connection. name: application_name. */
PR_CHECKED enum pr_code pr_db_open(struct pr_db **db, const char *uri, const char *name,
                                   struct pr_err *err);
void pr_db_close(struct pr_db *db); /* NULL is fine */

/* Runs one statement with parameters $1..$n; text results. Statements are
 * prepared once per connection and SQL pointer-independent text. *res (may be
 * NULL) is owned by the caller and set only on PR_OK.
 * PR_EUNAVAIL: not connected or connection lost (outside a transaction a
 * lost connection is tried once again when the statement is a SELECT);
 * PR_ECONFLICT: serialization failure, deadlock, or a foreign key or check
 * refused; PR_EEXISTS: unique violation; PR_EDENIED: no privilege;
 * PR_EFENCED: SQLSTATE PR001 (raised by the lease check); PR_EINVAL: other. */
PR_CHECKED enum pr_code pr_db_exec(struct pr_db *db, const char *sql, const struct pr_arg *args,
                                   size_t n, PGresult **res, struct pr_err *err);
/* Binary results (bytea columns without hex): as pr_db_exec. */
PR_CHECKED enum pr_code pr_db_exec_binary(struct pr_db *db, const char *sql,
                                          const struct pr_arg *args, size_t n, PGresult **res,
                                          struct pr_err *err);

/* Runs body between BEGIN and COMMIT; rolls back unless it returns PR_OK.
 * Retries the whole body (at most 5 times, growing pause) on serialization
 * failure, deadlock, and on a connection lost before COMMIT was sent; so body
 * has no effect outside the database. A connection lost during COMMIT is
 * PR_ETIMEOUT: the effect is unknown, and the caller's statement must be
 * idempotent by key. */
typedef enum pr_code pr_tx_fn(struct pr_db *db, void *ctx, struct pr_err *err);
PR_CHECKED enum pr_code pr_db_tx(struct pr_db *db, pr_tx_fn *body, void *ctx, struct pr_err *err);

/* LISTEN; waits for a notification at most timeout_ms. true: one arrived. */
PR_CHECKED enum pr_code pr_db_listen(struct pr_db *db, const char *channel, struct pr_err *err);
PR_CHECKED enum pr_code pr_db_wait(struct pr_db *db, int timeout_ms, bool *notified,
                                   struct pr_err *err);

/* Cells of a text result. */
int64_t pr_cell_i64(const PGresult *r, int row, int col);
double pr_cell_real(const PGresult *r, int row, int col);
bool pr_cell_bool(const PGresult *r, int row, int col);
const char *pr_cell(const PGresult *r, int row, int col); /* NULL for SQL NULL */

#define PR_ARGS(...)                                                                               \
    (const struct pr_arg[]){ __VA_ARGS__ },                                                        \
        sizeof((const struct pr_arg[]){ __VA_ARGS__ }) / sizeof(struct pr_arg)

#endif
