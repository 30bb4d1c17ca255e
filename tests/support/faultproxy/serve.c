#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DRIPS = 20 }; /* a second */

static bool dial(struct peer *p)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)p->proxy->upstream_port) };

    p->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->server < 0 || connect(p->server, (struct sockaddr *)&a, sizeof a) != 0) {
        if (p->server >= 0)
            (void)close(p->server);
        p->server = -1;
        return false;
    }
    (void)setsockopt(p->server, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return true;
}

static bool exchange(struct peer *p, const struct message *q, struct message *a)
{
    if (p->server < 0 && !dial(p))
        return false;
    if (send_all(p->server, q->head.data, q->head.len) &&
        send_all(p->server, q->body.data, q->body.len))
        do {
            if (!read_head(p->server, a, false) ||
                !read_body(p->server, a, strcmp(q->method, "HEAD") == 0))
                break;
            if (a->status / 100 != 1) {
                if (a->close) {
                    (void)close(p->server);
                    p->server = -1;
                }
                return true;
            }
        } while (true);
    (void)close(p->server);
    p->server = -1;
    return false;
}

/* A kept connection may be dead by now; the server has had nothing of it then. */
static bool pass_on(struct peer *p, const struct message *q, struct message *a)
{
    const bool kept = p->server >= 0;
    struct pollfd dead = { .fd = p->server, .events = POLLIN };

    if (kept && poll(&dead, 1, 0) != 0) {
        (void)close(p->server);
        p->server = -1;
    }
    if (exchange(p, q, a))
        return true;
    message_say(a, q, 502, "text/plain", "no answer from the server\n");
    a->close = true;
    return false;
}

static void note(struct proxy *x, const struct message *q, enum fault fault, int status)
{
    (void)pthread_mutex_lock(&x->mutex);
    pr_buf_printf(&x->log, "%u %s %s%s%s %s %d\n", ++x->requests, q->method, q->path,
                  q->query[0] != '\0' ? "?" : "", q->query, fault_name(fault), status);
    (void)pthread_mutex_unlock(&x->mutex);
}

static void hook(const struct rule *r, bool after)
{
    if (r->after != after)
        return;
    if (r->touch[0] != '\0') {
        const int fd = open(r->touch, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd >= 0)
            (void)close(fd);
    }
    if (r->pid > 1)
        (void)kill(r->pid, r->signal);
}

/* --- what is done to an answer ------------------------------------------------------------ */

#define ERROR_OF(code)                                                                             \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>" code                                 \
    "</Code><Message>made by the proxy</Message></Error>"

static void drip(struct peer *p, const struct message *a, unsigned bps)
{
    const size_t step = bps / DRIPS > 0 ? bps / DRIPS : 1;

    for (size_t at = 0; at < a->body.len; at += step) {
        const size_t left = a->body.len - at;
        struct pollfd gone = { .fd = p->client, .events = POLLRDHUP };

        if (!send_all(p->client, a->body.data + at, left < step ? left : step) ||
            poll(&gone, 1, 1000 / DRIPS) != 0)
            return;
    }
}

static void shift_range(struct message *a, bool both)
{
    unsigned long long first, last, total;
    char text[96];

    if (!header_get(a, "Content-Range", text, sizeof text) ||
        sscanf(text, "bytes %llu-%llu/%llu", &first, &last, &total) != 3)
        return;
    (void)snprintf(text, sizeof text, "bytes %llu-%llu/%llu", first + 1, last + both, total + both);
    header_set(a, "Content-Range", text);
}

static void ignore_range(struct message *a)
{
    char *status = a->head.data != NULL ? strstr(a->head.data, " 206 ") : NULL;

    if (status == NULL || status > strstr(a->head.data, "\r\n"))
        return;
    memcpy(status, " 200 ", 5);
    header_set(a, "Content-Range", NULL);
}

static void flip(struct pr_buf *body, uint64_t chance)
{
    if (body->len > 0)
        body->data[chance % body->len] ^= (char)(1 << chance / body->len % 8);
}

