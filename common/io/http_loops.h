/* The threads that hold a server's connections: each runs a libmicrohttpd daemon of its own around
 * poll, and one more accepts for all. A poll looks at every connection whenever one has something
 * to say, so each has few, and there are as many loops as the connections need: those that say
 * nothing cost others nothing. Not epoll: libmicrohttpd's stalls when exactly 128 or 256 events are
 * ready (0.9.75 and 1.0.1), and overlooks the end of a connection that came with its last bytes. */
#ifndef PRISM_HTTP_LOOPS_H
#define PRISM_HTTP_LOOPS_H

#include "prism/err.h"

#include <microhttpd.h>

struct pr_http;
struct pr_http_loops;
struct pr_http_loop;

struct pr_http_loops_options {
    int fd;         /* listens, does not block; closed by quiet */
    unsigned first; /* loops among which connections are spread; more when those are full */
    unsigned limit; /* connections; more wait to be accepted */
    unsigned each;  /* of one address, closed above; 0: as many as all */
};

/* The daemon of a loop, as the server wants it: with loop for on_connection, and at most so many
 * connections. NULL: it could not be started. */
typedef struct MHD_Daemon *pr_http_start_daemon(struct pr_http *h, struct pr_http_loop *loop,
                                                unsigned connections);

PR_CHECKED enum pr_code pr_http_loops_open(struct pr_http_loops **out,
                                           const struct pr_http_loops_options *o,
                                           pr_http_start_daemon *start, struct pr_http *h,
                                           struct pr_err *err);
struct pr_http *pr_http_loop_server(const struct pr_http_loop *loop);
/* A connection of it has gone. */
void pr_http_loop_left(struct pr_http_loop *loop, struct MHD_Connection *mhd);
void pr_http_loops_quiet(struct pr_http_loops *l); /* nobody new from here on */
void pr_http_loops_close(struct pr_http_loops *l); /* after quiet; no connection is suspended */

#endif
