/* Bytes from a port to another, until it is killed: what a bucket that goes away looks like. */
#include "dr_pg_relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS = 64 };

static int open_port(int port, int to)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)(port != 0 ? port : to)) };
    const int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (port != 0 ? bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, PAIRS) == 0
                  : connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

static int move(int from, int to)
{
    char buf[65536];
    const ssize_t n = read(from, buf, sizeof buf);
    for (ssize_t at = 0; at < n;) {
        const ssize_t put = send(to, buf + at, (size_t)(n - at), MSG_NOSIGNAL);
        if (put <= 0)
            return -1;
        at += put;
    }
    return n > 0 ? 0 : -1;
}

static void serve(int listener, int to)
{
    struct pollfd fd[1 + 2 * PAIRS];
    for (size_t i = 0; i < 1 + 2 * PAIRS; i++)
        fd[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
    fd[0].fd = listener;
    while (poll(fd, 1 + 2 * PAIRS, -1) >= 0 || errno == EINTR) {
        for (size_t i = 1; i < 1 + 2 * PAIRS; i += 2) {
            int bad = 0;
            if (fd[i].fd >= 0 && fd[i].revents != 0)
                bad |= move(fd[i].fd, fd[i + 1].fd);
            if (fd[i].fd >= 0 && fd[i + 1].revents != 0)
                bad |= move(fd[i + 1].fd, fd[i].fd);
            if (bad != 0) {
                close(fd[i].fd);
                close(fd[i + 1].fd);
                fd[i].fd = fd[i + 1].fd = -1;
            }
        }
        for (size_t i = 1; fd[0].revents != 0 && i < 1 + 2 * PAIRS; i += 2)
            if (fd[i].fd < 0) {
                fd[i].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                fd[i + 1].fd = open_port(0, to);
                fd[i].revents = fd[i + 1].revents = 0;
                if (fd[i].fd < 0 || fd[i + 1].fd < 0)
                    _exit(1);
                break;
            }
    }
}

int dr_pg_relay(int port, int to)
{
    const int listener = open_port(port, 0);
    const pid_t parent = getpid();
    if (listener < 0)
        return -1;
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            serve(listener, to);
        _exit(0);
    }
    close(listener);
    return pid;
}
