/* faultproxy UPSTREAM_PORT PORT: stands on 127.0.0.1:PORT before 127.0.0.1:UPSTREAM_PORT until
 * it is killed. */
#include "proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void *run(void *arg)
{
    struct peer *p = arg;

    serve(p);
    if (p->abrupt)
        reset(p->client);
    else
        (void)close(p->client);
    free(p);
    return NULL;
}

static int listen_at(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port) };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    return fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 128) == 0 ? fd
                                                                                             : -1;
}

int main(int argc, char **argv)
{
    static struct proxy proxy = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    if (argc != 3 || (proxy.upstream_port = atoi(argv[1])) <= 0) {
        (void)fprintf(stderr, "usage: faultproxy UPSTREAM_PORT PORT\n");
        return 2;
    }
    const int fd = listen_at(atoi(argv[2]));
    if (fd < 0) {
        perror("faultproxy");
        return 1;
    }
    pr_map_init(&proxy.rules.seen);
    pr_buf_init(&proxy.log, 0);
    for (;;) {
        pthread_t thread;
        const int client = accept(fd, NULL, NULL);
        struct peer *p = client >= 0 ? malloc(sizeof *p) : NULL;

        if (p == NULL)
            continue;
        (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        *p = (struct peer){ &proxy, client, -1, false };
        if (pthread_create(&thread, NULL, run, p) == 0)
            (void)pthread_detach(thread);
        else
            (void)run(p);
    }
}
