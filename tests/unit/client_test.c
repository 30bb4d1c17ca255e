#include "prism/dp/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { HOME = 1, CACHED = 2, P = 3, T = 4, Q = 5, PATIENCE = 3 };

enum event {
    OK,
    STUB_NEWER, /* Q:9 */
    STUB_OLDER, /* Q:2 */
    STUB_CLAIM, /* P:0 */
    ABSENT,
    DELETED,
    FULL,
    BROKEN,
    STUB_P5, /* P:5, only on paths */
    EVENTS = STUB_P5,
    END_PATH
};

static void feed(struct client *c, enum event e)
{
    switch (e) {
    case OK:
        client_reply(c, CLIENT_R_OK, 0, 0);
        break;
    case STUB_NEWER:
        client_reply(c, CLIENT_R_STUB, Q, 9);
        break;
    case STUB_OLDER:
        client_reply(c, CLIENT_R_STUB, Q, 2);
        break;
    case STUB_CLAIM:
        client_reply(c, CLIENT_R_STUB, P, 0);
        break;
    case STUB_P5:
        client_reply(c, CLIENT_R_STUB, P, 5);
        break;
    case ABSENT:
        client_reply(c, CLIENT_R_ABSENT, 0, 0);
        break;
    case DELETED:
        client_reply(c, CLIENT_R_DELETED, 0, 0);
        break;
    case FULL:
        client_reply(c, CLIENT_R_FULL, 0, 0);
        break;
    case BROKEN:
    case END_PATH:
        client_reply(c, CLIENT_R_BROKEN, 0, 0);
        break;
    }
}

/* "do 3", "do 3 existing", "claim", "wait", "backoff", or the outcome. */
static const char *now(const struct client *c)
{
    static char text[32];
    static const char *const outcome[] = { "running", "done",    "not found",
                                           "full",    "unknown", "gave up" };
    struct client_cmd cmd = client_next(c);

    switch (cmd.kind) {
    case CLIENT_DO:
        (void)snprintf(text, sizeof(text), "do %u%s", cmd.partition,
                       cmd.existing_only ? " existing" : "");
        return text;
    case CLIENT_CLAIM:
        assert_int_equal(cmd.partition, HOME);
        return "claim";
    case CLIENT_WAIT_HOME:
        assert_int_equal(cmd.partition, HOME);
        return "wait";
    case CLIENT_BACKOFF:
        return "backoff";
    case CLIENT_END:
        return outcome[client_outcome(c)];
    }
    return "?";
}

static void expect(const struct client *c, const char *want)
{
    assert_string_equal(now(c), want);
}

