#include "redis_internal.h"

#include "prism/io/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static enum pr_code broke(struct pr_redis *c, struct pr_err *err, enum pr_code code,
                          const char *what)
{
    c->broken = true;
    return pr_fail(err, code, "redis %s: %s", c->name, what);
}

bool pr_redis_broken(const struct pr_redis *c)
{
    return c->broken;
}

int pr_redis_fd(const struct pr_redis *c)
{
    return c->ctx->fd;
}

void pr_redis_set_timeout(struct pr_redis *c, int timeout_ms)
{
    c->timeout_ms = timeout_ms;
}

void pr_redis_close(struct pr_redis *c)
{
    if (c == NULL)
        return;
    if (c->ctx != NULL)
        redisFree(c->ctx);
    pr_buf_done(&c->out);
    free(c);
}

/* *sent: an answer is to come first. */
static enum pr_code send_auth(struct pr_redis *c, const struct pr_redis_auth *auth, bool *sent,
                              struct pr_err *err)
{
    *sent = false;
    if (auth == NULL || auth->user == NULL || (auth->user[0] == '\0' && auth->password == NULL))
        return PR_OK;
    const char *password = auth->password != NULL ? auth->password : "";
    if (auth->user[0] == '\0' && password[0] == '\0')
        return PR_OK;
    const char *argv[] = { "AUTH", auth->user, password };
    const size_t len[] = { 4, strlen(auth->user), strlen(password) };
    *sent = true;
    return pr_redis_append(c, 3, argv, len, err);
}

enum pr_code pr_redis_auth_code(const struct pr_redis *c, const struct pr_redis_auth *auth,
                                const redisReply *reply, struct pr_err *err)
{
    const enum pr_code rc = pr_redis_reply_code(reply, err);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "redis %s: user %s", c->name, auth->user);
}

static enum pr_code authenticate(struct pr_redis *c, const struct pr_redis_auth *auth,
                                 struct pr_err *err)
{
    bool sent = false;
    PR_AUTO(redisReply) *reply = NULL;
    enum pr_code rc = send_auth(c, auth, &sent, err);
    if (rc != PR_OK || !sent)
        return rc;
    rc = pr_redis_reply(c, &reply, err);
    return rc == PR_OK ? pr_redis_auth_code(c, auth, reply, err)
                       : pr_wrap(err, rc, "redis %s: user %s", c->name, auth->user);
}

/* wait: for the connection, timeout_ms at most. */
static enum pr_code dial(struct pr_redis **out, const char *host, int port, int timeout_ms,
                         bool wait, struct pr_err *err)
{
    struct pr_redis *c = calloc(1, sizeof *c);
    if (c == NULL)
        return pr_fail(err, PR_ENOMEM, "redis %s:%d: no memory", host, port);
    const bool local = host[0] == '/';
    if (local)
        (void)snprintf(c->name, sizeof c->name, "%.71s", host);
    else
        (void)snprintf(c->name, sizeof c->name, "%.63s:%d", host, port);
    pr_buf_init(&c->out, 0);
    c->timeout_ms = timeout_ms;
    const struct timeval tv = { timeout_ms / 1000, (timeout_ms % 1000) * 1000 };
    if (wait && local)
        c->ctx = redisConnectUnixWithTimeout(host, tv);
    else
        c->ctx = wait ? redisConnectWithTimeout(host, port, tv) : redisConnectNonBlock(host, port);
    enum pr_code rc = PR_OK;
    if (c->ctx == NULL)
        rc = pr_fail(err, PR_ENOMEM, "redis %s: no memory", c->name);
    else if (c->ctx->err != 0)
        rc = broke(c, err, PR_EUNAVAIL, c->ctx->errstr);
    if (rc != PR_OK) {
        pr_redis_close(c);
        return rc;
    }
    if (!local)
        (void)redisEnableKeepAlive(c->ctx); /* a node that vanished is noticed anyway */
    *out = c;
    return PR_OK;
}

enum pr_code pr_redis_open(struct pr_redis **out, const char *host, int port,
                           const struct pr_redis_auth *auth, int timeout_ms, struct pr_err *err)
{
    struct pr_redis *c = NULL;
    enum pr_code rc = dial(&c, host, port, timeout_ms, true, err);
    if (rc == PR_OK)
        rc = authenticate(c, auth, err);
    if (rc != PR_OK) {
        pr_redis_close(c);
        return rc;
    }
    *out = c;
    return PR_OK;
}

enum pr_code pr_redis_begin(struct pr_redis **out, const char *host, int port,
                            const struct pr_redis_auth *auth, int timeout_ms, bool *auth_sent,
                            struct pr_err *err)
{
    struct pr_redis *c = NULL;
    enum pr_code rc = dial(&c, host, port, timeout_ms, false, err);
    if (rc == PR_OK)
        rc = send_auth(c, auth, auth_sent, err);
    if (rc != PR_OK) {
        pr_redis_close(c);
        return rc;
    }
    *out = c;
    return PR_OK;
}

