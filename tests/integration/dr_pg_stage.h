/* What the tests of PostgreSQL's safety stand on: servers of their own, a bucket of the fixture's
 * by TLS, behind a relay that can be cut, the dr service as the servers' user, and a writer that
 * knows what was acknowledged. */
#ifndef PRISM_DR_PG_STAGE_H
#define PRISM_DR_PG_STAGE_H

#include "t.h"

#include "it.h"

#include <stdatomic.h>

enum { PG_AWAIT_MS = 90000 };

struct pg_server {
    char dir[128];
    char uri[IT_URI]; /* superuser, database app */
    int port;
    pid_t pid; /* 0: not ours, or down */
};

struct pg_stage {
    char dir[64]; /* of all */
    struct pg_server a;
    struct it_service service; /* pid 0: down */
    pid_t relay;
    int relay_port;
    char setting[36][320];
    const char *env[37]; /* of dr and its commands; NULL-terminated */
};
extern struct pg_stage pg;

int pg_stage_open(void **state); /* server a runs, synchronous, with a table t (id) */
int pg_stage_close(void **state);

void pg_stage_set(const char *name, const char *value);
void pg_server_conf(const struct pg_server *s, const char *line); /* appended; at the next start */
void pg_server_address(struct pg_server *s);                      /* uri, by port */
void pg_server_start(struct pg_server *s);
void pg_server_stop(struct pg_server *s, const char *mode); /* also one that a command started */
void pg_sql(const struct pg_server *s, const char *sql, char *cell, size_t n);
long pg_number(const struct pg_server *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void pg_service_start(void); /* until it looks after server a */
void pg_service_stop(void);
/* Of the row in dr_pg; a condition in SQL. */
void pg_await(const char *condition);
void pg_relay(bool up);
/* Of the process whose arguments hold the directory of received log; 0: none. */
long pg_receiver_pid(void);

/* prism-dr ARG..., as the servers' user; NULL-terminated. Its standard output to out. Exit status.
 */
int pg_program(char *out, size_t n, const char *const *arg, int timeout_ms);
/* prism-dr pg ARG...; NULL-terminated. Both of its outputs to out. Exit status. */
int pg_command(char *out, size_t n, const char *const *arg);
/* wrap: words before it, NULL-terminated; run as whoever runs this. */
int pg_command_in(const char *const *wrap, char *out, size_t n, const char *const *arg);
pid_t pg_command_begin(const char *const *arg); /* for it_wait, it_kill */
void pg_command_ok(char *out, size_t n, const char *const *arg);

/* Restores into pg.dir/NAME, on a port of its own, and has it lead. */
void pg_restore(const char *name, const char *until, struct pg_server *out);

struct pg_writer {
    char uri[IT_URI];
    atomic_long acked; /* rows 1..acked were acknowledged */
    atomic_bool stop;
    unsigned long thread;
};
void pg_writer_start(struct pg_writer *w, const struct pg_server *s); /* after what is there */
void pg_writer_await(struct pg_writer *w, long more);                 /* rows */
long pg_writer_stop(struct pg_writer *w);                             /* acked */

#endif
