/* The service itself is killed, stopped, misled by its clock and by its settings. */
#include "dr_scene.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- kill -9 ---------------------------------------------------------------------------------- */

/* The proxy counts the calls: the first turn at a new bucket is killed at the n-th, and the turn
 * that takes over what it left at another; every n in its turn, before and after. */
void dr_killed_between_any_two_calls(void **state)
{
    (void)state;
    enum { CALLS = 40 };
    const long strikes = dr_strikes(80);
    struct dr_tried t;
    dr_stage_write(3, 60);
    dr_ledger_start(dr_counts.seed);
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("killed", i);
        const unsigned n =
            strikes == 1 ? 1 + (unsigned)pr_rng_below(&rng, CALLS) : 1 + (unsigned)(i / 2 % CALLS);
        const bool taking_over = i % 2 == 1;
        if (!taking_over)
            dr_fresh();
        dr_kill_at("", taking_over ? 1 + (n * 7 + 3) % CALLS : n, (n & 1) != (unsigned)taking_over);
        const size_t shard = (size_t)i / 2 % dr_ledger_shards();
        const uint64_t acked = dr_ledger_acked_of(shard);
        dr_try(shard, &t);
        (void)dr_judge(&t, acked, acked, false);
        dr_struck(t.status != 0 ? DR_REFUSED : DR_RESUMED);
        if (taking_over && i % 16 == 15) {
            dr_stage_start();
            dr_ledger_await_acked(5);
            dr_kill();
            dr_check(i);
        }
    }
    dr_ends_well();
}

struct newer {
    long than;
};

static long generations(void)
{
    return dr_stage_number("SELECT sum(generation_epoch * 65536 + generation_n) FROM dr_shards");
}

static bool named(void *ctx)
{
    return generations() > ((const struct newer *)ctx)->than;
}

/* Bases one after another, of several parts. At its parts, between the last of them and the
 * manifest, when its row names it, before and after the manifest. */
void dr_killed_between_steps_of_a_new_base(void **state)
{
    (void)state;
    static const struct {
        const char *match;
        unsigned first, of; /* the first-th to first + of - 1-th call */
    } STEP[] = {
        { "method=PUT path=/base/", 1, 6 },
        { "method=PUT path=/gen/", 1, 1 },
        { "method=PUT path=/base/", 2, 12 },
        { "method=PUT path=/gen/", 2, 2 },
        { NULL, 0, 0 }, /* its row */
    };
    const long strikes = dr_strikes(25);
    dr_stage_write(4, 200);
    dr_stage_set("PRISM_DR_REBASE_MS", "1000");
    dr_serve();
    dr_ledger_await_acked(20);
    dr_kill();
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("new base", i);
        const size_t k = ((size_t)i + (size_t)dr_counts.seed) % PR_COUNT(STEP);
        const bool after = pr_rng_below(&rng, 2) == 0;
        if (STEP[k].match != NULL) {
            dr_kill_at(STEP[k].match, STEP[k].first + (unsigned)pr_rng_below(&rng, STEP[k].of),
                       after);
        } else {
            dr_stage_start();
            struct newer g = { generations() };
            assert_true(it_await(named, &g, DR_AWAIT_MS));
            dr_kill();
        }
        dr_check(i);
        dr_struck(DR_RESUMED);
    }
    dr_stage_start();
    dr_ledger_await_acked(5);
    dr_ends_well();
}

/* --- two of them -------------------------------------------------------------------------------
 */

static bool led_by_another(void *ctx)
{
    return dr_stage_number("SELECT count(*) FROM dr_groups WHERE holder <> '%s' AND "
                           "updated_at > now() - interval '2 s'",
                           (const char *)ctx) == 1;
}

static bool is_there(void *path)
{
    return access(path, F_OK) == 0;
}

/* Stopped for longer than its lease, with uploads under way, and continued under the next one's
 * epoch; then the next one ends, and it leads again. */
void dr_older_shipper_comes_back(void **state)
{
    (void)state;
    const long strikes = dr_strikes(6);
    char first[128];
    for (long i = 0; i < strikes; i++) {
        struct pr_rng rng = dr_rng("older shipper", i);
        struct it_service second;
        dr_serve();
        dr_ledger_await_acked(10);
        dr_stage_text(first, sizeof first, "SELECT holder FROM dr_groups");
        it_service(&second, "dr", dr.uri, dr.env);
        /* An upload of its lasts until it is continued, or was done and not answered. */
        char begun[96];
        (void)snprintf(begun, sizeof begun, "%s/begun", dr_scene.dir);
        dr_rules("%s method=PUT path=/log/ first=%u times=1 ms=4000 touch=%s",
                 pr_rng_below(&rng, 2) == 0 ? "stall" : "silence",
                 1 + (unsigned)pr_rng_below(&rng, 5), begun);
        assert_true(it_await(is_there, begun, 10000));
        assert_int_equal(kill(dr.dr.pid, SIGSTOP), 0);
        const bool led = it_await(led_by_another, first, 20000);
        dr_ledger_await_acked(10);
        assert_int_equal(kill(dr.dr.pid, SIGCONT), 0);
        assert_true(led);
        dr_ledger_await_acked(20);
        dr_check(i);
        assert_true(led_by_another(first));
        assert_int_equal(it_stop(second.pid), 0);
        dr_ledger_await_acked(10);
        dr_check(i + 1);
        dr_struck(DR_RESUMED);
        (void)unlink(begun);
        dr_kill();
    }
    dr_ends_well();
}

