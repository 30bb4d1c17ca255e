/* Connections of a server: how many there are, who is at the other end, and which take too long. */
#ifndef PRISM_HTTP_PEER_H
#define PRISM_HTTP_PEER_H

#include "prism/err.h"
#include "tls_internal.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct pr_peers;
struct pr_peer; /* one connection; used by one thread at a time: its loop's, or a worker's */

struct pr_peer_limits {
    unsigned connections;
    int64_t idle_ms;             /* what libmicrohttpd lets a connection be silent */
    int64_t request_ms;          /* from a request's first line to the end of its body */
    int64_t slowest_bytes_per_s; /* a client takes what it asked for at least so fast */
};

/* With a thread that looks four times a second: it ends connections that are late, and calls look.
 */
PR_CHECKED enum pr_code pr_peers_open(struct pr_peers **out, const struct pr_peer_limits *limits,
                                      struct pr_tls *tls /* NULL: none */, void (*look)(void *ctx),
                                      void *ctx, struct pr_err *err);
void pr_peers_close(struct pr_peers *all);   /* when no connection is left; NULL is fine */
uint64_t pr_peers_cut(struct pr_peers *all); /* connections ended because they were late */

/* A connection has come: the context of its socket; NULL: no memory. Closed: has gone. */
struct pr_peer *pr_peer_new(struct pr_peers *all, struct MHD_Connection *mhd);
void pr_peer_free(struct pr_peers *all, struct pr_peer *p); /* before its socket is closed */
struct pr_peer *pr_peer_of(struct MHD_Connection *mhd);
/* What is with the connection, for whoever ends it. NULL: nothing. */
void pr_peer_hold(struct pr_peer *p, void *what);
void *pr_peer_held(const struct pr_peer *p);
bool pr_peer_over(const struct pr_peer *p); /* it came above the limit */

/* What it has to do now, and by when. */
void pr_peer_asks(struct pr_peer *p);                  /* the rest of a request */
void pr_peer_goes_on(struct pr_peer *p);               /* the same, after it waited */
void pr_peer_waits(struct pr_peer *p);                 /* nothing: its answer is being made */
void pr_peer_takes(struct pr_peer *p, uint64_t bytes); /* an answer of so many */
void pr_peer_rests(struct pr_peer *p);                 /* the next request, if it likes */

/* Names of the client by its certificate; NULL: it has shown none, or it has expired. */
const struct pr_tls_peer *pr_peer_tls(struct pr_peer *p, struct MHD_Connection *mhd,
                                      int64_t now_ms);
/* Its address: bytes of it, 4 or 16; 0: unknown. */
size_t pr_sockaddr_address(const struct sockaddr *from, unsigned char out[16]);
size_t pr_peer_address(struct MHD_Connection *mhd, unsigned char out[16]);

#endif