static void every_step_answers_every_event(void **state)
{
    (void)state;
    static const struct {
        enum client_op op;
        uint32_t cached;
        enum event path[4];
        const char *step;
        const char *next[EVENTS]; /* ok newer older claim absent deleted full broken */
    } row[] = {
        /* at home, without a cache */
        { CLIENT_READ,
          HOME,
          { END_PATH },
          "do 1",
          { "done", "do 5", "do 5", "do 3", "not found", "not found", "full", "backoff" } },
        { CLIENT_WRITE,
          HOME,
          { END_PATH },
          "do 1",
          { "done", "do 5", "do 5", "do 3", "not found", "not found", "full", "unknown" } },
        { CLIENT_DELETE,
          HOME,
          { END_PATH },
          "do 1",
          { "done", "do 5", "do 5", "do 3", "not found", "not found", "full", "unknown" } },
        /* where a cache pointed */
        { CLIENT_READ,
          CACHED,
          { END_PATH },
          "do 2",
          { "done", "do 5", "do 5", "do 3", "do 1", "not found", "full", "backoff" } },
        { CLIENT_WRITE,
          CACHED,
          { END_PATH },
          "do 2",
          { "done", "do 5", "do 5", "do 3", "do 1", "not found", "full", "unknown" } },
        { CLIENT_CREATE,
          CACHED,
          { END_PATH },
          "do 2 existing",
          { "done", "do 5 existing", "do 5 existing", "do 3", "claim", "not found", "full",
            "unknown" } },
        /* after home said: at 3 since epoch 5 */
        { CLIENT_READ,
          HOME,
          { STUB_P5, END_PATH },
          "do 3",
          { "done", "do 5", "backoff", "backoff", "backoff", "not found", "full", "backoff" } },
        { CLIENT_WRITE,
          HOME,
          { STUB_P5, END_PATH },
          "do 3",
          { "done", "do 5", "backoff", "backoff", "backoff", "not found", "full", "unknown" } },
        { CLIENT_DELETE,
          HOME,
          { STUB_P5, END_PATH },
          "do 3",
          { "done", "do 5", "backoff", "backoff", "backoff", "not found", "full", "unknown" } },
        { CLIENT_CREATE,
          HOME,
          { STUB_P5, END_PATH },
          "do 3 existing",
          { "done", "do 5 existing", "backoff", "backoff", "backoff", "not found", "full",
            "unknown" } },
        /* after a claim for 3 */
        { CLIENT_READ,
          HOME,
          { STUB_CLAIM, END_PATH },
          "do 3",
          { "done", "do 5", "do 5", "do 3", "not found", "not found", "full", "backoff" } },
        { CLIENT_CREATE,
          HOME,
          { STUB_CLAIM, OK, END_PATH },
          "do 3",
          { "done", "do 5 existing", "do 5 existing", "do 3", "backoff", "not found", "full",
            "unknown" } },
        /* claiming */
        { CLIENT_CREATE,
          HOME,
          { END_PATH },
          "claim",
          { "wait", "do 5 existing", "do 5 existing", "wait", "backoff", "do 1 existing", "backoff",
            "backoff" } },
        { CLIENT_CREATE,
          HOME,
          { STUB_CLAIM, END_PATH },
          "wait",
          { "do 3", "backoff", "backoff", "backoff", "backoff", "backoff", "backoff", "backoff" } },
        { CLIENT_CREATE,
          HOME,
          { OK, END_PATH },
          "wait",
          { "do 1 existing", "backoff", "backoff", "backoff", "backoff", "backoff", "backoff",
            "backoff" } },
        { CLIENT_CREATE,
          HOME,
          { OK, OK, END_PATH },
          "do 1 existing",
          { "done", "do 5 existing", "do 5 existing", "do 3", "backoff", "not found", "full",
            "unknown" } },
        /* pausing: whatever is said, the next try begins at home */
        { CLIENT_READ,
          CACHED,
          { STUB_P5, ABSENT, END_PATH },
          "backoff",
          { "do 1", "do 1", "do 1", "do 1", "do 1", "do 1", "do 1", "do 1" } },
        { CLIENT_CREATE,
          CACHED,
          { STUB_P5, ABSENT, END_PATH },
          "backoff",
          { "claim", "claim", "claim", "claim", "claim", "claim", "claim", "claim" } },
        /* ended */
        { CLIENT_READ,
          HOME,
          { OK, END_PATH },
          "done",
          { "done", "done", "done", "done", "done", "done", "done", "done" } },
        { CLIENT_WRITE,
          HOME,
          { BROKEN, END_PATH },
          "unknown",
          { "unknown", "unknown", "unknown", "unknown", "unknown", "unknown", "unknown",
            "unknown" } },
    };

    for (size_t i = 0; i < COUNT(row); i++) {
        struct client at;
        client_init(&at, row[i].op, HOME, row[i].cached, T, PATIENCE);
        for (size_t k = 0; row[i].path[k] != END_PATH; k++)
            feed(&at, row[i].path[k]);
        if (strcmp(now(&at), row[i].step) != 0)
            fail_msg("row %zu: at '%s', not at '%s'", i, now(&at), row[i].step);
        for (int e = 0; e < EVENTS; e++) {
            struct client c = at;
            feed(&c, (enum event)e);
            if (strcmp(now(&c), row[i].next[e]) != 0)
                fail_msg("row %zu, '%s', event %d: '%s', not '%s'", i, row[i].step, e, now(&c),
                         row[i].next[e]);
        }
    }
}