/* False: the connection is not for use any more. */
static bool answer(struct peer *p, const struct message *q, struct message *a,
                   const struct verdict *v)
{
    size_t cut = a->body.len;

    switch (v->fault) {
    case LOST:
        p->abrupt = true;
        return false;
    case SILENCE:
        linger(p->client, v->rule.ms);
        return false;
    case DONE503:
        message_say(a, q, 503, "application/xml", ERROR_OF("SlowDown"));
        cut = a->body.len;
        break;
    case TRUNCATE:
    case HANG:
        cut = v->rule.at < a->body.len ? v->rule.at : a->body.len / 2;
        break;
    case RANGE:
        shift_range(a, v->rule.at != 0);
        break;
    case WHOLE:
        ignore_range(a);
        break;
    case CORRUPT:
        flip(&a->body, v->chance);
        break;
    case ETAG:
        header_set(a, "ETag", "\"00000000000000000000000000000000\"");
        break;
    default:
        break;
    }
    if (!send_all(p->client, a->head.data, a->head.len))
        return false;
    if (v->fault == SLOW)
        drip(p, a, v->rule.bps);
    else if (!send_all(p->client, a->body.data, cut))
        return false;
    if (v->fault == HANG)
        linger(p->client, v->rule.ms);
    return v->fault != TRUNCATE && v->fault != HANG && !a->close;
}

/* Before the server sees anything. True: that was all. */
static bool refuse(struct peer *p, const struct message *q, struct message *a,
                   const struct verdict *v, bool *keep)
{
    *keep = true;
    switch (v->fault) {
    case SLOWDOWN:
        message_say(a, q, 503, "application/xml", ERROR_OF("SlowDown"));
        break;
    case ERROR:
        message_say(a, q, 500, "application/xml", ERROR_OF("InternalError"));
        break;
    case ERROR200:
        message_say(a, q, 200, "application/xml", ERROR_OF("InternalError"));
        break;
    case RESET:
        p->abrupt = true;
        *keep = false;
        return true;
    case STALL:
    case DEAF:
        linger(p->client, v->rule.ms);
        *keep = false;
        return true;
    default:
        return false;
    }
    *keep = send_all(p->client, a->head.data, a->head.len) &&
            send_all(p->client, a->body.data, a->body.len);
    return true;
}

/* --- requests ----------------------------------------------------------------------------- */

static bool control(struct peer *p, struct message *q, struct message *a)
{
    struct proxy *x = p->proxy;
    const char *wrong = "";

    (void)pthread_mutex_lock(&x->mutex);
    if (strcmp(q->method, "PUT") == 0) {
        rules_done(&x->rules);
        pr_map_init(&x->rules.seen);
        pr_buf_reset(&x->log);
        x->requests = 0;
        pr_buf_add(&q->body, "", 1);
        wrong = rules_parse(&x->rules, q->body.data);
        message_say(a, q, wrong[0] == '\0' ? 200 : 400, "text/plain", wrong);
    } else {
        message_say(a, q, 200, "text/plain", x->log.len > 0 ? x->log.data : "");
    }
    (void)pthread_mutex_unlock(&x->mutex);
    return send_all(p->client, a->head.data, a->head.len) &&
           send_all(p->client, a->body.data, a->body.len);
}

static bool request(struct peer *p, struct message *q, struct message *a)
{
    struct proxy *x = p->proxy;
    char text[64];
    bool keep = true;

    if (!read_head(p->client, q, true))
        return false;
    const bool ours = strcmp(q->path, "/.faults") == 0;
    struct verdict v = { .fault = PASS };
    if (!ours) {
        (void)pthread_mutex_lock(&x->mutex);
        v = rules_judge(&x->rules, q->method, q->path, q->query);
        (void)pthread_mutex_unlock(&x->mutex);
    }
    if (header_get(q, "Expect", text, sizeof text)) {
        static const char GO_ON[] = "HTTP/1.1 100 Continue\r\n\r\n";
        header_set(q, "Expect", NULL);
        if (!send_all(p->client, GO_ON, sizeof GO_ON - 1))
            return false;
    }
    q->status = 0;
    if (v.fault != DEAF && !read_body(p->client, q, false))
        return false;
    if (ours)
        return control(p, q, a) && !q->close;
    hook(&v.rule, false);
    if (v.fault == GARBLE)
        flip(&q->body, v.chance);
    if (!refuse(p, q, a, &v, &keep)) {
        keep = pass_on(p, q, a);
        note(x, q, v.fault, a->status); /* before the client can ask for it */
        hook(&v.rule, true);
        return answer(p, q, a, &v) && keep && !q->close;
    }
    note(x, q, v.fault, 0);
    return keep && !q->close;
}

void serve(struct peer *p)
{
    struct message q, a;

    message_init(&q);
    message_init(&a);
    while (request(p, &q, &a)) {
    }
    message_done(&q);
    message_done(&a);
    if (p->server >= 0)
        (void)close(p->server);
}
