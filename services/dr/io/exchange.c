#include "io/exchange.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { PATH = 4200, NAP_MS = 200, TELL_S = 10, HEAR_MS = 1000 };

static const char MAGIC[8] = { 'P', 'R', 'D', 'R', 'P', 'A', 'R', '1' };

static void path_of(const struct dr_exchange *x, const char *name, unsigned part, char out[PATH])
{
    (void)snprintf(out, PATH, "%s/%s.%u-of-%u", x->dir, name, part, x->of);
}

static enum pr_code failed(const char *path, struct pr_err *err)
{
    return pr_fail(err, errno == ENOSPC ? PR_EFULL : PR_EUNAVAIL, "%s: %s", path, strerror(errno));
}

/* --- writing ------------------------------------------------------------------------------------
 */

static bool write_all(int fd, const void *data, size_t n)
{
    for (size_t done = 0; done < n;) {
        const ssize_t k = write(fd, (const char *)data + done, n - done);
        if (k < 0 && errno != EINTR)
            return false;
        done += k > 0 ? (size_t)k : 0;
    }
    return true;
}

/* magic, run, XXH3 of the data; the data */
enum pr_code dr_exchange_put(const struct dr_exchange *x, const char *name,
                             const struct pr_buf *data, struct pr_err *err)
{
    char path[PATH], tmp[PATH + 8];
    struct pr_buf head;
    if (data->failed)
        return pr_fail(err, PR_ENOMEM, "no memory for what the other parts have to know");
    path_of(x, name, x->part, path);
    if (access(path, F_OK) == 0)
        return pr_fail(err, PR_EEXISTS, "%s is there, of an earlier try: all parts want a new one",
                       path);
    (void)snprintf(tmp, sizeof tmp, "%s.tmp", path);
    pr_buf_init(&head, 0);
    pr_buf_add(&head, MAGIC, sizeof MAGIC);
    pr_buf_u64le(&head, x->run);
    pr_buf_u64le(&head, XXH3_64bits(data->data, data->len));
    const int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool ok = fd >= 0 && !head.failed && write_all(fd, head.data, head.len) &&
                    write_all(fd, data->data, data->len) && fsync(fd) == 0 &&
                    rename(tmp, path) == 0;
    const enum pr_code rc = ok ? PR_OK : failed(tmp, err);
    if (fd >= 0)
        close(fd);
    pr_buf_done(&head);
    return rc;
}

