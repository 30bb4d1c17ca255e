#include "prism/io/log.h"
#include "service_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void stop_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
}

/* 1: signal_fd is readable; 0: time is up; -1: told to end. */
static int await(struct pr_shell *sh, int timeout_ms)
{
    struct pollfd fd[2] = { { .fd = sh->quit_fd, .events = POLLIN },
                            { .fd = sh->signal_fd, .events = POLLIN } };
    int n;
    do /* once stopping, further signals change nothing */
        n = poll(fd, timeout_ms < 0 ? 2 : 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    if (n > 0 && fd[0].revents == 0)
        return 1;
    return n == 0 ? 0 : -1;
}

static void *wait_for_signal(void *arg)
{
    struct pr_shell *sh = arg;
    struct signalfd_siginfo info;
    if (await(sh, -1) != 1)
        return NULL;
    if (read(sh->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        info.ssi_signo = SIGTERM;
    pr_info(PR_EV("service.stopping"),
            PR_S("signal", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM"));

    atomic_store(&sh->stopping, true);
    pthread_mutex_lock(&sh->lock);
    pthread_cond_broadcast(&sh->wake);
    pthread_mutex_unlock(&sh->lock);
    if (await(sh, PR_DRAIN_S * 1000) == 0) {
        pr_error(PR_EV("service.drain_timeout"), PR_I("seconds", PR_DRAIN_S));
        _exit(EXIT_FAILURE); /* what is unfinished is picked up after the restart */
    }
    return NULL;
}

enum pr_code pr_service_signals(struct pr_shell *sh, struct pr_err *err)
{
    sigset_t set;
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that hangs up is an error code, not our end */
    stop_signals(&set);
    int rc = pthread_sigmask(SIG_BLOCK, &set, NULL); /* inherited by every later thread */
    sh->signal_fd = rc == 0 ? signalfd(-1, &set, SFD_CLOEXEC) : -1;
    sh->quit_fd = eventfd(0, EFD_CLOEXEC);
    if (sh->signal_fd < 0 || sh->quit_fd < 0)
        return pr_fail(err, PR_EINTERNAL, "signals: %s", strerror(rc != 0 ? rc : errno));
    rc = pthread_create(&sh->signals, NULL, wait_for_signal, sh);
    if (rc != 0)
        return pr_fail(err, PR_ENOMEM, "signal thread: %s", strerror(rc));
    sh->signals_on = true;
    return PR_OK;
}

void pr_service_signals_end(struct pr_shell *sh)
{
    const uint64_t one = 1;
    if (sh->signals_on && write(sh->quit_fd, &one, sizeof one) == (ssize_t)sizeof one)
        (void)pthread_join(sh->signals, NULL);
    if (sh->signal_fd >= 0)
        (void)close(sh->signal_fd);
    if (sh->quit_fd >= 0)
        (void)close(sh->quit_fd);
}
