/* The local actuator and the program that it runs: what that learns of us, and for how long. */
#include "io/actuators/local.h"

#include "t.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE_MS = 3000 };

static char dir[] = "/tmp/prism-local.XXXXXX", program[64];

/* A node is a file; `pid` has the pid of the last that adds one, `pause` how many seconds it takes.
 */
static const char PROGRAM[] = "#!/bin/bash\n"
                              "cd \"${0%/*}\" || exit 1\n"
                              "[ \"$1\" = list ] || echo $$ >pid\n"
                              "env >env\n"
                              "for fd in /proc/$$/fd/*; do echo \"${fd##*/}\"; done >fds\n"
                              "case $1 in\n"
                              "list) for n in node-*; do [ ! -e \"$n\" ] || echo \"$n "
                              "127.0.0.1:${n#node-} a up outside\"; done ;;\n"
                              "add) [ ! -e pause ] || sleep \"$(<pause)\"; n=(node-*); touch "
                              "\"node-$((7000 + ${#n[@]}))\" ;;\n"
                              "esac\n";

static void put(const char *name, const char *text)
{
    char path[96];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static const char *get(const char *name)
{
    static char text[8192];
    char path[96];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    const size_t n = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    if (f != NULL)
        fclose(f);
    return text;
}

static int open_stage(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(program, sizeof program, "%s/program", dir);
    put("program", PROGRAM);
    return chmod(program, 0755);
}

static int close_stage(void **state)
{
    (void)state;
    char rm[64];
    snprintf(rm, sizeof rm, "rm -rf '%s'", dir);
    return system(rm);
}

static struct autoscale_actuator *open_it(void)
{
    static const struct autoscale_target zone = { .name = "a", .group = -1 };
    const struct autoscale_provider p = {
        .kind = "local",
        .target = &zone,
        .targets = 1,
        .command = program,
        .pace = { .deadline_ms = DEADLINE_MS },
    };
    struct autoscale_actuator *a = NULL;
    struct pr_err err = { 0 };
    assert_ok(autoscale_local_open(&p, &a, &err), &err);
    return a;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void program_learns_no_secret_and_has_none_of_our_files(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct autoscale_report report;
    const int ours = open("/dev/null", O_RDONLY); /* as a library's socket may be: not CLOEXEC */
    const int high = fcntl(ours, F_DUPFD, 77);
    assert_true(high >= 77);
    assert_int_equal(setenv("PRISM_DB_URI", "postgresql://u:secret@h/d", 1), 0);
    assert_int_equal(setenv("AWS_SECRET_ACCESS_KEY", "secret", 1), 0);
    struct autoscale_actuator *a = open_it();
    assert_ok(a->describe(a, 0, &report, &err), &err);
    autoscale_report_done(&report);
    assert_null(strstr(get("env"), "secret"));
    assert_non_null(strstr(get("env"), "PATH="));
    assert_null(strstr(get("fds"), "77\n"));
    autoscale_actuator_close(a);
    close(ours);
    close(high);
}

static void one_call_with_all_its_runs_ends_at_the_deadline(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    bool sent = false;
    put("pause", "2.8"); /* the second one is cut short */
    struct autoscale_actuator *a = open_it();
    const int64_t begin = now_ms();
    assert_int_equal(a->set_desired(a, 0, 20, &sent, &err), PR_ETIMEOUT);
    assert_in_range(now_ms() - begin, 0, DEADLINE_MS + DEADLINE_MS / 2);
    autoscale_actuator_close(a);
}

static pid_t in_hand(void)
{
    return (pid_t)strtol(get("pid"), NULL, 10);
}

static bool gone(pid_t pid)
{
    return kill(pid, 0) != 0;
}

static void program_does_not_outlive_the_call_when_we_are_killed(void **state)
{
    (void)state;
    const struct timespec a_moment = { 0, 10000000 };
    put("pause", "600");
    put("pid", "");
    const int64_t begin = now_ms();
    const pid_t service = fork();
    assert_true(service >= 0);
    if (service == 0) {
        struct autoscale_actuator *a = open_it();
        bool sent = false;
        struct pr_err err = { 0 };
        (void)!a->set_desired(a, 0, 20, &sent, &err);
        _exit(0);
    }
    pid_t adds = 0;
    for (; adds == 0 && now_ms() - begin < 10000; nanosleep(&a_moment, NULL))
        adds = in_hand();
    assert_true(adds > 0);
    assert_int_equal(kill(service, SIGKILL), 0);
    assert_int_equal(waitpid(service, NULL, 0), service);
    assert_false(gone(adds)); /* it goes on without us, for a while */
    while (!gone(adds) && now_ms() - begin < 10000)
        nanosleep(&a_moment, NULL);
    assert_true(gone(adds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_learns_no_secret_and_has_none_of_our_files),
        cmocka_unit_test(one_call_with_all_its_runs_ends_at_the_deadline),
        cmocka_unit_test(program_does_not_outlive_the_call_when_we_are_killed),
    };
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}
