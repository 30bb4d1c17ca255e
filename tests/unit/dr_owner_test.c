/* Which restored shard owns a slot; and what a node says it owns. */
#include "t.h"

#include "core/owner.h"
#include "io/owned.h"

#include <string.h>

static void newest_owner_of_those_with_keys(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct dr_claim claim[3];
        int want;
    } row[] = {
        { "nobody", { { false, 5, 0, 0 }, { false, 9, 0, 0 } }, DR_NO_SHARD },
        { "one owns it", { { false, 9, 0, 0 }, { true, 5, 0, 0 } }, 1 },
        { "both own it: the newer epoch", { { true, 5, 0, 0 }, { true, 9, 0, 0 } }, 1 },
        { "in whichever order", { { true, 9, 0, 0 }, { true, 5, 0, 0 } }, 0 },
        { "both hold keys: the newer epoch", { { true, 5, 0, 1 }, { true, 9, 0, 1 } }, 1 },
        { "one holds keys, and an older epoch", { { true, 5, 0, 1 }, { true, 9, 0, 0 } }, 0 },
        { "one holds keys, and owns nothing", { { false, 5, 0, 1 }, { true, 9, 0, 0 } }, 0 },
        { "two hold keys, the third is newer",
          { { true, 5, 0, 1 }, { true, 6, 0, 1 }, { true, 9, 0, 0 } },
          1 },
        { "two hold keys, neither owns it",
          { { false, 5, 0, 1 }, { false, 6, 0, 1 }, { true, 9, 0, 0 } },
          1 },
        { "both hold keys: who took it last", { { true, 9, 3, 1 }, { false, 5, 4, 1 } }, 1 },
        { "who took it and has no keys does not count",
          { { true, 9, 0, 1 }, { true, 5, 4, 0 }, { false, 1, 2, 1 } },
          2 },
        { "keys came to it since, by a move that nothing tells",
          { { true, 9, 0, 1 }, { false, 5, 0, 1 } },
          1 },
        { "an epoch that is not known is older", { { true, 0, 0, 0 }, { true, 1, 0, 0 } }, 1 },
        { "none is known: the first", { { true, 0, 0, 0 }, { true, 0, 0, 0 } }, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (dr_slot_owner(row[i].claim, 3) != row[i].want)
            fail_msg("%s", row[i].what);
}

static void it_is_said_when_it_may_be_another(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct dr_claim claim[3];
        uint64_t unread;
        bool want;
    } row[] = {
        { "nobody has keys", { { true, 1, 0, 0 }, { true, 1, 0, 0 } }, 9, false },
        { "one has keys", { { true, 1, 0, 1 }, { true, 1, 3, 0 } }, 9, false },
        { "what is damaged is older", { { true, 1, 0, 1 }, { false, 1, 4, 1 } }, 3, false },
        { "what is damaged is newer", { { true, 1, 0, 1 }, { false, 1, 4, 1 } }, 5, true },
        { "the one that took it last has no keys left",
          { { true, 1, 3, 1 }, { false, 1, 4, 1 }, { false, 1, 9, 0 } },
          5,
          true },
        { "none is told, some is damaged", { { true, 1, 0, 1 }, { true, 2, 0, 1 } }, 1, true },
        { "bases of two owners in turn", { { true, 1, 0, 1 }, { true, 2, 0, 1 } }, 0, false },
        { "of the same epoch", { { true, 2, 0, 1 }, { true, 2, 0, 1 } }, 0, true },
        { "keys came to one since", { { true, 9, 0, 1 }, { false, 2, 0, 1 } }, 0, true },
        { "neither owned it", { { false, 1, 0, 1 }, { false, 2, 0, 1 } }, 0, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (dr_slot_unsure(row[i].claim, 3, row[i].unread) != row[i].want)
            fail_msg("%s", row[i].what);
}

#define A "0123456789012345678901234567890123456789"
#define B "abcdefabcdefabcdefabcdefabcdefabcdefabcd"
#define C "00000000000000000000000000000000000000cc"

static const char primary_says[] =
    B " 127.0.0.1:7402@17402 master - 0 1 9 connected 8192-16382\n" A
      " 127.0.0.1:7401@17401 myself,master - 0 0 7 connected 0-99 200 [300->-" B "]\n" C
      " 127.0.0.1:7403@17403 slave " A " 0 1 7 connected\n";
static const char replica_says[] = B " 127.0.0.1:7402@17402 master - 0 1 9 connected 8192-16382\n" A
                                     " 127.0.0.1:7401@17401 master - 0 0 7 connected 0-99 200\n" C
                                     " 127.0.0.1:7403@17403 myself,slave " A " 0 1 3 connected\n";

static void check(const char *text)
{
    uint8_t slots[DR_SLOTS / 8];
    uint64_t epoch = 0;
    struct pr_err err = { 0 };
    unsigned n = 0;
    memset(slots, 0xff, sizeof slots);
    assert_ok(dr_owned_parse(text, "127.0.0.1", slots, &epoch, &err), &err);
    assert_int_equal(epoch, 7);
    for (int s = 0; s < DR_SLOTS; s++)
        n += slots[s / 8] >> s % 8 & 1;
    assert_int_equal(n, 101);
    assert_int_equal(slots[0] & 1, 1);
    assert_int_equal(slots[200 / 8] >> 200 % 8 & 1, 1);
}

static void a_replica_answers_for_its_primary(void **state)
{
    (void)state;
    check(primary_says);
    check(replica_says);
}

static void who_does_not_know_is_not_believed(void **state)
{
    (void)state;
    static const char *const text[] = {
        "",
        A " 127.0.0.1:7401@17401 master - 0 0 7 connected 0-99\n",      /* nobody is it */
        C " 127.0.0.1:7403@17403 myself,slave " A " 0 1 7 connected\n", /* no such primary */
        C " 127.0.0.1:7403@17403 myself,slave - 0 1 7 connected\n",     /* nor any */
        "x",
    };
    uint8_t slots[DR_SLOTS / 8];
    uint64_t epoch;
    struct pr_err err = { 0 };
    for (size_t i = 0; i < PR_COUNT(text); i++)
        if (dr_owned_parse(text[i], "127.0.0.1", slots, &epoch, &err) != PR_EDATA)
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_owner_of_those_with_keys),
        cmocka_unit_test(it_is_said_when_it_may_be_another),
        cmocka_unit_test(a_replica_answers_for_its_primary),
        cmocka_unit_test(who_does_not_know_is_not_believed),
    };
    return cmocka_run_group_tests_name("dr owner", tests, NULL, NULL);
}
