#include "io/psync.h"

#include "prism/io/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MARK = 40, LINE = 512, SLICE_MS = 250, ALIVE_MS = 15000 /* between signs of life */ };

enum phase { PREAMBLE, BASE_BY_LENGTH, BASE_BY_MARK, STREAM };

struct dr_psync {
    int fd;
    char name[PR_HOST + 8];
    enum phase phase;
    uint64_t left;               /* BASE_BY_LENGTH: bytes to come */
    char mark[MARK], hold[MARK]; /* BASE_BY_MARK: its end; the last bytes, which may be the mark */
    size_t held;
    char line[LINE]; /* of the preamble, so far */
    size_t line_n;
    int64_t heard_us;
    const atomic_bool *stop;
};

static enum pr_code broke(const struct dr_psync *p, struct pr_err *err, const char *what)
{
    return pr_fail(err, PR_EUNAVAIL, "redis %s: replication: %s", p->name, what);
}

void dr_psync_close(struct dr_psync *p)
{
    if (p == NULL)
        return;
    if (p->fd >= 0)
        close(p->fd);
    free(p);
}

int dr_psync_fd(const struct dr_psync *p)
{
    return p->fd;
}

int64_t dr_psync_heard_us(const struct dr_psync *p)
{
    return p->heard_us;
}

/* --- connecting ------------------------------------------------------------------------- */

static enum pr_code await(const struct dr_psync *p, short events, int64_t until_us,
                          struct pr_err *err)
{
    for (;;) {
        const int64_t left_ms = (until_us - pr_mono_us()) / 1000;
        struct pollfd f = { .fd = p->fd, .events = events };
        if (p->stop != NULL && atomic_load(p->stop))
            return pr_fail(err, PR_ECANCELED, "redis %s: told to stop", p->name);
        if (left_ms <= 0)
            return broke(p, err, "no answer in time");
        const int n = poll(&f, 1, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS);
        if (n > 0)
            return PR_OK;
        if (n < 0 && errno != EINTR)
            return broke(p, err, strerror(errno));
    }
}

static enum pr_code connect_one(struct dr_psync *p, const struct addrinfo *a, int64_t until_us,
                                struct pr_err *err)
{
    const int on = 1;
    p->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->fd < 0)
        return broke(p, err, strerror(errno));
    (void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(p->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on); /* a host that vanished */
    int failed = connect(p->fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    enum pr_code rc = PR_OK;
    if (failed == EINPROGRESS) {
        socklen_t len = sizeof failed;
        rc = await(p, POLLOUT, until_us, err);
        if (rc == PR_OK)
            (void)getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &failed, &len);
    }
    if (rc == PR_OK && failed != 0)
        rc = broke(p, err, strerror(failed));
    if (rc != PR_OK) {
        close(p->fd);
        p->fd = -1;
    }
    return rc;
}

static enum pr_code dial(struct dr_psync *p, const struct dr_psync_from *from, int64_t until_us,
                         struct pr_err *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%d", from->port);
    const int no = getaddrinfo(from->host, port, &hints, &found);
    if (no != 0)
        return broke(p, err, gai_strerror(no));
    enum pr_code rc = PR_EUNAVAIL;
    for (const struct addrinfo *a = found; a != NULL && rc != PR_OK; a = a->ai_next)
        rc = connect_one(p, a, until_us, err);
    freeaddrinfo(found);
    return rc;
}

/* --- the handshake: one question, one answer -------------------------------------------- */

static enum pr_code send_all(const struct dr_psync *p, const char *data, size_t n, int64_t until_us,
                             struct pr_err *err)
{
    while (n > 0) {
        const ssize_t sent = send(p->fd, data, n, MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent;
            n -= (size_t)sent;
        } else if (errno == EAGAIN) {
            const enum pr_code rc = await(p, POLLOUT, until_us, err);
            if (rc != PR_OK)
                return rc;
        } else if (errno != EINTR)
            return broke(p, err, strerror(errno));
    }
    return PR_OK;
}

static enum pr_code ask(const struct dr_psync *p, size_t argc, const char *const *argv,
                        int64_t until_us, struct pr_err *err)
{
    struct pr_buf out;
    pr_buf_init(&out, 0);
    pr_buf_printf(&out, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        pr_buf_printf(&out, "$%zu\r\n", strlen(argv[i]));
        pr_buf_str(&out, argv[i]);
        pr_buf_str(&out, "\r\n");
    }
    enum pr_code rc = out.failed ? pr_fail(err, PR_ENOMEM, "redis %s: no memory", p->name)
                                 : send_all(p, out.data, out.len, until_us, err);
    pr_buf_done(&out);
    return rc;
}