/* --- the clock ---------------------------------------------------------------------------------
 */

static _Atomic long *clock_off; /* seconds; shared with dr_clock.c */
static char clock_path[] = "/tmp/prism-clock-XXXXXX";

static void forget_clock(void)
{
    (void)unlink(clock_path);
}

static void open_clock(void)
{
    if (clock_off == NULL) {
        const int fd = mkstemp(clock_path);
        assert_int_equal(atexit(forget_clock), 0);
        assert_true(fd >= 0 && ftruncate(fd, sizeof *clock_off) == 0);
        clock_off = mmap(NULL, sizeof *clock_off, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(clock_off != MAP_FAILED);
        close(fd);
    }
    dr_stage_set("LD_PRELOAD", DR_CLOCK_LIBRARY);
    dr_stage_set("DR_CLOCK", clock_path);
}

/* Nobody leads: what `prismctl dr status` calls stale. */
static bool stale(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_groups WHERE updated_at > now() - "
                           "interval '4 s'") == 0;
}

static bool led(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM dr_groups WHERE error = '' AND updated_at > "
                           "now() - interval '2 s'") == 1;
}

/* By 20 minutes: it leads no longer, which is seen, and the bucket would refuse its signatures; it
 * goes on when the clock is right again. By half a minute: nothing is refused, nothing lost. Both
 * ways, while it runs. */
void dr_clock_jumps(void **state)
{
    (void)state;
    static const long off_s[] = { 1200, -30, -1200, 30 };
    const long strikes = dr_strikes(8);
    open_clock();
    atomic_store(clock_off, 0);
    dr_serve();
    dr_ledger_await_acked(10);
    for (long i = 0; i < strikes; i++) {
        const long by = off_s[(size_t)i % PR_COUNT(off_s)];
        const bool wrong = labs(by) > 60;
        atomic_store(clock_off, by);
        if (wrong) {
            if (!it_await(stale, NULL, 30000))
                fail_msg("the clock is %ld s off, and it leads", by);
            dr_alarmed();
        } else {
            dr_ledger_await_acked(10);
        }
        if (i % 3 == 2) { /* what takes over has that clock, too */
            dr_kill();
            it_service(&dr.dr, "dr", dr.uri, dr.env);
            if (wrong)
                assert_true(stale(NULL));
        }
        atomic_store(clock_off, 0); /* back, in any case: a restore has the right time */
        assert_true(it_await(led, NULL, DR_AWAIT_MS));
        dr_ledger_await_acked(10);
        dr_check(i);
        dr_struck(wrong ? DR_REFUSED : DR_RESUMED);
    }
    dr_stage_set("LD_PRELOAD", "");
    dr_ends_well();
}

/* --- another key -------------------------------------------------------------------------------
 */

static void write_key(const char *path, char digit)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    for (int i = 0; i < 64; i++)
        (void)fputc(digit, f);
    assert_int_equal(fclose(f), 0);
}

/* What was shipped under one key cannot be gone on with under another: nobody could restore the
 * whole. So a new generation begins; each is restored by the key that it was written with. */
void dr_another_key_begins_anew(void **state)
{
    (void)state;
    static const char keys[] = "1", others[] = "2";
    const long strikes = dr_strikes(3);
    for (long i = 0; i < strikes; i++) {
        char path[2][96];
        struct dr_tried t;
        dr_fresh();
        for (int k = 0; k < 2; k++) {
            (void)snprintf(path[k], sizeof path[k], "%s.key%d", dr_scene.dir, k);
            write_key(path[k], k == 0 ? keys[0] : others[0]);
        }
        dr_stage_set("PRISM_DR_KEY_PATH", i % 3 == 2 ? "" : path[0]);
        dr_serve();
        dr_ledger_await_acked(20);
        dr_kill();
        dr_check(i);
        dr_stage_set("PRISM_DR_KEY_PATH", i % 3 == 1 ? "" : path[1]);
        if (i % 3 != 2) { /* what needs a key is refused without it */
            dr_try((size_t)i, &t);
            assert_int_equal(dr_judge(&t, 1, 1, true), DR_REFUSED);
        }
        dr_stage_start();
        dr_ledger_await_acked(20);
        dr_kill();
        for (long k = 0; k < (long)dr_ledger_shards(); k++)
            dr_check(k);
        dr_struck(DR_REFUSED);
        for (int k = 0; k < 2; k++)
            (void)unlink(path[k]);
        dr_ledger_stop();
    }
}
