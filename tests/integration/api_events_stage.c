#include "api_events_stage.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->text);
    *c = (struct client){ .fd = -1 };
}

/* More from the server; false when it has hung up or the time is over. */
bool client_read(struct client *c, int timeout_ms)
{
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    if (c->len + 65536 > c->cap) {
        c->cap = 2 * c->cap + 65536;
        c->text = realloc(c->text, c->cap + 1);
        assert_non_null(c->text);
    }
    if (poll(&p, 1, timeout_ms) <= 0)
        return false;
    ssize_t n = read(c->fd, c->text + c->len, c->cap - c->len);
    if (n <= 0)
        return false;
    c->len += (size_t)n;
    c->text[c->len] = '\0';
    return true;
}

static void client_drop(struct client *c, size_t n)
{
    memmove(c->text, c->text + n, c->len - n + 1);
    c->len -= n;
}

void client_connect(struct client *c, const char *token, const char *query, const char *headers,
                    int receive_bytes)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)fx.service.port) };
    char request[1024];
    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    if (receive_bytes > 0)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
    /* HTTP/1.0: the body is not cut into chunks, so frames can be read as they are. */
    int n = snprintf(request, sizeof request,
                     "GET /v1/events%s HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer tok-%s\r\n"
                     "Accept: text/event-stream\r\n%s\r\n",
                     query, token, headers == NULL ? "" : headers);
    assert_int_equal(write(c->fd, request, (size_t)n), n);
    char *end = NULL;
    while (end == NULL && client_read(c, EVENTS_WAIT_MS))
        end = strstr(c->text, "\r\n\r\n");
    assert_non_null(end);
    c->status = atoi(c->text + 9);
    char *retry = strcasestr(c->text, "\r\nRetry-After: ");
    if (retry != NULL)
        snprintf(c->retry_after, sizeof c->retry_after, "%.*s", (int)strcspn(retry + 15, "\r"),
                 retry + 15);
    client_drop(c, (size_t)(end + 4 - c->text));
}

static void field(const char *frame, size_t n, const char *name, char *out, size_t cap)
{
    char *at = memmem(frame, n, name, strlen(name));
    out[0] = '\0';
    if (at != NULL)
        snprintf(out, cap, "%.*s", (int)strcspn(at + strlen(name), "\n"), at + strlen(name));
}

/* The next frame; false when none comes. */
bool client_next(struct client *c, struct event *e, int timeout_ms)
{
    char *end;
    while ((end = c->len == 0 ? NULL : strstr(c->text, "\n\n")) == NULL)
        if (!client_read(c, timeout_ms))
            return false;
    const size_t n = (size_t)(end + 2 - c->text);
    field(c->text, n, "id: ", e->id, sizeof e->id);
    field(c->text, n, "event: ", e->kind, sizeof e->kind);
    field(c->text, n, "data: ", e->data, sizeof e->data);
    client_drop(c, n);
    return true;
}

/* The next that is no bookmark. */
void client_change(struct client *c, struct event *e, const char *resource)
{
    char want[200];
    do {
        if (!client_next(c, e, EVENTS_WAIT_MS))
            fail_msg("no event of %s", resource);
    } while (strcmp(e->kind, "bookmark") == 0);
    snprintf(want, sizeof want, "\"resource\":\"%s\"", resource);
    if (strstr(e->data, want) == NULL)
        fail_msg("%s instead of %s", e->data, resource);
}

void client_bookmark(struct client *c, struct event *e)
{
    assert_true(client_next(c, e, EVENTS_WAIT_MS));
    assert_string_equal(e->kind, "bookmark");
}

void client_zone(const char *id)
{
    api_sql("INSERT INTO zones (id) VALUES ('%s')", id);
}

/* A watch that has heard where it is. A new one begins where the replica is, which may be a
 * moment ago: it is read up to a change made now. */
void client_watch(struct client *c, const char *query, const char *headers, struct event *e)
{
    static int marks;
    char mark[32], want[64];
    client_connect(c, "viewer", query, headers, 0);
    if (c->status != 200)
        fail_msg("status %d: %s", c->status, c->text);
    client_bookmark(c, e);
    if (headers != NULL)
        return;
    snprintf(mark, sizeof mark, "mark%d", ++marks);
    snprintf(want, sizeof want, "\"resource\":\"zones/%s\"", mark);
    client_zone(mark);
    do
        assert_true(client_next(c, e, EVENTS_WAIT_MS));
    while (strstr(e->data, want) == NULL);
}

const char *client_last_id(const struct event *e)
{
    static char line[100];
    snprintf(line, sizeof line, "Last-Event-ID: %s\r\n", e->id);
    return line;
}
