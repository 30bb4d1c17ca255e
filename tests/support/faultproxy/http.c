#include "proxy.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 64 << 10, BODY_MAX = 512 << 20 };

void message_init(struct message *m)
{
    *m = (struct message){ 0 };
    pr_buf_init(&m->head, HEAD_MAX);
    pr_buf_init(&m->body, BODY_MAX);
}

void message_done(struct message *m)
{
    pr_buf_done(&m->head);
    pr_buf_done(&m->body);
}

bool send_all(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n > 0) {
        const ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool read_more(int fd, struct pr_buf *b, size_t n)
{
    char bytes[64 << 10];

    while (n > 0) {
        const ssize_t got = recv(fd, bytes, n < sizeof bytes ? n : sizeof bytes, 0);
        if (got <= 0)
            return false;
        pr_buf_add(b, bytes, (size_t)got);
        n -= (size_t)got;
    }
    return !b->failed;
}

/* A byte at a time until end: nothing of what follows is taken. */
static bool read_until(int fd, struct pr_buf *b, const char *end)
{
    const size_t n = strlen(end);

    do {
        if (!read_more(fd, b, 1))
            return false;
    } while (b->len < n || memcmp(b->data + b->len - n, end, n) != 0);
    return true;
}

/* A header's line, from its name to behind its end; NULL. */
static char *line_of(const struct message *m, const char *name, size_t *len)
{
    const size_t n = strlen(name);

    for (char *p = strstr(m->head.data, "\r\n"); p != NULL && p[2] != '\r'; p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
            *len = (size_t)(strstr(p, "\r\n") + 2 - p);
            return p;
        }
    }
    return NULL;
}

bool header_get(const struct message *m, const char *name, char *out, size_t room)
{
    size_t len;
    const char *p = line_of(m, name, &len);

    if (p == NULL)
        return false;
    p += strlen(name) + 1;
    p += strspn(p, " ");
    (void)snprintf(out, room, "%.*s", (int)strcspn(p, "\r"), p);
    return true;
}

void header_set(struct message *m, const char *name, const char *value)
{
    size_t len;
    char *p;

    while ((p = line_of(m, name, &len)) != NULL) {
        memmove(p, p + len, m->head.len - (size_t)(p - m->head.data) - len + 1);
        m->head.len -= len;
    }
    if (value == NULL)
        return;
    m->head.len -= 2; /* the empty line */
    pr_buf_printf(&m->head, "%s: %s\r\n\r\n", name, value);
}

bool read_head(int fd, struct message *m, bool request)
{
    char target[4096], text[64];

    pr_buf_reset(&m->head);
    pr_buf_reset(&m->body);
    if (!read_until(fd, &m->head, "\r\n\r\n"))
        return false;
    m->close = header_get(m, "Connection", text, sizeof text) && strcasecmp(text, "close") == 0;
    if (!request)
        return sscanf(m->head.data, "HTTP/1.%*d %d", &m->status) == 1;
    if (sscanf(m->head.data, "%15s %4095s", m->method, target) != 2)
        return false;
    m->close = m->close || strstr(m->head.data, " HTTP/1.0\r\n") != NULL;
    const size_t path = strcspn(target, "?");
    (void)snprintf(m->path, sizeof m->path, "%.*s", (int)(path < 2000 ? path : 2000), target);
    (void)snprintf(m->query, sizeof m->query, "%.2000s",
                   target[path] == '?' ? target + path + 1 : "");
    return true;
}

static bool read_chunks(int fd, struct message *m)
{
    struct pr_buf line;
    unsigned long n = 1;
    bool ok = true;

    pr_buf_init(&line, 256);
    while (ok && n > 0) {
        pr_buf_reset(&line);
        ok = read_until(fd, &line, "\r\n");
        n = ok ? strtoul(line.data, NULL, 16) : 0;
        ok = ok && read_more(fd, &m->body, n);
        pr_buf_reset(&line);
        ok = ok && read_until(fd, &line, "\r\n");
    }
    pr_buf_done(&line);
    header_set(m, "Transfer-Encoding", NULL);
    return ok;
}

bool read_body(int fd, struct message *m, bool bodiless)
{
    char text[64];

    if (bodiless || m->status / 100 == 1 || m->status == 204 || m->status == 304)
        return true;
    if (header_get(m, "Transfer-Encoding", text, sizeof text)) {
        if (!read_chunks(fd, m))
            return false;
        (void)snprintf(text, sizeof text, "%zu", m->body.len);
        header_set(m, "Content-Length", text);
        return true;
    }
    if (header_get(m, "Content-Length", text, sizeof text))
        return read_more(fd, &m->body, strtoul(text, NULL, 10));
    while (m->status != 0 && read_more(fd, &m->body, 1)) /* an answer to the connection's end */
        m->close = true;
    return true;
}

void message_say(struct message *m, const struct message *q, int status, const char *type,
                 const char *body)
{
    pr_buf_reset(&m->head);
    pr_buf_reset(&m->body);
    m->status = status;
    pr_buf_printf(&m->head,
                  "HTTP/1.1 %d Made here\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                  status, type, strlen(body));
    if (strcmp(q->method, "HEAD") != 0)
        pr_buf_str(&m->body, body);
}

void reset(int fd)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    (void)close(fd);
}

void linger(int fd, unsigned ms)
{
    struct pollfd p = { .fd = fd, .events = POLLRDHUP };

    (void)poll(&p, 1, (int)ms);
}
