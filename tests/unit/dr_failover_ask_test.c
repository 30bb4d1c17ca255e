/* Fail-overs that are asked for over NATS: one at a time, on a thread of its own. The fail-over
 * itself is played here, so it stops where a test wants it to. */
#include "t.h"

#include "io/failover.h"
#include "io/region/region.h"

#include "prism/v1/dr.pb-c.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool open, entered; /* the gate; somebody stands before it */
    enum pr_code check, end;
    char state[16]; /* of the journal */
    int executed, resumed, aborted;
    char to[64], by[64];
    bool down, over;
} play = { .mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void set_state(const char *state)
{
    (void)snprintf(play.state, sizeof play.state, "%s", state);
}

/* Checks, then works until the gate is opened or it is told to stop. */
static enum pr_code carry_out(const struct dr_region_run *run, const struct dr_region_order *o,
                              struct pr_err *err)
{
    run->progress(run->ctx, "check", "running", "");
    if (play.check != PR_OK)
        return pr_fail(err, play.check, "west is not empty");
    pthread_mutex_lock(&play.mu);
    set_state("running");
    (void)snprintf(play.to, sizeof play.to, "%s", o->to != NULL ? o->to : "-");
    (void)snprintf(play.by, sizeof play.by, "%s", o->by);
    play.down = o->old_side_is_down;
    play.over = o->over_existing;
    play.entered = true;
    pthread_cond_broadcast(&play.changed);
    pthread_mutex_unlock(&play.mu);
    run->progress(run->ctx, "check", "done", "");
    run->progress(run->ctx, "claim", "running", "");
    pthread_mutex_lock(&play.mu);
    while (!play.open && !atomic_load(run->cancel)) {
        struct timespec at;
        (void)clock_gettime(CLOCK_REALTIME, &at);
        at.tv_nsec += 2000000;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&play.changed, &play.mu, &at);
    }
    assert_false(run->cut != NULL && atomic_load(run->cut)); /* its journal can be written */
    const bool canceled = !play.open;
    set_state(canceled || play.end != PR_OK ? "stopped" : "done");
    pthread_mutex_unlock(&play.mu);
    return canceled            ? pr_fail(err, PR_ECANCELED, "told to stop")
           : play.end == PR_OK ? PR_OK
                               : pr_fail(err, play.end, "redis: it is away");
}

enum pr_code dr_region_execute(const struct dr_region_run *run, const struct dr_region_order *order,
                               struct pr_buf *out, struct pr_err *err)
{
    (void)out;
    play.executed++;
    return carry_out(run, order, err);
}

enum pr_code dr_region_resume(const struct dr_region_run *run, const struct dr_region_order *order,
                              struct pr_buf *out, struct pr_err *err)
{
    (void)out;
    play.resumed++;
    return carry_out(run, order, err);
}

enum pr_code dr_region_abort(const struct dr_region_run *run, const struct dr_region_order *order,
                             struct pr_buf *out, struct pr_err *err)
{
    (void)order;
    (void)out;
    (void)err;
    play.aborted++;
    run->progress(run->ctx, "claim", "undone", "");
    pthread_mutex_lock(&play.mu);
    set_state("aborted");
    pthread_mutex_unlock(&play.mu);
    return PR_OK;
}

enum pr_code dr_region_plan(const struct dr_region_run *run, const struct dr_region_order *order,
                            struct pr_buf *out, struct pr_err *err)
{
    (void)err;
    assert_null(run->cancel); /* another's work is not stopped by a plan, nor stops it */
    pr_buf_printf(out, "{\"to\":\"%s\",\"ready\":true}", order->to);
    return PR_OK;
}

enum pr_code dr_region_status(const struct dr_region_run *run, struct pr_buf *out,
                              struct pr_err *err)
{
    assert_null(run->cancel); /* nor by looking, also when that work was told to stop */
    (void)err;
    pthread_mutex_lock(&play.mu);
    if (play.state[0] == '\0')
        pr_buf_str(out, "{\"owner\":\"\",\"failover\":null}");
    else
        pr_buf_printf(out, "{\"failover\":{\"number\":3,\"state\":\"%s\"}}", play.state);
    pthread_mutex_unlock(&play.mu);
    return PR_OK;
}

