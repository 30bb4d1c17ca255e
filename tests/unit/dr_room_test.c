/* How many shards fit at a time; sizes are in GiB. */
#include "t.h"

#include "core/room.h"

#include <string.h>

#define G ((uint64_t)1 << 30)

static void as_many_as_memory_holds(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct dr_load load[3];
        uint64_t memory, disk; /* MiB, GiB */
        size_t wanted, want;   /* 0: refused */
    } row[] = {
        /* of base 1 and stream 1 a server takes 3 GiB and 64 MiB, its files 2 */
        { "all", { { 1, 1 }, { 1, 1 }, { 1, 1 } }, 12000, 100, 0, 3 },
        { "all but a little", { { 1, 1 }, { 1, 1 }, { 1, 1 } }, 11759, 100, 0, 2 },
        { "all to the byte", { { 1, 1 }, { 1, 1 }, { 1, 1 } }, 11760, 100, 0, 3 },
        { "one", { { 1, 1 }, { 1, 1 }, { 1, 1 } }, 4000, 100, 0, 1 },
        { "none", { { 1, 1 }, { 1, 1 }, { 1, 1 } }, 3900, 100, 0, 0 },
        { "the largest decides", { { 1, 0 }, { 9, 0 }, { 1, 0 } }, 20000, 100, 0, 0 },
        { "whichever are beside it", { { 1, 0 }, { 9, 0 }, { 1, 0 } }, 23360, 100, 0, 1 },
        { "what is asked for is not doubted", { { 1, 1 }, { 1, 1 }, { 1, 1 } }, 100, 100, 2, 2 },
        { "nor more than there are", { { 1, 1 }, { 1, 1 }, { 1, 1 } }, 100, 100, 9, 3 },
        { "the disk is too small", { { 1, 1 }, { 1, 1 }, { 1, 1 } }, 90000, 6, 0, 0 },
        { "whatever is asked for", { { 1, 1 }, { 1, 1 }, { 1, 1 } }, 90000, 6, 1, 0 },
        { "the disk is large enough", { { 1, 1 }, { 1, 1 }, { 1, 1 } }, 90000, 7, 0, 3 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_load load[3];
        const struct dr_room room = { row[i].memory << 20, row[i].disk * G };
        struct pr_err err = { 0 };
        size_t wave = 0;
        for (size_t k = 0; k < 3; k++)
            load[k] = (struct dr_load){ row[i].load[k].base * G, row[i].load[k].stream * G };
        const enum pr_code rc = dr_room_wave(load, 3, &room, row[i].wanted, &wave, &err);
        if (rc != (row[i].want > 0 ? PR_OK : PR_EFULL) || (rc == PR_OK && wave != row[i].want))
            fail_msg("%s: %s, %zu", row[i].what, pr_code_name(rc), wave);
        if (rc == PR_EFULL)
            assert_non_null(strstr(err.text, " MiB"));
    }
}

static void what_cannot_be_loaded_is_not_begun(void **state)
{
    (void)state;
    const struct dr_load shard = { 62 * G, 4 * G };
    struct pr_err err = { 0 };
    assert_int_equal(dr_room_least(&shard, 62 * G, &err), PR_EFULL);
    assert_non_null(strstr(err.text, "63488 MiB of memory at least, about 131136, and 63488"));
    assert_int_equal(dr_room_least(&shard, 62 * G + 1, &err), PR_OK); /* it may be enough */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_memory_holds),
        cmocka_unit_test(what_cannot_be_loaded_is_not_begun),
    };
    return cmocka_run_group_tests_name("dr room", tests, NULL, NULL);
}
