#include "cli/cli.h"

#include "io/load.h"
#include "prism/io/clock.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { SHOW_EVERY_MS = 200 };

static volatile sig_atomic_t interrupted;
static struct timespec interrupted_at; /* written by the first signal only */

/* Whoever insists is obeyed at once; but wrappers pass one Ctrl-C on twice, so
 * insisting takes a second. */
static void interrupt(int sig)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (interrupted == 0) {
        interrupted_at = now;
        interrupted = 1;
    } else if (now.tv_sec - interrupted_at.tv_sec > 1) {
        (void)signal(sig, SIG_DFL);
        (void)raise(sig);
    }
}

bool cli_interrupted(void)
{
    return interrupted != 0;
}

static const char *const phase_name[CLI_PHASES] = { "load",  "build",  "partition",
                                                    "parts", "report", "write" };

enum pr_code cli_begin(struct cli_work *w, const struct cli_args *args, struct pr_err *err)
{
    *w = (struct cli_work){ .args = args, .phase_us = pr_mono_us() };
    w->show = !args->quiet && (args->progress || isatty(STDERR_FILENO) == 1);
    w->budget_bytes = placement_budget(args->memory_mib);
    struct sigaction sa = { .sa_handler = interrupt };
    (void)sigfillset(&sa.sa_mask); /* one at a time */
    if (sigaction(SIGINT, &sa, NULL) != 0 || sigaction(SIGTERM, &sa, NULL) != 0)
        return pr_fail(err, PR_EINTERNAL, "signals cannot be handled");
    enum pr_code rc = placement_pool_open(args->threads, &w->pool, err);
    w->threads = pr_pool_threads(w->pool);
    return rc;
}

void cli_end(struct cli_work *w)
{
    if (w->shown)
        (void)fprintf(stderr, "\r%60s\r", "");
    pr_pool_free(w->pool);
    w->pool = NULL;
}

void cli_enter(struct cli_work *w, enum cli_phase phase)
{
    const int64_t now_us = pr_mono_us();
    w->seconds[w->phase] += (double)(now_us - w->phase_us) / 1e6;
    w->phase = phase;
    w->phase_us = now_us;
    w->shown_us = 0; /* a phase is shown as soon as it has something to say */
}

/* On a terminal one line that changes, else a line a tenth of the phase. */
static void show(struct cli_work *w, double done, int64_t now_us)
{
    const double spent_s = (double)(now_us - w->phase_us) / 1e6;
    char eta[32] = "";
    if (done > 0.01 && done <= 1)
        (void)snprintf(eta, sizeof eta, ", %.0f s left", spent_s * (1 - done) / done);
    if (isatty(STDERR_FILENO) == 1) {
        (void)fprintf(stderr, "\r%-10s %3.0f %%%-20s", phase_name[w->phase], done * 100, eta);
        w->shown = true;
    } else {
        (void)fprintf(stderr, "%s %.0f %%%s\n", phase_name[w->phase], done * 100, eta);
    }
}

bool cli_go_on(void *work, double done)
{
    struct cli_work *w = work;
    if (w->show) {
        const int64_t now_us = pr_mono_us();
        if (now_us - w->shown_us >= SHOW_EVERY_MS * 1000) {
            w->shown_us = now_us;
            show(w, done, now_us);
        }
    }
    return interrupted == 0;
}

enum pr_code cli_check(struct cli_work *w, double done, struct pr_err *err)
{
    return cli_go_on(w, done) ? PR_OK : pr_fail(err, PR_ECANCELED, "interrupted");
}

json_t *cli_seconds(const struct cli_work *w)
{
    json_t *o = json_object();
    double total = 0;
    for (unsigned i = 0; i < CLI_PHASES; i++) {
        const double s = w->seconds[i] +
                         ((unsigned)w->phase == i ? (double)(pr_mono_us() - w->phase_us) / 1e6 : 0);
        (void)json_object_set_new(o, phase_name[i], json_real(s));
        total += s;
    }
    (void)json_object_set_new(o, "total", json_real(total));
    return o;
}