/* --- asking ------------------------------------------------------------------------------------
 */

static struct dr_config cfg;
static struct dr_failover *f;
static char said[256];
static bool executing;
static struct pr_err err;

static enum pr_code ask_as(const char *verb, const char *to, uint64_t number, const char *key)
{
    Prism__V1__DrFailoverRequest q = PRISM__V1__DR_FAILOVER_REQUEST__INIT;
    uint8_t packed[1024];
    void *reply = NULL;
    size_t len = 0;
    q.verb = (char *)(uintptr_t)verb;
    q.to = (char *)(uintptr_t)to;
    q.by = (char *)(uintptr_t) "ops";
    q.key = (char *)(uintptr_t)key;
    q.number = number;
    q.over_existing = true;
    const struct pr_msg msg = { .data = packed,
                                .len = prism__v1__dr_failover_request__pack(&q, packed) };
    err = (struct pr_err){ 0 };
    const enum pr_code rc = dr_failover_ask(f, &msg, &reply, &len, &err);
    said[0] = '\0';
    if (rc == PR_OK) {
        Prism__V1__DrFailoverResponse *r =
            prism__v1__dr_failover_response__unpack(NULL, len, reply);
        assert_non_null(r);
        (void)snprintf(said, sizeof said, "%s", r->result);
        executing = r->executing;
        prism__v1__dr_failover_response__free_unpacked(r, NULL);
    }
    free(reply);
    return rc;
}

static enum pr_code ask(const char *verb, const char *to)
{
    return ask_as(verb, to, 0, "");
}

static void gate(bool open)
{
    pthread_mutex_lock(&play.mu);
    play.open = open;
    pthread_cond_broadcast(&play.changed);
    pthread_mutex_unlock(&play.mu);
}

static void await_state(const char *state)
{
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(ask("status", ""), PR_OK);
        if (strstr(said, state) != NULL && !executing)
            return;
        const struct timespec ms = { 0, 1000000 };
        (void)nanosleep(&ms, NULL);
    }
    fail_msg("never %s: %s", state, said);
}

static int setup(void **state)
{
    (void)state;
    play.open = play.entered = play.down = play.over = false;
    play.check = play.end = PR_OK;
    play.executed = play.resumed = play.aborted = 0;
    play.state[0] = '\0';
    cfg = (struct dr_config){ .sites_file = (char *)(uintptr_t) "sites.json" };
    return dr_failover_open(&f, &cfg, "postgresql://nowhere", &err) == PR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    dr_failover_close(f);
    return 0;
}

static void one_runs_and_is_answered_at_once(void **state)
{
    (void)state;
    assert_int_equal(ask("status", ""), PR_OK);
    assert_non_null(strstr(said, "\"failover\":null"));
    assert_true(dr_failover_settled(f, 3));
    assert_int_equal(ask("execute", "west"), PR_OK);
    assert_non_null(strstr(said, "running"));
    assert_true(executing);
    assert_false(dr_failover_settled(f, 3));
    assert_string_equal(play.to, "west");
    assert_string_equal(play.by, "ops");
    assert_true(play.over);
    assert_false(play.down);
    assert_int_equal(ask("plan", "west"), PR_OK); /* beside it */
    assert_non_null(strstr(said, "\"ready\":true"));
    gate(true);
    await_state("done");
    assert_true(dr_failover_settled(f, 3));
    assert_int_equal(play.executed, 1);
}

static void a_second_one_is_refused_and_the_same_order_is_not_a_second_one(void **state)
{
    (void)state;
    assert_int_equal(ask_as("execute", "west", 0, "k1"), PR_OK);
    assert_int_equal(ask_as("execute", "west", 0, "k2"), PR_ECONFLICT);
    assert_int_equal(ask("execute", "west"), PR_ECONFLICT);
    assert_int_equal(ask("resume", ""), PR_ECONFLICT);
    assert_int_equal(ask_as("execute", "west", 0, "k1"), PR_OK); /* its answer was lost */
    assert_int_equal(play.executed, 1);
    gate(true);
    await_state("done");
}

