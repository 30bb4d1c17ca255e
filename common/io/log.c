#include "prism/io/log.h"

#include "prism/io/clock.h"
#include "prism/io/json_text.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 8192 };

static const char *const level_name[] = { "debug", "info", "warn", "error" };
static const char cut_mark[] = ",\"truncated\":true";

static _Atomic(const char *) log_service = "-";
static atomic_int log_level = PR_INFO;
static _Thread_local char log_trace[128];

/* A line being made. Room for cut_mark, "}" and newline is always kept. */
struct line {
    char text[LINE_BYTES];
    size_t len;
    bool cut; /* something did not fit: nothing more is added */
};

static size_t line_room(const struct line *l)
{
    return LINE_BYTES - sizeof cut_mark - 2 - l->len;
}

static void line_raw(struct line *l, const char *s, size_t n)
{
    if (l->cut || n > line_room(l)) {
        l->cut = true;
        return;
    }
    memcpy(l->text + l->len, s, n);
    l->len += n;
}

/* ,"key": or nothing at all when it does not fit with the shortest value. */
static bool line_key(struct line *l, const char *key)
{
    char text[PR_JSON_WORST * 64];
    size_t used;
    size_t n = pr_json_escape(text, sizeof text, key, strnlen(key, 64), &used);
    if (l->cut || n + 4 + 32 > line_room(l)) {
        l->cut = true;
        return false;
    }
    if (l->len > 1)
        line_raw(l, ",", 1);
    line_raw(l, "\"", 1);
    line_raw(l, text, n);
    line_raw(l, "\":", 2);
    return true;
}

static void line_string(struct line *l, const char *key, const char *value)
{
    if (!line_key(l, key))
        return;
    if (value == NULL) {
        line_raw(l, "null", 4);
        return;
    }
    size_t n = strlen(value), used;
    line_raw(l, "\"", 1);
    l->len += pr_json_escape(l->text + l->len, line_room(l) - 1, value, n, &used);
    line_raw(l, "\"", 1);
    if (used < n)
        l->cut = true;
}

static void line_number(struct line *l, const struct pr_kv *kv)
{
    char text[40];
    int n;
    if (!line_key(l, kv->key))
        return;
    if (kv->type == PR_KV_INT)
        n = snprintf(text, sizeof text, "%lld", (long long)kv->i);
    else if (!isfinite(kv->r)) /* JSON has no NaN or infinity */
        n = snprintf(text, sizeof text, "null");
    else
        n = snprintf(text, sizeof text, "%.10g", kv->r);
    line_raw(l, text, (size_t)n);
}

static void line_time(struct line *l)
{
    int64_t now_ms = pr_now_ms();
    time_t s = (time_t)(now_ms / 1000);
    struct tm tm;
    char text[64];
    (void)gmtime_r(&s, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + n, sizeof text - n, ".%03dZ", (int)(now_ms % 1000));
    line_string(l, "ts", text);
}

/* One write(2) a line; the lock keeps lines whole when a full pipe makes the
 * kernel take a part only. */
static void write_line(const char *p, size_t n)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int saved = errno;
    pthread_mutex_lock(&lock);
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            break; /* nowhere left to complain */
        p += done;
        n -= (size_t)done;
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
}

void pr_log_init(const char *service, enum pr_level level)
{
    atomic_store(&log_service, service);
    atomic_store(&log_level, (int)level);
}

int pr_log_level_parse(const char *name, enum pr_level *out)
{
    for (size_t i = 0; i < PR_COUNT(level_name); i++)
        if (strcmp(name, level_name[i]) == 0) {
            *out = (enum pr_level)i;
            return 1;
        }
    return 0;
}

void pr_log_trace(const char *traceparent)
{
    (void)snprintf(log_trace, sizeof log_trace, "%s", traceparent == NULL ? "" : traceparent);
}

const char *pr_log_trace_get(void)
{
    return log_trace;
}

void pr_log_write(enum pr_level level, const struct pr_kv *kv)
{
    if ((int)level < atomic_load(&log_level))
        return;

    struct line l = { .len = 0, .cut = false };
    line_raw(&l, "{", 1);
    line_time(&l);
    line_string(&l, "level", level_name[level]);
    line_string(&l, "service", atomic_load(&log_service));
    for (size_t i = 0; kv[i].key != NULL; i++) {
        if (kv[i].type == PR_KV_STR)
            line_string(&l, kv[i].key, kv[i].s);
        else
            line_number(&l, &kv[i]);
        if (i == 0 && log_trace[0] != '\0')
            line_string(&l, "trace", log_trace);
    }
    if (l.cut) {
        memcpy(l.text + l.len, cut_mark, sizeof cut_mark - 1);
        l.len += sizeof cut_mark - 1;
    }
    memcpy(l.text + l.len, "}\n", 2);
    write_line(l.text, l.len + 2);
}
