#include "it_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MAX_CHILDREN = 256, STOP_MS = 30000, READY_MS = 60000 };

static pid_t children[MAX_CHILDREN]; /* not yet waited for */
static size_t n_children;

static void kill_children(void)
{
    for (size_t i = 0; i < n_children; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    n_children = 0;
}

static void remember(pid_t pid)
{
    static bool registered;

    if (!registered) {
        registered = true;
        atexit(kill_children);
    }
    assert_true(n_children < MAX_CHILDREN);
    children[n_children++] = pid;
}

/* Asked before a signal is sent: to 0 or -1 it would reach everybody who runs the tests. */
static size_t find_child(pid_t pid)
{
    for (size_t i = 0; i < n_children; i++)
        if (children[i] == pid)
            return i;
    fail_msg("pid %d is no child of this test, or was waited for already", (int)pid);
    return 0;
}

static void forget(pid_t pid)
{
    children[find_child(pid)] = children[n_children - 1];
    n_children--;
}

/* In the child. Only what is allowed after fork in a process with threads. */
static void become(int out, int err, char *const *env, const char *const *argv, pid_t parent)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127); /* it died before the line above */
    dup2(null, 0);
    dup2(out, 1);
    dup2(err, 2);
    execve(argv[0], (char *const *)(uintptr_t)argv, env);
    static const char what[] = "cannot execute: ";
    if (write(2, what, sizeof what - 1) < 0 || write(2, argv[0], strlen(argv[0])) < 0)
        _exit(126);
    _exit(127);
}

/* Ours first: getenv takes the first of two. Freed by the caller (not deep). */
static char **merged_env(const char *const *extra)
{
    size_t n = 0, m = 0, k = 0;
    char **out;

    while (extra != NULL && extra[n] != NULL)
        n++;
    while (environ[m] != NULL)
        m++;
    out = calloc(n + m + 1, sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < n; i++)
        out[k++] = (char *)(uintptr_t)extra[i];
    for (size_t i = 0; i < m; i++)
        if (strncmp(environ[i], "PRISM_", 6) != 0) /* a developer's own settings */
            out[k++] = environ[i];
    return out;
}

/* out_fd < 0: standard output goes to the log as well. */
static pid_t spawn(const char *const *env, const char *const *argv, int out_fd)
{
    static unsigned count;
    const char *slash = strrchr(argv[0], '/');
    char path[4096], **all = merged_env(env);
    pid_t parent = getpid(), pid;
    int log;

    snprintf(path, sizeof path, "%s/log/test-%s-%d-%u.log", it_dir(),
             slash != NULL ? slash + 1 : argv[0], (int)parent, ++count);
    log = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        fail_msg("%s: %s", path, strerror(errno));
    pid = fork();
    if (pid == 0)
        become(out_fd >= 0 ? out_fd : log, log, all, argv, parent);
    close(log);
    free(all);
    if (pid < 0)
        fail_msg("fork: %s", strerror(errno));
    remember(pid);
    return pid;
}

pid_t it_spawn(const char *const *env, const char *const *argv)
{
    return spawn(env, argv, -1);
}

static int status_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool ended(pid_t pid, int *status)
{
    pid_t r = waitpid(pid, status, WNOHANG);

    if (r < 0)
        fail_msg("waitpid(%d): %s", (int)pid, strerror(errno));
    return r == pid;
}

int it_wait(pid_t pid, int timeout_ms)
{
    int64_t deadline = it_now_ms() + timeout_ms;
    int status;

    while (!ended(pid, &status)) {
        if (it_now_ms() >= deadline) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            forget(pid);
            fail_msg("pid %d did not end within %d ms", (int)pid, timeout_ms);
        }
        it_pause_ms(5);
    }
    forget(pid);
    return status_of(status);
}

int it_stop(pid_t pid)
{
    (void)find_child(pid);
    kill(pid, SIGTERM);
    return it_wait(pid, STOP_MS);
}

void it_kill(pid_t pid)
{
    forget(pid);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

bool it_alive(pid_t pid)
{
    siginfo_t info = { 0 };

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

int it_run(const char *const *env, const char *const *argv, char *out, size_t n, int timeout_ms)
{
    char path[] = "/tmp/prism-it-XXXXXX";
    int fd = mkstemp(path), rc;
    pid_t pid;

    if (fd < 0)
        fail_msg("%s: %s", path, strerror(errno));
    unlink(path);
    pid = spawn(env, argv, fd);
    rc = it_wait(pid, timeout_ms);
    if (out != NULL && n > 0) {
        ssize_t got = pread(fd, out, n - 1, 0);
        out[got > 0 ? got : 0] = '\0';
    }
    close(fd);
    return rc;
}

int it_free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        fail_msg("no free port: %s", strerror(errno));
    close(fd);
    return ntohs(a.sin_port);
}

/* --- HTTP --------------------------------------------------------------- */
static int dial(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port) };
    struct timeval limit = { .tv_sec = 10 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* HTTP/1.0: the reply ends with the connection and is never chunked. */
static int read_reply(int fd, char *reply, size_t n)
{
    size_t cap = 1 << 20, len = 0;
    char *buf = malloc(cap + 1), *body;
    ssize_t got;
    int status = 0;

    assert_non_null(buf);
    while (len < cap && (got = recv(fd, buf + len, cap - len, 0)) > 0)
        len += (size_t)got;
    buf[len] = '\0';
    if (sscanf(buf, "HTTP/1.%*d %d", &status) != 1)
        status = 0;
    body = strstr(buf, "\r\n\r\n");
    if (reply != NULL && n > 0)
        snprintf(reply, n, "%s", body != NULL ? body + 4 : "");
    free(buf);
    return status;
}

int it_http(int port, const char *method, const char *path, const char *headers, const char *body,
            char *reply, size_t n)
{
    char head[8192];
    int fd = dial(port), status = 0;

    if (reply != NULL && n > 0)
        reply[0] = '\0';
    if (fd < 0)
        return 0;
    snprintf(head, sizeof head,
             "%s %s HTTP/1.0\r\nHost: 127.0.0.1\r\n%sContent-Length: %zu\r\n\r\n", method, path,
             headers != NULL ? headers : "", body != NULL ? strlen(body) : 0);
    if (send_all(fd, head, strlen(head)) && (body == NULL || send_all(fd, body, strlen(body))))
        status = read_reply(fd, reply, n);
    close(fd);
    return status;
}

double it_metric(int port, const char *name)
{
    static char text[256 * 1024];
    const size_t n = strlen(name);
    assert_int_equal(it_http(port, "GET", "/metrics", NULL, NULL, text, sizeof text), 200);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) == 0 && line[n] == ' ')
            return strtod(line + n, NULL);
    }
    return 0;
}

