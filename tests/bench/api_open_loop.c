/* Open-loop load on an HTTP server: requests leave at a fixed rate whatever the answers do, and
 * their time counts from when they should have left. One thread, keep-alive connections. Prints
 * one line: requests, errors, p50, p99, p99.9 and greatest time in ms. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 4096, ANSWER_BYTES = 16384, IDS = 100000 };

struct connection {
    int fd;
    int64_t due_us; /* of the request on its way; 0: none */
    size_t got;
    char answer[ANSWER_BYTES];
};

static struct connection *all;
static int *idle, n_idle, epoll_fd;
static double *took_ms;
static size_t done, errors;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what)
{
    fprintf(stderr, "api-open-loop: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void open_connection(int i, int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    const int on = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    all[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (all[i].fd < 0 || connect(all[i].fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    (void)setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = { .events = EPOLLIN, .data.u32 = (uint32_t)i };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, all[i].fd, &e) != 0)
        die("epoll");
    idle[n_idle++] = i;
}

static void send_one(const char *token, int64_t due_us)
{
    static uint32_t id = 1;
    char request[512];
    struct connection *c = &all[idle[--n_idle]];
    id = id * 1664525 + 1013904223; /* anywhere among the ids */
    int n = snprintf(request, sizeof request,
                     "GET /v1/vertices/%u HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
                     id % IDS, token);
    c->due_us = due_us;
    c->got = 0;
    if (write(c->fd, request, (size_t)n) != n)
        die("send");
}

/* Length of the answer, 0 while its head is not complete. */
static size_t whole(const struct connection *c)
{
    const char *end = strstr(c->answer, "\r\n\r\n");
    const char *length = strcasestr(c->answer, "content-length:");
    return end == NULL || length == NULL
               ? 0
               : (size_t)(end + 4 - c->answer) + strtoul(length + 15, NULL, 10);
}

static void take(int i)
{
    struct connection *c = &all[i];
    ssize_t n = read(c->fd, c->answer + c->got, ANSWER_BYTES - 1 - c->got);
    if (n <= 0)
        die("the server hung up");
    c->got += (size_t)n;
    c->answer[c->got] = '\0';
    const size_t want = whole(c);
    if (want == 0 || c->got < want)
        return;
    errors += strncmp(c->answer, "HTTP/1.1 200", 12) != 0;
    took_ms[done++] = (double)(now_us() - c->due_us) / 1e3;
    c->due_us = 0;
    idle[n_idle++] = i;
}

static int by_time(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double q)
{
    return took_ms[(size_t)(q * (double)(done - 1))];
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: api-open-loop PORT TOKEN CONNECTIONS RATE SECONDS\n");
        return 2;
    }
    const int connections = atoi(argv[3]), seconds = atoi(argv[5]);
    const double rate = atof(argv[4]);
    const size_t total = (size_t)(rate * seconds);
    if (connections < 1 || connections > MAX_CONNECTIONS || total < 1)
        return 2;
    all = calloc((size_t)connections, sizeof *all);
    idle = calloc((size_t)connections, sizeof *idle);
    took_ms = calloc(total, sizeof *took_ms);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (all == NULL || idle == NULL || took_ms == NULL || epoll_fd < 0)
        die("start");
    for (int i = 0; i < connections; i++)
        open_connection(i, atoi(argv[1]));

    const int64_t start_us = now_us();
    size_t sent = 0;
    while (done < total) {
        struct epoll_event event[64];
        while (sent < total && n_idle > 0) {
            const int64_t due_us = start_us + (int64_t)((double)sent / rate * 1e6);
            if (due_us > now_us())
                break;
            send_one(argv[2], due_us);
            sent++;
        }
        /* Spins: a timer's millisecond would be in the figures. */
        int n = epoll_wait(epoll_fd, event, 64, 0);
        for (int i = 0; i < n; i++)
            take((int)event[i].data.u32);
    }
    qsort(took_ms, done, sizeof *took_ms, by_time);
    printf("%zu %zu %.3f %.3f %.3f %.3f\n", done, errors, quantile(0.5), quantile(0.99),
           quantile(0.999), took_ms[done - 1]);
    return errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