static void what_its_checks_refuse_is_the_answer(void **state)
{
    (void)state;
    play.check = PR_ECONFLICT;
    assert_int_equal(ask("execute", "west"), PR_ECONFLICT);
    assert_string_equal(err.text, "west is not empty");
    play.check = PR_OK;
    assert_int_equal(ask("execute", "west"), PR_OK); /* that one did not stay */
    gate(true);
    await_state("done");
}

static void one_that_stopped_is_resumed(void **state)
{
    (void)state;
    play.end = PR_EUNAVAIL;
    gate(true);
    assert_int_equal(ask("execute", "west"), PR_OK);
    await_state("stopped");
    assert_false(dr_failover_settled(f, 3));
    assert_true(dr_failover_settled(f, 2)); /* it has claimed nothing: the owner is of another */
    assert_int_equal(ask_as("resume", "", 2, ""), PR_ECONFLICT); /* a newer one than is meant */
    assert_int_equal(ask_as("resume", "", 4, ""), PR_ENOTFOUND);
    assert_int_equal(play.resumed, 0);
    play.end = PR_OK;
    assert_int_equal(ask_as("resume", "", 3, ""), PR_OK);
    await_state("done");
    assert_string_equal(play.to, "-"); /* where it was begun to */
    assert_int_equal(play.resumed, 1);
}

static void abort_stops_what_runs_first(void **state)
{
    (void)state;
    assert_int_equal(ask("execute", "west"), PR_OK);
    assert_int_equal(ask_as("abort", "", 3, ""), PR_OK);
    await_state("aborted");
    assert_int_equal(play.aborted, 1);
}

/* Whoever sends one key with everything is not told that what goes on was taken back. */
static void abort_with_the_key_of_what_runs_aborts(void **state)
{
    (void)state;
    assert_int_equal(ask_as("execute", "west", 0, "k1"), PR_OK);
    assert_int_equal(ask_as("resume", "", 3, "k1"), PR_ECONFLICT);
    assert_int_equal(ask_as("abort", "", 3, "k1"), PR_OK);
    await_state("aborted");
    assert_int_equal(play.aborted, 1);
}

static void a_stop_leaves_it_for_another_to_go_on(void **state)
{
    (void)state;
    assert_int_equal(ask("execute", "west"), PR_OK);
    dr_failover_stop(f);
    assert_string_equal(play.state, "stopped");
    assert_int_equal(ask("resume", ""), PR_EUNAVAIL);
}

static void what_is_no_request_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *to;
        enum pr_code want;
    } row[] = {
        { "fly", "west", PR_EINVAL },
        { "", "west", PR_EINVAL },
        { "execute", "", PR_EINVAL },
        { "plan", "", PR_EINVAL },
        { "plan", "a-name-of-more-than-sixty-three-bytes-which-no-site-can-have-at-all",
          PR_EINVAL },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (ask(row[i].verb, row[i].to) != row[i].want)
            fail_msg("row %zu: %s", i, err.text);
    const struct pr_msg msg = { .data = "\xff\xff", .len = 2 };
    void *reply = NULL;
    size_t len = 0;
    assert_int_equal(dr_failover_ask(f, &msg, &reply, &len, &err), PR_EINVAL);
    cfg.sites_file = (char *)(uintptr_t) "";
    assert_int_equal(ask("status", ""), PR_ECONFLICT);
    assert_non_null(strstr(err.text, "PRISM_DR_SITES_PATH"));
    assert_int_equal(play.executed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_runs_and_is_answered_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_second_one_is_refused_and_the_same_order_is_not_a_second_one, setup, teardown),
        cmocka_unit_test_setup_teardown(what_its_checks_refuse_is_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_stopped_is_resumed, setup, teardown),
        cmocka_unit_test_setup_teardown(abort_stops_what_runs_first, setup, teardown),
        cmocka_unit_test_setup_teardown(abort_with_the_key_of_what_runs_aborts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stop_leaves_it_for_another_to_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_request_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
