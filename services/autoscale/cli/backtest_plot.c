/* Load and capacity over time, a panel a policy, drawn by gnuplot. */
#include "cli/backtest.h"

#include "prism/buf.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { POINTS = 1500, PANEL = 190, HEAD = 70, FOOT = 62, WIDTH = 1200 };

/* gnuplot's strings in single quotes: a quote is doubled, the rest is as it is. */
static void quoted(struct pr_buf *to, const char *text)
{
    pr_buf_str(to, "'");
    for (; *text != '\0'; text++)
        if (*text == '\'')
            pr_buf_str(to, "''");
        else if (*text != '\n')
            pr_buf_add(to, text, 1);
    pr_buf_str(to, "'");
}

/* Of so many minutes together: highest load, least that served, most that were paid, and the
 * highest load of the short ones. */
static void points(const struct backtest_run *r, size_t policy, struct pr_buf *to)
{
    const struct autoscale_series *s = &r->series[policy];
    const size_t n = r->trace.minutes, step = n / POINTS + 1;
    pr_buf_printf(to, "$p%zu << EOD\n", policy);
    for (size_t i = 0; i < n; i += step) {
        double load = -1, short_load = -1;
        int serving = s->serving[i], desired = s->desired[i];
        for (size_t j = i; j < i + step && j < n; j++) {
            const double now = r->trace.load[j]; /* NAN where nobody measured it */
            load = now > load ? now : load;
            if (now > r->args->how.short_pct / 100 * s->serving[j] && now > short_load)
                short_load = now;
            serving = s->serving[j] < serving ? s->serving[j] : serving;
            desired = s->desired[j] > desired ? s->desired[j] : desired;
        }
        pr_buf_printf(to, "%.5f %d %d ", (double)i / (24 * 60), serving, desired);
        pr_buf_printf(to, load < 0 ? "NaN " : "%.3f ", load);
        pr_buf_printf(to, short_load < 0 ? "NaN\n" : "%.3f\n", short_load);
    }
    pr_buf_str(to, "EOD\n");
}

static int highest(const struct backtest_run *r)
{
    int most = 1;
    for (size_t i = 0; i < r->args->policies; i++)
        for (size_t j = 0; j < r->trace.minutes; j++)
            most = r->series[i].desired[j] > most ? r->series[i].desired[j] : most;
    return most;
}

static void panel(const struct backtest_run *r, size_t i, struct pr_buf *to)
{
    const struct backtest_args *a = r->args;
    const struct autoscale_result *p = &r->result[i];
    pr_buf_printf(to,
                  "set label 1 '%s: short %.1f min/day, over 100 %% %.1f min/day, %.2f times the "
                  "oracle''s hours, %.0f actions/day, %.1f flaps/day' at graph 0,1.07 left "
                  "noenhanced\n",
                  autoscale_kind_name(a->policy[i]), p->short_minutes_per_day,
                  p->over_minutes_per_day, p->hours_ratio, p->actions_per_day, p->flaps_per_day);
    if (i + 1 == a->policies)
        pr_buf_str(to, "set xlabel 'days'\n");
    pr_buf_printf(to,
                  "plot $p%zu using 1:4 with filledcurves y1=0 fs solid 0.55 noborder lc rgb "
                  "'#e08a2b' title 'load', $p%zu using 1:5 with impulses lw 1.5 lc rgb '#c00020' "
                  "title 'load of short minutes', $p%zu using 1:3 with lines lw 1 lc rgb '#9db8dc' "
                  "title 'paid', $p%zu using 1:2 with lines lw 1.3 lc rgb '#1f5fa8' title "
                  "'serving'\n",
                  i, i, i, i);
}

