#include "t.h"

#include "it.h"
#include "own_nats.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct own_nats nats;

static int start(void **state)
{
    (void)state;
    own_nats_start(&nats);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    own_nats_stop(&nats);
    return 0;
}

/* What a handler has seen, and what it is to answer. */
struct seen {
    pthread_mutex_t mu;
    int calls, want;
    uint64_t deliveries;
    char subject[80], id[80], trace[80], text[80];
    enum pr_code answer[8]; /* by delivery; PR_OK beyond */
    int busy_ms;
    bool busy_once;
    int64_t last_us, shortest_gap_us;
};

static void seen_init(struct seen *s)
{
    *s = (struct seen){ .shortest_gap_us = INT64_MAX };
    pthread_mutex_init(&s->mu, NULL);
}

static enum pr_code note(void *ctx, const struct pr_msg *m, struct pr_err *err)
{
    struct seen *s = ctx;
    pthread_mutex_lock(&s->mu);
    int64_t now_us = pr_mono_us();
    if (s->calls > 0 && now_us - s->last_us < s->shortest_gap_us)
        s->shortest_gap_us = now_us - s->last_us;
    s->last_us = now_us;
    s->calls++;
    s->deliveries = m->deliveries;
    (void)snprintf(s->subject, sizeof s->subject, "%s", m->subject);
    (void)snprintf(s->id, sizeof s->id, "%s", m->id);
    (void)snprintf(s->trace, sizeof s->trace, "%s", pr_log_trace_get());
    (void)snprintf(s->text, sizeof s->text, "%.*s", (int)m->len, (const char *)m->data);
    enum pr_code rc = m->deliveries <= PR_COUNT(s->answer) && m->deliveries > 0
                          ? s->answer[m->deliveries - 1]
                          : PR_OK;
    int busy_ms = s->busy_ms;
    s->busy_ms = s->busy_once ? 0 : busy_ms;
    pthread_mutex_unlock(&s->mu);
    if (busy_ms > 0) {
        struct timespec t = { .tv_sec = busy_ms / 1000, .tv_nsec = busy_ms % 1000 * 1000000L };
        (void)nanosleep(&t, NULL);
    }
    return rc == PR_OK ? PR_OK : pr_fail(err, rc, "vertex 7: refused");
}

static bool called_enough(void *ctx)
{
    struct seen *s = ctx;
    pthread_mutex_lock(&s->mu);
    bool enough = s->calls >= s->want;
    pthread_mutex_unlock(&s->mu);
    return enough;
}

static bool await_calls(struct seen *s, int want, int timeout_ms)
{
    pthread_mutex_lock(&s->mu);
    s->want = want;
    pthread_mutex_unlock(&s->mu);
    return it_await(called_enough, s, timeout_ms);
}

struct depth {
    const char *stream;
    uint64_t want;
};

static bool has_depth(void *ctx)
{
    const struct depth *d = ctx;
    return own_nats_stream_messages(&nats, d->stream) == d->want;
}

static bool await_depth(const char *stream, uint64_t want)
{
    return it_await(has_depth, &(struct depth){ stream, want }, 10000);
}

static void publish(struct pr_bus *bus, const char *subject, const char *text, const char *id)
{
    struct pr_err err = { 0 };
    assert_ok(pr_bus_publish(bus, subject, text, strlen(text), id, NULL, &err), &err);
}

static struct pr_bus_stats stats_of(struct pr_bus *bus)
{
    struct pr_bus_stats s;
    pr_bus_stats(bus, &s);
    return s;
}

static bool one_dead(void *ctx)
{
    return stats_of(ctx).dead == 1;
}

/* -------------------------------------------------------------------------- */

