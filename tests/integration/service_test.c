/* The service shell in a process of its own: this program, started again with
 * SERVICE_TEST_CHILD set, is a small service. */
#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/service.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "it.h"

/* ---- the small service ---- */

struct toy_config {
    pr_cfg_INT count;
    pr_cfg_BOOL loud;
};

static const struct pr_cfg_row toy_rows[] = {
    PR_CFG_ROW(struct toy_config, count, INT, "TOY_COUNT", NULL, 1, 9, 0, "ticks", "what to count")
        PR_CFG_ROW(struct toy_config, loud, BOOL, "TOY_LOUD", "false", 0, 0, 0, "", "say more")
};

#define TOY_METRICS(METRIC) METRIC(TOY_TICKS, COUNTER, "toy_ticks_total", NULL, "Ticks")
enum { TOY_METRICS(PR_METRIC_ID) };
static const struct pr_metric_row toy_metrics[] = { TOY_METRICS(PR_METRIC_ROW) };

struct toy {
    struct pr_service svc;
    struct toy_config cfg;
    enum pr_code fail; /* what the next tick returns */
    pthread_mutex_t lock;
};

static void toy_hello(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct toy *t = ctx;
    (void)req;
    pr_buf_printf(&res->body, "hello %lld", (long long)t->cfg.count);
}

static void toy_slow(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct toy *t = ctx;
    (void)req;
    pr_service_not_ready(&t->svc, "slow", "somebody is inside"); /* seen from outside */
    while (!pr_service_stopping(&t->svc))
        usleep(2000);
    usleep(200 * 1000);
    pr_buf_str(&res->body, "finished");
}

static void toy_ready(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct toy *t = ctx;
    (void)res;
    pr_service_not_ready(&t->svc, "mood", pr_http_query(req, "reason"));
}

static void toy_fail(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct toy *t = ctx;
    (void)res;
    pthread_mutex_lock(&t->lock);
    t->fail = (enum pr_code)atoi(req->param[0]);
    pthread_mutex_unlock(&t->lock);
}

static enum pr_code toy_tick(void *ctx, int64_t now_ms, struct pr_err *err)
{
    struct toy *t = ctx;
    pr_metrics_add(t->svc.metrics, TOY_TICKS, NULL, 1);
    pthread_mutex_lock(&t->lock);
    enum pr_code rc = t->fail;
    pthread_mutex_unlock(&t->lock);
    return rc == PR_OK ? PR_OK : pr_fail(err, rc, "told to at %lld", (long long)now_ms);
}

static int toy_main(int argc, char **argv)
{
    static const struct pr_http_route routes[] = {
        { "GET", "/hello", toy_hello, 0 },
        { "GET", "/slow", toy_slow, 0 },
        { "POST", "/mood", toy_ready, 0 },
        { "POST", "/fail/{code}", toy_fail, 0 },
    };
    static struct toy t = { .lock = PTHREAD_MUTEX_INITIALIZER };
    const struct pr_http_options http = { .routes = routes,
                                          .n_routes = PR_COUNT(routes),
                                          .ctx = &t };
    const struct pr_service_def def = {
        .name = "toy",
        .config = toy_rows,
        .n_config = PR_COUNT(toy_rows),
        .config_out = &t.cfg,
        .metrics = toy_metrics,
        .n_metrics = PR_COUNT(toy_metrics),
        .http = &http,
        .relay = true,
        .without_db = getenv("TOY_WITHOUT_DB") != NULL,
    };
    struct pr_err err = { 0 };
    enum pr_code rc = pr_service_open(&t.svc, &def, argc, argv, &err);
    if (rc == PR_OK)
        rc = pr_service_run(&t.svc, toy_tick, &t, 20, &err);
    pr_service_close(&t.svc);
    return pr_service_exit(rc, &err);
}

/* ---- the tests' side ---- */

static char self[512], uri[IT_URI];

struct child {
    pid_t pid;
    int port;
    char env[8][IT_URI + 32];
    const char *envp[10];
};

static void child_env(struct child *c)
{
    c->port = it_free_port();
    snprintf(c->env[0], sizeof c->env[0], "SERVICE_TEST_CHILD=1");
    snprintf(c->env[1], sizeof c->env[1], "PRISM_DB_URI=%s", uri);
    snprintf(c->env[2], sizeof c->env[2], "PRISM_NATS_URL=%s", it_env("IT_NATS_URL"));
    snprintf(c->env[3], sizeof c->env[3], "PRISM_NATS_USER=%s", it_env("IT_NATS_ADMIN_USER"));
    snprintf(c->env[4], sizeof c->env[4], "PRISM_NATS_PASSWORD=%s",
             it_env("IT_NATS_ADMIN_PASSWORD"));
    snprintf(c->env[5], sizeof c->env[5], "PRISM_HTTP_PORT=%d", c->port);
    snprintf(c->env[6], sizeof c->env[6], "TOY_COUNT=5");
    snprintf(c->env[7], sizeof c->env[7], "PRISM_LOG_LEVEL=debug");
    for (size_t i = 0; i < 8; i++)
        c->envp[i] = c->env[i];
    c->envp[8] = NULL;
}

