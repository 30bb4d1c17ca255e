#include "io/pg/child.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ARGS = 48,
    WORDS_BYTES = 16384,
    OUT_BYTES = 64 << 20,
    TURN_MS = 20, /* between looks at one that has closed its output and not ended */
    GRACE_MS = 5000
};

struct stream {
    int fd; /* -1: ended */
    char line[1024];
    size_t n;
};

struct dr_child {
    const char *name;
    bool keep_out, quiet;
    pid_t pid; /* 0: waited for */
    int status;
    struct stream out, err;
    struct pr_buf kept, words;
};

static void log_line(struct dr_child *c, struct stream *s)
{
    s->line[s->n] = '\0';
    s->n = 0;
    if (c->quiet || s->line[strspn(s->line, " ")] == '\0')
        return;
    pr_info(PR_EV("dr.pg.said"), PR_S("program", c->name), PR_I("pid", c->pid),
            PR_S("line", s->line));
}

/* Of its words the newest half are kept when there are too many. */
static void keep_words(struct dr_child *c, const char *p, size_t n)
{
    if (c->words.len + n > WORDS_BYTES && c->words.len > WORDS_BYTES / 2) {
        const size_t drop = c->words.len - WORDS_BYTES / 2;
        memmove(c->words.data, c->words.data + drop, c->words.len - drop);
        c->words.len -= drop;
        c->words.data[c->words.len] = '\0';
    }
    pr_buf_add(&c->words, p, n);
}

static void take(struct dr_child *c, struct stream *s, const char *p, size_t n)
{
    if (s == &c->out && c->keep_out) {
        pr_buf_add(&c->kept, p, n);
        return;
    }
    keep_words(c, p, n);
    for (size_t i = 0; i < n; i++)
        if (p[i] == '\n' || s->n == sizeof s->line - 1)
            log_line(c, s);
        else
            s->line[s->n++] = p[i];
}

