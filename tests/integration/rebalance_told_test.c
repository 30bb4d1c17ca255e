/* What others hear of a fleet plan while it is carried out: events, and the operation's
 * row, which REST shows. */
#include "rebalance_fleet_stage.h"

#include "prism/io/clock.h"
#include "prism/v1/rebalance.pb-c.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 12, KEYS = 200, BYTES = 1000, MOST = 500 };

/* Some 5 s for SLOTS slots. */
static const char *const slowly[] = { "PRISM_REBALANCE_COOLDOWN_S=0",
                                      "PRISM_REBALANCE_REVERSAL_S=0",
                                      "PRISM_REBALANCE_SLOT_NODE_BYTES_PER_S=600000",
                                      "PRISM_REBALANCE_SLOT_BATCH_KEYS=20", NULL };

struct heard {
    bool progress; /* by subject; else a change of state */
    char state[16], reason[300];
    uint64_t revision, steps, steps_done, slots_done, bytes, bytes_done;
    unsigned wave, waves;
    double ratio, eta_s, bytes_per_s;
    bool told; /* it has numbers */
    int64_t at_ms;
};
static struct {
    pthread_mutex_t lock;
    struct heard e[MOST];
    size_t n;
    uint64_t plan; /* whose events count; 0: all are kept away */
} ear = { .lock = PTHREAD_MUTEX_INITIALIZER };

static enum pr_code hear(void *ctx, const struct pr_msg *msg, struct pr_err *err)
{
    (void)ctx;
    (void)err;
    Prism__V1__RebalancePlanEvent *m =
        prism__v1__rebalance_plan_event__unpack(NULL, msg->len, msg->data);
    if (m == NULL)
        return PR_OK; /* of another kind */
    pthread_mutex_lock(&ear.lock);
    if (m->plan_id == ear.plan && ear.plan != 0 && ear.n < MOST) {
        struct heard *h = &ear.e[ear.n++];
        *h = (struct heard){ .progress = strstr(msg->subject, ".progress") != NULL,
                             .revision = m->revision,
                             .eta_s = -1,
                             .told = m->progress != NULL,
                             .at_ms = m->at_ms };
        snprintf(h->state, sizeof h->state, "%s", m->state);
        if (m->progress != NULL) {
            const Prism__V1__RebalanceProgress *p = m->progress;
            h->ratio = p->ratio;
            h->steps = p->steps;
            h->steps_done = p->steps_done;
            h->slots_done = p->slots_done;
            h->bytes = p->bytes;
            h->bytes_done = p->bytes_done;
            h->bytes_per_s = p->bytes_per_s;
            h->wave = p->wave;
            h->waves = p->waves;
            if (p->eta_case == PRISM__V1__REBALANCE_PROGRESS__ETA_ETA_S)
                h->eta_s = p->eta_s;
            snprintf(h->reason, sizeof h->reason, "%s", p->reason);
        }
    }
    pthread_mutex_unlock(&ear.lock);
    prism__v1__rebalance_plan_event__free_unpacked(m, NULL);
    return PR_OK;
}

static struct pr_bus *listener; /* as metadata-api: may watch events */
static struct heard all[MOST];  /* as of the last copy */
static size_t n_all;

static void copy(void)
{
    pthread_mutex_lock(&ear.lock);
    memcpy(all, ear.e, sizeof all);
    n_all = ear.n;
    pthread_mutex_unlock(&ear.lock);
}

static int close_all(void **state)
{
    pr_bus_close(listener);
    return fs_close(state);
}

static int open_all(void **state)
{
    struct pr_err err = { 0 };
    const struct pr_bus_options api = { .url = it_env("IT_NATS_URL"),
                                        .user = it_env("IT_METADATA_API_NATS_USER"),
                                        .password = it_env("IT_METADATA_API_NATS_PASSWORD"),
                                        .name = "told-test" };
    const int rc = fs_open(state);
    if (rc == 0) {
        assert_ok(pr_bus_open(&listener, &api, &err), &err);
        assert_ok(pr_bus_watch(listener, "PRISM_EVT", "prism.evt.rebalance.plan", hear, NULL, &err),
                  &err);
        assert_ok(
            pr_bus_watch(listener, "PRISM_EVT", "prism.evt.rebalance.progress", hear, NULL, &err),
            &err);
    }
    return rc;
}

static size_t count(const char *state, bool progress)
{
    size_t n = 0;
    pthread_mutex_lock(&ear.lock);
    for (size_t i = 0; i < ear.n; i++)
        n += strcmp(ear.e[i].state, state) == 0 && ear.e[i].progress == progress;
    pthread_mutex_unlock(&ear.lock);
    return n;
}

static bool state_told(void *ctx)
{
    return count(ctx, false) > 0;
}

static bool progress_told(void *ctx)
{
    return count(ctx, true) > 0;
}

static long begin_slowly(void)
{
    int slot[SLOTS];
    const char *goal = fs_assign(1, 0, SLOTS, slot);
    fs_ballast();
    for (int i = 0; i < SLOTS; i++)
        fs_load(slot[i], KEYS, BYTES);
    fs_service(slowly);
    fs_settle();
    const long plan = fs_proposed(goal, "{}");
    pthread_mutex_lock(&ear.lock);
    ear.n = 0;
    ear.plan = (uint64_t)plan;
    pthread_mutex_unlock(&ear.lock);
    fs_execute(plan);
    return plan;
}

