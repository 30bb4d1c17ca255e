/* prismctl autoscale against the real metadata-api. */
#include "api_autoscale_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ARGS = 24 };
static char out[1 << 20];
static char settings[] = "/tmp/prism-scale-XXXXXX";

static int setup(void **state)
{
    const int rc = scale_setup(state), fd = mkstemp(settings);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "{\"mode\": \"act\", \"zone_loss_pct\": 99.9, \"policies\": "
                            "[{\"policy\": \"hpa\", \"tolerance\": {\"up\": 0.1}}]}\n") > 0);
    close(fd);
    return rc;
}

static int teardown(void **state)
{
    unlink(settings);
    return scale_teardown(state);
}

/* Words of a line; @ is the file of settings. What it complains of is in out too. */
static void expect(const char *role, const char *line, int want)
{
    static char words[2048], url[160], token[64];
    const char *argv[MAX_ARGS + 1], *env[3] = { url, token, NULL };
    size_t n = 0;
    char *save = NULL;
    argv[n++] = "/bin/sh";
    argv[n++] = "-c";
    argv[n++] = "exec \"$@\" 2>&1";
    argv[n++] = "sh";
    argv[n++] = PRISM_BIN_DIR "/prismctl";
    snprintf(words, sizeof words, "%s", line);
    for (char *w = strtok_r(words, " ", &save); w != NULL && n < MAX_ARGS;
         w = strtok_r(NULL, " ", &save))
        argv[n++] = strcmp(w, "@") == 0 ? settings : w;
    argv[n] = NULL;
    snprintf(url, sizeof url, "PRISM_API_URL=%s", fx.service.url);
    snprintf(token, sizeof token, "PRISM_TOKEN=tok-%s", role);
    const int got = it_run(env, argv, out, sizeof out, 30000);
    if (got != want)
        fail_msg("prismctl %s: exit status %d, want %d: %s", line, got, want, out);
}

static void assert_says(const char *words)
{
    if (strstr(out, words) == NULL)
        fail_msg("'%s' is not in\n%s", words, out);
}

/* --- settings ------------------------------------------------------------------------ */

static void settings_are_set_shown_and_turned_off(void **state)
{
    (void)state;
    expect("admin", "autoscale set redis @ --yes", 5); /* a mistyped name makes no fleet */
    expect("admin", "autoscale set redis @ --new --dry-run", 0);
    assert_says("dry run");
    expect("viewer", "autoscale get redis", 5);
    expect("admin", "autoscale set redis @ --new", 2); /* nobody to ask */
    expect("admin", "autoscale set redis @ --new --yes", 0);
    expect("admin", "autoscale set redis @ --new --yes", 6);
    expect("admin", "autoscale set redis @ --yes", 0);
    expect("viewer", "autoscale get redis", 0);
    assert_says("version      1, by admin");
    assert_says("enabled      yes");
    assert_says("policy       hpa");
    assert_says("\"up\": 0.1\n"); /* as few digits as there were */
    expect("viewer", "autoscale get redis --settings", 0);
    json_t *j = json_loads(out, 0, NULL);
    assert_non_null(j);
    assert_true(json_real_value(json_object_get(j, "zone_loss_pct")) == 99.9);
    json_decref(j);
    assert_string_equal(api_sql("SELECT settings->>'zone_loss_pct' FROM autoscale_fleets"), "99.9");

    expect("operator", "autoscale disable redis", 0);
    assert_says("enabled      no");
    expect("operator", "autoscale enable redis", 2); /* nobody to ask */
    expect("operator", "autoscale enable redis --yes", 0);
    expect("viewer", "autoscale enable redis --yes", 4);
    expect("operator", "autoscale disable nobody", 5);
    expect("viewer", "autoscale history redis", 0);
    assert_says("VERSION");
    assert_says("operator");
    expect("viewer", "autoscale get redis --version 1", 0);
    assert_says("version      1, by admin");
    expect("viewer", "autoscale fleets", 0);
    assert_says("hpa");
}