static void child_start(struct child *c)
{
    child_env(c);
    c->pid = it_spawn(c->envp, (const char *const[]){ self, NULL });
}

/* Runs the child to its end with these settings only; all that it printed. */
static int child_run(const char *settings, const char *args, char *out, size_t n)
{
    char command[2048];
    snprintf(command, sizeof command, "env -i SERVICE_TEST_CHILD=1 %s %s %s 2>&1", settings, self,
             args);
    return it_run(NULL, (const char *const[]){ "/bin/sh", "-c", command, NULL }, out, n, 20000);
}

struct expect {
    int port, status;
    const char *path, *text; /* NULL: any */
    char reply[32 * 1024];
};

static bool answered(void *ctx)
{
    struct expect *e = ctx;
    int status = it_http(e->port, "GET", e->path, NULL, NULL, e->reply, sizeof e->reply);
    return status == e->status && (e->text == NULL || strstr(e->reply, e->text) != NULL);
}

/* Waits until GET path answers so. */
static void await_answer(int port, const char *path, int status, const char *text)
{
    struct expect e = { .port = port, .status = status, .path = path, .text = text };
    if (!it_await(answered, &e, 20000))
        fail_msg("%s never answered %d %s; last: %s", path, status, text, e.reply);
}

static const char *fetch(int port, const char *method, const char *path, int status)
{
    static char reply[32 * 1024];
    assert_int_equal(it_http(port, method, path, NULL, NULL, reply, sizeof reply), status);
    return reply;
}

