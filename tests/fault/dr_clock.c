/* Preloaded into prism-dr: its clock of the day is off by as many seconds as the file $DR_CLOCK
 * begins with (a 64-bit integer, shared with the test). Clocks that only count go on as they are.
 */
#undef _GNU_SOURCE
#define _GNU_SOURCE /* pthread_cond_clockwait */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const _Atomic long *off_s;

__attribute__((constructor)) static void open_clock(void)
{
    const char *path = getenv("DR_CLOCK");
    const int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    void *page = mmap(NULL, sizeof *off_s, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED)
        abort();
    off_s = page;
}

static long off(void)
{
    return off_s == NULL ? 0 : atomic_load(off_s);
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    const int rc = (int)syscall(SYS_clock_gettime, clock, at);
    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        at->tv_sec += off();
    return rc;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    *at = (struct timeval){ t.tv_sec, t.tv_nsec / 1000 };
    return 0;
}

time_t time(time_t *out)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    if (out != NULL)
        *out = t.tv_sec;
    return t.tv_sec;
}

/* A moment by the clock of the day is meant by ours; the kernel waits by its own. One by the clock
 * that counts from the start of the machine is far smaller. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mu,
                           const struct timespec *restrict until)
{
    enum { OF_THE_DAY_S = 1000000000 };
    struct timespec t = *until;
    if (t.tv_sec < OF_THE_DAY_S)
        return pthread_cond_clockwait(cond, mu, CLOCK_MONOTONIC, &t);
    t.tv_sec -= off();
    return pthread_cond_clockwait(cond, mu, CLOCK_REALTIME, &t);
}
