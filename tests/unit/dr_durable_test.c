/* Is an offset of a history covered by what is durable? */
#include "t.h"

#include "core/durable.h"

#define OLD "1111111111111111111111111111111111111111"
#define NOW "2222222222222222222222222222222222222222"
#define ANY "3333333333333333333333333333333333333333"

static void offsets_count_in_their_history(void **state)
{
    (void)state;
    static const struct dr_history h = { NOW, OLD, 100, 150 };
    static const struct {
        const char *replid;
        uint64_t offset;
        enum dr_verdict want;
    } row[] = {
        { NOW, 0, DR_REACHED },   { NOW, 150, DR_REACHED },
        { NOW, 151, DR_NOT_YET }, { OLD, 100, DR_REACHED }, /* where both are the same */
        { OLD, 101, DR_NEVER },                             /* the cluster may have lost it */
        { OLD, 151, DR_NEVER },   { ANY, 1, DR_NOT_YET },   /* it may become known */
        { "", 1, DR_NOT_YET },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(dr_durable_judge(&h, row[i].replid, row[i].offset), row[i].want);
}

static void what_the_old_history_still_lacks_may_come(void **state)
{
    (void)state;
    static const struct dr_history h = { NOW, OLD, 100, 50 }; /* durable is behind the fail-over */
    assert_int_equal(dr_durable_judge(&h, OLD, 50), DR_REACHED);
    assert_int_equal(dr_durable_judge(&h, OLD, 51), DR_NOT_YET);
    assert_int_equal(dr_durable_judge(&h, OLD, 100), DR_NOT_YET);
}

static void without_a_history_nothing_is_reached(void **state)
{
    (void)state;
    static const struct dr_history none = { "", "", 0, 0 };
    assert_int_equal(dr_durable_judge(&none, NOW, 0), DR_NOT_YET);
    assert_int_equal(dr_durable_judge(&none, "", 0), DR_NOT_YET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_count_in_their_history),
        cmocka_unit_test(what_the_old_history_still_lacks_may_come),
        cmocka_unit_test(without_a_history_nothing_is_reached),
    };
    return cmocka_run_group_tests_name("dr durable", tests, NULL, NULL);
}