static void assert_says(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* ---- tests ---- */

static void bad_settings_are_named_all_together(void **state)
{
    (void)state;
    char out[8192];
    assert_int_equal(child_run("TOY_COUNT=10 TOY_LOUD=perhaps PRISM_HTTP_PORT=70000 "
                               "PRISM_LOG_LEVEL=chatty PRISM_NATS_PASSWORD=a "
                               "PRISM_NATS_PASSWORD_FILE=/b",
                               "", out, sizeof out),
                     EXIT_FAILURE);
    assert_says(out, "prism-toy: 6 bad settings:\n");
    assert_says(out, "PRISM_DB_URI: required but not set, nor is PRISM_DB_URI_FILE");
    assert_says(out, "PRISM_NATS_PASSWORD: set together with PRISM_NATS_PASSWORD_FILE");
    assert_says(out, "PRISM_HTTP_PORT: \"70000\" is outside 0 to 65535");
    assert_says(out, "TOY_COUNT: \"10\" is outside 1 to 9 ticks");
    assert_says(out, "TOY_LOUD: \"perhaps\" is not true, false, 1 or 0");
    assert_says(out, "PRISM_LOG_LEVEL: \"chatty\" is not debug, info, warn or error");

    assert_int_equal(child_run("TOY_COUNT=1 PRISM_DB_URI=nonsense://x", "", out, sizeof out),
                     EXIT_FAILURE);
    assert_says(out, "database URI");
    assert_int_equal(child_run("", "--frobnicate", out, sizeof out), EXIT_FAILURE);
    assert_says(out, "unknown argument --frobnicate");
}

static void questions_are_answered_without_any_setting(void **state)
{
    (void)state;
    char out[16384];
    assert_int_equal(child_run("", "--version", out, sizeof out), EXIT_SUCCESS);
    assert_int_equal(strncmp(out, "prism-toy ", 10), 0);
    assert_int_equal(child_run("", "--help", out, sizeof out), EXIT_SUCCESS);
    assert_says(out, "PRISM_HTTP_PORT");
    assert_says(out, "TOY_COUNT");
    assert_int_equal(child_run("PRISM_DB_URI=postgresql://u:hunter2@h/d TOY_COUNT=3",
                               "--print-config", out, sizeof out),
                     EXIT_SUCCESS);
    assert_says(out, "PRISM_DB_URI=(set)\n");
    assert_says(out, "# what to count\n# integer, 1 to 9 ticks; required\nTOY_COUNT=3\n");
    assert_null(strstr(out, "hunter2"));
    assert_int_equal(child_run("", "--print-config", out, sizeof out), EXIT_SUCCESS);
    assert_says(out, "PRISM_DB_URI=(unset)\n");
}

static void a_taken_port_ends_the_start(void **state)
{
    struct child c;
    char out[8192], settings[256];
    (void)state;
    child_start(&c);
    await_answer(c.port, "/livez", 200, NULL);
    snprintf(settings, sizeof settings,
             "TOY_COUNT=1 PRISM_DB_URI=postgresql://h/d PRISM_HTTP_PORT=%d", c.port);
    assert_int_equal(child_run(settings, "", out, sizeof out), EXIT_FAILURE);
    snprintf(settings, sizeof settings, "cannot listen on 127.0.0.1:%d: the port is taken", c.port);
    assert_says(out, settings);
    assert_int_equal(it_stop(c.pid), EXIT_SUCCESS);
}

static bool has_ticked(void *port)
{
    return strstr(fetch(*(const int *)port, "GET", "/metrics", 200), "toy_ticks_total 0\n") == NULL;
}

static void runs_ticks_routes_probes_and_metrics(void **state)
{
    struct child c;
    (void)state;
    child_start(&c);
    await_answer(c.port, "/readyz", 200, "\"ready\":true,\"state\":\"running\"");
    assert_string_equal(fetch(c.port, "GET", "/hello", 200), "hello 5");
    const char *r = fetch(c.port, "GET", "/readyz", 200);
    assert_says(r, "\"service\":\"toy\",\"instance\":\"toy-");
    assert_says(r, "\"postgresql\":{\"ready\":true}");
    assert_says(r, "\"nats\":{\"ready\":true}");
    assert_says(fetch(c.port, "GET", "/livez", 200), "true");
    (void)fetch(c.port, "GET", "/nowhere", 404);
    (void)fetch(c.port, "DELETE", "/hello", 405);

    await_answer(c.port, "/metrics", 200, "prism_http_requests_total{class=\"4xx\"} 2\n");
    r = fetch(c.port, "GET", "/metrics", 200);
    assert_says(r, "prism_up 1\n");
    assert_says(r, "prism_ready 1\n");
    assert_says(r, "prism_build_info{version=\"");
    assert_says(r, "prism_dependency_up{dependency=\"postgresql\"} 1\n");
    assert_says(r, "prism_dependency_up{dependency=\"nats\"} 1\n");
    assert_says(r, "prism_http_request_seconds_count{route=\"/hello\"} 1\n");
    assert_says(r, "# TYPE toy_ticks_total counter\ntoy_ticks_total ");
    assert_true(it_await(has_ticked, &c.port, 10000));
    assert_int_equal(it_stop(c.pid), EXIT_SUCCESS);
}

static void own_reasons_show_in_readyz(void **state)
{
    struct child c;
    (void)state;
    child_start(&c);
    await_answer(c.port, "/readyz", 200, NULL);
    (void)fetch(c.port, "POST", "/mood?reason=no%20%22snapshot%22", 200);
    assert_says(fetch(c.port, "GET", "/readyz", 503),
                "\"mood\":{\"ready\":false,\"reason\":\"no \\\"snapshot\\\"\"}");
    assert_says(fetch(c.port, "GET", "/metrics", 200), "prism_ready 0\n");
    (void)fetch(c.port, "POST", "/mood", 200);
    assert_says(fetch(c.port, "GET", "/readyz", 200), "\"mood\":{\"ready\":true}");
    assert_int_equal(it_stop(c.pid), EXIT_SUCCESS);
}

static void a_failing_tick_is_tried_again_or_ends_the_run(void **state)
{
    struct child c;
    char path[32];
    (void)state;
    child_start(&c);
    await_answer(c.port, "/readyz", 200, NULL);
    snprintf(path, sizeof path, "/fail/%d", (int)PR_EUNAVAIL);
    (void)fetch(c.port, "POST", path, 200);
    await_answer(c.port, "/metrics", 200, "prism_tick_failures_total 3"); /* 3, 3x */
    assert_true(it_alive(c.pid));
    snprintf(path, sizeof path, "/fail/%d", (int)PR_EINTERNAL);
    (void)fetch(c.port, "POST", path, 200);
    assert_int_equal(it_wait(c.pid, 20000), EXIT_FAILURE);
}

struct slow {
    int port, status;
    char reply[256];
};

static void *ask_slow(void *arg)
{
    struct slow *s = arg;
    s->status = it_http(s->port, "GET", "/slow", NULL, NULL, s->reply, sizeof s->reply);
    return NULL;
}

static void sigterm_lets_running_requests_finish(void **state)
{
    struct child c;
    struct slow s = { 0 };
    pthread_t asker;
    (void)state;
    child_start(&c);
    await_answer(c.port, "/readyz", 200, NULL);
    s.port = c.port;
    assert_int_equal(pthread_create(&asker, NULL, ask_slow, &s), 0);
    await_answer(c.port, "/readyz", 503, "somebody is inside");
    int64_t from_us = pr_mono_us();
    assert_int_equal(it_stop(c.pid), EXIT_SUCCESS);
    assert_true(pr_mono_us() - from_us < 10 * 1000 * 1000);
    pthread_join(asker, NULL);
    assert_int_equal(s.status, 200);
    assert_string_equal(s.reply, "finished");
}

static void starts_before_its_dependencies_and_says_what_is_missing(void **state)
{
    struct child c;
    (void)state;
    it_server_kill("postgres", true);
    it_server_kill("nats", true);
    child_start(&c);
    await_answer(c.port, "/livez", 200, NULL);
    await_answer(c.port, "/readyz", 503, "\"postgresql\":{\"ready\":false,\"reason\":\"PostgreSQL");
    await_answer(c.port, "/readyz", 503, "\"nats\":{\"ready\":false,\"reason\":\"NATS");
    assert_says(fetch(c.port, "GET", "/readyz", 503), "\"state\":\"starting\"");
    /* its routes wait: what they work with is not made yet */
    assert_says(fetch(c.port, "GET", "/hello", 503), "starting");
    it_server_up("nats");
    await_answer(c.port, "/readyz", 503, "\"nats\":{\"ready\":true}");
    assert_says(fetch(c.port, "GET", "/readyz", 503), "\"postgresql\":{\"ready\":false");
    it_server_up("postgres");
    await_answer(c.port, "/readyz", 200, "\"ready\":true");
    assert_string_equal(fetch(c.port, "GET", "/hello", 200), "hello 5");
    assert_int_equal(it_stop(c.pid), EXIT_SUCCESS);
}

static void survives_the_loss_of_its_dependencies(void **state)
{
    struct child c;
    (void)state;
    child_start(&c);
    await_answer(c.port, "/readyz", 200, NULL);
    it_server_kill("postgres", true);
    await_answer(c.port, "/readyz", 503, "\"postgresql\":{\"ready\":false");
    it_server_up("postgres");
    await_answer(c.port, "/readyz", 200, NULL);
    it_server_kill("nats", true);
    await_answer(c.port, "/readyz", 503, "\"nats\":{\"ready\":false");
    assert_string_equal(fetch(c.port, "GET", "/hello", 200), "hello 5");
    it_server_up("nats");
    await_answer(c.port, "/readyz", 200, NULL);
    assert_int_equal(it_stop(c.pid), EXIT_SUCCESS);
}

static void sigterm_while_waiting_for_dependencies_is_a_clean_end(void **state)
{
    struct child c;
    (void)state;
    child_env(&c);
    snprintf(c.env[1], sizeof c.env[1], "PRISM_DB_URI=postgresql://127.0.0.1:%d/none",
             it_free_port());
    c.pid = it_spawn(c.envp, (const char *const[]){ self, NULL });
    await_answer(c.port, "/readyz", 503, "\"postgresql\":{\"ready\":false,\"reason\":\"PostgreSQL");
    assert_int_equal(it_stop(c.pid), EXIT_SUCCESS);
}

static void what_needs_no_postgresql_runs_without(void **state)
{
    struct child c;
    (void)state;
    child_env(&c);
    c.envp[8] = "TOY_WITHOUT_DB=1";
    c.envp[9] = NULL;
    it_server_kill("postgres", true);
    c.pid = it_spawn(c.envp, (const char *const[]){ self, NULL });
    await_answer(c.port, "/hello", 200, "hello 5");
    await_answer(c.port, "/metrics", 200, "toy_ticks_total ");
    assert_says(fetch(c.port, "GET", "/readyz", 503), "\"state\":\"running\"");
    assert_says(fetch(c.port, "GET", "/readyz", 503), "\"postgresql\":{\"ready\":false");
    it_server_up("postgres");
    await_answer(c.port, "/readyz", 200, "\"ready\":true");
    assert_int_equal(it_stop(c.pid), EXIT_SUCCESS);
}

static int setup(void **state)
{
    (void)state;
    it_database("service", uri);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_settings_are_named_all_together),
        cmocka_unit_test(questions_are_answered_without_any_setting),
        cmocka_unit_test(a_taken_port_ends_the_start),
        cmocka_unit_test(runs_ticks_routes_probes_and_metrics),
        cmocka_unit_test(own_reasons_show_in_readyz),
        cmocka_unit_test(a_failing_tick_is_tried_again_or_ends_the_run),
        cmocka_unit_test(sigterm_lets_running_requests_finish),
        cmocka_unit_test(starts_before_its_dependencies_and_says_what_is_missing),
        cmocka_unit_test(survives_the_loss_of_its_dependencies),
        cmocka_unit_test(sigterm_while_waiting_for_dependencies_is_a_clean_end),
        cmocka_unit_test(what_needs_no_postgresql_runs_without),
    };
    if (getenv("SERVICE_TEST_CHILD") != NULL)
        return toy_main(argc, argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) {
        perror("/proc/self/exe");
        return EXIT_FAILURE;
    }
    return cmocka_run_group_tests(tests, setup, NULL);
}
