#include "io/actuators/local.h"

#include "io/actuators/retry.h"

#include "prism/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_MAX = 1 << 20, WORDS = 150 };

/* All that the program learns from our environment: the rest has passwords and keys. */
static const char *const PASSED[] = { "PATH",   "HOME", "USER", "LOGNAME", "SHELL",
                                      "TMPDIR", "LANG", "TZ",   "LC_ALL" };

struct local {
    struct autoscale_actuator base;
    struct autoscale_pace pace;
    char command[1025];
    int64_t until_ms; /* of the call in hand: all its runs end before */
};

/* --- the program ------------------------------------------------------------------------- */

struct run { /* one run of it */
    struct local *l;
    const char *arg[4]; /* NULL-terminated */
    struct pr_buf out, err;
};

static void drain(int fd, struct pr_buf *to, short *events)
{
    char chunk[4096];
    const ssize_t n = read(fd, chunk, sizeof chunk);
    if (n > 0)
        pr_buf_add(to, chunk, (size_t)n);
    else if (n == 0 || (errno != EINTR && errno != EAGAIN))
        *events = 0;
}

/* Reads both until they are closed; false: the time was up first. */
static bool read_all(struct run *r, int out, int err, int64_t until_ms)
{
    struct pollfd fd[2] = { { .fd = out, .events = POLLIN }, { .fd = err, .events = POLLIN } };
    while (fd[0].events != 0 || fd[1].events != 0) {
        const int64_t left_ms = until_ms - r->l->pace.now_ms(r->l->pace.ctx);
        if (left_ms <= 0)
            return false;
        for (int i = 0; i < 2; i++)
            fd[i].fd = fd[i].events == 0 ? -1 : i == 0 ? out : err;
        if (poll(fd, 2, left_ms < 1000 ? (int)left_ms : 1000) < 0 && errno != EINTR)
            return false;
        if (fd[0].revents != 0)
            drain(out, &r->out, &fd[0].events);
        if (fd[1].revents != 0)
            drain(err, &r->err, &fd[1].events);
    }
    return true;
}

