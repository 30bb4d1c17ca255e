/* The service and a Kubernetes that reports a marked pod: who only advises changes nothing there,
 * and nobody undoes another installation's mark. */
#include "t.h"

#include "autoscale_provider.h"
#include "it.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AWAIT_MS = 30000 };

static struct provider kube;
static struct it_service service;
static char uri[IT_URI], seen[SAID]; /* what was asked of Kubernetes since last forgotten */

static void mode(const char *is)
{
    char sql[700];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES ('pool', '{\"kind\": "
        "\"single\", \"mode\": \"%s\", \"fleet\": {\"min\": 1, \"max\": 9, \"zones\": [{\"name\": "
        "\"a\"}]}, \"actuator\": {\"kind\": \"kubernetes\", \"namespace\": \"prism\", "
        "\"targets\": [{\"name\": \"deployments/proxy-a\", \"zone\": \"a\"}]}}', 'it') ON "
        "CONFLICT (name) DO UPDATE SET settings = excluded.settings",
        is);
    it_sql(uri, sql, NULL, 0);
}

static void marked(const char *owner)
{
    provider_tell(
        &kube,
        "{\"set\": {\"objects\": {\"deployments/proxy-a\": {\"replicas\": 1, \"version\": "
        "7, \"pods\": [{\"name\": \"x1\", \"annotations\": {\"prism/leaves\": "
        "\"%s\"}}]}}}}",
        owner);
    (void)provider_log(&kube);
    seen[0] = '\0';
}

struct awaited {
    const char *what;
    int times;
};

static bool was_asked(void *ctx)
{
    const struct awaited *a = ctx;
    const size_t n = strlen(seen);
    snprintf(seen + n, sizeof seen - n, "%s;", provider_log(&kube));
    return times_said(seen, a->what) >= a->times;
}

static void await_asked(const char *what, int times)
{
    struct awaited a = { what, times };
    if (!it_await(was_asked, &a, AWAIT_MS))
        fail_msg("only \"%s\"", seen);
}

/* A look ends before the next begins, with whatever follows from it. */
static void looks_change_nothing(void)
{
    await_asked("GET pods", 3);
    assert_int_equal(times_said(seen, "PATCH"), 0);
}

static void marks_are_undone_by_their_owner_when_it_acts(void **state)
{
    (void)state;
    char owner[100];
    mode("advise");
    it_sql(uri,
           "SELECT fleet || '/' || (extract(epoch FROM min(changed_at)) * 1000)::bigint FROM "
           "autoscale_settings GROUP BY fleet",
           owner, sizeof owner);
    marked(owner);
    looks_change_nothing();

    mode("act");
    await_asked("PATCH pod prism/pods/x1", 1);
    assert_non_null(strstr(seen, "\"prism/leaves\":null"));

    marked("pool/1");
    looks_change_nothing();
}

static int setup(void **state)
{
    (void)state;
    char token[64], url[128], file[128];
    provider_start(&kube, "kubernetes", NULL, NULL);
    provider_write(&kube, "token", "first\n", token);
    snprintf(url, sizeof url, "PRISM_KUBERNETES_URL=%s", kube.url);
    snprintf(file, sizeof file, "PRISM_KUBERNETES_TOKEN_PATH=%s", token);
    const char *const extra[] = { url, file, "PRISM_AUTOSCALE_LOOK_S=1", NULL };
    it_bus_reset();
    it_database("marks", uri);
    it_service(&service, "autoscale", uri, extra);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    const int status = it_stop(service.pid);
    provider_stop(&kube);
    return status;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_are_undone_by_their_owner_when_it_acts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
