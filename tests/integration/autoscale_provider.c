#include "autoscale_provider.h"

#include "t.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVER PRISM_SOURCE_DIR "/tests/integration/autoscale_server.py"

static void run_server(int in, int out, const char *kind, const char *cert, const char *key)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        _exit(127);
    /* Debian's own: the one that has python3-botocore. */
    execl("/usr/bin/python3", "python3", "-B", SERVER, kind, cert, key, (char *)NULL);
    _exit(127);
}

void provider_start(struct provider *p, const char *kind, const char *cert, const char *key)
{
    int in[2], out[2];
    char line[64] = "";

    *p = (struct provider){ .stop_at = GAPS };
    (void)snprintf(p->dir, sizeof p->dir, "/tmp/prism-provider-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0)
        run_server(in[0], out[1], kind, cert, key);
    close(in[0]);
    close(out[1]);
    p->to = fdopen(in[1], "w");
    p->from = fdopen(out[0], "r");
    assert_true(p->to != NULL && p->from != NULL);
    if (fgets(line, sizeof line, p->from) == NULL)
        fail_msg("%s did not start: python3-botocore is needed", SERVER);
    p->port = atoi(line);
    assert_true(p->port > 0);
    (void)snprintf(p->url, sizeof p->url, "http%s://127.0.0.1:%d", cert != NULL ? "s" : "",
                   p->port);
}

void provider_stop(struct provider *p)
{
    autoscale_actuator_close(p->actuator);
    autoscale_report_done(&p->report);
    if (p->to != NULL)
        (void)fclose(p->to); /* its end of input: it leaves */
    if (p->from != NULL)
        (void)fclose(p->from);
    if (p->pid > 0) {
        (void)kill(p->pid, SIGKILL);
        (void)waitpid(p->pid, NULL, 0);
    }
    if (p->dir[0] != '\0')
        provider_run((const char *const[]){ "/bin/rm", "-rf", p->dir, NULL });
    *p = (struct provider){ 0 };
}

static const char *ask(struct provider *p, const char *line)
{
    static char said[SAID];

    if (fprintf(p->to, "%s\n", line) < 0 || fflush(p->to) != 0 ||
        fgets(said, sizeof said, p->from) == NULL)
        fail_msg("the server left");
    said[strcspn(said, "\n")] = '\0';
    return said;
}

const char *provider_tell(struct provider *p, const char *fmt, ...)
{
    static char line[SAID];
    va_list ap;

    va_start(ap, fmt);
    const int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    assert_true(n > 0 && n < SAID && strchr(line, '\n') == NULL);
    const char *said = ask(p, line);
    if (strncmp(said, "error", 5) == 0)
        fail_msg("%.200s: %s", line, said);
    return said;
}

const char *provider_log(struct provider *p)
{
    const char *log = ask(p, "{\"log\": 1}");

    if (strstr(log, " 418") != NULL)
        fail_msg("the server itself failed: %s", log);
    return log;
}

int times_said(const char *log, const char *what)
{
    int n = 0;

    for (const char *at = strstr(log, what); at != NULL; at = strstr(at + 1, what))
        n++;
    return n;
}

/* --- the clock ------------------------------------------------------------------ */

static int64_t now_ms(void *ctx)
{
    return ((struct provider *)ctx)->now_ms;
}

static bool wait_ms(void *ctx, int64_t ms)
{
    struct provider *p = ctx;

    assert_true(p->gaps < GAPS && ms >= 0);
    if (p->gaps == p->stop_at)
        return false;
    p->gap[p->gaps++] = ms;
    p->now_ms += ms;
    return true;
}

struct autoscale_pace provider_pace(struct provider *p)
{
    return (struct autoscale_pace){ .backoff = { 200, 10000 },
                                    .deadline_ms = 60000,
                                    .timeout_ms = 5000,
                                    .seed = 1,
                                    .now_ms = now_ms,
                                    .wait = wait_ms,
                                    .ctx = p };
}

/* --- the actuator ------------------------------------------------------------------- */

void provider_open(struct provider *p, const struct autoscale_provider *settings)
{
    autoscale_actuator_close(p->actuator);
    p->actuator = NULL;
    assert_ok(autoscale_actuator_open(settings, &p->actuator, &p->err), &p->err);
}

enum pr_code provider_set(struct provider *p, size_t target, int n)
{
    return p->actuator->set_desired(p->actuator, target, n, &p->sent, &p->err);
}

enum pr_code provider_terminate(struct provider *p, size_t target, const char *id, int after)
{
    return p->actuator->terminate(p->actuator, target, id, after, &p->sent, &p->err);
}

enum pr_code provider_describe(struct provider *p)
{
    autoscale_report_done(&p->report);
    return p->actuator->describe(p->actuator, 0, &p->report, &p->err);
}

void provider_fault(struct provider *p, const char *name, int times, const char *what)
{
    provider_tell(p, "{\"fault\": {\"match\": \"%s\", \"times\": %d, %s}}", name, times, what);
}

/* --- the rest --------------------------------------------------------------------- */

struct autoscale_settlement provider_settle(struct provider *p, size_t target, int from, int to)
{
    const struct autoscale_wanted w = {
        .desired = to, .from = from, .sent_ms = 1, .patience_ms = 900000
    };
    struct autoscale_settlement s;

    (void)provider_describe(p);
    assert_true(target < p->report.targets);
    autoscale_settle(&w, &p->report.target[target], 2, &s);
    return s;
}

void provider_run(const char *const *argv)
{
    int status = 0;
    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDERR_FILENO);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s failed", argv[0]);
}

void provider_write(struct provider *p, const char *name, const char *text, char path[64])
{
    (void)snprintf(path, 64, "%s/%s", p->dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}