/* --- services ----------------------------------------------------------- */
enum { MAX_SETTINGS = 32, SETTING = 2048 };

struct settings {
    char text[MAX_SETTINGS][SETTING];
    const char *list[MAX_SETTINGS + 64];
    size_t n;
};

static void set(struct settings *s, const char *name, const char *value)
{
    assert_true(s->n < MAX_SETTINGS);
    int len = snprintf(s->text[s->n], SETTING, "%s=%s", name, value);
    assert_true(len < SETTING);
    s->list[s->n] = s->text[s->n];
    s->n++;
}

static const char *own(const char *service, const char *what)
{
    char name[96], upper[32];

    snprintf(upper, sizeof upper, "%s", service);
    for (char *c = upper; *c != '\0'; c++)
        *c = (char)(*c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    snprintf(name, sizeof name, "IT_%s_%s", upper, what);
    return it_env(name);
}

void it_service_launch(struct it_service *s, const char *name, const char *db_uri,
                       const char *const *extra, int port)
{
    struct settings *set_up = calloc(1, sizeof *set_up);
    char uri[IT_URI], text[16], program[4096];

    assert_non_null(set_up);
    for (size_t i = 0; extra != NULL && extra[i] != NULL; i++) { /* first: they win */
        assert_true(set_up->n < MAX_SETTINGS);
        set_up->list[set_up->n++] = extra[i];
    }
    it_role_uri(db_uri, name, uri);
    snprintf(text, sizeof text, "%d", port);
    set(set_up, "PRISM_DB_URI", uri);
    set(set_up, "PRISM_NATS_URL", it_env("IT_NATS_URL"));
    set(set_up, "PRISM_NATS_USER", own(name, "NATS_USER"));
    set(set_up, "PRISM_NATS_PASSWORD", own(name, "NATS_PASSWORD"));
    set(set_up, "PRISM_HTTP_PORT", text);
    if (strcmp(name, "rebalance") == 0) {
        set(set_up, "PRISM_REDIS_SEEDS", it_env("IT_REDIS_SEEDS"));
        set(set_up, "PRISM_REDIS_USER", it_env("IT_REBALANCE_REDIS_USER"));
        set(set_up, "PRISM_REDIS_PASSWORD", it_env("IT_REBALANCE_REDIS_PASSWORD"));
    }
    if (strcmp(name, "autoscale") == 0) {
        set(set_up, "PRISM_REDIS_USER", it_env("IT_AUTOSCALE_REDIS_USER"));
        set(set_up, "PRISM_REDIS_PASSWORD", it_env("IT_AUTOSCALE_REDIS_PASSWORD"));
    }
    if (strcmp(name, "dr") == 0) {
        set(set_up, "PRISM_REDIS_USER", it_env("IT_DR_REDIS_USER"));
        set(set_up, "PRISM_REDIS_PASSWORD", it_env("IT_DR_REDIS_PASSWORD"));
    }
    snprintf(program, sizeof program, "%s/prism-%s", PRISM_BIN_DIR, name);
    const char *argv[] = { program, NULL };
    s->port = port;
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", port);
    s->pid = it_spawn(set_up->list, argv);
    free(set_up);
}

bool it_service_ready(const struct it_service *s)
{
    return it_http(s->port, "GET", "/readyz", NULL, NULL, NULL, 0) == 200;
}

static bool ready_or_dead(void *ctx)
{
    const struct it_service *s = ctx;

    return it_service_ready(s) || !it_alive(s->pid);
}

void it_service(struct it_service *s, const char *name, const char *db_uri,
                const char *const *extra)
{
    char why[1024];

    it_service_launch(s, name, db_uri, extra, it_free_port());
    it_await(ready_or_dead, s, READY_MS);
    if (!it_alive(s->pid))
        fail_msg("prism-%s ended at once, status %d: see %s/log/test-prism-%s-*.log", name,
                 it_wait(s->pid, 1000), it_dir(), name);
    if (it_http(s->port, "GET", "/readyz", NULL, NULL, why, sizeof why) != 200)
        fail_msg("prism-%s is not ready after %d s: %s", name, READY_MS / 1000, why);
}