static void moving_is_not_deleted(void **state)
{
    (void)state;
    struct client c;

    client_init(&c, CLIENT_READ, HOME, HOME, 0, PATIENCE);
    feed(&c, STUB_P5);
    feed(&c, ABSENT); /* fenced, not yet promoted */
    expect(&c, "backoff");
    feed(&c, OK);
    expect(&c, "do 1");
    feed(&c, STUB_P5);
    feed(&c, OK);
    expect(&c, "done");
    assert_int_equal(client_found_at(&c), P);
}

static void pauses_are_counted_and_patience_ends(void **state)
{
    (void)state;
    struct client c;

    client_init(&c, CLIENT_WRITE, HOME, HOME, 0, PATIENCE);
    for (unsigned i = 1; i <= PATIENCE; i++) {
        feed(&c, STUB_P5);
        feed(&c, ABSENT);
        expect(&c, "backoff");
        assert_int_equal(client_next(&c).attempt, i);
        feed(&c, OK);
    }
    feed(&c, STUB_P5);
    feed(&c, ABSENT);
    expect(&c, "gave up");
}

static void no_patience_at_all_is_allowed(void **state)
{
    (void)state;
    struct client c;

    client_init(&c, CLIENT_READ, HOME, HOME, 0, 0);
    feed(&c, BROKEN);
    expect(&c, "gave up");
}

static void a_chain_without_end_is_left_for_later(void **state)
{
    (void)state;
    struct client c;
    unsigned hops = 0;

    client_init(&c, CLIENT_READ, HOME, HOME, 0, PATIENCE);
    while (strcmp(now(&c), "backoff") != 0 && hops < 1000) {
        feed(&c, STUB_NEWER);
        hops++;
    }
    assert_in_range(hops, 10, 100);
}

static void an_older_stub_in_a_cached_place_is_a_lead_like_any_other(void **state)
{
    (void)state;
    struct client c;

    client_init(&c, CLIENT_READ, HOME, CACHED, 0, PATIENCE);
    feed(&c, STUB_OLDER);
    expect(&c, "do 5");
    feed(&c, STUB_P5);
    expect(&c, "do 3");
    feed(&c, STUB_OLDER); /* not promoted there yet */
    expect(&c, "backoff");
}

static void a_creation_at_home_waits_for_its_claim(void **state)
{
    (void)state;
    struct client c;

    client_init(&c, CLIENT_CREATE, HOME, HOME, HOME, PATIENCE);
    expect(&c, "claim");
    feed(&c, OK);
    expect(&c, "wait");
    feed(&c, OK);
    expect(&c, "do 1 existing");
    feed(&c, OK);
    expect(&c, "done");
    assert_int_equal(client_found_at(&c), HOME);
}

static void a_claim_that_broke_is_made_again(void **state)
{
    (void)state;
    struct client c;

    client_init(&c, CLIENT_CREATE, HOME, HOME, T, PATIENCE);
    feed(&c, STUB_CLAIM);
    feed(&c, BROKEN); /* WAIT */
    expect(&c, "backoff");
    feed(&c, OK);
    expect(&c, "claim");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_answers_every_event),
        cmocka_unit_test(moving_is_not_deleted),
        cmocka_unit_test(pauses_are_counted_and_patience_ends),
        cmocka_unit_test(no_patience_at_all_is_allowed),
        cmocka_unit_test(a_chain_without_end_is_left_for_later),
        cmocka_unit_test(an_older_stub_in_a_cached_place_is_a_lead_like_any_other),
        cmocka_unit_test(a_creation_at_home_waits_for_its_claim),
        cmocka_unit_test(a_claim_that_broke_is_made_again),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
