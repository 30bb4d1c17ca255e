/* Error values. Every fallible function returns enum pr_code (the code picks
 * the action: retry, refuse, HTTP status) and puts the words, naming the slot,
 * node, file or row, in the caller's struct pr_err. err may be NULL. */
#ifndef PRISM_ERR_H
#define PRISM_ERR_H

#include <stdarg.h>
#include <stddef.h>

enum pr_code {
    PR_OK = 0,
    PR_EINVAL,    /* the caller's or user's input is wrong; do not retry */
    PR_ENOTFOUND, /* the named thing does not exist */
    PR_EEXISTS,   /* it exists already, with other content */
    PR_ECONFLICT, /* a precondition no longer holds (version, state) */
    PR_EDENIED,   /* not authenticated, or not allowed */
    PR_EFENCED,   /* our lease epoch is no longer the newest: stop acting */
    PR_EFULL,     /* a limit, capacity or quota is reached */
    PR_EDATA,     /* what we read is malformed */
    PR_EUNAVAIL,  /* a dependency is down or refused; retry later */
    PR_ETIMEOUT,  /* no answer in time: the effect is unknown */
    PR_ECANCELED, /* we were asked to stop */
    PR_ENOMEM,
    PR_EINTERNAL, /* our bug, or something that cannot be told apart from it */
    PR_CODE_COUNT
};

struct pr_err {
    enum pr_code code;
    char text[256]; /* one line, no trailing newline */
};

#define PR_CHECKED           __attribute__((warn_unused_result))
#define PR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define PR_UNUSED            __attribute__((unused))
#define PR_COUNT(a)          (sizeof(a) / sizeof((a)[0]))

/* PR_AUTO(T) *x = ...; frees x on scope exit by pr_auto_T(T **). */
#define PR_AUTO(type) __attribute__((cleanup(pr_auto_##type))) type

/* Fills *err (when not NULL) and returns code. */
enum pr_code pr_fail(struct pr_err *err, enum pr_code code, const char *fmt, ...) PR_PRINTF(3, 4);
enum pr_code pr_vfail(struct pr_err *err, enum pr_code code, const char *fmt, va_list ap)
    PR_PRINTF(3, 0);

/* Prepends "context: " to err->text and keeps the code; returns err's code. */
enum pr_code pr_wrap(struct pr_err *err, enum pr_code code, const char *fmt, ...) PR_PRINTF(3, 4);

/* Stable lower-case name: "ok", "invalid", "not_found", ... */
const char *pr_code_name(enum pr_code code);

/* True when the same call may succeed later without anybody changing input. */
int pr_retryable(enum pr_code code);

#endif