static void a_message_arrives_once_with_its_id_and_trace(void **state)
{
    static const char TRACE[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct pr_bus *api = own_nats_bus(&nats, "metadata-api");
    struct pr_bus *placement = own_nats_bus(&nats, "placement");
    struct seen seen;
    struct pr_err err = { 0 };
    (void)state;

    seen_init(&seen);
    assert_ok(pr_bus_consume(placement, "PRISM_CMD", "placement", 2, note, &seen, &err), &err);
    assert_ok(pr_bus_publish(api, "prism.cmd.placement.run", "7", 1, "id-1", TRACE, &err), &err);
    assert_ok(pr_bus_publish(api, "prism.cmd.placement.run", "7", 1, "id-1", TRACE, &err), &err);
    assert_true(await_calls(&seen, 1, 5000));
    assert_string_equal(seen.subject, "prism.cmd.placement.run");
    assert_string_equal(seen.id, "id-1");
    assert_string_equal(seen.trace, TRACE);
    assert_string_equal(seen.text, "7");
    assert_int_equal(seen.deliveries, 1);

    publish(api, "prism.cmd.placement.run", "8", NULL);
    assert_true(await_calls(&seen, 2, 5000));
    assert_string_equal(seen.text, "8"); /* not the duplicate of 7 */
    assert_memory_equal(seen.id, "PRISM_CMD:", 10);
    assert_true(await_depth("PRISM_CMD", 0)); /* acknowledged */
    assert_ok(pr_bus_ready(placement, &err), &err);
    pr_bus_close(placement);
    pr_bus_close(api);
}

static void a_retryable_failure_is_delivered_again_after_a_pause(void **state)
{
    struct pr_bus *api = own_nats_bus(&nats, "metadata-api");
    struct pr_bus *placement = own_nats_bus(&nats, "placement");
    struct seen seen;
    struct pr_err err = { 0 };
    (void)state;

    seen_init(&seen);
    seen.answer[0] = PR_EUNAVAIL;
    assert_ok(pr_bus_consume(placement, "PRISM_CMD", "placement", 1, note, &seen, &err), &err);
    publish(api, "prism.cmd.placement.run", "x", "retry-1");
    assert_true(await_calls(&seen, 2, 10000));
    assert_int_equal(seen.deliveries, 2);
    assert_string_equal(seen.id, "retry-1");
    assert_true(seen.shortest_gap_us >= 900 * 1000);
    assert_true(await_depth("PRISM_CMD", 0));
    assert_int_equal(stats_of(placement).dead, 0);
    pr_bus_close(placement);
    pr_bus_close(api);
}

static void a_malformed_message_becomes_a_dead_letter(void **state)
{
    struct pr_bus *api = own_nats_bus(&nats, "metadata-api");
    struct pr_bus *placement = own_nats_bus(&nats, "placement");
    struct seen seen;
    struct pr_err err = { 0 };
    uint64_t letters = own_nats_stream_messages(&nats, "PRISM_DLQ");
    (void)state;

    seen_init(&seen);
    seen.answer[0] = PR_EDATA;
    assert_ok(pr_bus_consume(placement, "PRISM_CMD", "placement", 1, note, &seen, &err), &err);
    publish(api, "prism.cmd.placement.run", "garbage", "bad-1");
    assert_true(it_await(one_dead, placement, 5000));
    assert_true(await_depth("PRISM_CMD", 0));
    assert_true(await_depth("PRISM_DLQ", letters + 1));
    assert_int_equal(seen.calls, 1);

    struct own_letter got;
    own_nats_last_letter(&nats, &got);
    assert_string_equal(got.at, "prism.dlq.placement");
    assert_string_equal(got.text, "garbage");
    assert_string_equal(got.subject, "prism.cmd.placement.run");
    assert_string_equal(got.reason, "bad_data: vertex 7: refused");
    assert_string_equal(got.id, "bad-1");
    pr_bus_close(placement);
    pr_bus_close(api);
}

static void the_fifth_failure_makes_a_dead_letter(void **state)
{
    struct pr_bus *api = own_nats_bus(&nats, "metadata-api");
    struct pr_bus *rebalance = own_nats_bus(&nats, "rebalance");
    struct seen seen;
    struct pr_err err = { 0 };
    uint64_t letters = own_nats_stream_messages(&nats, "PRISM_DLQ");
    (void)state;

    seen_init(&seen);
    for (size_t i = 0; i < PR_COUNT(seen.answer); i++)
        seen.answer[i] = PR_ETIMEOUT;
    assert_ok(pr_bus_consume(rebalance, "PRISM_CMD", "rebalance", 1, note, &seen, &err), &err);
    publish(api, "prism.cmd.rebalance.plan", "x", "five-1");
    assert_true(it_await(one_dead, rebalance, 30000));
    assert_int_equal(seen.calls, 5);
    assert_true(await_depth("PRISM_DLQ", letters + 1));
    assert_true(await_depth("PRISM_CMD", 0));
    pr_bus_close(rebalance);
    pr_bus_close(api);
}

static void a_long_handler_keeps_its_message(void **state)
{
    struct pr_bus *tester = own_nats_bus(&nats, "tester");
    struct seen seen;
    struct pr_err err = { 0 };
    (void)state;

    seen_init(&seen);
    seen.busy_ms = 13000; /* longer than the ack wait; progress is told every 10 s */
    seen.busy_once = true;
    own_nats_add_durable(&nats, "PRISM_EDGES", "slow", "prism.edges.slow", 12000);
    assert_ok(pr_bus_consume(tester, "PRISM_EDGES", "slow", 1, note, &seen, &err), &err);
    publish(tester, "prism.edges.slow", "x", NULL);
    publish(tester, "prism.edges.slow", "y", NULL); /* waits in the queue for as long */
    assert_true(await_calls(&seen, 2, 20000));
    assert_string_equal(seen.text, "y");
    assert_int_equal(seen.deliveries, 1);
    pr_bus_close(tester); /* lets the second one finish */
    assert_int_equal(seen.calls, 2);
    own_nats_delete_durable(&nats, "PRISM_EDGES", "slow");
}

static void a_message_delivered_again_meanwhile_gets_no_second_worker(void **state)
{
    struct pr_bus *tester = own_nats_bus(&nats, "tester");
    struct seen seen;
    struct pr_err err = { 0 };
    (void)state;

    seen_init(&seen);
    seen.busy_ms = 3500;
    own_nats_add_durable(&nats, "PRISM_CMD", "twice", "prism.cmd.twice", 1000);
    assert_ok(pr_bus_consume(tester, "PRISM_CMD", "twice", 2, note, &seen, &err), &err);
    publish(tester, "prism.cmd.twice", "x", NULL);
    assert_true(await_depth("PRISM_CMD", 0)); /* the newest delivery is acknowledged */
    assert_int_equal(seen.calls, 1);
    pr_bus_close(tester);
    own_nats_delete_durable(&nats, "PRISM_CMD", "twice");
}

static void what_is_not_begun_at_the_close_goes_to_another(void **state)
{
    struct pr_bus *api = own_nats_bus(&nats, "metadata-api");
    struct pr_bus *first = own_nats_bus(&nats, "placement");
    struct seen slow, quick;
    struct pr_err err = { 0 };
    (void)state;

    seen_init(&slow);
    seen_init(&quick);
    slow.busy_ms = 500;
    assert_ok(pr_bus_consume(first, "PRISM_CMD", "placement", 1, note, &slow, &err), &err);
    publish(api, "prism.cmd.placement.run", "1", NULL);
    publish(api, "prism.cmd.placement.run", "2", NULL);
    assert_true(await_calls(&slow, 1, 5000));
    pr_bus_close(first);
    assert_int_equal(slow.calls, 1);

    struct pr_bus *second = own_nats_bus(&nats, "placement");
    assert_ok(pr_bus_consume(second, "PRISM_CMD", "placement", 1, note, &quick, &err), &err);
    assert_true(await_calls(&quick, 1, 5000)); /* long before the ack wait of 30 s */
    assert_string_equal(quick.text, "2");
    assert_true(await_depth("PRISM_CMD", 0));
    pr_bus_close(second);
    pr_bus_close(api);
}

static bool is_not_subscribed(void *ctx)
{
    return !own_nats_bound(&nats, "PRISM_CMD", ctx);
}

static void while_paused_nothing_is_consumed(void **state)
{
    char durable[] = "placement";
    struct pr_bus *api = own_nats_bus(&nats, "metadata-api");
    struct pr_bus *placement = own_nats_bus(&nats, "placement");
    struct seen seen;
    struct pr_err err = { 0 };
    (void)state;

    seen_init(&seen);
    assert_ok(pr_bus_consume(placement, "PRISM_CMD", "placement", 1, note, &seen, &err), &err);
    pr_bus_pause(placement, true);
    assert_true(it_await(is_not_subscribed, durable, 5000));
    publish(api, "prism.cmd.placement.run", "held", NULL);
    assert_true(await_depth("PRISM_CMD", 1));
    assert_int_equal(seen.calls, 0);
    assert_ok(pr_bus_ready(placement, &err), &err); /* paused is no fault of the bus */

    pr_bus_pause(placement, false);
    assert_true(await_calls(&seen, 1, 5000));
    assert_int_equal(seen.deliveries, 1);
    assert_true(await_depth("PRISM_CMD", 0));
    pr_bus_close(placement);
    pr_bus_close(api);
}

static void a_watch_sees_new_events_only(void **state)
{
    struct pr_bus *placement = own_nats_bus(&nats, "placement");
    struct pr_bus *api = own_nats_bus(&nats, "metadata-api");
    struct seen seen;
    struct pr_err err = { 0 };
    (void)state;

    seen_init(&seen);
    publish(placement, "prism.evt.placement.finished", "old", NULL);
    assert_ok(pr_bus_watch(api, "PRISM_EVT", "prism.evt.>", note, &seen, &err), &err);
    publish(placement, "prism.evt.placement.finished", "new", NULL);
    assert_true(await_calls(&seen, 1, 5000));
    assert_string_equal(seen.text, "new");
    assert_int_equal(seen.calls, 1);
    pr_bus_close(api);
    pr_bus_close(placement);
}

static enum pr_code hint(void *ctx, const struct pr_msg *m, void **reply, size_t *len,
                         struct pr_err *err)
{
    (void)ctx;
    if (m->len == 0)
        return pr_fail(err, PR_ENOTFOUND, "no vertex");
    *reply = malloc(m->len + 1);
    assert_non_null(*reply);
    (void)snprintf(*reply, m->len + 1, "<%.*s", (int)m->len, (const char *)m->data);
    *len = m->len;
    return PR_OK;
}

static void a_request_gets_its_reply_or_its_error(void **state)
{
    struct pr_bus *api = own_nats_bus(&nats, "metadata-api");
    struct pr_bus *placement = own_nats_bus(&nats, "placement");
    struct pr_err err = { 0 };
    void *reply = NULL;
    size_t len = 0;
    static const char SUBJECT[] = "prism.rpc.placement.hint";
    (void)state;

    assert_int_equal(pr_bus_request(api, SUBJECT, "ab", 2, 1000, &reply, &len, &err), PR_EUNAVAIL);
    assert_ok(pr_bus_serve(placement, SUBJECT, "placement", hint, NULL, &err), &err);
    assert_ok(pr_bus_ready(placement, &err), &err);
    while (pr_bus_request(api, SUBJECT, "ab", 2, 1000, &reply, &len, &err) != PR_OK)
        assert_int_equal(err.code, PR_EUNAVAIL); /* until the subscription is known */
    assert_int_equal(len, 2);
    assert_memory_equal(reply, "<a", 2);
    free(reply);
    assert_int_equal(pr_bus_request(api, SUBJECT, NULL, 0, 1000, &reply, &len, &err), PR_ENOTFOUND);
    assert_string_equal(err.text, "no vertex");
    pr_bus_close(placement);
    pr_bus_close(api);
}

static bool is_denied(void *ctx)
{
    return stats_of(ctx).denied > 0;
}

static void a_refused_subject_fails_readiness(void **state)
{
    struct pr_bus *placement = own_nats_bus(&nats, "placement");
    struct pr_err err = { 0 };
    (void)state;

    assert_int_equal(
        pr_bus_publish(placement, "prism.cmd.rebalance.plan", "x", 1, NULL, NULL, &err),
        PR_ETIMEOUT);
    assert_true(it_await(is_denied, placement, 5000));
    assert_int_equal(pr_bus_ready(placement, &err), PR_EUNAVAIL);
    assert_non_null(strstr(err.text, "prism.cmd.rebalance.plan"));
    pr_bus_close(placement);
    assert_int_equal(own_nats_stream_messages(&nats, "PRISM_CMD"), 0);
}

static void another_ones_consumer_is_refused(void **state)
{
    struct pr_bus *placement = own_nats_bus(&nats, "placement");
    struct seen seen;
    struct pr_err err = { 0 };
    (void)state;

    seen_init(&seen);
    assert_int_not_equal(pr_bus_consume(placement, "PRISM_CMD", "rebalance", 1, note, &seen, &err),
                         PR_OK);
    assert_int_equal(pr_bus_ready(placement, &err), PR_EUNAVAIL);
    pr_bus_close(placement);
}

static void a_consumer_that_does_not_exist_is_named(void **state)
{
    struct pr_bus *tester = own_nats_bus(&nats, "tester");
    struct seen seen;
    struct pr_err err = { 0 };
    (void)state;

    seen_init(&seen);
    assert_int_equal(pr_bus_consume(tester, "PRISM_CMD", "nobody", 1, note, &seen, &err),
                     PR_ENOTFOUND);
    assert_non_null(strstr(err.text, "nobody"));
    assert_int_equal(pr_bus_consume(tester, "NO_STREAM", "nobody", 1, note, &seen, &err),
                     PR_ENOTFOUND);
    assert_int_equal(pr_bus_publish(tester, "no.stream", "x", 1, NULL, NULL, &err), PR_EUNAVAIL);
    assert_non_null(strstr(err.text, "no.stream"));
    pr_bus_close(tester);
}

static void a_wrong_password_or_url_is_told(void **state)
{
    struct pr_bus *bus = NULL;
    struct pr_err err = { 0 };
    struct pr_bus_options o = {
        .url = nats.url, .user = "placement", .password = "wrong", .name = "t"
    };
    (void)state;

    if (pr_bus_open(&bus, &o, &err) == PR_OK) { /* or as soon as readiness is asked for */
        assert_int_equal(pr_bus_ready(bus, &err), PR_EUNAVAIL);
        pr_bus_close(bus);
    }
    assert_non_null(strstr(err.text, "uthor"));
    o.url = "nats://127.0.0.1:no";
    assert_int_equal(pr_bus_open(&bus, &o, &err), PR_EINVAL);
    o.url = NULL;
    assert_int_equal(pr_bus_open(&bus, &o, &err), PR_EINVAL);
}

static bool is_unavailable(void *bus)
{
    struct pr_err err;
    return pr_bus_ready(bus, &err) == PR_EUNAVAIL;
}

static void a_killed_server_is_found_again(void **state)
{
    struct pr_bus *api = own_nats_bus(&nats, "metadata-api");
    struct pr_bus *placement = own_nats_bus(&nats, "placement");
    struct seen cmds, events;
    struct pr_err err = { 0 };
    (void)state;

    seen_init(&cmds);
    seen_init(&events);
    assert_ok(pr_bus_consume(placement, "PRISM_CMD", "placement", 1, note, &cmds, &err), &err);
    assert_ok(pr_bus_watch(api, "PRISM_EVT", "prism.evt.placement.*", note, &events, &err), &err);
    publish(placement, "prism.evt.placement.finished", "1", NULL);
    assert_true(await_calls(&events, 1, 5000));

    own_nats_kill(&nats);
    int64_t start_us = pr_mono_us();
    assert_int_equal(pr_bus_publish(api, "prism.cmd.placement.run", "x", 1, NULL, NULL, &err),
                     PR_EUNAVAIL);
    assert_true(pr_mono_us() - start_us < 2000000); /* does not wait for an ack that cannot come */
    assert_true(it_await(is_unavailable, placement, 5000)); /* its socket may notice later */
    own_nats_restart(&nats);

    assert_true(own_nats_await_ready(api, 15000));
    assert_true(own_nats_await_ready(placement, 15000));
    publish(api, "prism.cmd.placement.run", "after", "after-1");
    assert_true(await_calls(&cmds, 1, 10000));
    publish(placement, "prism.evt.placement.finished", "2", NULL);
    assert_true(await_calls(&events, 2, 20000)); /* the watch was made anew */
    assert_string_equal(events.text, "2");
    assert_true(stats_of(api).reconnects >= 1);
    pr_bus_close(placement);
    pr_bus_close(api);
}

static bool is_refused(void *ctx)
{
    struct pr_err err = { 0 };
    return pr_bus_ready(ctx, &err) != PR_OK && strstr(err.text, "uthoriz") != NULL;
}

/* libnats gives up on a server that refuses its password twice. */
static void a_bus_that_was_locked_out_comes_back(void **state)
{
    struct pr_bus *api = own_nats_bus(&nats, "metadata-api");
    struct pr_bus *placement = own_nats_bus(&nats, "placement");
    struct seen seen;
    struct pr_err err = { 0 };
    void *reply = NULL;
    size_t len = 0;
    (void)state;

    seen_init(&seen);
    assert_ok(pr_bus_consume(placement, "PRISM_CMD", "placement", 1, note, &seen, &err), &err);
    assert_ok(pr_bus_serve(placement, "prism.rpc.placement.hint", "placement", hint, NULL, &err),
              &err);
    own_nats_kill(&nats);
    own_nats_lock_out_placement(&nats, true);
    own_nats_restart(&nats);
    assert_true(it_await(is_refused, placement, 10000));
    assert_true(own_nats_await_ready(api, 10000));
    publish(api, "prism.cmd.placement.run", "meanwhile", NULL);

    own_nats_kill(&nats);
    own_nats_lock_out_placement(&nats, false);
    own_nats_restart(&nats);
    assert_true(own_nats_await_ready(placement, 10000));
    assert_true(await_calls(&seen, 1, 10000));
    assert_string_equal(seen.text, "meanwhile");
    assert_true(own_nats_await_ready(api, 10000));
    while (pr_bus_request(api, "prism.rpc.placement.hint", "ab", 2, 1000, &reply, &len, &err) !=
           PR_OK)
        assert_int_equal(err.code, PR_EUNAVAIL); /* until the subscription is known */
    free(reply);
    assert_true(await_depth("PRISM_CMD", 0));
    pr_bus_close(placement);
    pr_bus_close(api);
}

static void closing_without_a_server_is_quick(void **state)
{
    struct pr_bus *placement = own_nats_bus(&nats, "placement");
    struct pr_bus *never = NULL;
    struct seen seen;
    struct pr_err err = { 0 };
    char url[64];
    struct pr_bus_options o = { .url = url, .name = "never" };
    (void)state;

    seen_init(&seen);
    assert_ok(pr_bus_consume(placement, "PRISM_CMD", "placement", 1, note, &seen, &err), &err);
    own_nats_kill(&nats);
    int64_t start_us = pr_mono_us();
    pr_bus_close(placement);
    (void)snprintf(url, sizeof url, "nats://127.0.0.1:%d", it_free_port());
    assert_ok(pr_bus_open(&never, &o, &err), &err);
    assert_int_equal(pr_bus_ready(never, &err), PR_EUNAVAIL);
    pr_bus_close(never);
    pr_bus_close(NULL);
    assert_true(pr_mono_us() - start_us < 4000000);
    own_nats_restart(&nats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_arrives_once_with_its_id_and_trace),
        cmocka_unit_test(a_retryable_failure_is_delivered_again_after_a_pause),
        cmocka_unit_test(a_malformed_message_becomes_a_dead_letter),
        cmocka_unit_test(the_fifth_failure_makes_a_dead_letter),
        cmocka_unit_test(a_long_handler_keeps_its_message),
        cmocka_unit_test(a_message_delivered_again_meanwhile_gets_no_second_worker),
        cmocka_unit_test(what_is_not_begun_at_the_close_goes_to_another),
        cmocka_unit_test(while_paused_nothing_is_consumed),
        cmocka_unit_test(a_watch_sees_new_events_only),
        cmocka_unit_test(a_request_gets_its_reply_or_its_error),
        cmocka_unit_test(a_refused_subject_fails_readiness),
        cmocka_unit_test(another_ones_consumer_is_refused),
        cmocka_unit_test(a_consumer_that_does_not_exist_is_named),
        cmocka_unit_test(a_wrong_password_or_url_is_told),
        cmocka_unit_test(a_killed_server_is_found_again),
        cmocka_unit_test(a_bus_that_was_locked_out_comes_back),
        cmocka_unit_test(closing_without_a_server_is_quick),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