enum pr_code pr_redis_connected(struct pr_redis *c, struct pr_err *err)
{
    int why = 0;
    socklen_t n = sizeof why;
    if (getsockopt(c->ctx->fd, SOL_SOCKET, SO_ERROR, &why, &n) != 0)
        why = errno;
    return why == 0 ? PR_OK : broke(c, err, PR_EUNAVAIL, strerror(why));
}

/* --- writing ------------------------------------------------------------ */
static size_t put_number(char *out, size_t v)
{
    char tmp[24];
    size_t n = 0;
    do
        tmp[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    for (size_t i = 0; i < n; i++)
        out[i] = tmp[n - 1 - i];
    return n;
}

static char *put_header(char *out, char kind, size_t v)
{
    *out++ = kind;
    out += put_number(out, v);
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

/* By hand, reserved once: bulk loading spends most of the client's time here. */
enum pr_code pr_redis_append(struct pr_redis *c, int argc, const char *const *argv,
                             const size_t *argvlen, struct pr_err *err)
{
    enum { HEADER = 24, END = 2 };
    size_t most = HEADER;
    if (c->broken)
        return pr_fail(err, PR_EUNAVAIL, "redis %s: the connection is broken", c->name);
    for (int i = 0; i < argc; i++)
        most += HEADER + END + (argvlen != NULL ? argvlen[i] : strlen(argv[i]));
    if (!pr_buf_reserve(&c->out, most))
        return broke(c, err, PR_ENOMEM, "no memory for the command");
    char *const begin = c->out.data + c->out.len;
    char *p = put_header(begin, '*', (size_t)argc);
    for (int i = 0; i < argc; i++) {
        const size_t n = argvlen != NULL ? argvlen[i] : strlen(argv[i]);
        p = put_header(p, '$', n);
        memcpy(p, argv[i], n);
        p += n;
        *p++ = '\r';
        *p++ = '\n';
    }
    *p = '\0';
    c->out.len += (size_t)(p - begin);
    c->appended += (uint64_t)(p - begin);
    return PR_OK;
}

enum pr_code pr_redis_flush(struct pr_redis *c, struct pr_err *err)
{
    while (pr_redis_unsent(c) > 0) {
        const ssize_t n = send(c->ctx->fd, c->out.data + c->out_sent, pr_redis_unsent(c),
                               MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0)
            return broke(c, err, PR_EUNAVAIL, strerror(errno));
        c->out_sent += (size_t)n;
        c->written += (uint64_t)n;
    }
    if (c->out_sent == c->out.len) {
        pr_buf_reset(&c->out);
        c->out_sent = 0;
    } else if (c->out_sent > (1 << 20)) { /* keep a long pipeline from growing for ever */
        memmove(c->out.data, c->out.data + c->out_sent, pr_redis_unsent(c));
        c->out.len -= c->out_sent;
        c->out_sent = 0;
    }
    return PR_OK;
}

/* --- reading ------------------------------------------------------------ */
enum pr_code pr_redis_receive(struct pr_redis *c, bool *got, struct pr_err *err)
{
    char raw[16 * 1024]; /* more makes hiredis' reader move its rest about */
    *got = false;
    for (;;) {
        const ssize_t n = recv(c->ctx->fd, raw, sizeof raw, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return PR_OK;
        if (n < 0)
            return broke(c, err, PR_EUNAVAIL, strerror(errno));
        if (n == 0)
            return broke(c, err, PR_EUNAVAIL, "the server closed the connection");
        *got = true;
        if (redisReaderFeed(c->ctx->reader, raw, (size_t)n) != REDIS_OK)
            return broke(c, err, PR_EDATA, c->ctx->reader->errstr);
        return PR_OK;
    }
}

enum pr_code pr_redis_take(struct pr_redis *c, redisReply **reply, struct pr_err *err)
{
    void *r = NULL;
    *reply = NULL;
    if (redisReaderGetReply(c->ctx->reader, &r) != REDIS_OK)
        return broke(c, err, PR_EDATA, c->ctx->reader->errstr);
    *reply = r;
    return PR_OK;
}

/* Writes while it reads: a pipeline larger than both socket buffers would
 * otherwise wait for a server that waits for us. */
enum pr_code pr_redis_reply(struct pr_redis *c, redisReply **reply, struct pr_err *err)
{
    int64_t last_us = pr_mono_us();
    for (;;) {
        bool got = false;
        enum pr_code rc =
            c->broken ? pr_fail(err, PR_EUNAVAIL, "redis %s: the connection is broken", c->name)
                      : pr_redis_take(c, reply, err);
        if (rc != PR_OK || *reply != NULL)
            return rc;
        const size_t unsent = pr_redis_unsent(c);
        if ((rc = pr_redis_flush(c, err)) != PR_OK)
            return rc;
        const bool more = pr_redis_unsent(c) > 0;
        if (unsent != pr_redis_unsent(c))
            last_us = pr_mono_us();
        struct pollfd p = { c->ctx->fd, (short)(POLLIN | (more ? POLLOUT : 0)), 0 };
        const int64_t left_ms = c->timeout_ms - (pr_mono_us() - last_us) / 1000;
        if (left_ms <= 0 || poll(&p, 1, (int)left_ms) == 0) {
            c->broken = true;
            return pr_fail(err, PR_ETIMEOUT, "redis %s: no answer in %d ms", c->name,
                           c->timeout_ms);
        }
        if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            if ((rc = pr_redis_receive(c, &got, err)) != PR_OK)
                return rc;
            if (got)
                last_us = pr_mono_us();
        }
    }
}

enum pr_code pr_redis_command(struct pr_redis *c, redisReply **reply, struct pr_err *err,
                              const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    *reply = NULL;
    if (c->broken)
        return pr_fail(err, PR_EUNAVAIL, "redis %s: the connection is broken", c->name);
    va_start(ap, fmt);
    const int n = redisvFormatCommand(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return pr_fail(err, PR_EINTERNAL, "redis %s: bad command format '%s'", c->name, fmt);
    pr_buf_add(&c->out, text, (size_t)n);
    redisFreeCommand(text);
    if (c->out.failed)
        return broke(c, err, PR_ENOMEM, "no memory for the command");
    c->appended += (uint64_t)n;
    enum pr_code rc = pr_redis_reply(c, reply, err);
    if (rc == PR_OK)
        rc = pr_redis_reply_code(*reply, err);
    if (rc != PR_OK && *reply != NULL) {
        freeReplyObject(*reply);
        *reply = NULL;
        rc = pr_wrap(err, rc, "redis %s", c->name);
    }
    return rc;
}

/* --- what an error reply means ------------------------------------------ */
enum pr_code pr_redis_reply_code(const redisReply *r, struct pr_err *err)
{
    static const struct {
        const char *prefix;
        enum pr_code code;
    } row[] = {
        { "NOPERM", PR_EDENIED },     { "NOAUTH", PR_EDENIED },       { "WRONGPASS", PR_EDENIED },
        { "LOADING", PR_EUNAVAIL },   { "CLUSTERDOWN", PR_EUNAVAIL }, { "MASTERDOWN", PR_EUNAVAIL },
        { "TRYAGAIN", PR_EUNAVAIL },  { "READONLY", PR_EUNAVAIL },    { "NOREPLICAS", PR_EUNAVAIL },
        { "UNBLOCKED", PR_EUNAVAIL }, /* a WAIT, when its primary became a replica */
        { "OOM", PR_EFULL },
    };
    if (r->type != REDIS_REPLY_ERROR)
        return PR_OK;
    const size_t word = strcspn(r->str, " ");
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (strlen(row[i].prefix) == word && strncmp(r->str, row[i].prefix, word) == 0)
            return pr_fail(err, row[i].code, "%s", r->str);
    return pr_fail(err, PR_EINVAL, "%s", r->str);
}

/* --- bytes on the wire -------------------------------------------------- */
static size_t digits(uint64_t v)
{
    size_t n = 1;
    while (v >= 10) {
        v /= 10;
        n++;
    }
    return n;
}

static size_t bulk_bytes(size_t n) /* $<n>\r\n<bytes>\r\n */
{
    return 1 + digits(n) + 2 + n + 2;
}

size_t pr_resp_command_bytes(int argc, const size_t *argvlen)
{
    size_t sum = 1 + digits((uint64_t)argc) + 2;
    for (int i = 0; i < argc; i++)
        sum += bulk_bytes(argvlen[i]);
    return sum;
}

size_t pr_resp_reply_bytes(const redisReply *r)
{
    size_t sum;
    switch (r->type) {
    case REDIS_REPLY_STRING:
        return bulk_bytes(r->len);
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        return 1 + r->len + 2;
    case REDIS_REPLY_INTEGER:
        return r->integer < 0 ? 1 + 1 + digits(0 - (uint64_t)r->integer) + 2
                              : 1 + digits((uint64_t)r->integer) + 2;
    case REDIS_REPLY_ARRAY:
        sum = 1 + digits(r->elements) + 2;
        for (size_t i = 0; i < r->elements; i++)
            sum += pr_resp_reply_bytes(r->element[i]);
        return sum;
    default: /* nil, as "$-1\r\n" or "*-1\r\n" */
        return 5;
    }
}