static void await_told(bool (*is)(void *), const char *state)
{
    char text[16];
    snprintf(text, sizeof text, "%s", state);
    if (!it_await(is, text, FS_AWAIT_MS))
        fail_msg("nobody told of '%s'; %zu events", state, ear.n);
}

/* Events of progress in their order, and then the end. */
static void check_order(long plan)
{
    const struct heard *before = NULL, *done = NULL;
    for (size_t i = 0; i < n_all; i++) {
        const struct heard *h = &all[i];
        if (strcmp(h->state, "proposed") == 0) /* nothing to tell of yet */
            continue;
        if (strcmp(h->state, "done") == 0 && !h->progress)
            done = h;
        assert_true(h->told);
        assert_int_equal(h->steps, SLOTS);
        assert_true(h->bytes_done <= h->bytes);
        assert_true(h->ratio >= 0 && h->ratio <= 1);
        if (!h->progress)
            continue;
        assert_true(h->ratio < 1);
        if (before != NULL) {
            assert_true(h->ratio >= before->ratio);
            assert_true(h->bytes_done >= before->bytes_done);
            assert_true(h->steps_done >= before->steps_done);
            assert_true(h->revision >= before->revision);
            assert_true(h->at_ms >= before->at_ms);
        }
        before = h;
    }
    assert_non_null(before);
    assert_non_null(done);
    assert_true(done->ratio == 1);
    assert_true(done->eta_s == 0);
    assert_int_equal(done->steps_done, SLOTS);
    assert_int_equal(done->slots_done, SLOTS);
    assert_int_equal(done->bytes_done, done->bytes);
    assert_int_equal(done->wave, 0);
    assert_true(done->revision > before->revision);
    assert_true(done->revision <=
                (uint64_t)fs_number("SELECT revision FROM plans WHERE id = %ld", plan));
}

static void progress_is_told_until_all_is_done(void **state)
{
    (void)state;
    const int64_t began_us = pr_mono_us();
    const long plan = begin_slowly();
    await_told(state_told, "done");
    const double took_s = (double)(pr_mono_us() - began_us) / 1e6;
    copy();
    size_t told = 0, fast = 0, eta = 0;
    for (size_t i = 0; i < n_all; i++) {
        const struct heard *h = &all[i];
        told += h->progress;
        fast += h->bytes_per_s > 0;
        eta += h->progress && h->eta_s > 0;
        print_message("  %s %s r%lu: %.1f %%, step %lu of %lu, %.0f of %.0f kB, %.0f kB/s, ETA "
                      "%.1f s, wave %u of %u; %s\n",
                      h->progress ? "progress" : "state", h->state, (unsigned long)h->revision,
                      100 * h->ratio, (unsigned long)h->steps_done, (unsigned long)h->steps,
                      (double)h->bytes_done / 1e3, (double)h->bytes / 1e3, h->bytes_per_s / 1e3,
                      h->eta_s, h->wave, h->waves, h->reason);
    }
    check_order(plan);
    assert_true(told >= 3 && (double)told <= took_s + 1); /* one a second at most */
    assert_true(fast > 0 && eta > 0);
    assert_int_equal(count("running", false), 1);
    assert_int_equal(count("done", false), 1);
    /* The row has the very numbers. */
    assert_int_equal(
        fs_number("SELECT count(*) FROM operations o JOIN plans p ON o.id = "
                  "p.execute_operation_id WHERE p.id = %ld AND o.progress_ratio = 1 AND "
                  "(o.progress->>'ratio')::float8 = 1 AND (o.progress->>'eta_s')::float8 = 0 AND "
                  "(o.progress->>'steps_done')::int = %d AND (o.progress->>'slots')::int = %d AND "
                  "o.progress->'bytes_done' = o.progress->'bytes'",
                  plan, SLOTS, SLOTS),
        1);
    fs_check_done(plan);
}

static void persons_pause_is_told_with_its_numbers(void **state)
{
    (void)state;
    const long plan = begin_slowly();
    await_told(progress_told, "running");
    fs_sql("UPDATE plans SET state = 'paused' WHERE id = %ld", plan);
    await_told(state_told, "paused");
    await_told(progress_told, "paused");
    copy();
    const struct heard *last = &all[n_all - 1];
    assert_string_equal(last->state, "paused");
    assert_true(last->eta_s < 0);
    assert_true(last->bytes_per_s == 0);
    assert_string_not_equal(last->reason, "");
    assert_true(last->ratio > 0);
    fs_service(slowly); /* who takes over begins where the numbers were */
    fs_sql("UPDATE plans SET state = 'running' WHERE id = %ld", plan);
    await_told(state_told, "done");
    copy();
    check_order(plan);
    assert_int_equal(count("paused", false), 1);
    fs_check_done(plan);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fs_begin, fs_end)

int main(int argc, char **argv)
{
    if (argc > 1) /* a pattern of names */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(progress_is_told_until_all_is_done),
        TEST(persons_pause_is_told_with_its_numbers),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
