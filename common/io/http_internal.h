/* What the service shell needs beyond prism/io/http.h: several sets of routes,
 * each with its own ctx and hooks, on one listener. */
#ifndef PRISM_HTTP_INTERNAL_H
#define PRISM_HTTP_INTERNAL_H

#include "prism/io/http.h"

enum {
    PR_HTTP_MOUNTS = 2,
    PR_HTTP_PROBE = -1, /* access of a route: open, and answered above the connection limit */
};

/* bind, port and limits come from o[0]. done of o[0] is called for every
 * response; that of another only for its own routes and for no route at all. */
PR_CHECKED enum pr_code pr_http_open_mounts(struct pr_http **h, const struct pr_http_options *o,
                                            size_t n, struct pr_err *err);
/* Held: every route of that mount answers 503. Mounts above 0 are held from
 * the start, because their ctx may not be ready when the listener is. */
void pr_http_hold(struct pr_http *h, size_t mount, bool on);

/* Makes a listening socket; err names "bind:port". */
PR_CHECKED enum pr_code pr_http_listen(const char *bind_to, int port, int *fd, struct pr_err *err);
int pr_http_bound_port(int fd); /* of a listening socket; 0: unknown */

#endif
