/* Who watches /v1/events at this replica: how many at once, and who is cut off. */
#ifndef METADATA_API_WATCH_H
#define METADATA_API_WATCH_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api_watchers;
struct api_watcher;

struct api_watch_limits {
    int64_t all, each; /* watchers; of one principal */
    int64_t slow_ms;   /* what a client may take for one block */
};

struct api_watchers *api_watchers_new(void); /* NULL: out of memory */
void api_watchers_free(struct api_watchers *w);

/* PR_EFULL: this principal has as many as it may; PR_EUNAVAIL: the replica has.
 * socket: shut down when it is to be cut off, until it is removed. */
PR_CHECKED enum pr_code api_watchers_add(struct api_watchers *w, const struct api_watch_limits *l,
                                         const char *principal, int socket,
                                         struct api_watcher **out, struct pr_err *err);
void api_watchers_remove(struct api_watchers *w, struct api_watcher *one);
/* A block was handed to the client at that time; 0: it has taken it. */
void api_watcher_handed(struct api_watchers *w, struct api_watcher *one, int64_t at_ms);
/* Shuts down whoever has not taken its block since then; how many. */
size_t api_watchers_cut(struct api_watchers *w, const struct api_watch_limits *l, int64_t now_ms);
size_t api_watchers_count(struct api_watchers *w);

#endif
