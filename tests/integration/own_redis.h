/* A redis-server of a test's own, on a free loopback port, with the library
 * prism loaded. Dies with the test. Whatever fails here fails the test. */
#ifndef PRISM_OWN_REDIS_H
#define PRISM_OWN_REDIS_H

#include <hiredis/hiredis.h>
#include <sys/types.h>

struct own_redis {
    pid_t pid;
    int port;
    char dir[32]; /* its log */
};

/* primary_port 0: a primary, with the library; else a replica of that port, in
 * step with it when this returns. */
void own_redis_start(struct own_redis *s, int primary_port);
void own_redis_stop(struct own_redis *s);
redisContext *own_redis_connect(const struct own_redis *s); /* nothing sent yet; caller frees */

/* The reply as one line: elements separated by blanks, "nil", "-ERR ..." for an
 * error; bytes that do not print become '?'. Overwritten by the next call. */
const char *reply_text(const redisReply *r);
/* Sends one command and returns its reply as a line; arguments as redisCommand. */
const char *ask(redisContext *c, const char *format, ...);
/* All fields of a hash, sorted: "a=1 b=2"; "" when the key is absent. */
const char *hash_text(redisContext *c, const char *key);

#endif
