/* A Redis server's load from two INFO answers: which share counts, and what is unknown. */
#include "t.h"

#include "core/redis_cpu.h"

#include "prism/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define assert_near(got, want, by)                                                                 \
    do {                                                                                           \
        const double near_got = (got), near_want = (want);                                         \
        if (!(fabs(near_got - near_want) <= (by)))                                                 \
            fail_msg("%s is %.17g, want %.17g", #got, near_got, near_want);                        \
    } while (0)

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const struct autoscale_redis_info before = {
    .at_us = 1000000,
    .run_id = ID_A,
    .cpu_s = 100,
    .main_cpu_s = 80,
    .used_bytes = 1e9,
    .max_bytes = 4e9,
    .in_bytes = 1e6,
    .out_bytes = 1e6,
};

static const struct autoscale_redis_host unknown, one = { .vcpus = 1 }, two = { .vcpus = 2 },
                                                  four = { .vcpus = 4 };

/* ten seconds later, with so much CPU used meanwhile */
static struct autoscale_redis_info later(double all_s, double main_s)
{
    struct autoscale_redis_info i = before;
    i.at_us += 10000000;
    i.cpu_s += all_s;
    i.main_cpu_s += main_s;
    i.in_bytes += 1e6;
    i.out_bytes += 5e6;
    return i;
}

static void the_larger_share_counts(void **state)
{
    (void)state;
    static const struct {
        double all_s, main_s, vcpus, want;
    } row[] = {
        { 9.5, 9.5, 16, 95 },   /* one thread is full, fifteen vCPUs idle */
        { 144, 5, 16, 90 },     /* threads of I/O fill the host */
        { 16, 10, 16, 100 },    /* exactly full */
        { 8, 5, 1, 80 },        /* one vCPU: the host's share is the larger */
        { 5, 5, 1, 50 },        /* they are equal */
        { 30, 4, 0, 40 },       /* vCPUs unknown: the main thread alone */
        { 0, 0, 16, 0 },        /* idle is 0, and known */
        { 10.3, 10.3, 16, 100 } /* delays: more than all there is is all there is */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_redis_info after = later(row[i].all_s, row[i].main_s);
        struct autoscale_redis_load got;
        autoscale_redis_load(&before, &after,
                             &(struct autoscale_redis_host){ .vcpus = row[i].vcpus }, &got);
        assert_near(got.cpu_pct, row[i].want, 1e-9);
        assert_string_equal(got.why, "");
    }
}

static void without_main_thread_figures_all_threads_count(void **state)
{
    (void)state;
    struct autoscale_redis_info a = before, b = later(5, 0);
    struct autoscale_redis_load got;
    a.main_cpu_s = b.main_cpu_s = NAN;
    autoscale_redis_load(&a, &b, &unknown, &got);
    assert_near(got.cpu_pct, 50, 1e-9);
    autoscale_redis_load(&a, &b, &two, &got);
    assert_near(got.cpu_pct, 25, 1e-9);
}

static void memory_and_network(void **state)
{
    (void)state;
    const struct autoscale_redis_info after = later(1, 1);
    struct autoscale_redis_load got;
    autoscale_redis_load(&before, &after, &four, &got);
    assert_near(got.memory_pct, 25, 1e-9);
    assert_near(got.network_bps, 5e6 * 8 / 10, 1e-6); /* the busier direction */
}

static void expect_unknown(const struct autoscale_redis_info *a,
                           const struct autoscale_redis_info *b, const char *why)
{
    struct autoscale_redis_load got;
    autoscale_redis_load(a, b, &four, &got);
    assert_true(isnan(got.cpu_pct));
    assert_true(isnan(got.network_bps));
    assert_near(got.memory_pct, 25, 1e-9); /* needs no second answer */
    assert_non_null(strstr(got.why, why));
}

static void what_cannot_be_compared_is_unknown(void **state)
{
    (void)state;
    const struct autoscale_redis_info fine = later(1, 1);
    struct autoscale_redis_info b = fine;
    expect_unknown(NULL, &fine, "first answer");
    memcpy(b.run_id, ID_B, sizeof b.run_id);
    b.cpu_s = 0.5; /* a restart: even where the counters went on by chance */
    expect_unknown(&before, &b, "restarted");
    b.cpu_s = 500;
    expect_unknown(&before, &b, "restarted");
    b = fine;
    b.cpu_s = before.cpu_s - 0.000001;
    expect_unknown(&before, &b, "went back");
    b = fine;
    b.main_cpu_s = before.main_cpu_s - 1;
    expect_unknown(&before, &b, "went back");
    b = fine;
    b.in_bytes = 0; /* CONFIG RESETSTAT */
    expect_unknown(&before, &b, "went back");
    b = fine;
    b.at_us = before.at_us;
    expect_unknown(&before, &b, "less than a second");
    b.at_us = before.at_us - 5000000;
    expect_unknown(&before, &b, "less than a second");
}

static void boundaries_of_the_time_between_answers(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        bool known;
    } row[] = {
        { 999999, false },   { 1000000, true },   { 1000001, true },
        { 299999999, true }, { 300000000, true }, { 300000001, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_redis_info b = later(0.5, 0.5);
        struct autoscale_redis_load got;
        b.at_us = before.at_us + row[i].us;
        autoscale_redis_load(&before, &b, &four, &got);
        assert_int_equal(!isnan(got.cpu_pct), row[i].known);
    }
}

static void more_than_can_be_is_unknown_not_full(void **state)
{
    (void)state;
    struct autoscale_redis_info b = later(44.0, 5);
    struct autoscale_redis_load got;
    autoscale_redis_load(&before, &b, &four, &got); /* 110 %: exactly what noise may make */
    assert_near(got.cpu_pct, 100, 1e-9);
    b.cpu_s += 0.1;
    autoscale_redis_load(&before, &b, &four, &got);
    assert_true(isnan(got.cpu_pct));
    assert_non_null(strstr(got.why, "cannot be"));
}

static void a_late_answer_is_timed_by_the_server(void **state)
{
    (void)state;
    struct autoscale_redis_info a = before, b = later(5, 5);
    struct autoscale_redis_load got;
    a.server_us = 5000000000;
    b.server_us = a.server_us + 10000000; /* ten seconds there */
    b.at_us = a.at_us + 10900000;         /* its answer waited 0.9 s */
    autoscale_redis_load(&a, &b, &one, &got);
    assert_near(got.cpu_pct, 50, 1e-9);
    b.server_us = a.server_us + 3600000000; /* its clock was set */
    autoscale_redis_load(&a, &b, &one, &got);
    assert_near(got.cpu_pct, 5 / 10.9 * 100, 1e-9);
    b.server_us = a.server_us - 1;
    autoscale_redis_load(&a, &b, &one, &got);
    assert_near(got.cpu_pct, 5 / 10.9 * 100, 1e-9);
}

static void who_loads_its_data_has_no_load(void **state)
{
    (void)state;
    struct autoscale_redis_info b = later(10, 10);
    struct autoscale_redis_load got;
    b.loading = true;
    autoscale_redis_load(&before, &b, &four, &got);
    assert_true(isnan(got.cpu_pct));
    assert_true(isnan(got.memory_pct));
    assert_true(isnan(got.network_bps));
    assert_non_null(strstr(got.why, "loads"));
}

static void no_limit_no_share_of_memory(void **state)
{
    (void)state;
    struct autoscale_redis_info b = later(1, 1);
    struct autoscale_redis_load got;
    b.max_bytes = 0;
    autoscale_redis_load(&before, &b, &four, &got);
    assert_true(isnan(got.memory_pct));
    assert_true(!isnan(got.cpu_pct));
    assert_non_null(strstr(got.why, "neither maxmemory nor the host's is known"));
    b.max_bytes = 5e8; /* over its limit */
    autoscale_redis_load(&before, &b, &four, &got);
    assert_near(got.memory_pct, 100, 0);
}

/* Without maxmemory a store grows until its host is full. */
static void without_a_limit_the_hosts_memory_is_it(void **state)
{
    (void)state;
    const double gib = 1073741824;
    static const struct {
        double max_gib, used_gib, rss_gib, host_gib, type_gib, want;
    } row[] = {
        { 0, 8, NAN, 16, 0, 50 },      /* what the server sees of its host */
        { 0, 8, NAN, NAN, 128, 6.25 }, /* what its type says */
        { 0, 8, NAN, 16, 128, 50 },    /* the smaller of both, */
        { 0, 8, NAN, 256, 128, 6.25 }, /* either way */
        { 0, 8, 12, 16, 0, 75 },       /* with what the allocator holds beside the data */
        { 0, 8, 6, 16, 0, 50 },        /* part of it swapped */
        { 0, 20, NAN, 16, 0, 100 },    /* more than there is */
        { 10, 8, 12, 16, 128, 80 },    /* maxmemory goes before, and counts data alone */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_redis_info b = later(1, 1);
        const struct autoscale_redis_host host = { 4, row[i].type_gib };
        struct autoscale_redis_load got;
        b.max_bytes = row[i].max_gib * gib;
        b.used_bytes = row[i].used_gib * gib;
        b.rss_bytes = row[i].rss_gib * gib;
        b.host_bytes = row[i].host_gib * gib;
        autoscale_redis_load(&before, &b, &host, &got);
        assert_near(got.memory_pct, row[i].want, 1e-9);
        assert_string_equal(got.why, "");
    }
}

static const char answer[] =
    "# Server\r\nredis_version:7.0.15\r\nrun_id:" ID_A "\r\n"
    "server_time_usec:1700000000123456\r\n"
    "# Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\n"
    "used_memory_rss:2097152\r\nused_memory_dataset:524288\r\ntotal_system_memory:8388608\r\n"
    "maxmemory:4194304\r\nmaxmemory_human:4.00M\r\n"
    "# Persistence\r\nloading:0\r\n"
    "# Stats\r\ntotal_net_input_bytes:100\r\n"
    "total_net_output_bytes:9000000000000\r\n"
    "# CPU\r\nused_cpu_sys:1.500000\r\nused_cpu_user:2.250000\r\n"
    "used_cpu_sys_children:9.0\r\nused_cpu_sys_main_thread:1.000000\r\n"
    "used_cpu_user_main_thread:2.000000\r\n";

static void reads_an_answer(void **state)
{
    (void)state;
    struct autoscale_redis_info got;
    struct pr_err err = { 0 };
    assert_ok(autoscale_redis_info_parse(answer, 77, &got, &err), &err);
    assert_string_equal(got.run_id, ID_A);
    assert_int_equal(got.at_us, 77);
    assert_int_equal(got.server_us, 1700000000123456);
    assert_near(got.cpu_s, 3.75, 0);
    assert_near(got.main_cpu_s, 3, 0);
    assert_near(got.used_bytes, 1048576, 0);
    assert_near(got.max_bytes, 4194304, 0);
    assert_near(got.rss_bytes, 2097152, 0);
    assert_near(got.data_bytes, 524288, 0);
    assert_near(got.host_bytes, 8388608, 0);
    assert_near(got.out_bytes, 9e12, 0);
    assert_false(got.loading);

    struct autoscale_redis_load load;
    const struct autoscale_redis_host host = { 0 };
    autoscale_redis_load(NULL, &got, &host, &load); /* one answer is enough for that */
    assert_near(load.data_bytes, 524288, 0);
    got.loading = true;
    autoscale_redis_load(NULL, &got, &host, &load);
    assert_true(isnan(load.data_bytes));
}

/* Puts `with` where the answer has `what`. */
static enum pr_code parse_changed(const char *what, const char *with,
                                  struct autoscale_redis_info *got, struct pr_err *err)
{
    char text[2048];
    const char *at = strstr(answer, what);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - answer), answer, with, at + strlen(what));
    return autoscale_redis_info_parse(text, 0, got, err);
}

