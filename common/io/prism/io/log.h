/* Structured log: one JSON object a line on stderr, e.g.
 *   pr_info(PR_EV("bus.connected"), PR_S("url", url), PR_I("attempt", n));
 * First the event (dotted, lower case), then typed keys. Thread-safe; a line
 * is written with one write(2). Never log a secret. */
#ifndef PRISM_IO_LOG_H
#define PRISM_IO_LOG_H

#include "prism/err.h"

#include <stdint.h>

enum pr_level { PR_DEBUG, PR_INFO, PR_WARN, PR_ERROR };

struct pr_kv {
    const char *key; /* NULL ends the list */
    enum { PR_KV_STR, PR_KV_INT, PR_KV_REAL } type;
    const char *s;
    int64_t i;
    double r;
};

#define PR_EV(name)                                                                                \
    {                                                                                              \
        .key = "event", .type = PR_KV_STR, .s = (name)                                             \
    }
#define PR_S(k, v)                                                                                 \
    {                                                                                              \
        .key = (k), .type = PR_KV_STR, .s = (v)                                                    \
    }
#define PR_I(k, v)                                                                                 \
    {                                                                                              \
        .key = (k), .type = PR_KV_INT, .i = (int64_t)(v)                                           \
    }
#define PR_R(k, v)                                                                                 \
    {                                                                                              \
        .key = (k), .type = PR_KV_REAL, .r = (double)(v)                                           \
    }
#define PR_E(err)                                                                                  \
    {                                                                                              \
        .key = "error", .type = PR_KV_STR, .s = (err)->text                                        \
    }

#define pr_log(level, ...)                                                                         \
    pr_log_write((level), (const struct pr_kv[]){ __VA_ARGS__, { .key = NULL } })
#define pr_debug(...) pr_log(PR_DEBUG, __VA_ARGS__)
#define pr_info(...)  pr_log(PR_INFO, __VA_ARGS__)
#define pr_warn(...)  pr_log(PR_WARN, __VA_ARGS__)
#define pr_error(...) pr_log(PR_ERROR, __VA_ARGS__)

/* service is kept by reference. Lines below level are dropped. Without init:
 * service "-", level info. */
void pr_log_init(const char *service, enum pr_level level);
int pr_log_level_parse(const char *name, enum pr_level *out); /* 1 when known */
/* W3C traceparent of what this thread works on; copied; NULL or "" clears. */
void pr_log_trace(const char *traceparent);
const char *pr_log_trace_get(void); /* "" when none; valid until the next pr_log_trace */
void pr_log_write(enum pr_level level, const struct pr_kv *kv);

#endif
