#include "http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static enum pr_code bind_fault(const char *where, int fault, struct pr_err *err)
{
    if (fault == EADDRINUSE)
        return pr_fail(err, PR_EUNAVAIL, "cannot listen on %s: the port is taken", where);
    return pr_fail(err, fault == EADDRNOTAVAIL ? PR_EINVAL : PR_EUNAVAIL, "cannot listen on %s: %s",
                   where, strerror(fault));
}

enum pr_code pr_http_listen(const char *bind_to, int port, int *fd, struct pr_err *err)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *addr = NULL;
    char service[16], where[160];
    (void)snprintf(service, sizeof service, "%d", port);
    (void)snprintf(where, sizeof where, strchr(bind_to, ':') ? "[%.128s]:%d" : "%.128s:%d", bind_to,
                   port);

    int rc = getaddrinfo(bind_to, service, &hints, &addr);
    if (rc != 0)
        return pr_fail(err, PR_EINVAL, "cannot listen on %s: %s", where, gai_strerror(rc));

    const int on = 1;
    int s = socket(addr->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(s, addr->ai_addr, addr->ai_addrlen) != 0 || listen(s, SOMAXCONN) != 0) {
        int fault = errno;
        if (s >= 0)
            (void)close(s);
        freeaddrinfo(addr);
        return bind_fault(where, fault, err);
    }
    freeaddrinfo(addr);
    *fd = s;
    return PR_OK;
}

int pr_http_bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = { .any = { .sa_family = AF_UNSPEC } };
    socklen_t n = sizeof a;
    if (getsockname(fd, &a.any, &n) != 0)
        return 0;
    return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}
