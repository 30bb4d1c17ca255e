#include "io/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 20, TIMEOUT_MS = 600000 };

static void nap(void)
{
    (void)nanosleep(&(struct timespec){ 0, POLL_MS * 1000000L }, NULL);
}

static enum pr_code draw_password(char out[65], struct pr_err *err)
{
    unsigned char raw[32];
    if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
        return pr_fail(err, PR_EUNAVAIL, "no random bytes: %s", strerror(errno));
    for (size_t i = 0; i < sizeof raw; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", raw[i]);
    return PR_OK;
}

/* Its settings come by its standard input: the password is in no file and no list of processes.
 * aof-load-truncated no: what ends in the middle of a command is not what was written here.
 * rdbcompression no: what DUMP answers goes to another server at once. */
static int write_settings(int fd, const struct dr_quarantine *q)
{
    char text[3 * sizeof q->dir];
    const int n = snprintf(text, sizeof text,
                           "port 0\nunixsocket \"%s\"\nunixsocketperm 700\nrequirepass %s\n"
                           "dir \"%s\"\nappendonly yes\naof-load-truncated no\nsave \"\"\n"
                           "appendfsync no\nauto-aof-rewrite-percentage 0\nmaxmemory 0\n"
                           "rdbcompression no\n"
                           "lazyfree-lazy-user-del yes\nlogfile \"%s/log\"\n",
                           q->socket, q->password, q->dir, q->dir);
    return n > 0 && n < (int)sizeof text && write(fd, text, (size_t)n) == n ? 0 : -1;
}

static _Noreturn void become_server(int in, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC); /* ours is for the result */
    if (getppid() == parent && dup2(in, STDIN_FILENO) == STDIN_FILENO &&
        dup2(nowhere, STDOUT_FILENO) == STDOUT_FILENO)
        execlp("redis-server", "redis-server", "-", (char *)NULL);
    _exit(127);
}

/* The name of a socket has little room. */
static enum pr_code choose_socket(struct dr_quarantine *q, struct pr_err *err)
{
    const int n = snprintf(q->socket, sizeof q->socket, "%s/s", q->dir);
    if (n < (int)sizeof q->socket)
        return PR_OK;
    char own[] = "/tmp/prism-dr-XXXXXX";
    if (mkdtemp(own) == NULL)
        return pr_fail(err, PR_EUNAVAIL, "%s: %s", own, strerror(errno));
    (void)snprintf(q->socket_dir, sizeof q->socket_dir, "%s", own);
    (void)snprintf(q->socket, sizeof q->socket, "%s/s", own);
    return PR_OK;
}

enum pr_code dr_quarantine_open(struct dr_quarantine *q, const char *dir, struct pr_err *err)
{
    int in[2];
    *q = (struct dr_quarantine){ .pid = 0 };
    const int n = snprintf(q->dir, sizeof q->dir, "%s", dir);
    if (n >= (int)sizeof q->dir || strpbrk(dir, "\"\\\n") != NULL)
        return pr_fail(err, PR_EINVAL, "%.100s: the name is too long, or has a quote in it", dir);
    enum pr_code rc = choose_socket(q, err);
    if (rc == PR_OK)
        rc = draw_password(q->password, err);
    if (rc != PR_OK)
        return rc;
    if (pipe2(in, O_CLOEXEC) != 0)
        return pr_fail(err, PR_EUNAVAIL, "redis-server on %s: %s", dir, strerror(errno));
    const pid_t parent = getpid();
    q->pid = fork();
    if (q->pid == 0)
        become_server(in[0], parent);
    const bool ok = q->pid > 0 && write_settings(in[1], q) == 0;
    close(in[0]);
    close(in[1]);
    if (ok)
        return PR_OK;
    q->pid = q->pid > 0 ? q->pid : 0;
    dr_quarantine_close(q);
    return pr_fail(err, PR_EUNAVAIL, "redis-server on %s: it cannot be started", dir);
}

/* The end of its log, in one line. */
static void last_words(const struct dr_quarantine *q, char *out, size_t n)
{
    char path[sizeof q->dir + 8], text[600];
    (void)snprintf(path, sizeof path, "%s/log", q->dir);
    (void)snprintf(out, n, "it left no log; is redis-server installed?");
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return;
    if (fseek(f, -(long)(sizeof text - 1), SEEK_END) != 0)
        rewind(f);
    size_t len = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    text[len] = '\0';
    const char *line = strrchr(text, '\n');
    (void)snprintf(out, n, "%.*s", (int)n - 1, line != NULL ? line + 1 : text);
}