static void a_bad_answer_names_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *what, *with, *says;
    } row[] = {
        { "run_id:" ID_A, "run_id:", "run_id" },
        { "run_id:" ID_A, "run_id:" ID_A "0", "run_id" },
        { "run_id", "x", "run_id" },
        { "used_cpu_user:2.250000", "used_cpu_user:-2.25", "used_cpu_user" },
        { "used_cpu_sys:1.500000", "used_cpu_sys:nan", "used_cpu_sys" },
        { "used_cpu_sys:1.500000", "", "used_cpu_sys" },
        { "used_memory:1048576", "used_memory:1e999", "used_memory" },
        { "used_memory:1048576", "used_memory:12x", "used_memory" },
        { "total_net_input_bytes:100", "total_net_input_bytes:", "total_net_input_bytes" },
        { "total_net_output_bytes", "no", "total_net_output_bytes" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_redis_info got;
        struct pr_err err = { 0 };
        assert_int_equal(parse_changed(row[i].what, row[i].with, &got, &err), PR_EDATA);
        assert_non_null(strstr(err.text, row[i].says));
    }
    assert_int_equal(autoscale_redis_info_parse("", 0, &(struct autoscale_redis_info){ 0 }, NULL),
                     PR_EDATA);
}

static void older_servers_say_less(void **state)
{
    (void)state;
    struct autoscale_redis_info got;
    struct pr_err err = { 0 };
    assert_ok(parse_changed("used_cpu_sys_main_thread", "x", &got, &err), &err);
    assert_true(isnan(got.main_cpu_s));
    assert_ok(parse_changed("server_time_usec", "x", &got, &err), &err);
    assert_int_equal(got.server_us, 0);
    assert_ok(parse_changed("loading:0", "loading:1", &got, &err), &err);
    assert_true(got.loading);
}