/* One byte at a time: what follows the line may be the base, which is read elsewhere.
 * *whole: line holds a line without its end. */
static enum pr_code read_some_line(struct dr_psync *p, bool *whole, struct pr_err *err)
{
    *whole = false;
    for (;;) {
        char c;
        const ssize_t n = recv(p->fd, &c, 1, 0);
        if (n == 0)
            return broke(p, err, "the server closed the connection");
        if (n < 0 && errno == EAGAIN)
            return PR_OK;
        if (n < 0 && errno != EINTR)
            return broke(p, err, strerror(errno));
        if (n < 0)
            continue;
        p->heard_us = pr_mono_us();
        if (c == '\n') {
            const bool empty = p->line_n == 0 || (p->line_n == 1 && p->line[0] == '\r');
            p->line[p->line_n] = '\0';
            p->line_n = 0;
            if (empty)
                continue; /* "wait, I am still saving" */
            p->line[strcspn(p->line, "\r")] = '\0';
            *whole = true;
            return PR_OK;
        }
        if (p->line_n + 1 >= LINE)
            return pr_fail(err, PR_EDATA, "redis %s: an answer without an end: is it Redis?",
                           p->name);
        p->line[p->line_n++] = c;
    }
}

/* patience_us: every byte gives it so much more time; 0: none. */
static enum pr_code read_line(struct dr_psync *p, int64_t until_us, int64_t patience_us,
                              struct pr_err *err)
{
    for (;;) {
        bool whole;
        enum pr_code rc = read_some_line(p, &whole, err);
        if (rc != PR_OK || whole)
            return rc;
        if (patience_us > 0 && p->heard_us + patience_us > until_us)
            until_us = p->heard_us + patience_us;
        rc = await(p, POLLIN, until_us, err);
        if (rc != PR_OK)
            return rc;
    }
}

static enum pr_code refused(const struct dr_psync *p, const char *what, struct pr_err *err)
{
    static const char *const DENIED[] = { "-NOAUTH", "-NOPERM", "-WRONGPASS" };
    enum pr_code code = p->line[0] == '-' ? PR_EUNAVAIL : PR_EDATA;
    for (size_t i = 0; i < PR_COUNT(DENIED); i++)
        if (strncmp(p->line, DENIED[i], strlen(DENIED[i])) == 0)
            code = PR_EDENIED;
    return pr_fail(err, code, "redis %s: %s: %.150s", p->name, what, p->line);
}

static enum pr_code say(struct dr_psync *p, size_t argc, const char *const *argv, int64_t until_us,
                        struct pr_err *err)
{
    enum pr_code rc = ask(p, argc, argv, until_us, err);
    if (rc == PR_OK)
        rc = read_line(p, until_us, 0, err);
    return rc == PR_OK && p->line[0] != '+' ? refused(p, argv[0], err) : rc;
}

/* ROLE: "*5 $5 slave $9 127.0.0.1 :6379 $9 connected :1234" or "*3 $6 master :1234 *n ...".
 * The answer of a primary has its replicas behind it, so a connection that saw one is
 * useless for PSYNC unless all of it was read. */
static enum pr_code read_reply(struct dr_psync *p, struct pr_buf *words, int64_t until_us,
                               struct pr_err *err)
{
    size_t todo = 1;
    while (todo > 0) {
        enum pr_code rc = read_line(p, until_us, 0, err);
        if (rc != PR_OK)
            return rc;
        todo--;
        if (p->line[0] == '-')
            return refused(p, "ROLE", err);
        if (p->line[0] == '*')
            todo += (size_t)strtoul(p->line + 1, NULL, 10);
        else if (p->line[0] == '$') {
            rc = read_line(p, until_us, 0, err); /* no word of ROLE has a line's end in it */
            if (rc != PR_OK)
                return rc;
            pr_buf_printf(words, "%s ", p->line);
        } else
            pr_buf_printf(words, "%s ", p->line + 1);
        if (words->len > 64 * LINE || todo > LINE)
            return pr_fail(err, PR_EDATA, "redis %s: ROLE answered nonsense", p->name);
    }
    return PR_OK;
}

