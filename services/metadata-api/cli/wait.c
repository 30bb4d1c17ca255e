#include "ctl.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 200, PLAN_MS = 1000, LINE_MS = 2000, PATIENCE_MS = 120 * 1000, BAR = 30 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct progress {
    bool bar, silent;
    long last_ms, plan_ms; /* when a line was printed, when the plan was looked at */
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
    const double per_s =
        json_number_value(json_object_get(json_object_get(operation, "progress"), "bytesPerS"));
    char left[96] = "", eta_text[32], speed[32];
    if (phase[0] == '\0')
        phase = text_of(operation, "state");
    if (json_is_number(eta)) {
        ctl_duration_text(eta_text, sizeof eta_text, json_number_value(eta));
        snprintf(left, sizeof left, "  ETA %s", eta_text);
    }
    if (per_s > 0) {
        const size_t n = strlen(left);
        ctl_bytes_text(speed, sizeof speed, per_s);
        snprintf(left + n, sizeof left - n, "  %s/s", speed);
    }
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

/* "/v1/rebalance/plans/7" for the execution of plan 7, else false. */
static bool executes_plan(const json_t *operation, char *path, size_t cap)
{
    snprintf(path, cap, "/v1/%s", text_of(operation, "resource"));
    return strcmp(text_of(operation, "kind"), "rebalance.execute") == 0;
}

/* A stuck plan waits for a person: so there is nothing to wait for here. */
static bool stuck(struct ctl *ctl, struct progress *p, const json_t *operation)
{
    char path[256];
    struct ctl_reply r;
    bool is = false;
    const bool due =
        now_ms() - p->plan_ms >= PLAN_MS || strncmp(text_of(operation, "phase"), "stuck", 5) == 0;
    if (!due || !executes_plan(operation, path, sizeof path))
        return false;
    p->plan_ms = now_ms();
    if (ctl_call(ctl, "GET", path, NULL, NULL, &r) == CTL_OK)
        is = strcmp(text_of(r.body, "state"), "paused") == 0 &&
             strncmp(text_of(r.body, "error"), "stuck", 5) == 0;
    if (is) {
        const json_int_t id = json_integer_value(json_object_get(r.body, "id"));
        if (p->bar && !p->silent)
            fputc('\n', stderr);
        ctl_complain(CTL_FAILED,
                     "plan %" JSON_INTEGER_FORMAT " is %s\n"
                     "  prismctl plan steps %" JSON_INTEGER_FORMAT " --state stuck\n"
                     "  prismctl plan resume %" JSON_INTEGER_FORMAT "   once the cause is gone\n"
                     "  prismctl plan cancel %" JSON_INTEGER_FORMAT,
                     id, text_of(r.body, "error"), id, id, id);
    }
    ctl_reply_done(&r);
    return is;
}

static int leave(const struct progress *p, const char *id)
{
    if (p->bar && !p->silent)
        fputc('\n', stderr);
    return ctl_complain(CTL_INTERRUPTED,
                        "interrupted; the work goes on without this program\n"
                        "  prismctl operation wait %s     follows it\n"
                        "  prismctl operation cancel %s   asks it to stop",
                        id, id);
}

static int follow(struct ctl *ctl, struct progress *p, const char *id)
{
    char path[256], escaped[128];
    long answered_ms = now_ms();
    ctl_escape(escaped, sizeof escaped, id);
    snprintf(path, sizeof path, "/v1/operations/%s", escaped);
    while (!interrupted) {
        struct ctl_reply r;
        bool over = false;
        int code = ctl_call(ctl, "GET", path, NULL, NULL, &r);
        if (code == CTL_OK) {
            answered_ms = now_ms();
            show(p, r.body);
            over = true;
            if (ended(text_of(r.body, "state")))
                code = finish(p, id, r.body);
            else if (stuck(ctl, p, r.body))
                code = CTL_FAILED;
            else
                over = false;
        } else if (!interrupted && (code != CTL_CONNECT || now_ms() - answered_ms > PATIENCE_MS)) {
            ctl_complain(code, "%s", r.error);
            over = true;
        }
        ctl_reply_done(&r);
        if (over)
            return code;
        struct timespec pause = { .tv_sec = 0, .tv_nsec = POLL_MS * 1000000L };
        nanosleep(&pause, NULL);
    }
    return leave(p, id);
}

/* Until `release`, Ctrl-C and TERM only set interrupted. */
static void catch_interrupts(struct sigaction was[2])
{
    struct sigaction now = { .sa_handler = on_interrupt };
    sigemptyset(&now.sa_mask);
    interrupted = 0;
    sigaction(SIGINT, &now, &was[0]);
    sigaction(SIGTERM, &now, &was[1]);
}

static void release_interrupts(const struct sigaction was[2])
{
    sigaction(SIGINT, &was[0], NULL);
    sigaction(SIGTERM, &was[1], NULL);
}

/* An API that restarts meanwhile is waited for; the work goes on without it. */
int ctl_wait(struct ctl *ctl, const char *id)
{
    struct progress p = { .bar = isatty(STDERR_FILENO) != 0, .silent = ctl->json };
    struct sigaction was[2];
    catch_interrupts(was);
    const int code = follow(ctl, &p, id);
    release_interrupts(was);
    return code;
}

bool ctl_repeat(bool (*look)(void *ctx), void *ctx)
{
    const struct timespec pause = { 0, 500 * 1000000L };
    struct sigaction was[2];
    catch_interrupts(was);
    while (!interrupted && look(ctx))
        (void)nanosleep(&pause, NULL);
    release_interrupts(was);
    return interrupted == 0;
}
