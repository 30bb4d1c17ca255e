/* Harness of the tests that need real servers. The fixture `stack` (or
 * `stack2`, `stack3`: two replicas a shard) runs tools/localstack; its directory is in
 * PRISM_IT_DIR. Whatever cannot be set up fails the test, loudly: nothing is
 * skipped. Include cmocka's headers before this one. Everything that is started
 * or created here is stopped or dropped when the test program exits. */
#ifndef PRISM_IT_H
#define PRISM_IT_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { IT_URI = 512, IT_MAX_NODES = 40 };

/* A value of $PRISM_IT_DIR/env, or of the env in a directory of $PRISM_IT_MORE (with ":"
 * between), e.g. "IT_NATS_URL". Never NULL. */
const char *it_env(const char *name);

/* A fresh database with every migration applied; uri (512 bytes) is the
 * superuser's. Dropped at exit. prefix: letters and digits. */
void it_database(const char *prefix, char uri[IT_URI]);
/* Every migration into a database that is empty, of any server. */
void it_migrate(const char *uri);
/* The same database as the role of a service: "placement", "rebalance", "autoscale",
 * "metadata-api". */
void it_role_uri(const char *uri, const char *service, char out[IT_URI]);
/* Runs SQL as whoever the uri says; the first cell ("" when there is none) goes
 * to cell. Fails the test on an error. */
void it_sql(const char *uri, const char *sql, char *cell, size_t n);

/* Calls predicate(ctx) every 10 ms until it is true or the time is up. */
bool it_await(bool (*predicate)(void *ctx), void *ctx, int timeout_ms);

/* --- processes -------------------------------------------------------- */
/* env: extra "NAME=VALUE", NULL-terminated, may be NULL. argv[0]: path of the
 * program. Output goes to $PRISM_IT_DIR/log/test-<program>-<pid>.log. The child
 * dies with this process. */
pid_t it_spawn(const char *const *env, const char *const *argv);
/* SIGTERM, waits (30 s, then SIGKILL and failure); exit status, or -signal. */
int it_stop(pid_t pid);
/* As it_stop without the signal: waits for a program to end by itself. */
int it_wait(pid_t pid, int timeout_ms);
void it_kill(pid_t pid);  /* SIGKILL, and waits */
bool it_alive(pid_t pid); /* a child of ours that has not ended */
/* Runs a program to its end; its standard output (cut at n - 1) goes to out. */
int it_run(const char *const *env, const char *const *argv, char *out, size_t n, int timeout_ms);
int it_free_port(void);

struct it_service {
    pid_t pid;
    int port;     /* of its HTTP listener */
    char url[64]; /* http://127.0.0.1:port */
};
/* Starts PRISM_BIN_DIR/prism-<name> with that service's own credentials and
 * waits until /readyz says 200 (20 s). extra: more "NAME=VALUE", may be NULL. */
void it_service(struct it_service *s, const char *name, const char *db_uri,
                const char *const *extra);
/* The same on a port of the caller's, without waiting. */
void it_service_launch(struct it_service *s, const char *name, const char *db_uri,
                       const char *const *extra, int port);
bool it_service_ready(const struct it_service *s);
/* One HTTP request; status, or 0 when nobody answers. headers: "Name: value\r\n"
 * lines or NULL; body may be NULL; reply is NUL-terminated, cut at n - 1. */
int it_http(int port, const char *method, const char *path, const char *headers, const char *body,
            char *reply, size_t n);
/* A value of who serves /metrics there: "prism_api_denied_total{why=\"jwt_key\"}"; 0: not there. */
double it_metric(int port, const char *name);

/* A proxy before a server on this machine that does wrong what its rules say; they, and the
 * lines of its log ("number method target fault status"), are described in
 * tests/support/faultproxy/proxy.h. */
struct it_proxy {
    pid_t pid;
    int port;
    char url[64]; /* http://127.0.0.1:port */
};
void it_proxy(struct it_proxy *p, int upstream_port);
/* In place of those before; also empties the log, and counts anew. */
void it_proxy_rules(const struct it_proxy *p, const char *rules);
void it_proxy_log(const struct it_proxy *p, char *out, size_t n);

/* --- servers of the stack: "postgres", "nats", "redis-<port>" ----------- */
pid_t it_server_pid(const char *name); /* 0: down */
/* kill -9. keep_down: not restarted until it_server_up. Waits until it is gone. */
void it_server_kill(const char *name, bool keep_down);
void it_server_up(const char *name); /* starts it and waits until its port answers */

/* --- Redis Cluster of the stack ----------------------------------------- */
/* Ports of all nodes; count. zone of a port: "a", ... */
size_t it_redis_ports(int port[IT_MAX_NODES]);
const char *it_redis_zone(int port);
redisContext *it_redis_admin(int port); /* as admin; caller frees; fails the test */
redisContext *it_redis_user(int port, const char *user, const char *password);
/* Every node agrees that all slots are served and every primary has its
 * configured replicas in step. */
bool it_cluster_healthy(void);
/* Starts what a test that failed has left down; its successors must not fail for that. */
void it_cluster_revive(void);
void it_cluster_await(int timeout_ms); /* revives first */
/* A hash tag whose keys are in the slot; static, until the next call. */
const char *it_slot_tag(int slot);
/* Deletes every key on every primary; first waits for a healthy cluster. */
void it_redis_flush(void);
/* Deletes the system's streams and makes them anew, empty. */
void it_bus_reset(void);

#endif
