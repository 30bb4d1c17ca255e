/* How long work is watched and stopped. */
#ifndef PLACEMENT_WATCH_H
#define PLACEMENT_WATCH_H

#include <stdbool.h>

/* Called often, from the calling thread only; done 0..1 only grows. false:
 * stop, and the function returns PR_ECANCELED within a second. */
struct placement_watch {
    bool (*go_on)(void *ctx, double done); /* NULL: go on */
    void *ctx;
};

#endif
