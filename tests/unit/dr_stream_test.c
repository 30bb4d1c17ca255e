/* Where a replication stream may be cut, and what is none. */
#include "t.h"

#include "core/stream.h"

#include <stdio.h>
#include <string.h>

#define PING      "*1\r\n$4\r\nPING\r\n"
#define MULTI     "*1\r\n$5\r\nMULTI\r\n"
#define EXEC      "*1\r\n$4\r\nEXEC\r\n"
#define SET       "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nvv\r\n"
#define LEN(text) (sizeof text - 1)

static void cuts_behind_whole_commands_outside_multi(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint64_t boundary, commands;
        bool in_multi;
        int db;
    } row[] = {
        { "", 0, 0, false, 0 },
        { PING, LEN(PING), 1, false, 0 },
        { PING "*", LEN(PING), 1, false, 0 },
        { PING "*1\r\n$4\r\nPING\r", LEN(PING), 1, false, 0 },
        { SET PING, LEN(SET PING), 2, false, 0 },
        { PING MULTI, LEN(PING), 2, true, 0 },
        { PING MULTI SET, LEN(PING), 3, true, 0 },
        { PING MULTI SET EXEC, LEN(PING MULTI SET EXEC), 4, false, 0 },
        { "*1\r\n$5\r\nmUlTi\r\n" SET, 0, 2, true, 0 },
        { "*2\r\n$5\r\nMULTI\r\n$1\r\nx\r\n", 22, 1, false, 0 }, /* that is another one */
        { "*2\r\n$6\r\nSELECT\r\n$2\r\n15\r\n", 24, 1, false, 15 },
        { "*2\r\n$6\r\nselect\r\n$1\r\n0\r\n", 23, 1, false, 0 },
        { "\n", 1, 0, false, 0 },
        { "\r\n" PING, LEN("\r\n" PING), 1, false, 0 },
        { "\r", 0, 0, false, 0 },
        { MULTI "\n", 0, 1, true, 0 },
        { "*2\r\n$0\r\n\r\n$4\r\n\r\n\r\n\r\n", 20, 1, false, 0 }, /* empty, and full of \r\n */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_stream s;
        struct pr_err err;
        const size_t n = strlen(row[i].bytes);
        dr_stream_init(&s, 1000);
        assert_int_equal(s.boundary, 1000);
        assert_ok(dr_stream_feed(&s, row[i].bytes, n, NULL, NULL, &err), &err);
        assert_int_equal(s.offset, 1000 + n);
        assert_int_equal(s.boundary, 1000 + row[i].boundary);
        assert_int_equal(s.commands, row[i].commands);
        assert_int_equal(s.in_multi, row[i].in_multi);
        assert_int_equal(s.db, row[i].db);
    }
}

static void refuses_what_is_no_stream_and_says_where(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint64_t at; /* bytes before the wrong one */
    } row[] = {
        { "PING\r\n", 0 },
        { "+CONTINUE\r\n", 0 },
        { "\r\r", 1 },
        { "*\r\n", 1 },
        { "*x", 1 },
        { "*-1\r\n", 1 },
        { "*0\r\n", 3 },
        { "*01\r\n", 2 },
        { "*1\n", 2 },
        { "*1\r\r", 3 },
        { "*2147483648\r\n", 10 },
        { "*99999999999999999999999999\r\n", 10 },
        { "*1\r\n4", 4 },
        { "*1\r\n$-1\r\n", 5 },
        { "*1\r\n$\r\n", 5 },
        { "*1\r\n$1099511627777\r\n", 17 },
        { "*1\r\n$4\rPING", 7 },
        { "*1\r\n$4\r\nPINGS\r\n", 12 },
        { "*1\r\n$4\r\nPING\rx", 13 },
        { MULTI MULTI, LEN(MULTI MULTI) - 1 },
        { EXEC, LEN(EXEC) - 1 },
        { MULTI SET EXEC EXEC, LEN(MULTI SET EXEC EXEC) - 1 },
        { "*2\r\n$6\r\nSELECT\r\n$1\r\nx\r\n", 22 },
        { "*2\r\n$6\r\nSELECT\r\n$10\r\n1000000000\r\n", 32 },
        { "*2\r\n$6\r\nSELECT\r\n$0\r\n\r\n", 21 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_stream s;
        struct pr_err err = { .text = "" };
        char want[64], bytes[128];
        const int n = snprintf(bytes, sizeof bytes, PING "%s", row[i].bytes);
        dr_stream_init(&s, 500);
        assert_int_equal(dr_stream_feed(&s, bytes, (size_t)n, NULL, NULL, &err), PR_EDATA);
        (void)snprintf(want, sizeof want, "offset %d:", (int)(500 + LEN(PING) + row[i].at));
        if (strstr(err.text, want) == NULL)
            fail_msg("row %zu: \"%s\", not %s", i, err.text, want);
        assert_true(s.boundary >= 500 + LEN(PING) && s.boundary <= s.offset);
        assert_int_equal(dr_stream_feed(&s, PING, LEN(PING), NULL, NULL, &err), PR_EDATA);
        assert_int_equal(dr_stream_feed(&s, "", 0, NULL, NULL, &err), PR_EDATA);
    }
}