/* Whatever a server says: an error or numbers that can be, and no byte read beyond. */
static void mangled_answers_do_no_harm(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        struct pr_rng g;
        struct autoscale_redis_info a, b;
        struct autoscale_redis_load got;
        pr_rng_init(&g, seed);
        char *text = strdup(answer); /* of exactly its size: sanitizers see the end */
        assert_non_null(text);
        const size_t n = strlen(text);
        for (uint64_t k = pr_rng_below(&g, 6); k > 0; k--)
            text[pr_rng_below(&g, n)] = "0123456789:.\r\n-eInaf\xff#"[pr_rng_below(&g, 23)];
        text[n - pr_rng_below(&g, n)] = '\0';
        const enum pr_code rc = autoscale_redis_info_parse(text, 12000000, &b, NULL);
        free(text);
        if (rc != PR_OK)
            continue;
        assert_int_equal(autoscale_redis_info_parse(answer, 1000000, &a, NULL), PR_OK);
        autoscale_redis_load(&a, &b, &four, &got);
        if (!(isnan(got.cpu_pct) || (got.cpu_pct >= 0 && got.cpu_pct <= 100)) ||
            !(isnan(got.memory_pct) || (got.memory_pct >= 0 && got.memory_pct <= 100)) ||
            !(isnan(got.network_bps) || got.network_bps >= 0))
            fail_msg("seed %llu", (unsigned long long)seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_larger_share_counts),
        cmocka_unit_test(without_main_thread_figures_all_threads_count),
        cmocka_unit_test(memory_and_network),
        cmocka_unit_test(what_cannot_be_compared_is_unknown),
        cmocka_unit_test(boundaries_of_the_time_between_answers),
        cmocka_unit_test(more_than_can_be_is_unknown_not_full),
        cmocka_unit_test(a_late_answer_is_timed_by_the_server),
        cmocka_unit_test(who_loads_its_data_has_no_load),
        cmocka_unit_test(no_limit_no_share_of_memory),
        cmocka_unit_test(without_a_limit_the_hosts_memory_is_it),
        cmocka_unit_test(reads_an_answer),
        cmocka_unit_test(a_bad_answer_names_the_field),
        cmocka_unit_test(older_servers_say_less),
        cmocka_unit_test(mangled_answers_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