/* What it complained of last: one line, fit for a message. */
static void complaint(const struct run *r, char words[WORDS])
{
    const char *text = r->err.data == NULL ? "" : r->err.data;
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    size_t begin = n;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    (void)snprintf(words, WORDS, "%.*s", (int)(n - begin), text + begin);
    for (char *c = words; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
            *c = '?';
}

struct surroundings { /* of a run */
    char text[PR_COUNT(PASSED)][1024];
    char *env[PR_COUNT(PASSED) + 1];
};

static void surround(struct surroundings *s)
{
    size_t n = 0;
    for (size_t i = 0; i < PR_COUNT(PASSED); i++) {
        const char *value = getenv(PASSED[i]);
        if (value != NULL && (size_t)snprintf(s->text[n], sizeof s->text[n], "%s=%s", PASSED[i],
                                              value) < sizeof s->text[n]) {
            s->env[n] = s->text[n];
            n++;
        }
    }
    s->env[n] = NULL;
}

/* timeout(1) ends it with all that it started, also when we are killed first: whoever holds the
 * lease next must not be overtaken by it. */
static enum pr_code start(struct run *r, int64_t left_ms, int out[2], int err[2], pid_t *pid,
                          struct pr_err *why)
{
    char seconds[32], timeout[] = "timeout", how[] = "--signal=KILL";
    char *argv[5 + PR_COUNT(r->arg)] = { timeout, how, seconds, r->l->command };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    struct surroundings around;
    sigset_t none;
    for (size_t i = 0; i < PR_COUNT(r->arg) && r->arg[i] != NULL; i++)
        argv[i + 4] = (char *)(uintptr_t)r->arg[i];
    (void)snprintf(seconds, sizeof seconds, "%lld.%03lld", (long long)(left_ms / 1000),
                   (long long)(left_ms % 1000));
    surround(&around);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    posix_spawn_file_actions_adddup2(&files, err[1], 2);
    posix_spawn_file_actions_addclosefrom_np(&files, 3); /* our connections are not its business */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    const int rc = posix_spawnp(pid, timeout, &files, &attr, argv, around.env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return rc == 0 ? PR_OK
                   : pr_fail(why, PR_EINVAL, "local: %.100s: %s", r->l->command, strerror(rc));
}

static enum pr_code judge(struct run *r, bool in_time, int status, struct pr_err *err)
{
    char words[WORDS];
    complaint(r, words);
    if (!in_time)
        return pr_fail(err, PR_ETIMEOUT, "local: %s did not end in time; %s", r->arg[0], words);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return pr_fail(err, PR_EUNAVAIL, "local: %s failed (%d): %s", r->arg[0],
                       WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
                       words[0] != '\0' ? words : "no words");
    return r->out.failed ? pr_fail(err, PR_EDATA, "local: %s says too much", r->arg[0]) : PR_OK;
}

/* A program that is not done in time is killed with all that it started. */
static enum pr_code run_once(void *ctx, struct autoscale_try *t, struct pr_err *err)
{
    struct run *r = ctx;
    int out[2], bad[2], status = 0;
    pid_t pid = 0;
    const int64_t until_ms = t->until_ms < r->l->until_ms ? t->until_ms : r->l->until_ms;
    const int64_t left_ms = until_ms - r->l->pace.now_ms(r->l->pace.ctx);
    pr_buf_reset(&r->out);
    pr_buf_reset(&r->err);
    if (left_ms <= 0)
        return pr_fail(err, PR_ETIMEOUT, "local: no time is left to %s", r->arg[0]);
    if (pipe2(out, O_CLOEXEC) != 0)
        return pr_fail(err, PR_ENOMEM, "local: no pipe");
    if (pipe2(bad, O_CLOEXEC) != 0) {
        close(out[0]);
        close(out[1]);
        return pr_fail(err, PR_ENOMEM, "local: no pipe");
    }
    enum pr_code rc = start(r, left_ms, out, bad, &pid, err);
    close(out[1]);
    close(bad[1]);
    if (rc == PR_OK) {
        const bool in_time = read_all(r, out[0], bad[0], until_ms);
        if (!in_time)
            kill(-pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        rc = judge(r, in_time, status, err);
        /* Somebody else uses the stack just now. */
        t->again =
            rc == PR_EUNAVAIL && r->err.data != NULL && strstr(r->err.data, "is at work") != NULL;
    }
    close(out[0]);
    close(bad[0]);
    return rc;
}

static enum pr_code run(struct local *l, struct run *r, struct pr_err *err)
{
    r->l = l;
    pr_buf_init(&r->out, OUTPUT_MAX);
    pr_buf_init(&r->err, OUTPUT_MAX);
    return autoscale_retry(&l->pace, run_once, r, err);
}

static void run_done(struct run *r)
{
    pr_buf_done(&r->out);
    pr_buf_done(&r->err);
}

static void begin_call(struct local *l)
{
    l->until_ms = l->pace.now_ms(l->pace.ctx) + l->pace.deadline_ms;
}

/* --- what is listed ---------------------------------------------------------------------- */

enum pr_code autoscale_local_line(const char *line, struct autoscale_local_node *out,
                                  struct pr_err *err)
{
    char is[8] = "", in[8] = "";
    *out = (struct autoscale_local_node){ 0 };
    if (sscanf(line, "%63s %79s %255s %7s %7s", out->id, out->address, out->zone, is, in) != 5 ||
        (strcmp(is, "up") != 0 && strcmp(is, "down") != 0) ||
        (strcmp(in, "member") != 0 && strcmp(in, "outside") != 0))
        return pr_fail(err, PR_EDATA, "local: list: \"%.80s\" is no node", line);
    out->up = strcmp(is, "up") == 0;
    out->member = strcmp(in, "member") == 0;
    return PR_OK;
}

typedef enum pr_code each_fn(void *ctx, const struct autoscale_local_node *n, struct pr_err *err);

static enum pr_code list(struct local *l, each_fn *each, void *ctx, struct pr_err *err)
{
    struct run r = { .arg = { "list" } };
    char *rest = NULL;
    enum pr_code rc = run(l, &r, err);
    char *text = r.out.data;
    for (char *line = rc == PR_OK && text != NULL ? strtok_r(text, "\n", &rest) : NULL;
         line != NULL && rc == PR_OK; line = strtok_r(NULL, "\n", &rest)) {
        struct autoscale_local_node n;
        rc = autoscale_local_line(line, &n, err);
        if (rc == PR_OK)
            rc = each(ctx, &n, err);
    }
    run_done(&r);
    return rc;
}

static size_t target_of(const struct autoscale_actuator *a, const char *zone)
{
    size_t t = 0;
    while (t < a->targets && strcmp(a->target[t].name, zone) != 0)
        t++;
    return t;
}

struct filling {
    struct local *l;
    struct autoscale_report *to;
};

static enum pr_code add_node(void *ctx, const struct autoscale_local_node *n, struct pr_err *err)
{
    const struct filling *f = ctx;
    const size_t t = target_of(&f->l->base, n->zone);
    if (t == f->l->base.targets)
        return PR_OK; /* of a zone that is not the fleet's */
    struct autoscale_instance i = { .life = AUTOSCALE_IN_SERVICE, .healthy = n->up, .target = t };
    (void)snprintf(i.id, sizeof i.id, "%s", n->id);
    (void)snprintf(i.place, sizeof i.place, "%.63s", n->zone);
    (void)snprintf(i.state, sizeof i.state, "%s, %s", n->up ? "up" : "down",
                   n->member ? "member" : "outside");
    (void)snprintf(i.address, sizeof i.address, "%s", n->address);
    f->to->target[t].desired++;
    return autoscale_report_add(f->to, &i, err);
}

static enum pr_code local_describe(struct autoscale_actuator *a, int64_t since_ms,
                                   struct autoscale_report *out, struct pr_err *err)
{
    (void)since_ms;
    struct pr_err why = { 0 };
    struct filling f = { (struct local *)a, out };
    enum pr_code rc = autoscale_report_init(out, a->targets, err);
    if (rc != PR_OK)
        return rc;
    for (size_t t = 0; t < a->targets; t++)
        out->target[t] = (struct autoscale_reported){ .max = -1, .members_known = true };
    begin_call(f.l);
    rc = list(f.l, add_node, &f, &why);
    if (rc == PR_OK)
        return rc;
    autoscale_report_fail(out, rc, why.text);
    return pr_fail(err, rc, "%s", why.text);
}

/* --- orders ------------------------------------------------------------------------------ */

struct counting { /* the nodes of one zone */
    const char *zone, *id;
    int n;
    bool found, is_member; /* of id */
    int last_port;         /* of those outside; 0 none */
    char last[64];
};

static enum pr_code count_node(void *ctx, const struct autoscale_local_node *n, struct pr_err *err)
{
    (void)err;
    struct counting *c = ctx;
    const char *colon = strrchr(n->address, ':');
    const int port = colon == NULL ? 0 : (int)strtol(colon + 1, NULL, 10);
    if (strcmp(n->zone, c->zone) != 0)
        return PR_OK;
    c->n++;
    if (c->id != NULL && strcmp(c->id, n->id) == 0) {
        c->found = true;
        c->is_member = n->member;
    }
    if (!n->member && port > c->last_port) {
        c->last_port = port;
        (void)snprintf(c->last, sizeof c->last, "%s", n->id);
    }
    return PR_OK;
}

static enum pr_code count(struct local *l, size_t target, const char *id, struct counting *out,
                          struct pr_err *err)
{
    *out = (struct counting){ .zone = l->base.target[target].name, .id = id };
    return list(l, count_node, out, err);
}

static enum pr_code one_more(struct local *l, size_t target, struct pr_err *err)
{
    struct run r = { .arg = { "add", "--zone", l->base.target[target].name } };
    const enum pr_code rc = run(l, &r, err);
    run_done(&r);
    return rc;
}

static enum pr_code one_less(struct local *l, const char *id, struct pr_err *err)
{
    struct run r = { .arg = { "remove", id } };
    const enum pr_code rc = run(l, &r, err);
    run_done(&r);
    return rc;
}

/* Counted before each, so that one that an earlier try has started is noticed. */
static enum pr_code local_set_desired(struct autoscale_actuator *a, size_t target, int n,
                                      bool *sent, struct pr_err *err)
{
    struct local *l = (struct local *)a;
    *sent = false;
    begin_call(l);
    if (target >= a->targets || n < 0)
        return pr_fail(err, PR_EINVAL, "local: group %zu of %zu, %d nodes", target, a->targets, n);
    for (;;) {
        struct counting c;
        enum pr_code rc = count(l, target, NULL, &c, err);
        if (rc != PR_OK || c.n == n)
            return rc;
        if (l->pace.now_ms(l->pace.ctx) >= l->until_ms)
            return pr_fail(err, PR_ETIMEOUT, "local: zone %s: %d of %d nodes in time", c.zone, c.n,
                           n);
        if (c.n > n && c.last_port == 0)
            return pr_fail(err, PR_ECONFLICT,
                           "local: zone %s: all %d nodes are in the cluster: drain them first",
                           c.zone, c.n);
        rc = c.n < n ? one_more(l, target, err) : one_less(l, c.last, err);
        if (rc != PR_OK)
            return rc;
        *sent = true;
    }
}

static enum pr_code local_terminate(struct autoscale_actuator *a, size_t target, const char *id,
                                    int desired_after, bool *sent, struct pr_err *err)
{
    struct local *l = (struct local *)a;
    struct counting c;
    bool already = false;
    *sent = false;
    begin_call(l);
    if (target >= a->targets)
        return pr_fail(err, PR_EINVAL, "local: group %zu of %zu", target, a->targets);
    enum pr_code rc = count(l, target, id, &c, err);
    if (rc == PR_OK)
        rc = autoscale_may_lower(c.n, desired_after, &already, err);
    if (rc != PR_OK || !c.found)
        return rc;
    if (c.is_member)
        return pr_fail(err, PR_ECONFLICT, "local: %s is in the cluster: drain it first", id);
    if (already)
        return pr_fail(err, PR_ECONFLICT, "local: zone %s has %d nodes, and %s is one of them",
                       c.zone, c.n, id);
    rc = one_less(l, id, err);
    *sent = rc == PR_OK;
    return rc;
}

/* --- open, close ------------------------------------------------------------------------- */

static unsigned local_can(const struct autoscale_actuator *a, size_t target)
{
    (void)a, (void)target;
    return AUTOSCALE_CAN_ACT | AUTOSCALE_CAN_TERMINATE;
}

static void local_close(struct autoscale_actuator *a)
{
    struct local *l = (struct local *)a;
    free((void *)(uintptr_t)a->target);
    free(l);
}

enum pr_code autoscale_local_open(const struct autoscale_provider *p,
                                  struct autoscale_actuator **out, struct pr_err *err)
{
    const char *command = p->command == NULL ? "" : p->command;
    if (command[0] == '\0' || strlen(command) >= sizeof((struct local *)0)->command)
        return pr_fail(err, PR_EINVAL, "local: no program is set");
    if (access(command, X_OK) != 0)
        return pr_fail(err, PR_EINVAL, "local: %.150s: %s", command, strerror(errno));
    struct local *l = calloc(1, sizeof *l);
    struct autoscale_target *targets = calloc(p->targets + 1, sizeof *targets);
    if (l == NULL || targets == NULL) {
        free(l);
        free(targets);
        return pr_fail(err, PR_ENOMEM, "no memory");
    }
    if (p->targets > 0)
        memcpy(targets, p->target, p->targets * sizeof *targets);
    l->base = (struct autoscale_actuator){ .provider = "local",
                                           .target = targets,
                                           .targets = p->targets,
                                           .can = local_can,
                                           .describe = local_describe,
                                           .set_desired = local_set_desired,
                                           .terminate = local_terminate,
                                           .close = local_close };
    l->pace = p->pace;
    autoscale_pace_fill(&l->pace);
    memcpy(l->command, command, strlen(command) + 1);
    *out = &l->base;
    return PR_OK;
}