static enum pr_code check_role(struct dr_psync *p, const struct dr_psync_from *from, bool *primary,
                               int64_t until_us, struct pr_err *err)
{
    static const char *const ROLE[] = { "ROLE" };
    struct pr_buf words;
    pr_buf_init(&words, 0);
    enum pr_code rc = ask(p, 1, ROLE, until_us, err);
    if (rc == PR_OK)
        rc = read_reply(p, &words, until_us, err);
    if (rc == PR_OK && words.data == NULL)
        rc = pr_fail(err, PR_EDATA, "redis %s: ROLE answered nothing", p->name);
    if (rc == PR_OK) {
        *primary = strncmp(words.data, "master ", 7) == 0;
        if (*primary && !from->primary_too)
            rc = broke(p, err, "it is a primary, where our acknowledgements would count for WAIT");
        else if (!*primary && strstr(words.data, " connected ") == NULL)
            rc = broke(p, err, "it is no replica in step with its primary");
    }
    pr_buf_done(&words);
    return rc;
}

static bool copy_replid(char out[DR_REPLID], const char *text)
{
    if (strspn(text, "0123456789abcdef") != DR_REPLID - 1)
        return false;
    memcpy(out, text, DR_REPLID - 1);
    out[DR_REPLID - 1] = '\0';
    return true;
}

static enum pr_code begin(struct dr_psync *p, const struct dr_psync_from *from,
                          struct dr_psync_start *start, int64_t until_us, struct pr_err *err)
{
    static const char FULL[] = "+FULLRESYNC ", ON[] = "+CONTINUE";
    const bool known = from->replid != NULL && from->replid[0] != '\0';
    char next[24];
    snprintf(next, sizeof next, "%llu", (unsigned long long)from->offset + 1);
    const char *psync[] = { "PSYNC", known ? from->replid : "?", known ? next : "-1" };
    enum pr_code rc = ask(p, PR_COUNT(psync), psync, until_us, err);
    if (rc == PR_OK)
        rc = read_line(p, until_us, (int64_t)ALIVE_MS * 1000, err);
    if (rc != PR_OK)
        return rc;
    if (strncmp(p->line, FULL, sizeof FULL - 1) == 0) {
        const char *at = p->line + sizeof FULL - 1;
        char *end = NULL;
        start->full = true;
        if (!copy_replid(start->replid, at) || at[DR_REPLID - 1] != ' ')
            return refused(p, "PSYNC", err);
        start->offset = strtoull(at + DR_REPLID, &end, 10);
        p->phase = PREAMBLE;
        return *end == '\0' ? PR_OK : refused(p, "PSYNC", err);
    }
    if (!known || strncmp(p->line, ON, sizeof ON - 1) != 0)
        return refused(p, "PSYNC", err);
    start->offset = from->offset;
    const char *at = p->line + sizeof ON - 1;
    if (!copy_replid(start->replid, *at == ' ' ? at + 1 : from->replid))
        return refused(p, "PSYNC", err);
    p->phase = STREAM;
    return PR_OK;
}

static enum pr_code handshake(struct dr_psync *p, const struct dr_psync_from *from,
                              struct dr_psync_start *start, struct pr_err *err)
{
    static const char *const CAPA[] = { "REPLCONF", "capa", "eof", "capa", "psync2" };
    const int64_t until_us = pr_mono_us() + (int64_t)from->timeout_ms * 1000;
    const char *user = from->auth.user, *password = from->auth.password;
    enum pr_code rc = dial(p, from, until_us, err);
    if (rc == PR_OK && password != NULL && password[0] != '\0') {
        const bool named = user != NULL && user[0] != '\0';
        const char *auth[] = { "AUTH", named ? user : password, password };
        rc = say(p, named ? 3 : 2, auth, until_us, err);
    }
    if (rc == PR_OK)
        rc = check_role(p, from, &start->primary, until_us, err);
    if (rc == PR_OK)
        rc = say(p, PR_COUNT(CAPA), CAPA, until_us, err);
    return rc == PR_OK ? begin(p, from, start, until_us, err) : rc;
}

enum pr_code dr_psync_open(struct dr_psync **out, const struct dr_psync_from *from,
                           struct dr_psync_start *start, struct pr_err *err)
{
    struct dr_psync *p = calloc(1, sizeof *p);
    if (p == NULL)
        return pr_fail(err, PR_ENOMEM, "redis %s:%d: no memory", from->host, from->port);
    *start = (struct dr_psync_start){ .full = false };
    p->fd = -1;
    p->stop = from->stop;
    p->heard_us = pr_mono_us();
    snprintf(p->name, sizeof p->name, "%.63s:%d", from->host, from->port);
    const enum pr_code rc = handshake(p, from, start, err);
    if (rc != PR_OK) {
        dr_psync_close(p);
        return rc;
    }
    *out = p;
    return PR_OK;
}