struct seen {
    const struct dr_stream *s;
    struct dr_command last;
    size_t n;
    bool asks;
};

static void see(void *ctx, const struct dr_command *c)
{
    struct seen *seen = ctx;
    assert_int_equal(seen->s->offset, c->end);
    assert_int_equal(seen->s->boundary, c->end);
    seen->last = *c;
    seen->asks = dr_command_asks_ack(c);
    seen->n++;
}

static void shows_the_first_arguments_cut_off(void **state)
{
    (void)state;
    char bytes[512], want[DR_STREAM_ARG];
    struct dr_stream s;
    struct seen seen = { .s = &s, .n = 0 };
    struct pr_err err;
    for (int long_one = DR_STREAM_ARG - 2; long_one <= DR_STREAM_ARG + 1; long_one++) {
        const int n = snprintf(bytes, sizeof bytes,
                               "*6\r\n$4\r\nHSET\r\n$%d\r\n%0*d\r\n$0\r\n\r\n$1\r\nb\r\n$1\r\nc\r\n"
                               "$70\r\n%070d\r\n",
                               long_one, long_one, 7, 1);
        dr_stream_init(&s, 0);
        assert_ok(dr_stream_feed(&s, bytes, (size_t)n, see, &seen, &err), &err);
        assert_int_equal(seen.last.argc, 6);
        assert_int_equal(seen.last.args, 4);
        assert_int_equal(seen.last.end, n);
        assert_string_equal(seen.last.arg[0], "HSET");
        (void)snprintf(bytes, sizeof bytes, "%0*d", long_one, 7);
        (void)snprintf(want, sizeof want, "%.63s", bytes);
        assert_string_equal(seen.last.arg[1], want);
        assert_int_equal(seen.last.len[1], long_one);
        assert_string_equal(seen.last.arg[2], "");
        assert_int_equal(seen.last.len[2], 0);
        assert_string_equal(seen.last.arg[3], "b");
    }
    assert_int_equal(seen.n, 4);
    assert_ok(dr_stream_feed(&s, "\n", 1, see, &seen, &err), &err);
    assert_int_equal(seen.last.argc, 0);
    assert_int_equal(seen.last.args, 0);
}

static void knows_when_the_source_asks_for_the_offset(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        bool asks;
    } row[] = {
        { "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n", true },
        { "*3\r\n$8\r\nreplconf\r\n$6\r\ngetack\r\n$1\r\n*\r\n", true },
        { "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$1\r\n0\r\n", false },
        { "*2\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n", false },
        { "*3\r\n$3\r\nSET\r\n$6\r\nGETACK\r\n$1\r\n*\r\n", false },
        { PING, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_stream s;
        struct seen seen = { .s = &s, .n = 0 };
        struct pr_err err;
        dr_stream_init(&s, 0);
        assert_ok(dr_stream_feed(&s, row[i].bytes, strlen(row[i].bytes), see, &seen, &err), &err);
        assert_int_equal(seen.n, 1);
        assert_int_equal(seen.asks, row[i].asks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_behind_whole_commands_outside_multi),
        cmocka_unit_test(refuses_what_is_no_stream_and_says_where),
        cmocka_unit_test(shows_the_first_arguments_cut_off),
        cmocka_unit_test(knows_when_the_source_asks_for_the_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
