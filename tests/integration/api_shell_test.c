/* What prismctl has for people and scripts: formats, contexts, watches, its manual page. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char out[1 << 20];
static char contexts[64], contexts_env[96];

static void expect(const char *role, const char *line, int want)
{
    const char *env[] = { contexts_env, NULL };
    int got = api_ctl(role, env, line, out, sizeof out);
    if (got != want)
        fail_msg("prismctl %s: exit status %d, want %d: %s", line, got, want, out);
}

static void says(const char *words)
{
    if (strstr(out, words) == NULL)
        fail_msg("no \"%s\" in: %s", words, out);
}

static void yaml_is_what_json_is(void **state)
{
    (void)state;
    expect("viewer", "-o yaml zone get a", 0);
    says("id: a\n");
    says("subnet: \"10.0.1.0/24\"\n");
    expect("viewer", "zone list -o yaml", 0);
    says("items:\n  - ");
    says("id: c\n");
    says("subnet: null\n");
    expect("viewer", "-o toml zone list", 2);
    expect("viewer", "zone list -o toml", 2);
}

static void every_command_says_json_and_yaml(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "vertex get 1",
        "partition list --limit 2",
        "partition get 5",
        "node list",
        "node get n1",
        "zone list",
        "topology",
        "placement list",
        "plan list",
        "policy show",
        "pin list",
        "autoscale fleets",
        "autoscale decisions",
        "dr status",
        "dr lag",
        "dr lag --day",
        "dr drills",
        "dr generations",
        "dr restores",
        "coordination",
        "operation list",
        "costs",
        "version",
        "events --limit 2",
        "context list",
    };
    char line[128];
    for (size_t i = 0; i < PR_COUNT(commands); i++) {
        snprintf(line, sizeof line, "-o json %s", commands[i]);
        expect("viewer", line, 0);
        json_t *j = json_loads(out, 0, NULL);
        if (!json_is_object(j))
            fail_msg("%s: %s", line, out);
        snprintf(line, sizeof line, "-o yaml %s", commands[i]);
        expect("viewer", line, 0);
        const char *first;
        json_t *value;
        json_object_foreach(j, first, value) /* each member begins a line */
        {
            char member[100];
            snprintf(member, sizeof member, "%s:", first);
            says(member);
        }
        assert_int_not_equal(out[0], '{');
        json_decref(j);
    }
}

static void a_context_names_server_and_token(void **state)
{
    (void)state;
    char line[512], token_file[] = "/tmp/prism-shell-token-XXXXXX";
    int fd = mkstemp(token_file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "tok-viewer\n", 11), 11);
    close(fd);
    snprintf(line, sizeof line, "context set here --url %s --token-file %s", fx.service.url,
             token_file);
    expect(NULL, line, 0);
    expect(NULL, "context set gone --url http://127.0.0.1:1", 0);
    expect(NULL, "zone get a", 0); /* the first one is the current one */
    snprintf(line, sizeof line, "--url http://localhost:%d zone get a", fx.service.port);
    expect(NULL, line, 4); /* its token is for its own URL, letter by letter */
    snprintf(line, sizeof line, "--url %s zone get a", fx.service.url);
    expect(NULL, line, 0);
    expect(NULL, "context use gone", 0);
    expect(NULL, "zone get a", 3);
    expect(NULL, "--context here zone get a", 0);
    expect("viewer", "zone get a", 0); /* the environment goes before the current one */
    expect("viewer", "--context gone zone get a", 3); /* but not before one that is named */
    expect(NULL, "--context nowhere zone get a", 2);
    expect(NULL, "context list", 0);
    says("gone");
    expect(NULL, "context delete gone", 0);
    expect(NULL, "context delete gone", 5);
    expect(NULL, "context set here --token-file -", 0);
    expect(NULL, "context use here", 0);
    expect(NULL, "zone get a", 4); /* nobody */
    struct stat st;
    assert_int_equal(stat(contexts, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    unlink(token_file);
}

/* Whoever listens on the way would have it. */
static void a_token_goes_nowhere_in_the_clear(void **state)
{
    (void)state;
    static const char *const far[] = { "http://192.0.2.1:9", "http://127.0.0.1@192.0.2.1:9",
                                       "http://127.0.0.1.example:9", "192.0.2.1:9",
                                       "http://[::2]:9" };
    static const char *const near[] = { "http://127.0.0.2:1", "http://localhost:1", "localhost:1",
                                        "https://127.0.0.1:1", "http://[::1]:1" };
    char line[256];
    for (size_t i = 0; i < PR_COUNT(far); i++) {
        snprintf(line, sizeof line, "--url %s zone get a", far[i]);
        expect("viewer", line, 2);
    }
    for (size_t i = 0; i < PR_COUNT(near); i++) {
        snprintf(line, sizeof line, "--url %s zone get a", near[i]);
        expect("viewer", line, 3); /* tried: nobody is there */
    }
}

static void a_broken_contexts_file_is_named(void **state)
{
    (void)state;
    FILE *f = fopen(contexts, "we");
    assert_non_null(f);
    fputs("{\"contexts\": [", f);
    fclose(f);
    expect(NULL, "zone list", 2);
    expect(NULL, "context list", 2);
    expect("viewer", "version", 0);
    unlink(contexts);
}

static void events_are_listed_and_watched(void **state)
{
    (void)state;
    expect("viewer", "-o json events --limit 1", 0);
    json_t *j = json_loads(out, 0, NULL);
    const char *id =
        json_string_value(json_object_get(json_array_get(json_object_get(j, "items"), 0), "id"));
    assert_non_null(id);
    char line[256];
    api_sql("INSERT INTO zones (id) VALUES ('e1'), ('e2')");
    snprintf(line, sizeof line, "-o json events --watch --resource zones/e2 --after %s --limit 1",
             id);
    expect("viewer", line, 0);
    json_decref(j);
    j = json_loads(out, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(j, "resource")), "zones/e2");
    json_decref(j);
    expect("viewer", "events --watch --after 99.1.1", 6);
    expect("viewer", "events --watch --after nonsense", 2);
    expect("nobody", "events --watch", 4);
}