void dr_exchange_give_up(const struct dr_exchange *x)
{
    char path[PATH];
    if (x->dir == NULL)
        return;
    path_of(x, "gave-up", x->part, path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
}

/* --- being there --------------------------------------------------------------------------------
 */

struct dr_exchange_beat {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t ends;
    bool end;
    const struct dr_exchange *x;
};

/* Opened and closed every time: only then other machines see it. */
static bool say_there(const struct dr_exchange *x, uint64_t n)
{
    char path[PATH], text[24];
    path_of(x, "there", x->part, path);
    const int len = snprintf(text, sizeof text, "%020" PRIu64, n);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const bool ok = fd >= 0 && write_all(fd, text, (size_t)len);
    return fd >= 0 && close(fd) == 0 && ok;
}

static void *beat(void *arg)
{
    struct dr_exchange_beat *b = arg;
    bool well = true;
    pthread_mutex_lock(&b->mu);
    for (uint64_t n = 2;; n++) {
        const int64_t until_us = pr_mono_us() + DR_EXCHANGE_BEAT_MS * 1000;
        while (!b->end && pr_cond_until(&b->ends, &b->mu, until_us))
            ;
        if (b->end)
            break;
        pthread_mutex_unlock(&b->mu);
        const bool ok = say_there(b->x, n);
        if (!ok && well)
            pr_warn(PR_EV("dr.exchange_unwritable"), PR_S("dir", b->x->dir));
        well = ok;
        pthread_mutex_lock(&b->mu);
    }
    pthread_mutex_unlock(&b->mu);
    return NULL;
}

enum pr_code dr_exchange_begin(struct dr_exchange *x, struct pr_err *err)
{
    struct dr_exchange_beat *b = calloc(1, sizeof *b);
    if (b == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory to tell the other parts");
    if (!say_there(x, 1)) {
        free(b);
        return failed(x->dir, err);
    }
    b->x = x;
    pthread_mutex_init(&b->mu, NULL);
    pr_cond_init(&b->ends);
    if (pthread_create(&b->thread, NULL, beat, b) == 0) {
        x->beat = b;
        return PR_OK;
    }
    pthread_cond_destroy(&b->ends);
    pthread_mutex_destroy(&b->mu);
    free(b);
    return pr_fail(err, PR_ENOMEM, "no thread to tell the other parts");
}

void dr_exchange_end(struct dr_exchange *x)
{
    struct dr_exchange_beat *b = x->beat;
    if (b == NULL)
        return;
    x->beat = NULL;
    pthread_mutex_lock(&b->mu);
    b->end = true;
    pthread_cond_signal(&b->ends);
    pthread_mutex_unlock(&b->mu);
    pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->ends);
    pthread_mutex_destroy(&b->mu);
    free(b);
}

/* --- reading ------------------------------------------------------------------------------------
 */

struct hearing { /* of another part; times are ours */
    char last[24];
    int64_t next_us, heard_us;
};

/* One that was never there may be started yet. */
static bool is_silent(const struct dr_exchange *x, unsigned part, struct hearing *h)
{
    char path[PATH], now[sizeof h->last] = "";
    const int64_t now_us = pr_mono_us();
    if (now_us < h->next_us)
        return false;
    h->next_us = now_us + HEAR_MS * 1000;
    path_of(x, "there", part, path);
    FILE *f = fopen(path, "re");
    const size_t n = f != NULL ? fread(now, 1, sizeof now - 1, f) : 0;
    if (f != NULL)
        fclose(f);
    if (n > 0 && strcmp(now, h->last) != 0) {
        memcpy(h->last, now, sizeof now);
        h->heard_us = now_us;
    }
    return h->heard_us != 0 && now_us - h->heard_us > x->silent_ms * 1000;
}

/* Another machine's file system tells nobody of a new file: it is looked for. */
static enum pr_code await(const struct dr_exchange *x, const char *name, unsigned part,
                          char path[PATH], struct pr_err *err)
{
    char gone[PATH];
    struct hearing h = { .heard_us = 0 };
    path_of(x, "gave-up", part, gone);
    path_of(x, name, part, path);
    for (unsigned n = 0;; n++) {
        if (access(path, F_OK) == 0)
            return PR_OK;
        if (access(gone, F_OK) == 0)
            return pr_fail(err, PR_ECONFLICT, "part %u of %u gave up", part, x->of);
        if (is_silent(x, part, &h))
            return pr_fail(err, PR_ETIMEOUT,
                           "part %u of %u has said nothing for %lld s: it was killed, or its "
                           "machine is no more; begin all parts anew, in a new directory",
                           part, x->of, (long long)x->silent_ms / 1000);
        if (n % (TELL_S * 1000 / NAP_MS) == 0)
            pr_info(PR_EV("dr.restore_waits"), PR_S("for", path));
        (void)nanosleep(&(struct timespec){ 0, NAP_MS * 1000000L }, NULL);
    }
}

static enum pr_code read_file(const char *path, char **data, size_t *n, struct pr_err *err)
{
    struct stat st;
    FILE *f = fopen(path, "re");
    *data = NULL;
    if (f == NULL || fstat(fileno(f), &st) != 0) {
        const enum pr_code rc = failed(path, err);
        if (f != NULL)
            fclose(f);
        return rc;
    }
    *n = (size_t)st.st_size;
    *data = malloc(*n + 1);
    const bool ok = *data != NULL && fread(*data, 1, *n, f) == *n;
    fclose(f);
    return ok ? PR_OK : pr_fail(err, PR_EUNAVAIL, "%s: it cannot be read", path);
}

static enum pr_code take_one(const struct dr_exchange *x, const char *path, dr_exchange_fn *take,
                             void *ctx, struct pr_err *err)
{
    char *data;
    size_t n = 0;
    enum pr_code rc = read_file(path, &data, &n, err);
    if (rc == PR_OK) {
        struct dr_reader r = { data, data + n, 0 };
        const char *magic = dr_read_bytes(&r, sizeof MAGIC);
        const uint64_t run = dr_read_u64(&r), hash = dr_read_u64(&r);
        if (r.failed || memcmp(magic, MAGIC, sizeof MAGIC) != 0 ||
            hash != XXH3_64bits(r.at, (size_t)(r.end - r.at)))
            rc = pr_fail(err, PR_EDATA, "%s is damaged, or something else", path);
        else if (run != x->run)
            rc = pr_fail(err, PR_EDATA,
                         "%s is of a restore of something else: other shards, time, cluster or "
                         "number of parts",
                         path);
        else
            rc = take(ctx, r.at, (size_t)(r.end - r.at), err);
    }
    free(data);
    return rc;
}

enum pr_code dr_exchange_take(const struct dr_exchange *x, const char *name, dr_exchange_fn *take,
                              void *ctx, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (unsigned part = 1; part <= x->of && rc == PR_OK; part++) {
        char path[PATH];
        if (part == x->part)
            continue;
        rc = await(x, name, part, path, err);
        if (rc == PR_OK)
            rc = take_one(x, path, take, ctx, err);
    }
    return rc;
}

const char *dr_read_bytes(struct dr_reader *r, size_t n)
{
    const char *at = r->at;
    if ((size_t)(r->end - r->at) < n) {
        r->failed = 1;
        return NULL;
    }
    r->at += n;
    return at;
}

uint64_t dr_read_u64(struct dr_reader *r)
{
    const unsigned char *p = (const unsigned char *)dr_read_bytes(r, 8);
    uint64_t v = 0;
    for (int i = 7; p != NULL && i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}
