/* One measurement, one process. */
#include "graphs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static enum pr_code start(const struct bench_files *f, bool peer, const struct bench_task *t,
                          int report, pid_t *pid, struct pr_err *err)
{
    char program[512], text[BENCH_TEXT], *args[BENCH_ARGS + 1];
    posix_spawn_file_actions_t actions;
    snprintf(program, sizeof program, "%s/placement-bench-%s", f->bin, peer ? "peer" : "ours");
    args[0] = program;
    bench_task_args(t, args + 1, text);
    posix_spawn_file_actions_init(&actions);
    /* Descriptor 3 survives the exec even when it was the pipe's own number. */
    posix_spawn_file_actions_adddup2(&actions, report, BENCH_FD);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    const int failed = posix_spawn(pid, program, &actions, NULL, args, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0)
        return pr_fail(err, PR_EUNAVAIL, "cannot start %s: %s", program, strerror(failed));
    return PR_OK;
}

enum pr_code bench_run(const struct bench_files *f, bool peer, const struct bench_task *t,
                       struct bench_outcome *o, struct pr_err *err)
{
    int pipe_fd[2], status = 0;
    struct rusage use;
    pid_t pid;
    if (pipe2(pipe_fd, O_CLOEXEC) != 0)
        return pr_fail(err, PR_EUNAVAIL, "no pipe: %s", strerror(errno));
    enum pr_code rc = start(f, peer, t, pipe_fd[1], &pid, err);
    (void)close(pipe_fd[1]);
    if (rc == PR_OK) {
        while (wait4(pid, &status, 0, &use) < 0 && errno == EINTR)
            ;
        /* An outcome is smaller than what a pipe holds. */
        if (read(pipe_fd[0], o, sizeof *o) == (ssize_t)sizeof *o) {
            o->peak_bytes = (uint64_t)use.ru_maxrss * 1024;
        } else {
            *o = (struct bench_outcome){ .rc = PR_EINTERNAL };
            snprintf(o->text, sizeof o->text, "died of %s %d",
                     WIFSIGNALED(status) ? "signal" : "status",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        }
    }
    (void)close(pipe_fd[0]);
    return rc;
}