void backtest_plot_text(const struct backtest_run *r, const char *svg, struct pr_buf *to)
{
    const struct backtest_args *a = r->args;
    const int height = PANEL * (int)a->policies + HEAD + FOOT;
    pr_buf_printf(to, "set terminal svg size %d,%d dynamic background rgb 'white' font 'sans,13'\n",
                  WIDTH, height);
    pr_buf_str(to, "set encoding utf8\nset output ");
    quoted(to, svg);
    pr_buf_str(to, "\n");
    for (size_t i = 0; i < a->policies; i++)
        points(r, i, to);
    const double gap = 46.0 / height;
    pr_buf_printf(to,
                  "set multiplot layout %zu,1 margins 0.05,0.98,%.4f,%.4f spacing 0,%.4f title ",
                  a->policies, (double)FOOT / height, 1 - (HEAD + 20.0) / height, gap);
    const char *slash = strrchr(a->trace, '/');
    char title[320];
    (void)snprintf(title, sizeof title, "%.200s, %.60s: members, and load in members at 100 %% CPU",
                   slash != NULL ? slash + 1 : a->trace, r->trace.column);
    quoted(to, title);
    pr_buf_printf(to,
                  " noenhanced\nset grid xtics ytics lc rgb '#dddddd'\nset tics nomirror\n"
                  "set border 3 lc rgb '#888888'\nset xrange [0:%.5f]\nset yrange [0:%d]\n"
                  "set ytics autofreq\nset key at screen 0.98,%.4f right top horizontal "
                  "samplen 2 width -4\n",
                  (double)r->trace.minutes / (24 * 60), highest(r), 1 - 36.0 / height);
    for (size_t i = 0; i < a->policies; i++) {
        panel(r, i, to);
        if (i == 0)
            pr_buf_str(to, "unset key\n");
    }
    pr_buf_str(to, "unset multiplot\nset output\n");
}

static bool in_path(const char *program, char *found, size_t bytes)
{
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        const size_t n = strcspn(path, ":");
        const int length =
            snprintf(found, bytes, "%.*s/%s", n > 0 ? (int)n : 1, n > 0 ? path : ".", program);
        struct stat st;
        if (length > 0 && (size_t)length < bytes && access(found, X_OK) == 0 &&
            stat(found, &st) == 0 && S_ISREG(st.st_mode))
            return true;
        path += n;
        path += *path == ':';
    }
    return false;
}

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

static int spawn(const char *program, const int pipe_fd[2], pid_t *pid)
{
    char name[] = "gnuplot";
    char *argv[] = { name, NULL };
    posix_spawn_file_actions_t files;
    int rc = posix_spawn_file_actions_init(&files);
    if (rc != 0)
        return rc;
    rc = posix_spawn_file_actions_adddup2(&files, pipe_fd[0], STDIN_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclose(&files, pipe_fd[1]);
    if (rc == 0)
        rc = posix_spawn(pid, program, &files, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    return rc;
}

static enum pr_code draw(const char *program, const struct pr_buf *text, const char *svg,
                         struct pr_err *err)
{
    int fd[2], status = 0;
    pid_t pid = -1;
    if (pipe(fd) != 0)
        return pr_fail(err, PR_EUNAVAIL, "gnuplot: %s", strerror(errno));
    const int rc = spawn(program, fd, &pid);
    (void)close(fd[0]);
    if (rc != 0) {
        (void)close(fd[1]);
        return pr_fail(err, PR_EUNAVAIL, "%.160s: %s", program, strerror(rc));
    }
    void (*before)(int) = signal(SIGPIPE, SIG_IGN); /* it may end early, and says why itself */
    const bool told = write_all(fd[1], text->data, text->len);
    (void)close(fd[1]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    (void)signal(SIGPIPE, before);
    if (!told || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return pr_fail(err, PR_EUNAVAIL, "gnuplot failed: %.160s is not drawn", svg);
    return PR_OK;
}

enum pr_code backtest_plotter(char *program, size_t bytes, struct pr_err *err)
{
    if (in_path("gnuplot", program, bytes))
        return PR_OK;
    return pr_fail(err, PR_ENOTFOUND,
                   "--plot needs gnuplot, and none is in PATH (Debian's package: gnuplot-nox)");
}

enum pr_code backtest_plot(const struct backtest_run *r, const char *program, struct pr_err *err)
{
    const char *svg = r->args->plot;
    FILE *f = fopen(svg, "w"); /* gnuplot says little about files that it cannot write */
    if (f == NULL)
        return pr_fail(err, PR_EUNAVAIL, "--plot %.160s: %s", svg, strerror(errno));
    (void)fclose(f);
    struct pr_buf text;
    pr_buf_init(&text, 0);
    backtest_plot_text(r, svg, &text);
    const enum pr_code rc =
        text.failed ? pr_fail(err, PR_ENOMEM, "the plot") : draw(program, &text, svg, err);
    pr_buf_done(&text);
    return rc;
}