static bool watchers_are(void *how_many)
{
    struct reply r = { 0 };
    char line[64];
    snprintf(line, sizeof line, "\nprism_api_watchers %d\n", *(const int *)how_many);
    api_call(&r, NULL, "GET", "/metrics", NULL, NULL);
    const bool so = strstr(r.text, line) != NULL;
    api_reply_done(&r);
    return so;
}

static void a_watch_goes_on_when_the_server_comes_back(void **state)
{
    (void)state;
    char url[96];
    snprintf(url, sizeof url, "PRISM_API_URL=%s", fx.service.url);
    const char *env[] = { url, "PRISM_TOKEN=tok-viewer", contexts_env, NULL };
    const char *watch[] = { PRISM_BIN_DIR "/prismctl",
                            "events",
                            "--watch",
                            "--resource",
                            "zones/back",
                            "--limit",
                            "2",
                            NULL };
    api_sql("INSERT INTO zones (id) VALUES ('mark')");
    /* The count is told once a second: those of the tests before must be gone from it. */
    assert_true(it_await(watchers_are, &(int){ 0 }, 10000));
    pid_t pid = it_spawn(env, watch);
    const int port = fx.service.port;
    assert_true(it_await(watchers_are, &(int){ 1 }, 10000));
    api_sql("INSERT INTO zones (id) VALUES ('back')");
    assert_int_equal(it_stop(fx.service.pid), 0);
    api_sql("UPDATE zones SET capacity_ratio = 2 WHERE id = 'back'");
    it_service_launch(&fx.service, "metadata-api", fx.uri, NULL, port);
    assert_int_equal(it_wait(pid, 60000), 0); /* two changes, none of them lost */
}

static void the_manual_page_has_every_command(void **state)
{
    (void)state;
    expect(NULL, "man", 0);
    says(".TH PRISMCTL 1");
    says("\\fBnode drain\\fR");
    says(".SH EXIT STATUS");
    char *page = strdup(out), file[] = "/tmp/prism-man-XXXXXX";
    int fd = mkstemp(file);
    assert_int_equal(write(fd, page, strlen(page)), (ssize_t)strlen(page));
    close(fd);
    free(page);
    const char *groff[] = { "/usr/bin/groff", "-man", "-ww", "-Tutf8", "-z", file, NULL };
    if (access(groff[0], X_OK) == 0) /* part of man-db; not of every machine */
        assert_int_equal(it_run(NULL, groff, out, sizeof out, 10000), 0);
    unlink(file);
}

static double line_of_cost(const json_t *all, const char *name)
{
    size_t i;
    json_t *l;
    json_array_foreach(json_object_get(all, "lines"), i, l)
    {
        if (strcmp(json_string_value(json_object_get(l, "name")), name) == 0)
            return json_real_value(json_object_get(l, "usdPerMonth"));
    }
    fail_msg("no line %s", name);
    return 0;
}