static enum pr_code ended(struct dr_quarantine *q, struct pr_err *err)
{
    char words[200];
    last_words(q, words, sizeof words);
    q->pid = 0;
    return pr_fail(err, PR_EDATA, "redis-server does not load %s: %s", q->dir, words);
}

enum pr_code dr_quarantine_await(struct dr_quarantine *q, struct pr_err *err)
{
    struct pr_redis *c = NULL;
    for (;; nap()) {
        struct pr_err why = { 0 };
        PR_AUTO(redisReply) *reply = NULL;
        int status;
        if (q->cancel != NULL && atomic_load(q->cancel)) {
            pr_redis_close(c);
            return pr_fail(err, PR_ECANCELED, "redis-server on %s: not waited for", q->dir);
        }
        if (waitpid(q->pid, &status, WNOHANG) == q->pid) {
            pr_redis_close(c);
            return ended(q, err);
        }
        if (c == NULL && dr_quarantine_connect(q, &c, &why) != PR_OK)
            continue; /* it has not made its socket yet */
        if (pr_redis_command(c, &reply, &why, "PING") == PR_OK)
            break;
        if (pr_redis_broken(c)) {
            pr_redis_close(c);
            c = NULL;
        }
    }
    pr_redis_close(c);
    return PR_OK;
}

enum pr_code dr_quarantine_connect(const struct dr_quarantine *q, struct pr_redis **out,
                                   struct pr_err *err)
{
    const struct pr_redis_auth auth = { "default", q->password };
    return pr_redis_open(out, q->socket, 0, &auth, TIMEOUT_MS, err);
}

static bool number_after(const char *text, const char *name, uint64_t *out)
{
    const char *at = strstr(text, name);
    if (at == NULL)
        return false;
    *out = strtoull(at + strlen(name), NULL, 10);
    return true;
}

enum pr_code dr_quarantine_mortal(struct pr_redis *c, bool *out, struct pr_err *err)
{
    PR_AUTO(redisReply) *reply = NULL;
    uint64_t expires = 0;
    const enum pr_code rc = pr_redis_command(c, &reply, err, "INFO keyspace");
    *out = rc == PR_OK && reply->str != NULL && number_after(reply->str, ",expires=", &expires) &&
           expires > 0;
    return rc;
}

enum pr_code dr_quarantine_loaded(struct pr_redis *c, uint64_t *keys, struct pr_err *err)
{
    PR_AUTO(redisReply) *reply = NULL;
    uint64_t loaded, expired;
    const enum pr_code rc = pr_redis_command(c, &reply, err, "INFO persistence");
    if (rc != PR_OK)
        return rc;
    if (reply->str == NULL || !number_after(reply->str, "rdb_last_load_keys_loaded:", &loaded) ||
        !number_after(reply->str, "rdb_last_load_keys_expired:", &expired))
        return pr_fail(err, PR_EDATA, "INFO persistence does not say how many keys were loaded");
    *keys = loaded + expired;
    return PR_OK;
}

static void remove_traces(const struct dr_quarantine *q)
{
    char path[sizeof q->dir + 8];
    (void)snprintf(path, sizeof path, "%s/log", q->dir);
    (void)unlink(path);
    (void)unlink(q->socket);
    if (q->socket_dir[0] != '\0')
        (void)rmdir(q->socket_dir);
}

/* SIGTERM makes it write out and sync its append-only file. */
enum pr_code dr_quarantine_stop(struct dr_quarantine *q, struct pr_err *err)
{
    int status = 0;
    if (q->pid == 0)
        return PR_OK;
    (void)kill(q->pid, SIGTERM);
    while (waitpid(q->pid, &status, 0) < 0)
        if (errno != EINTR)
            return pr_fail(err, PR_EINTERNAL, "redis-server on %s: %s", q->dir, strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return ended(q, err);
    q->pid = 0;
    remove_traces(q);
    return PR_OK;
}

void dr_quarantine_kill(const struct dr_quarantine *q)
{
    if (q->pid != 0)
        (void)kill(q->pid, SIGKILL);
}

void dr_quarantine_close(struct dr_quarantine *q)
{
    if (q->pid == 0)
        return;
    dr_quarantine_kill(q);
    while (waitpid(q->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    q->pid = 0;
    remove_traces(q);
}
