#include "t.h"

#include "bus_rules.h"

#include <string.h>

static void an_ack_subject_is_parsed_in_both_forms(void **state)
{
    static const char *const subject[] = {
        "$JS.ACK.PRISM_CMD.placement.3.17.5.1700000000000000000.0",
        "$JS.ACK._.ACCHASH.PRISM_CMD.placement.3.17.5.1700000000000000000.0",
        "$JS.ACK.hub.ACCHASH.PRISM_CMD.placement.3.17.5.1700000000000000000.0.x7Qz",
    };
    (void)state;
    for (size_t i = 0; i < PR_COUNT(subject); i++) {
        struct pr_ack ack;
        assert_true(pr_ack_parse(subject[i], &ack));
        assert_string_equal(ack.stream, "PRISM_CMD");
        assert_string_equal(ack.consumer, "placement");
        assert_int_equal(ack.deliveries, 3);
        assert_int_equal(ack.stream_seq, 17);
    }
}

static void what_is_no_ack_subject_is_refused(void **state)
{
    static const char *const subject[] = {
        NULL,
        "",
        "_INBOX.abc",
        "$JS.ACK.",
        "$JS.ACK.S.C.1.2.3.4",                      /* a token short */
        "$JS.ACK.D.S.C.1.2.3.4.5",                  /* neither form */
        "$JS.ACK.S.C.one.2.3.4.5",                  /* not a number */
        "$JS.ACK.S.C..2.3.4.5",                     /* empty number */
        "$JS.ACK..C.1.2.3.4.5",                     /* empty name */
        "$JS.ACK.S.C.99999999999999999999.2.3.4.5", /* too large */
        "$JS.ACK.AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDDDDDDDDDEEEEEEEEEEFFFFFFFFFFGGGG.C.1.2.3.4.5",
    };
    (void)state;
    for (size_t i = 0; i < PR_COUNT(subject); i++) {
        struct pr_ack ack;
        if (pr_ack_parse(subject[i], &ack))
            fail_msg("%s", subject[i] == NULL ? "NULL" : subject[i]);
    }
}

static void the_verdict_follows_code_and_deliveries(void **state)
{
    static const struct {
        enum pr_code rc;
        uint64_t deliveries;
        bool dead_letters;
        enum pr_verdict want;
        int delay_ms; /* of a NAK */
    } row[] = {
        { PR_OK, 1, true, PR_VERDICT_ACK, 0 },
        { PR_OK, 9, false, PR_VERDICT_ACK, 0 },
        { PR_EUNAVAIL, 1, true, PR_VERDICT_NAK, 1000 },
        { PR_EUNAVAIL, 2, true, PR_VERDICT_NAK, 2000 },
        { PR_ETIMEOUT, 3, true, PR_VERDICT_NAK, 4000 },
        { PR_ENOMEM, 4, true, PR_VERDICT_NAK, 8000 },
        { PR_EUNAVAIL, 5, true, PR_VERDICT_DEAD, 0 },
        { PR_EUNAVAIL, 5, false, PR_VERDICT_DROP, 0 },
        { PR_EDATA, 1, true, PR_VERDICT_DEAD, 0 },
        { PR_EINVAL, 1, true, PR_VERDICT_DEAD, 0 },
        { PR_EINTERNAL, 1, true, PR_VERDICT_DEAD, 0 },
        { PR_EDATA, 1, false, PR_VERDICT_DROP, 0 },
        /* Not the message's fault, however often. */
        { PR_ECANCELED, 7, true, PR_VERDICT_NAK, 16000 },
        { PR_EFENCED, 1, true, PR_VERDICT_NAK, 1000 },
        { PR_EFENCED, 1000000, false, PR_VERDICT_NAK, 16000 },
    };
    (void)state;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        int delay_ms = -1;
        enum pr_verdict got =
            pr_bus_verdict(row[i].rc, row[i].deliveries, row[i].dead_letters, &delay_ms);
        if (got != row[i].want || (got == PR_VERDICT_NAK && delay_ms != row[i].delay_ms))
            fail_msg("row %zu: verdict %d, delay %d ms", i, got, delay_ms);
    }
}

static void every_code_has_a_name_that_leads_back(void **state)
{
    (void)state;
    for (int c = PR_OK + 1; c < PR_CODE_COUNT; c++)
        assert_int_equal(pr_code_of_name(pr_code_name((enum pr_code)c)), c);
    assert_int_equal(pr_code_of_name("ok"), PR_EINTERNAL);
    assert_int_equal(pr_code_of_name("no such"), PR_EINTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ack_subject_is_parsed_in_both_forms),
        cmocka_unit_test(what_is_no_ack_subject_is_refused),
        cmocka_unit_test(the_verdict_follows_code_and_deliveries),
        cmocka_unit_test(every_code_has_a_name_that_leads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
