#include "s3_private.h"

#include "prism/io/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t kernel_random(void *arg)
{
    (void)arg;
    uint64_t r = 0;

    /* It fails for no request of this size once the machine has booted. */
    if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
        r = (uint64_t)pr_mono_us();
    return r;
}

uint64_t s3_random(const struct pr_s3 *s)
{
    return s->store.random(s->store.arg);
}

static int64_t machine_now_ms(void *arg)
{
    (void)arg;
    return pr_now_ms();
}

bool s3_canceled(const struct pr_s3 *s)
{
    return s->cancel != NULL && atomic_load_explicit(s->cancel, memory_order_relaxed);
}

static bool is_name(const char *s, size_t min, size_t max, const char *of)
{
    const size_t n = s != NULL ? strlen(s) : 0;

    return n >= min && n <= max && strspn(s, of) == n;
}

/* "https://host:port" alone; *rest is behind the scheme. */
static bool endpoint_ok(const char *url, const char **rest)
{
    static const char HOST[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";

    if (url == NULL)
        return false;
    if (strncmp(url, "https://", 8) == 0)
        *rest = url + 8;
    else if (strncmp(url, "http://", 7) == 0)
        *rest = url + 7;
    else
        return false;
    const size_t n = strspn(*rest, HOST);
    return n > 0 && n < 256 && ((*rest)[n] == '\0' || strcmp(*rest + n, "/") == 0);
}

static enum pr_code check(const struct pr_s3_store *st, const char **rest, struct pr_err *err)
{
    static const char NAME[] = "abcdefghijklmnopqrstuvwxyz0123456789-",
                      BUCKET[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";

    /* The endpoint stays unsaid: somebody may have put a password into it. */
    if (!endpoint_ok(st->endpoint, rest))
        return pr_fail(err, PR_EINVAL,
                       "s3: the endpoint is not http:// or https:// with a host alone");
    if (!is_name(st->bucket, 3, 63, BUCKET))
        return pr_fail(err, PR_EINVAL, "s3: \"%.70s\" is no bucket's name",
                       st->bucket != NULL ? st->bucket : "");
    if (!is_name(st->region, 1, 40, NAME))
        return pr_fail(err, PR_EINVAL, "s3: \"%.50s\" is no region",
                       st->region != NULL ? st->region : "");
    if (st->prefix != NULL && strlen(st->prefix) > PR_S3_KEY_MAX / 2)
        return pr_fail(err, PR_EINVAL, "s3: the prefix has over %d bytes", PR_S3_KEY_MAX / 2);
    if (st->keys == NULL)
        return pr_fail(err, PR_EINVAL, "s3: nothing gives keys");
    if (st->connect_ms < 0 || st->stall_ms < 0 || st->deadline_ms < 0 || st->slow_bps < 0)
        return pr_fail(err, PR_EINVAL, "s3: a negative time or rate");
    return PR_OK;
}

static void fill(struct pr_s3_store *st)
{
    if (st->prefix == NULL)
        st->prefix = "";
    if (st->connect_ms == 0)
        st->connect_ms = 5000;
    if (st->stall_ms == 0)
        st->stall_ms = 10000;
    if (st->slow_bps == 0)
        st->slow_bps = 1024;
    if (st->deadline_ms == 0)
        st->deadline_ms = 60000;
    if (st->backoff.base_ms == 0)
        st->backoff.base_ms = 100;
    if (st->backoff.cap_ms == 0)
        st->backoff.cap_ms = 5000;
    if (st->page <= 0)
        st->page = 1000;
    if (st->now_ms == NULL)
        st->now_ms = machine_now_ms;
    if (st->random == NULL)
        st->random = kernel_random;
}

static void set_base(struct pr_s3 *s, const char *rest)
{
    const struct pr_s3_store *st = &s->store;
    const int host = (int)strcspn(rest, "/"), scheme = (int)(rest - st->endpoint);

    if (st->path_style) {
        (void)snprintf(s->host, sizeof s->host, "%.*s", host, rest);
        (void)snprintf(s->base, sizeof s->base, "%.*s%s", scheme, st->endpoint, s->host);
        (void)snprintf(s->path, sizeof s->path, "/%s", st->bucket);
    } else {
        (void)snprintf(s->host, sizeof s->host, "%s.%.*s", st->bucket, host, rest);
        (void)snprintf(s->base, sizeof s->base, "%.*s%s", scheme, st->endpoint, s->host);
    }
}

static void global_init(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

enum pr_code pr_s3_open(const struct pr_s3_store *store, const atomic_bool *cancel,
                        struct pr_s3 **out, struct pr_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *rest = NULL;
    enum pr_code rc = check(store, &rest, err);

    *out = NULL;
    if (rc != PR_OK)
        return rc;
    (void)pthread_once(&once, global_init);
    struct pr_s3 *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory");
    s->store = *store;
    s->cancel = cancel;
    fill(&s->store);
    set_base(s, rest);
    pr_buf_init(&s->error, S3_ERROR_MAX);
    pr_buf_init(&s->page, S3_ANSWER_MAX);
    s->easy = curl_easy_init();
    s->multi = curl_multi_init();
    if (s->easy == NULL || s->multi == NULL) {
        pr_s3_close(s);
        return pr_fail(err, PR_ENOMEM, "no memory");
    }
    *out = s;
    return PR_OK;
}

void pr_s3_close(struct pr_s3 *s)
{
    if (s == NULL)
        return;
    curl_easy_cleanup(s->easy);
    (void)curl_multi_cleanup(s->multi);
    pr_buf_done(&s->error);
    pr_buf_done(&s->page);
    free(s);
}

void pr_s3_counts(const struct pr_s3 *s, struct pr_s3_counts *out)
{
    *out = s->counts;
}

enum pr_code s3_join(const struct pr_s3 *s, const char *below, char out[PR_S3_KEY_MAX + 1],
                     struct pr_err *err)
{
    const int n =
        snprintf(out, PR_S3_KEY_MAX + 1, "%s%s", s->store.prefix, below != NULL ? below : "");

    return n <= PR_S3_KEY_MAX
               ? PR_OK
               : pr_fail(err, PR_EINVAL, "s3: %.80s... has over %d bytes", out, PR_S3_KEY_MAX);
}

enum pr_code s3_full_key(const struct pr_s3 *s, const char *key, char full[PR_S3_KEY_MAX + 1],
                         struct pr_err *err)
{
    if (key == NULL || key[0] == '\0')
        return pr_fail(err, PR_EINVAL, "s3: an empty key");
    return s3_join(s, key, full, err);
}
