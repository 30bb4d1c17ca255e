/* The service itself: what it reports of fleets while it leads and when it does not, and a clock
 * that was ahead. Sixty times as fast as life: a minute of its policies is a second. */
#include "t.h"

#include "it.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AWAIT_MS = 30000 };

static char uri[IT_URI];
static struct it_service service;

/* The fleet's time, and what it has been since the day before. */
#define FLEET_NOW                                                                                  \
    "(SELECT min(changed_at) + (clock_timestamp() - min(changed_at)) * 60 FROM "                   \
    "autoscale_settings WHERE fleet = 'pool')"

static const char *sql(const char *text)
{
    static char out[2000];
    it_sql(uri, text, out, sizeof out);
    return out;
}

struct awaited {
    const char *what, *want;
};

static bool says_so(void *ctx)
{
    const struct awaited *a = ctx;
    return strcmp(sql(a->what), a->want) == 0;
}

static void await_sql(const char *what, const char *want)
{
    struct awaited a = { what, want };
    if (!it_await(says_so, &a, AWAIT_MS))
        fail_msg("%s: %s, want %s", what, sql(what), want);
}

static const char *metrics(void)
{
    static char text[1 << 18];
    assert_int_equal(it_http(service.port, "GET", "/metrics", NULL, NULL, text, sizeof text), 200);
    return text;
}

static bool shows(void *line)
{
    return strstr(metrics(), line) != NULL;
}

static bool shows_not(void *line)
{
    return !shows(line);
}

static void await_line(const char *line, bool there)
{
    if (!it_await(there ? shows : shows_not, (char *)(uintptr_t)line, AWAIT_MS))
        fail_msg("%s%s", there ? "no " : "", line);
}

/* So that it is known how many serve, for an hour of the fleet's. */
static void sample(void)
{
    (void)sql("SELECT autoscale_partitions('autoscale_samples', now(), 1, '60 days')");
    (void)sql("INSERT INTO autoscale_samples (fleet, at, cpu_pct, serving, silent, merged_at) "
              "VALUES ('pool', date_trunc('minute', " FLEET_NOW "), 50, 5, 0, " FLEET_NOW
              ") ON CONFLICT DO NOTHING");
}

static int setup(void **state)
{
    (void)state;
    static const char *const extra[] = { "PRISM_AUTOSCALE_CLOCK_RATE=60",
                                         "PRISM_AUTOSCALE_LEASE_TTL_MS=4000",
                                         "PRISM_AUTOSCALE_CALL_MS=1900",
                                         "PRISM_AUTOSCALE_REQUEST_MS=1900", NULL };
    it_bus_reset();
    it_database("lead", uri);
    (void)sql("INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES ('pool', "
              "'{\"fleet\": {\"min\": 2, \"max\": 9, \"zone_loss_pct\": 0}}', 'it')");
    it_service(&service, "autoscale", uri, extra);
    sample();
    await_sql("SELECT count(*) > 1 FROM autoscale_decisions", "t");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return it_stop(service.pid);
}

static void who_does_not_lead_reports_no_fleet(void **state)
{
    (void)state;
    static const char *const of_fleets[] = { "prism_autoscale_serving{", "prism_autoscale_desired{",
                                             "prism_autoscale_alarm{",
                                             "prism_autoscale_behind_seconds{",
                                             "prism_autoscale_fleets{" };
    for (size_t i = 0; i < PR_COUNT(of_fleets); i++)
        await_line(of_fleets[i], true);
    assert_true(shows("prism_autoscale_lease_held 1\n"));

    /* Another replica has it now, for a minute. */
    (void)sql("UPDATE leases SET holder = 'another', epoch = epoch + 1, expires_at = now() + "
              "interval '1 minute' WHERE name = 'autoscale'");
    await_line("prism_autoscale_lease_held 0\n", true);
    for (size_t i = 0; i < PR_COUNT(of_fleets); i++)
        await_line(of_fleets[i], false);
    (void)sql("UPDATE leases SET expires_at = now() WHERE name = 'autoscale'");
    sample();
    for (size_t i = 0; i < PR_COUNT(of_fleets); i++)
        await_line(of_fleets[i], true);

    /* Nor does anybody report a fleet that is off. */
    (void)sql("UPDATE autoscale_fleets SET enabled = false");
    await_line("prism_autoscale_serving{", false);
    (void)sql("UPDATE autoscale_fleets SET enabled = true");
    sample();
    await_line("prism_autoscale_serving{", true);
}

/* As a replica leaves it whose clock was a day ahead. */
static void a_clock_that_was_ahead_stops_nothing_for_long(void **state)
{
    (void)state;
    sample();
    (void)sql("INSERT INTO autoscale_samples (fleet, at, cpu_pct, serving, silent, merged_at) "
              "SELECT 'pool', date_trunc('minute', n) + interval '1 day', 99, 5, 0, n + interval "
              "'1 day' FROM " FLEET_NOW " AS f(n)");
    (void)sql("UPDATE autoscale_state SET evaluated_at = (SELECT max(at) FROM autoscale_samples)");
    await_line("prism_autoscale_alarm{fleet=\"pool\"} 1\n", true);
    /* It is set aside after five minutes of the fleet's, */
    char more[200];
    await_sql("SELECT count(*) FROM autoscale_samples WHERE at > " FLEET_NOW, "0");
    const long seen = strtol(sql("SELECT max(id) FROM autoscale_decisions"), NULL, 10);
    /* and decisions are made again, for minutes that are now. */
    sample();
    snprintf(more, sizeof more, "SELECT count(*) > 1 FROM autoscale_decisions WHERE id > %ld",
             seen);
    await_sql(more, "t");
    await_sql("SELECT count(*) FROM autoscale_decisions WHERE at > " FLEET_NOW, "0");
    await_sql("SELECT bool_and(evaluated_at <= " FLEET_NOW ") FROM autoscale_state", "t");
}

/* How long it was behind under an earlier lease is no reason to delete under the next. */
static void a_new_tenure_watches_its_clock_from_the_beginning(void **state)
{
    (void)state;
    enum { AWAY_MS = 6000, WATCH_MS = 5000 }; /* the fleet's five minutes */
    sample();
    (void)sql(
        "INSERT INTO autoscale_samples (fleet, at, cpu_pct, serving, silent, merged_at) "
        "SELECT 'pool', date_trunc('minute', n) + interval '1 day', 99, 5, 0, n FROM " FLEET_NOW
        " AS f(n)");
    await_line("prism_autoscale_alarm{fleet=\"pool\"} 1\n", true);
    const int64_t begin_us = pr_mono_us();
    (void)sql("UPDATE leases SET holder = 'another', epoch = epoch + 1, expires_at = "
              "clock_timestamp() + interval '6 seconds' WHERE name = 'autoscale'");
    await_line("prism_autoscale_lease_held 0\n", true);
    await_sql("SELECT count(*) FROM autoscale_samples WHERE at > " FLEET_NOW, "0");
    const int64_t took_ms = (pr_mono_us() - begin_us) / 1000;
    if (took_ms < AWAY_MS + WATCH_MS)
        fail_msg("set aside after %lld ms", (long long)took_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_does_not_lead_reports_no_fleet),
        cmocka_unit_test(a_clock_that_was_ahead_stops_nothing_for_long),
        cmocka_unit_test(a_new_tenure_watches_its_clock_from_the_beginning),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
