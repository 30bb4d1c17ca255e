#include "autoscale_service_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char uri[IT_URI], dir[64];
struct pr_bus *bus;
static char command_setting[128];

const char *text(const char *format, ...)
{
    static char out[8192];
    char sql[8192];
    va_list ap;
    va_start(ap, format);
    vsnprintf(sql, sizeof sql, format, ap);
    va_end(ap);
    it_sql(uri, sql, out, sizeof out);
    return out;
}

long number(const char *sql)
{
    return strtol(text("%s", sql), NULL, 10);
}

const char *last_decisions(void)
{
    return text(
        "SELECT string_agg(id || ' ' || move || ' ' || to_instances || ' ' || state || ' ' || "
        "coalesce(report->>'why', why), '; ' ORDER BY id DESC) FROM (SELECT * FROM "
        "autoscale_decisions ORDER BY id DESC LIMIT 4) d");
}

struct awaited {
    const char *sql, *want;
};

static bool says_so(void *ctx)
{
    const struct awaited *a = ctx;
    return strcmp(text("%s", a->sql), a->want) == 0;
}

void await_sql(const char *want, const char *sql)
{
    struct awaited a = { sql, want };
    if (it_await(says_so, &a, AWAIT_MS))
        return;
    char is[256];
    snprintf(is, sizeof is, "%.255s", text("%s", sql));
    fail_msg("%s: %s, want %s; decisions: %s", sql, is, want, last_decisions());
}

void put(const char *name, const char *content)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(content, f);
    assert_int_equal(fclose(f), 0);
}

void away(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)unlink(path);
}

int lines_of_log(const char *begin)
{
    char path[128], line[128];
    int n = 0;
    snprintf(path, sizeof path, "%s/log", dir);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        n += strncmp(line, begin, strlen(begin)) == 0;
    if (f != NULL)
        fclose(f);
    return n;
}

int nodes(void)
{
    int n = 0;
    char path[128];
    for (int i = 7001; i < 7100; i++) {
        snprintf(path, sizeof path, "%s/node-%d", dir, i);
        n += access(path, F_OK) == 0;
    }
    return n;
}

void start(struct it_service *s)
{
    const char *const extra[] = { command_setting,
                                  "PRISM_AUTOSCALE_CLOCK_RATE=60",
                                  "PRISM_AUTOSCALE_LEASE_TTL_MS=4000",
                                  "PRISM_AUTOSCALE_CALL_MS=1900",
                                  "PRISM_AUTOSCALE_REQUEST_MS=1900",
                                  NULL };
    it_service(s, "autoscale", uri, extra);
}

void backlog(int messages)
{
    struct pr_err err = { 0 };
    void *reply = NULL;
    size_t n = 0;
    assert_ok(pr_bus_request(bus, "$JS.API.STREAM.PURGE.PRISM_CMD", "", 0, 5000, &reply, &n, &err),
              &err);
    free(reply);
    for (int i = 0; i < messages; i++)
        assert_ok(pr_bus_publish(bus, "prism.cmd.placement.nobody", "x", 1, NULL, NULL, &err),
                  &err);
}

bool leads(void *ctx)
{
    const struct it_service *s = ctx;
    static char metrics[1 << 18];
    return it_http(s->port, "GET", "/metrics", NULL, NULL, metrics, sizeof metrics) == 200 &&
           strstr(metrics, "\nprism_autoscale_lease_held 1") != NULL;
}

/* The program of the local actuator: it gets nothing of the service's environment. */
static void make_program(void)
{
    char path[sizeof dir + 16], script[4300];
    snprintf(script, sizeof script,
             "#!/bin/sh\nFAKE_NODES='%s' exec '%s/tests/integration/autoscale_service_nodes.sh' "
             "\"$@\"\n",
             dir, PRISM_SOURCE_DIR);
    put("program", script);
    snprintf(path, sizeof path, "%s/program", dir);
    assert_int_equal(chmod(path, 0755), 0);
    snprintf(command_setting, sizeof command_setting, "PRISM_AUTOSCALE_LOCAL_COMMAND=%s", path);
}

void stage_open(void)
{
    struct pr_err err = { 0 };
    const struct pr_bus_options admin = { .url = it_env("IT_NATS_URL"),
                                          .user = it_env("IT_NATS_ADMIN_USER"),
                                          .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                          .name = "autoscale-test" };
    snprintf(dir, sizeof dir, "/tmp/prism-autoscale.XXXXXX");
    assert_non_null(mkdtemp(dir));
    make_program();
    it_bus_reset();
    it_database("autoscale", uri);
    assert_ok(pr_bus_open(&bus, &admin, &err), &err);
}

void stage_close(void)
{
    char rm[128];
    pr_bus_close(bus);
    snprintf(rm, sizeof rm, "rm -rf '%s'", dir);
    assert_int_equal(system(rm), 0);
}
