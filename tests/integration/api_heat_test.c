/* Access times and temperatures of partitions: from messages to PostgreSQL, look-ups and prismctl.
 */
#include "api_fixture.h"
#include "prism/io/bus.h"
#include "prism/io/clock.h"
#include "prism/v1/edges.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 60000 };

static struct reply r;
static struct pr_bus *bus;

static void accessed(const uint32_t *partition, const uint64_t *operations, size_t n,
                     size_t n_operations, double ratio, int64_t at_ms)
{
    Prism__V1__PartitionAccessEvent e = PRISM__V1__PARTITION_ACCESS_EVENT__INIT;
    struct pr_err err = { 0 };
    uint8_t packed[512];
    e.at_ms = at_ms;
    e.sample_ratio = ratio;
    e.partition = (uint32_t *)(uintptr_t)partition;
    e.n_partition = n;
    e.operations = (uint64_t *)(uintptr_t)operations;
    e.n_operations = n_operations;
    assert_true(prism__v1__partition_access_event__get_packed_size(&e) <= sizeof packed);
    const size_t len = prism__v1__partition_access_event__pack(&e, packed);
    assert_ok(pr_bus_publish(bus, "prism.edges.access", packed, len, NULL, NULL, &err), &err);
}

struct want {
    int partition;
    const char *temperature;
};

static bool is_as_wanted(void *ctx)
{
    const struct want *w = ctx;
    char path[64];
    snprintf(path, sizeof path, "/v1/partitions/%d", w->partition);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    const char *got = json_string_value(json_object_get(r.j, "temperature"));
    return got != NULL && strcmp(got, w->temperature) == 0 &&
           json_is_string(json_object_get(r.j, "accessedAt"));
}

static void await(int partition, const char *temperature)
{
    struct want w = { partition, temperature };
    if (!it_await(is_as_wanted, &w, WAIT_MS))
        fail_msg("partition %d is not %s: %s", partition, temperature, r.text);
}

static void without_a_word_nothing_is_claimed(void **state)
{
    (void)state;
    api_call(&r, "viewer", "GET", "/v1/partitions/5", NULL, NULL);
    assert_status(&r, 200);
    assert_true(json_is_null(json_object_get(r.j, "accessedAt")));
    assert_string_equal(api_sql("SELECT count(*) FROM partitions WHERE accessed_at IS NOT NULL"),
                        "0");
}

static void what_is_used_is_hot_what_is_not_is_cold(void **state)
{
    (void)state;
    const uint32_t some[] = { 5, 6 };
    const uint64_t ops[] = { 1000000, 1 };
    api_sql("UPDATE partitions SET accessed_at = now() - interval '2 days' WHERE id = 7");
    accessed(some, ops, 2, 2, 0.5, pr_now_ms());
    await(5, "hot");
    await(7, "cold");
    await(6, "warm"); /* what it was said to be at first is forgotten after a half-life */
    api_call(&r, "viewer", "GET", "/v1/partitions?temperature=cold", NULL, NULL);
    assert_status(&r, 200);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 1);
    static char out[1 << 16];
    assert_int_equal(api_ctl("viewer", NULL, "partition list --temperature hot", out, sizeof out),
                     0);
    assert_non_null(strstr(out, "ACCESSED"));
    assert_non_null(strstr(out, "hot"));
}

static void one_access_warms_what_was_cold(void **state)
{
    (void)state;
    accessed((uint32_t[]){ 7 }, (uint64_t[]){ 1 }, 1, 1, 0, pr_now_ms());
    await(7, "warm");
}

static bool eight_were_heard(void *ctx)
{
    (void)ctx;
    api_call(&r, NULL, "GET", "/metrics", NULL, NULL);
    return strstr(r.text, "prism_api_access_events_total{result=\"heard\"} 8\n") != NULL;
}

static void what_makes_no_sense_is_dropped(void **state)
{
    (void)state;
    const int64_t now_ms = pr_now_ms();
    struct pr_err err = { 0 };
    const uint32_t p[] = { 5, API_PARTITIONS };
    const uint64_t n[] = { 1, 1 };
    char before[200];
    snprintf(before, sizeof before, "%s",
             api_sql("SELECT string_agg(id || ' ' || coalesce(accessed_at::text, '-'), ',' ORDER "
                     "BY id) FROM partitions"));
    accessed(p, n, 2, 2, 1, now_ms);           /* no such partition */
    accessed(p, n, 1, 2, 1, now_ms);           /* of which one? */
    accessed(p, n, 0, 0, 1, now_ms);           /* nothing */
    accessed(p, n, 1, 1, 2, now_ms);           /* more than all */
    accessed(p, n, 1, 1, 1, now_ms + 3600000); /* not yet */
    assert_ok(pr_bus_publish(bus, "prism.edges.access", "\xff\xff", 2, NULL, NULL, &err), &err);
    assert_true(it_await(eight_were_heard, NULL, WAIT_MS));
    assert_non_null(strstr(r.text, "prism_api_access_events_total{result=\"dropped\"} 6\n"));
    assert_string_equal(api_sql("SELECT string_agg(id || ' ' || coalesce(accessed_at::text, '-'), "
                                "',' ORDER BY id) FROM partitions"),
                        before);
}

static int setup(void **state)
{
    struct pr_err err = { 0 };
    const struct pr_bus_options o = { .url = it_env("IT_NATS_URL"),
                                      .user = it_env("IT_NATS_ADMIN_USER"),
                                      .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                      .name = "it" };
    (void)api_small_setup(state);
    api_sql("INSERT INTO partitions (id, slot) VALUES (6, 1), (7, 2)");
    assert_ok(pr_bus_open(&bus, &o, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    pr_bus_close(bus);
    api_reply_done(&r);
    return api_teardown(state);
}

int main(void)
{
    static const char *const settings[] = { "PRISM_API_HEAT_WRITE_S=1",
                                            "PRISM_API_HEAT_HALF_LIFE_S=3",
                                            "PRISM_API_HOT_PER_S=10", "PRISM_API_FULL_REFRESH_S=1",
                                            NULL };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_word_nothing_is_claimed),
        cmocka_unit_test(what_is_used_is_hot_what_is_not_is_cold),
        cmocka_unit_test(one_access_warms_what_was_cold),
        cmocka_unit_test(what_makes_no_sense_is_dropped),
    };
    api_settings = settings;
    return cmocka_run_group_tests(tests, setup, teardown);
}
