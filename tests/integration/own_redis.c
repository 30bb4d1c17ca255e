#include "own_redis.h"

#include "prism/dp/library.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT = 4096, FIELDS = 256, START_MS = 10000 };

static int free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        fail_msg("no free port");
    close(fd);
    return ntohs(a.sin_port);
}

static void pause_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void run_server(const struct own_redis *s, int primary_port)
{
    char port[16], primary[32], log[64];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(port, sizeof(port), "%d", s->port);
    (void)snprintf(primary, sizeof(primary), "127.0.0.1 %d", primary_port);
    (void)snprintf(log, sizeof(log), "%s/log", s->dir);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
           "--dir", s->dir, "--logfile", log, "--repl-diskless-sync-delay", "0",
           primary_port != 0 ? "--replicaof" : NULL, primary, (char *)NULL);
    _exit(127);
}

static redisContext *try_connect(const struct own_redis *s)
{
    redisContext *c = redisConnectWithTimeout("127.0.0.1", s->port, (struct timeval){ 20, 0 });

    if (c != NULL && c->err != 0) {
        redisFree(c);
        c = NULL;
    }
    if (c != NULL)
        (void)redisSetTimeout(c, (struct timeval){ 20, 0 });
    return c;
}

redisContext *own_redis_connect(const struct own_redis *s)
{
    redisContext *c = try_connect(s);

    if (c == NULL)
        fail_msg("redis-server on port %d does not answer", s->port);
    return c;
}

static int ready(const struct own_redis *s, int primary_port)
{
    redisContext *c = try_connect(s);
    int yes = 0;

    if (c != NULL) {
        const char *text = ask(c, primary_port != 0 ? "ROLE" : "PING");
        yes = strstr(text, primary_port != 0 ? " connected " : "PONG") != NULL;
        redisFree(c);
    }
    return yes;
}

static void load_library(const struct own_redis *s)
{
    redisContext *c = own_redis_connect(s);

    assert_string_equal(ask(c, "FUNCTION LOAD %s", pr_library_code), "prism");
    redisFree(c);
}

void own_redis_start(struct own_redis *s, int primary_port)
{
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/prism-redis-XXXXXX");
    if (mkdtemp(s->dir) == NULL)
        fail_msg("no directory like %s", s->dir);
    s->port = free_port();
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0)
        run_server(s, primary_port);
    for (int ms = 0; !ready(s, primary_port); ms += 5) {
        if (ms > START_MS)
            fail_msg("redis-server on port %d is not ready in %d ms", s->port, START_MS);
        pause_ms(5);
    }
    if (primary_port == 0)
        load_library(s);
}

void own_redis_stop(struct own_redis *s)
{
    char log[64];

    if (s->pid <= 0)
        return;
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    (void)snprintf(log, sizeof(log), "%s/log", s->dir);
    (void)unlink(log);
    (void)rmdir(s->dir);
    s->pid = 0;
}

static size_t add(char *out, size_t at, const char *text, size_t n)
{
    for (size_t i = 0; i < n && at + 1 < TEXT; i++)
        out[at++] = (char)(text[i] < ' ' || text[i] > '~' ? '?' : text[i]);
    out[at] = '\0';
    return at;
}

static size_t render(const redisReply *r, char *out, size_t at)
{
    char number[32];

    switch (r->type) {
    case REDIS_REPLY_INTEGER:
        (void)snprintf(number, sizeof(number), "%lld", r->integer);
        return add(out, at, number, strlen(number));
    case REDIS_REPLY_NIL:
        return add(out, at, "nil", 3);
    case REDIS_REPLY_ERROR:
        at = add(out, at, "-", 1);
        return add(out, at, r->str, r->len);
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < r->elements; i++) {
            if (i > 0)
                at = add(out, at, " ", 1);
            at = render(r->element[i], out, at);
        }
        return at;
    default:
        return add(out, at, r->str, r->len);
    }
}

const char *reply_text(const redisReply *r)
{
    static char text[TEXT];

    text[0] = '\0';
    (void)render(r, text, 0);
    return text;
}

const char *ask(redisContext *c, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    redisReply *r = redisvCommand(c, format, ap);
    va_end(ap);
    if (r == NULL)
        fail_msg("'%.60s': %s", format, c->errstr);
    const char *text = reply_text(r);
    freeReplyObject(r);
    return text;
}

static int by_name(const void *a, const void *b)
{
    const redisReply *const *x = a, *const *y = b;

    return strcmp((*x)->str, (*y)->str);
}

const char *hash_text(redisContext *c, const char *key)
{
    static char text[TEXT];
    redisReply *r = redisCommand(c, "HGETALL %s", key);
    redisReply *pair[FIELDS][2];
    size_t at = 0;

    if (r == NULL || r->type != REDIS_REPLY_ARRAY || r->elements > (size_t)2 * FIELDS)
        fail_msg("HGETALL %s: %s", key, r != NULL ? reply_text(r) : c->errstr);
    for (size_t i = 0; i < r->elements; i++)
        pair[i / 2][i % 2] = r->element[i];
    qsort(pair, r->elements / 2, sizeof(pair[0]), by_name);
    text[0] = '\0';
    for (size_t i = 0; i < r->elements / 2; i++) {
        at = add(text, at, " ", i > 0);
        at = render(pair[i][0], text, at);
        at = add(text, at, "=", 1);
        at = render(pair[i][1], text, at);
    }
    freeReplyObject(r);
    return text;
}