/* --- the base and the stream -------------------------------------------------------------- */

/* "$<length>" or "$EOF:<40 bytes>". */
static enum pr_code learn_length(struct dr_psync *p, struct pr_err *err)
{
    static const char BY_MARK[] = "$EOF:";
    if (strncmp(p->line, BY_MARK, sizeof BY_MARK - 1) == 0) {
        if (strlen(p->line) != sizeof BY_MARK - 1 + MARK)
            return refused(p, "base", err);
        memcpy(p->mark, p->line + sizeof BY_MARK - 1, MARK);
        p->phase = BASE_BY_MARK;
        p->held = 0;
        return PR_OK;
    }
    char *end = p->line;
    if (p->line[0] == '$')
        p->left = strtoull(p->line + 1, &end, 10);
    if (end == p->line || *end != '\0' || p->left == 0)
        return refused(p, "base", err);
    p->phase = BASE_BY_LENGTH;
    return PR_OK;
}

/* got 0: nothing there. */
static enum pr_code take(struct dr_psync *p, void *buf, size_t room, size_t *got,
                         struct pr_err *err)
{
    const ssize_t n = recv(p->fd, buf, room, 0);
    *got = n > 0 ? (size_t)n : 0;
    if (n > 0)
        p->heard_us = pr_mono_us();
    if (n == 0)
        return broke(p, err, "the server closed the connection");
    return n < 0 && errno != EAGAIN && errno != EINTR ? broke(p, err, strerror(errno)) : PR_OK;
}

/* The server sends nothing behind the mark before we acknowledge, so it is the end of
 * what has arrived, or not there yet. */
static enum pr_code read_to_mark(struct dr_psync *p, char *buf, size_t room,
                                 enum dr_psync_part *part, size_t *got, struct pr_err *err)
{
    size_t n;
    memcpy(buf, p->hold, p->held);
    const enum pr_code rc = take(p, buf + p->held, room - p->held, &n, err);
    if (rc != PR_OK || n == 0)
        return rc;
    n += p->held;
    p->held = n < MARK ? n : MARK;
    memcpy(p->hold, buf + n - p->held, p->held);
    *got = n - p->held;
    *part = *got > 0 ? DR_PSYNC_BASE : DR_PSYNC_NOTHING;
    return PR_OK;
}

static bool at_mark(const struct dr_psync *p)
{
    return p->held == MARK && memcmp(p->hold, p->mark, MARK) == 0;
}

enum pr_code dr_psync_read(struct dr_psync *p, void *buf, size_t room, enum dr_psync_part *part,
                           size_t *got, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    *part = DR_PSYNC_NOTHING;
    *got = 0;
    if (p->phase == PREAMBLE) {
        bool whole;
        rc = read_some_line(p, &whole, err);
        return rc == PR_OK && whole ? learn_length(p, err) : rc;
    }
    if ((p->phase == BASE_BY_MARK && at_mark(p)) || (p->phase == BASE_BY_LENGTH && p->left == 0)) {
        p->phase = STREAM;
        *part = DR_PSYNC_BASE_END;
        return PR_OK;
    }
    if (p->phase == BASE_BY_MARK)
        return read_to_mark(p, buf, room, part, got, err);
    if (p->phase == BASE_BY_LENGTH && room > p->left)
        room = (size_t)p->left;
    rc = take(p, buf, room, got, err);
    if (*got == 0)
        return rc;
    *part = p->phase == STREAM ? DR_PSYNC_STREAM : DR_PSYNC_BASE;
    p->left -= p->phase == BASE_BY_LENGTH ? *got : 0;
    return rc;
}

enum pr_code dr_psync_ack(struct dr_psync *p, uint64_t offset, struct pr_err *err)
{
    char number[24], out[96];
    const int digits = snprintf(number, sizeof number, "%llu", (unsigned long long)offset);
    const int n = snprintf(out, sizeof out, "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$%d\r\n%s\r\n",
                           digits, number);
    /* Whole or not at all: a socket whose buffer is that full is not being read. */
    const ssize_t sent = send(p->fd, out, (size_t)n, MSG_NOSIGNAL);
    if (sent == n || (sent < 0 && (errno == EAGAIN || errno == EINTR)))
        return PR_OK;
    return broke(p, err, sent < 0 ? strerror(errno) : "the server does not read");
}
