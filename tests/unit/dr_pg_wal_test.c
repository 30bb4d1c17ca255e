/* Which received segments go, stay, or fill a gap. */
#include "t.h"

#include "core/pg_wal.h"

#include <stdio.h>
#include <string.h>

enum { N = 6, SIZE = 16 };

static void received_segments_go_only_when_the_repository_has_them(void **state)
{
    (void)state;
    static const struct {
        const char *in_repository; /* a digit for each of N */
        int64_t keep;
        int archived; /* the archiver is past this one; -1: none */
        const char *want;
    } row[] = {
        { "111111", 0, 5, "dddddd" },        { "111111", SIZE, 5, "dddddk" },
        { "111111", SIZE + 1, 5, "ddddkk" }, { "111111", 1000, 5, "kkkkkk" },
        { "000000", 0, -1, "kkkkkk" }, /* the archiver will come */
        { "110000", 0, 1, "ddkkkk" },        { "110011", 0, 5, "ddppdd" }, /* it went past two */
        { "110011", 0, 3, "ddppdd" },        { "110011", 0, 2, "ddpkdd" },
        { "110111", 3 * SIZE, 5, "ddpkkk" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_wal_file f[N];
        char got[N + 1] = "", archived[DR_PG_WAL] = "";
        for (int k = 0; k < N; k++) {
            f[k] = (struct dr_wal_file){ .bytes = SIZE,
                                         .in_repository = row[i].in_repository[k] == '1' };
            (void)snprintf(f[k].name, sizeof f[k].name, "0000000100000000000000%02X", k);
        }
        if (row[i].archived >= 0)
            memcpy(archived, f[row[i].archived].name, sizeof archived);
        dr_wal_decide(f, N, row[i].keep, archived);
        for (int k = 0; k < N; k++)
            got[k] = "kpd"[f[k].todo];
        assert_string_equal(got, row[i].want);
    }
}

static void names_are_24_digits(void **state)
{
    (void)state;
    assert_true(dr_wal_name_ok("0000000100000000000000AF"));
    static const char *const bad[] = { "",
                                       "0000000100000000000000A",
                                       "0000000100000000000000af",
                                       "0000000100000000000000AF0",
                                       "0000000100000000000000AF.partial",
                                       "00000002.history" };
    for (size_t i = 0; i < PR_COUNT(bad); i++)
        assert_false(dr_wal_name_ok(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(received_segments_go_only_when_the_repository_has_them),
        cmocka_unit_test(names_are_24_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
