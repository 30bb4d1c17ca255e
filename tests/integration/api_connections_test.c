/* Thousands of connections that say nothing: look-ups go on beside them, what is above the limit
 * hears why, and all of it is over when they go. */
#include "api_fixture.h"
#include "api_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    WANTED = 10000,
    SPARE_FILES = 1000,
    LOOKS = 3000,
    ACTIVE = 16,
    ANSWER_MS = 30000,
    SKIPPED = 77,
    TIMES = 10, /* as slow as without them, and SPARE_MS, is what p99 may be beside them */
    SPARE_MS = 20
};

static const int limit = WANTED; /* of the service */
static int *fd, opened;          /* [limit] */
static char setting[64];

static const char look_up[] = "GET /v1/vertices/1 HTTP/1.1\r\nHost: x\r\n"
                              "Authorization: Bearer tok-viewer\r\n\r\n";

/* One answer of a connection that stays open; its status, 0: it was closed. */
static int ask(int s, const char *request, char *text, size_t n)
{
    struct wire_answer a;
    if (!wire_send(s, request, strlen(request)))
        return 0;
    const int status = wire_read(s, &a, false, ANSWER_MS) ? a.status : 0;
    if (text != NULL)
        (void)snprintf(text, n, "%s", a.text);
    wire_done(&a);
    return status;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* p99, ms, of look-ups one after the other, on n of the connections in turn. */
static double look(const char *what, int n, int apart)
{
    static double ms[LOOKS];
    for (int i = 0; i < LOOKS; i++) {
        struct timespec a, b;
        (void)clock_gettime(CLOCK_MONOTONIC, &a);
        assert_int_equal(ask(fd[i % n * apart], look_up, NULL, 0), 200);
        (void)clock_gettime(CLOCK_MONOTONIC, &b);
        ms[i] = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
    }
    qsort(ms, LOOKS, sizeof *ms, by_size);
    print_message("%s: p50 %.3f ms, p99 %.3f ms, max %.3f ms\n", what, ms[LOOKS / 2],
                  ms[LOOKS * 99 / 100], ms[LOOKS - 1]);
    return ms[LOOKS * 99 / 100];
}

static void connect_to(int n)
{
    for (; opened < n; opened++)
        if ((fd[opened] = wire_connect(fx.service.port)) < 0)
            fail_msg("connection %d of %d", opened, limit);
}

/* Beside whatever else this machine does: so they are compared with look-ups right before. */
static void look_ups_go_on_beside_connections_that_say_nothing(void **state)
{
    (void)state;
    connect_to(ACTIVE);
    const double alone = look("alone", ACTIVE, 1);
    const int64_t from_ms = wire_now_ms();
    connect_to(limit);
    for (int i = 0; i < ACTIVE; i++) /* these have said something by when all are there */
        assert_int_equal(ask(fd[i * (limit / ACTIVE)], look_up, NULL, 0), 200);
    print_message("%d connections in %lld ms\n", limit, (long long)(wire_now_ms() - from_ms));
    const double beside = look("beside them", ACTIVE, limit / ACTIVE);
    if (beside > TIMES * alone + SPARE_MS)
        fail_msg("p99 %.3f ms beside %d connections, %.3f ms without them", beside, limit, alone);
}

/* The count is of those that the server has taken up: the last ones may be on their way. */
static bool one_more_is_refused(void *ctx)
{
    const int s = wire_connect(fx.service.port);
    assert_true(s >= 0);
    const int status = ask(s, look_up, ctx, 2000);
    close(s);
    return status == 503;
}

static void what_is_above_the_limit_hears_why(void **state)
{
    (void)state;
    char text[2000], words[64];
    assert_true(it_await(one_more_is_refused, text, ANSWER_MS));
    (void)snprintf(words, sizeof words, "all %d connections are in use", limit);
    assert_non_null(strstr(text, words));
    assert_non_null(strstr(text, "application/problem+json"));
    assert_non_null(strstr(text, "Retry-After: "));
    assert_non_null(strstr(text, "Connection: close"));
    const int s = wire_connect(fx.service.port); /* probes are answered all the same */
    assert_int_equal(ask(s, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", NULL, 0), 200);
    close(s);
}

/* They would keep everybody else from hearing anything. */
static void above_the_limit_nobody_may_say_nothing(void **state)
{
    (void)state;
    enum { SILENT = 80 }; /* more than are taken up above the limit */
    int silent[SILENT];
    char text[2000];
    for (int i = 0; i < SILENT; i++)
        assert_true((silent[i] = wire_connect(fx.service.port)) >= 0);
    assert_true(it_await(one_more_is_refused, text, ANSWER_MS)); /* after those were cut off */
    for (int i = 0; i < SILENT; i++)
        close(silent[i]);
}

static bool is_served(void *ctx)
{
    (void)ctx;
    const int s = wire_connect(fx.service.port);
    assert_true(s >= 0);
    const int status = ask(s, look_up, NULL, 0);
    close(s);
    return status == 200;
}

static void when_they_go_there_is_room(void **state)
{
    (void)state;
    while (opened > 0)
        close(fd[--opened]);
    assert_true(it_await(is_served, NULL, ANSWER_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(look_ups_go_on_beside_connections_that_say_nothing),
        cmocka_unit_test(what_is_above_the_limit_hears_why),
        cmocka_unit_test(above_the_limit_nobody_may_say_nothing),
        cmocka_unit_test(when_they_go_there_is_room),
    };
    const char *const settings[] = { setting, "PRISM_API_CONNECTIONS_EACH=0", NULL };
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return 1;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max != RLIM_INFINITY && files.rlim_max < WANTED + SPARE_FILES) {
        print_error("SKIPPED: %d connections need %d open files, and %llu are allowed here "
                    "(ulimit -Hn)\n",
                    WANTED, WANTED + SPARE_FILES, (unsigned long long)files.rlim_max);
        return SKIPPED;
    }
    fd = calloc((size_t)limit, sizeof *fd);
    (void)snprintf(setting, sizeof setting, "PRISM_API_CONNECTIONS=%d", limit);
    api_settings = settings;
    const int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    free(fd);
    return failed;
}
