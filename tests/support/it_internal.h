/* Shared by the files of the harness only. */
#ifndef PRISM_IT_INTERNAL_H
#define PRISM_IT_INTERNAL_H

#include "t.h"

#include "it.h"

#include <time.h>

static inline int64_t it_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void it_pause_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    while (nanosleep(&t, &t) != 0) {
    }
}

const char *it_dir(void); /* PRISM_IT_DIR */

#endif
