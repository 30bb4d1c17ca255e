#include "ctl.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 200, LINE_MS = 2000, PATIENCE_MS = 120 * 1000, BAR = 30 };

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct progress {
    bool bar, silent;
    long last_ms;
    char phase[64];
};

static const char *text_of(const json_t *operation, const char *name)
{
    const char *s = json_string_value(json_object_get(operation, name));
    return s == NULL ? "" : s;
}

/* A line when the phase changes, and every two seconds. */
static bool line_due(struct progress *p, const char *phase)
{
    bool due = strcmp(phase, p->phase) != 0 || now_ms() - p->last_ms >= LINE_MS;
    if (due) {
        snprintf(p->phase, sizeof p->phase, "%s", phase);
        p->last_ms = now_ms();
    }
    return due;
}

static void show(struct progress *p, const json_t *operation)
{
    const char *phase = text_of(operation, "phase");
    const double ratio = json_number_value(json_object_get(operation, "progressRatio"));
    const json_t *eta = json_object_get(operation, "etaS");
    char left[32] = "";
    if (phase[0] == '\0')
        phase = text_of(operation, "state");
    if (json_is_number(eta))
        snprintf(left, sizeof left, "  ETA %.0f s", json_number_value(eta));
    if (p->silent)
        return;
    if (p->bar) {
        char bar[BAR + 1];
        int full = (int)(ratio * BAR);
        memset(bar, '#', (size_t)full);
        memset(bar + full, '.', (size_t)(BAR - full));
        bar[BAR] = '\0';
        fprintf(stderr, "\r[%s] %3.0f %%  %-12s%s\033[K", bar, ratio * 100, phase, left);
    } else if (line_due(p, phase)) {
        fprintf(stderr, "%s %3.0f %%%s\n", phase, ratio * 100, left);
    }
    fflush(stderr);
}

static bool ended(const char *state)
{
    return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 ||
           strcmp(state, "canceled") == 0;
}

static int finish(const struct progress *p, const char *id, const json_t *operation)
{
    const char *state = text_of(operation, "state"), *error = text_of(operation, "error");
    if (p->bar && !p->silent)
        fputc('\n', stderr);
    if (strcmp(state, "done") == 0)
        return CTL_OK;
    return ctl_complain(CTL_FAILED, "%s %s%s%s (operation %s)", text_of(operation, "kind"), state,
                        error[0] == '\0' ? "" : ": ", error, id);
}

/* An API that restarts meanwhile is waited for; the work goes on without it. */
int ctl_wait(struct ctl *ctl, const char *id)
{
    struct progress p = { .bar = isatty(STDERR_FILENO) != 0, .silent = ctl->json };
    char path[256], escaped[128];
    long answered_ms = now_ms();
    ctl_escape(escaped, sizeof escaped, id);
    snprintf(path, sizeof path, "/v1/operations/%s", escaped);
    for (;;) {
        struct ctl_reply r;
        int code = ctl_call(ctl, "GET", path, NULL, NULL, &r);
        if (code == CTL_OK) {
            answered_ms = now_ms();
            show(&p, r.body);
            if (ended(text_of(r.body, "state"))) {
                code = finish(&p, id, r.body);
                ctl_reply_done(&r);
                return code;
            }
        } else if (code != CTL_CONNECT || now_ms() - answered_ms > PATIENCE_MS) {
            ctl_complain(code, "%s", r.error);
            ctl_reply_done(&r);
            return code;
        }
        ctl_reply_done(&r);
        struct timespec pause = { .tv_sec = 0, .tv_nsec = POLL_MS * 1000000L };
        nanosleep(&pause, NULL);
    }
}