static void bad_files_and_settings_are_named(void **state)
{
    (void)state;
    char bad[] = "/tmp/prism-scale-XXXXXX", line[200];
    int fd = mkstemp(bad);
    assert_true(fd >= 0);
    expect("admin", "autoscale set redis /no/such/file --yes", 2);
    assert_says("/no/such/file");
    snprintf(line, sizeof line, "autoscale set redis %s --yes", bad);
    expect("admin", line, 2); /* empty */
    assert_true(dprintf(fd, "{\"note\": \"refuse me\",\n}") > 0);
    expect("admin", line, 2);
    assert_says("line 2");
    assert_true(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    assert_true(dprintf(fd, "{\"note\": \"refuse me\"}") > 0);
    expect("admin", line, 2);
    assert_says("settings.policies[0].target_pct: is 140");
    snprintf(line, sizeof line, "autoscale simulate redis --settings %s", bad);
    expect("operator", line, 2);
    assert_says("settings.policies[0].target_pct");
    close(fd);
    unlink(bad);
}

/* --- decisions ------------------------------------------------------------------------- */

static void decisions_are_listed_and_explained(void **state)
{
    (void)state;
    char line[200];
    const long long held = scale_decision("redis", 30, "hold", 54, 54, "done", "{}", "{}");
    const long long in = scale_inward("redis", 20, "failed");
    expect("viewer", "autoscale decisions --fleet redis", 0);
    assert_says("54 -> 51 instances");
    assert_says(" advice ");
    assert_null(strstr(out, " hold "));
    expect("viewer", "autoscale decisions --all", 0);
    assert_says(" hold ");
    expect("viewer", "autoscale decisions --move hold --since 25m", 0);
    assert_null(strstr(out, " hold "));
    expect("viewer", "autoscale decisions --move hold --since 1h --until 26m", 0);
    assert_says(" hold ");
    expect("viewer", "autoscale decisions --alarm", 0);
    assert_null(strstr(out, "instances"));
    expect("viewer", "autoscale decisions --since soon", 2);
    expect("viewer", "autoscale decisions --since 5x", 2);
    expect("viewer", "autoscale decisions --move sideways", 2);

    snprintf(line, sizeof line, "autoscale explain %lld", in);
    expect("viewer", line, 0);
    assert_says("in, 54 -> 51 instances (18 -> 17 units of 3)\n");
    assert_says("advice: nobody carries it out");
    assert_says("* adaptive in         51 (asked for 45)");
    assert_says("leave      n7 (a, primary of s3, 1.2 GB)");
    snprintf(line, sizeof line, "autoscale explain %lld", held);
    expect("viewer", line, 0);
    assert_says("stays at 54 instances");
    snprintf(line, sizeof line, "-o json autoscale explain %lld", in);
    expect("viewer", line, 0);
    json_t *j = json_loads(out, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(j, "id")), in);
    json_decref(j);
    expect("viewer", "autoscale explain 999999", 5);
    expect("viewer", "autoscale explain", 2);

    snprintf(line, sizeof line, "autoscale show %lld", in);
    expect("viewer", line, 0);
    assert_says("decision.policy");
    snprintf(line, sizeof line, "autoscale input %lld", in);
    expect("viewer", line, 0);
    assert_says("\"cpu_pct\": 37.1,");
    assert_says("-0.0"); /* not even the sign of a zero is lost */
}

static void a_replay_that_differs_fails(void **state)
{
    (void)state;
    char line[100];
    bool seen[2] = { false, false };
    for (int i = 0; i < 2 || !seen[0] || !seen[1]; i++) {
        const long long id = scale_inward("redis", 2000 + i, "done");
        seen[id % 2] = true;
        snprintf(line, sizeof line, "autoscale replay %lld", id);
        expect("viewer", line, id % 2 == 0 ? 0 : 1);
        assert_says(id % 2 == 0 ? "equal, bit for bit" : "to: stored 51, now 48\n");
    }
    expect("viewer", "autoscale replay 999999", 5);
}

/* --- samples and what if ------------------------------------------------------------------ */

static void samples_and_simulations_are_tables(void **state)
{
    (void)state;
    scale_sample("redis", "date_trunc('minute', now()) - interval '3 minutes'", 61.5, 48);
    expect("viewer", "autoscale samples redis --since 1h", 0);
    assert_says("61.5");
    expect("viewer", "autoscale samples redis --until 30m", 0);
    assert_null(strstr(out, "61.5"));
    expect("viewer", "autoscale samples nobody", 5);
    expect("operator", "autoscale simulate redis", 0);
    assert_says("SHORT MIN/DAY");
    assert_says("adaptive");
    assert_says("20.9");
    assert_says("14.5 days, 12 minutes missing; new members serve after 10 min; 48 to 480");
    assert_says("(oracle)");
    expect("operator", "autoscale simulate redis --settings @ --since 2d", 0);
    assert_non_null(strstr(scale_asked.settings, "0.1"));
    assert_true(scale_asked.from_ms > INT64_C(1700000000000) && scale_asked.to_ms == 0);
    expect("viewer", "autoscale simulate redis", 4);
    expect("operator", "autoscale simulate nobody", 5);
    scale_fleet("silent");
    expect("operator", "autoscale simulate silent", 6);
    assert_says("no sample");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_set_shown_and_turned_off),
        cmocka_unit_test(bad_files_and_settings_are_named),
        cmocka_unit_test(decisions_are_listed_and_explained),
        cmocka_unit_test(a_replay_that_differs_fails),
        cmocka_unit_test(samples_and_simulations_are_tables),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
