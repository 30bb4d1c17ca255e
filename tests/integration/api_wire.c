#include "t.h"

#include "api_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t wire_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int wire_connect(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool wire_send(int fd, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        const ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* Where the headers end, or NULL. */
static const char *end_of_headers(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    return end == NULL ? NULL : end + 4;
}

static void header(const char *text, const char *end, const char *name, char *out, size_t cap)
{
    const size_t len = strlen(name);
    out[0] = '\0';
    for (const char *line = strstr(text, "\r\n"); line != NULL && line + 2 < end;
         line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':') {
            const char *v = line + 3 + len;
            v += strspn(v, " \t");
            (void)snprintf(out, cap, "%.*s", (int)strcspn(v, "\r\n"), v);
            return;
        }
}

/* All of one answer is there. */
static bool is_whole(struct wire_answer *a, bool head)
{
    const char *body = end_of_headers(a->text);
    char length[32], coding[32];
    if (body == NULL)
        return false;
    header(a->text, body, "Content-Length", length, sizeof length);
    header(a->text, body, "Content-Type", a->type, sizeof a->type);
    header(a->text, body, "Transfer-Encoding", coding, sizeof coding);
    a->status = atoi(a->text + 9);
    a->body = body;
    if (strncmp(a->type, "text/event-stream", 17) == 0)
        return true;
    if (a->status / 100 == 1)
        return false; /* another one follows */
    if (head || a->status == 204 || a->status == 304)
        return true;
    if (coding[0] != '\0')
        return strstr(body, "0\r\n\r\n") != NULL;
    return a->len - (size_t)(body - a->text) >= strtoul(length, NULL, 10);
}

bool wire_read(int fd, struct wire_answer *a, bool head, int timeout_ms)
{
    const int64_t until_ms = wire_now_ms() + timeout_ms;
    *a = (struct wire_answer){ .text = calloc(1, WIRE_BYTES) };
    assert_non_null(a->text);
    a->body = "";
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        const int64_t left_ms = until_ms - wire_now_ms();
        if (left_ms <= 0 || poll(&p, 1, (int)left_ms) == 0) {
            a->late = true;
            return false;
        }
        const ssize_t n = recv(fd, a->text + a->len, WIRE_BYTES - 1 - a->len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return a->status != 0 && is_whole(a, head);
        a->len += (size_t)n;
        for (char *p0 = a->text;
             a->len > 25 && strncmp(p0, "HTTP/1.1 100", 12) == 0 && end_of_headers(p0) != NULL;) {
            const size_t skip = (size_t)(end_of_headers(p0) - p0);
            memmove(p0, p0 + skip, a->len - skip + 1);
            a->len -= skip;
        }
        if (is_whole(a, head) || a->len == WIRE_BYTES - 1)
            return true;
    }
}

void wire_done(struct wire_answer *a)
{
    free(a->text);
    *a = (struct wire_answer){ 0 };
}