/* The sums of the reference's table, done by hand. */
static void the_reference_fleet_is_computed_right(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double usd;
    } rows[] = {
        { "Redis nodes", 735840 },
        { "proxies", 124100 },
        { "EKS", 73 },
        { "disks", 16000 },
        { "NLB", 43545600 + 16.425 },
        { "ALB", 16.425 + 58.40 },
        { "VPC endpoints", 253 },
        { "NAT", 98.55 },
        { "traffic between zones", 1814400 },
    };
    double total = 0;
    expect(NULL, "-o json cost", 0);
    json_t *all = json_loads(out, 0, NULL);
    for (size_t i = 0; i < PR_COUNT(rows); i++) {
        const double got = line_of_cost(all, rows[i].name);
        if (got < rows[i].usd - 0.005 || got > rows[i].usd + 0.005)
            fail_msg("%s: %f", rows[i].name, got);
        total += rows[i].usd;
    }
    const double sum = json_real_value(json_object_get(all, "totalUsdPerMonth"));
    assert_true(sum > total - 0.01 && sum < total + 0.01);
    assert_true(json_real_value(json_object_get(all, "referenceUsdPerMonth")) == 938757);
    json_decref(all);
    expect(NULL, "cost", 0);
    says("terabytes were taken for gigabytes");
}

static void any_fleet_has_a_price(void **state)
{
    (void)state;
    static const struct {
        const char *fleet;
        int status;
        const char *words;
    } rows[] = {
        { "{\"hoursPerMonth\":720,\"daysPerMonth\":30,\"lines\":[{\"name\":\"masters\",\"kind\":"
          "\"hourly\",\"count\":3,\"usdPerHour\":0.113}]}",
          0, "244.08" },
        { "{\"hoursPerMonth\":730,\"daysPerMonth\":30,\"lines\":[{\"name\":\"t\",\"kind\":"
          "\"transfer\",\"bytesPerS\":1e9,\"crossShare\":1,\"usdPerGb\":0.01,\"billedSides\":2}]}",
          0, "51840.00" },
        { "{\"hoursPerMonth\":730,\"daysPerMonth\":30,\"lines\":[]}", 0, "total" },
        { "{\"hoursPerMonth\":730,\"daysPerMonth\":30,\"lines\":[{\"name\":\"x\",\"kind\":"
          "\"hourly\",\"count\":1,\"usdPerHour\":1,\"cuont\":2}]}",
          2, "" },
        { "{\"hoursPerMonth\":730,\"daysPerMonth\":30,\"lines\":[{\"name\":\"x\",\"kind\":"
          "\"hourly\",\"count\":-1,\"usdPerHour\":1}]}",
          2, "" },
        { "{\"hoursPerMonth\":730,\"daysPerMonth\":30,\"lines\":[{\"name\":\"x\",\"kind\":"
          "\"daily\"}]}",
          2, "" },
        { "{\"lines\":[]}", 2, "" },
        { "[", 2, "" },
    };
    char file[] = "/tmp/prism-fleet-XXXXXX", line[100];
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    snprintf(line, sizeof line, "cost --fleet %s", file);
    for (size_t i = 0; i < PR_COUNT(rows); i++) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, rows[i].fleet, strlen(rows[i].fleet), 0),
                         (ssize_t)strlen(rows[i].fleet));
        expect(NULL, line, rows[i].status);
        says(rows[i].words);
    }
    expect(NULL, "cost --example", 0); /* what it writes it reads */
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_true(pwrite(fd, out, strlen(out), 0) > 0);
    expect(NULL, line, 0);
    says("46236");
    close(fd);
    unlink(file);
}

static int setup(void **state)
{
    snprintf(contexts, sizeof contexts, "/tmp/prism-contexts-%d.json", (int)getpid());
    snprintf(contexts_env, sizeof contexts_env, "PRISM_CONTEXTS=%s", contexts);
    return api_small_setup(state);
}

static int teardown(void **state)
{
    unlink(contexts);
    return api_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_is_what_json_is),
        cmocka_unit_test(every_command_says_json_and_yaml),
        cmocka_unit_test(a_context_names_server_and_token),
        cmocka_unit_test(a_token_goes_nowhere_in_the_clear),
        cmocka_unit_test(a_broken_contexts_file_is_named),
        cmocka_unit_test(events_are_listed_and_watched),
        cmocka_unit_test(a_watch_goes_on_when_the_server_comes_back),
        cmocka_unit_test(the_reference_fleet_is_computed_right),
        cmocka_unit_test(any_fleet_has_a_price),
        cmocka_unit_test(the_manual_page_has_every_command),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