static void drain(struct dr_child *c, struct stream *s)
{
    char buf[8192];
    while (s->fd >= 0) {
        const ssize_t n = read(s->fd, buf, sizeof buf);
        if (n > 0) {
            take(c, s, buf, (size_t)n);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (s->n > 0)
            log_line(c, s);
        close(s->fd);
        s->fd = -1;
    }
}

static bool reap(struct dr_child *c)
{
    int status;
    const pid_t pid = c->pid;
    if (pid == 0)
        return true;
    const pid_t got = waitpid(pid, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    c->pid = 0;
    c->status = got != pid ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return true;
}

bool dr_child_runs(struct dr_child *c)
{
    const bool ended = reap(c);
    drain(c, &c->out);
    drain(c, &c->err);
    return !ended;
}

void dr_child_fds(const struct dr_child *c, struct pollfd fd[2])
{
    fd[0] = (struct pollfd){ .fd = c->out.fd, .events = POLLIN };
    fd[1] = (struct pollfd){ .fd = c->err.fd, .events = POLLIN };
}

int dr_child_status(const struct dr_child *c)
{
    return c->status;
}

const struct pr_buf *dr_child_out(const struct dr_child *c)
{
    return &c->kept;
}

const struct pr_buf *dr_child_words(const struct dr_child *c)
{
    return &c->words;
}

/* --- starting ----------------------------------------------------------------------------------
 */

/* setpriv, because posix_spawn cannot ask for the signal at the parent's death; it becomes the
 * program. */
static bool line_up(const char *const *argv, const char *to[ARGS])
{
    static const char *const FIRST[] = { "setpriv", "--pdeathsig", "KILL", "--" };
    size_t n = 0;
    for (size_t i = 0; i < PR_COUNT(FIRST); i++)
        to[n++] = FIRST[i];
    for (; *argv != NULL; argv++) {
        if (n == ARGS - 1)
            return false;
        to[n++] = *argv;
    }
    to[n] = NULL;
    return true;
}

static int spawn(struct dr_child *c, const struct dr_child_options *o, int out, int err)
{
    const char *argv[ARGS];
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    if (!line_up(o->argv, argv))
        return E2BIG;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, err, 2);
    if (o->dir != NULL)
        posix_spawn_file_actions_addchdir_np(&files, o->dir);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    const int rc =
        posix_spawnp(&c->pid, argv[0], &files, &attr, (char *const *)(uintptr_t)argv, o->env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return rc;
}

static void discard(struct dr_child *c)
{
    if (c->out.fd >= 0)
        close(c->out.fd);
    if (c->err.fd >= 0)
        close(c->err.fd);
    pr_buf_done(&c->kept);
    pr_buf_done(&c->words);
    free(c);
}

enum pr_code dr_child_start(struct dr_child **out, const struct dr_child_options *o,
                            struct pr_err *err)
{
    int to[2] = { -1, -1 }, bad[2] = { -1, -1 };
    struct dr_child *c = calloc(1, sizeof *c);
    if (c == NULL)
        return pr_fail(err, PR_ENOMEM, "%s: no memory", o->name);
    c->name = o->name;
    c->keep_out = o->keep_out;
    c->quiet = o->quiet;
    pr_buf_init(&c->kept, OUT_BYTES);
    pr_buf_init(&c->words, 0);
    const bool piped = pipe2(to, O_CLOEXEC) == 0 && pipe2(bad, O_CLOEXEC) == 0;
    c->out.fd = to[0];
    c->err.fd = bad[0];
    const int rc = piped ? spawn(c, o, to[1], bad[1]) : errno;
    if (to[1] >= 0)
        close(to[1]);
    if (bad[1] >= 0)
        close(bad[1]);
    if (rc != 0) {
        discard(c);
        return pr_fail(err, PR_EUNAVAIL, "%s cannot be started: %s", o->name, strerror(rc));
    }
    (void)fcntl(c->out.fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(c->err.fd, F_SETFL, O_NONBLOCK);
    *out = c;
    return PR_OK;
}

/* --- ending ------------------------------------------------------------------------------------
 */

/* Until it has ended or the time is up; true: it has. */
static bool await(struct dr_child *c, int64_t until_us)
{
    while (dr_child_runs(c)) {
        struct pollfd fd[2];
        const int64_t left_ms = (until_us - pr_mono_us()) / 1000;
        if (left_ms <= 0)
            return false;
        dr_child_fds(c, fd);
        /* Children of its own may hold its output open when it has ended. */
        (void)poll(fd, 2, left_ms < TURN_MS ? (int)left_ms : TURN_MS);
    }
    return true;
}

static void end(struct dr_child *c, int wait_ms)
{
    const pid_t group = c->pid;
    if (group == 0)
        return;
    if (wait_ms > 0) {
        (void)kill(-group, SIGTERM);
        if (await(c, pr_mono_us() + wait_ms * 1000LL))
            return;
    }
    (void)kill(-group, SIGKILL);
    (void)await(c, pr_mono_us() + GRACE_MS * 1000LL);
}

void dr_child_stop(struct dr_child *c, int wait_ms)
{
    if (c == NULL)
        return;
    end(c, wait_ms);
    discard(c);
}

enum pr_code dr_child_run(const struct dr_child_options *o, int timeout_ms, int *status,
                          struct pr_buf *out, struct pr_buf *words, struct pr_err *err)
{
    struct dr_child *c = NULL;
    enum pr_code rc = dr_child_start(&c, o, err);
    if (rc != PR_OK)
        return rc;
    if (!await(c, pr_mono_us() + timeout_ms * 1000LL)) {
        rc = pr_fail(err, PR_ETIMEOUT, "%s did not end within %d s", o->name, timeout_ms / 1000);
        end(c, GRACE_MS);
    }
    *status = c->status;
    if (out != NULL)
        pr_buf_add(out, c->kept.data, c->kept.len);
    if (words != NULL)
        pr_buf_add(words, c->words.data, c->words.len);
    if (rc == PR_OK && c->kept.failed)
        rc = pr_fail(err, PR_EDATA, "%s says too much", o->name);
    discard(c);
    return rc;
}
