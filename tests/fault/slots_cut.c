/* Preloaded into prism-rebalance: cuts it off from one Redis port, as a switch that
 * swallows packets would. What it sends there goes nowhere and still counts as sent;
 * a new connection gets through the handshake of TCP (to a socket that nobody
 * serves) and no further. Nodes still reach each other. Taking the rights of its
 * users away instead would be refused, not silent, which it must take differently.
 * $SLOTS_CUT names a file whose first int is the port; 0: none. When the cut is
 * over, connections that lost something are broken. */
#undef _GNU_SOURCE /* it makes connect's second parameter a union */
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FDS = 4096 };

static const atomic_int *cut; /* shared with the test */
static int hole = -1;
static struct sockaddr_in hole_address;
static atomic_int port_of[FDS]; /* connected to; 0 unknown */
static atomic_bool lossy[FDS];

__attribute__((constructor)) static void open_cut(void)
{
    const char *path = getenv("SLOTS_CUT");
    socklen_t len = sizeof hole_address;
    const int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    void *page = mmap(NULL, sizeof *cut, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    hole_address =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    hole = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (page == MAP_FAILED || hole < 0 || bind(hole, (struct sockaddr *)&hole_address, len) != 0 ||
        listen(hole, 64) != 0 || getsockname(hole, (struct sockaddr *)&hole_address, &len) != 0)
        abort();
    cut = page;
}

static int cut_port(void)
{
    return cut == NULL ? 0 : atomic_load(cut);
}

/* -1: send it; else what to return. */
static ssize_t instead(int fd, ssize_t n)
{
    if (fd < 0 || fd >= FDS || atomic_load(&port_of[fd]) == 0)
        return -1;
    if (atomic_load(&port_of[fd]) == cut_port()) {
        atomic_store(&lossy[fd], true);
        return n;
    }
    if (atomic_load(&lossy[fd]))
        (void)shutdown(fd, SHUT_RDWR); /* the real send then fails */
    return -1;
}

/* What libc's functions of these names do, which ours stand before. */

int connect(int fd, const struct sockaddr *to, socklen_t n)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)to;
    const int port = to->sa_family == AF_INET ? ntohs(in->sin_port) : 0;
    const bool swallowed = port != 0 && port == cut_port();
    if (fd >= 0 && fd < FDS) {
        atomic_store(&port_of[fd], port);
        atomic_store(&lossy[fd], swallowed);
    }
    if (swallowed)
        return (int)syscall(SYS_connect, fd, &hole_address, sizeof hole_address);
    return (int)syscall(SYS_connect, fd, to, n);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    const ssize_t r = instead(fd, (ssize_t)n);
    return r >= 0 ? r : syscall(SYS_sendto, fd, p, n, flags, NULL, 0);
}

ssize_t write(int fd, const void *p, size_t n)
{
    const ssize_t r = instead(fd, (ssize_t)n);
    return r >= 0 ? r : syscall(SYS_write, fd, p, n);
}

int close(int fd)
{
    if (fd >= 0 && fd < FDS)
        atomic_store(&port_of[fd], 0);
    return (int)syscall(SYS_close, fd);
}
