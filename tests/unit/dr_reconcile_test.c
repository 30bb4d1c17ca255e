/* Which copy of a vertex stays after shards were cut at different offsets. Home is partition 0;
 * fresh epochs begin at 100. Written as "partition kind values": L v e (live), S to e (stub),
 * G v e name (staged). */
#include "core/reconcile.h"

#include "t.h"

#include <string.h>
#include <sys/types.h>

enum { HOME = 0, FRESH = 100, MOST = 5 };

#define LIVE(p, v_, e_)                                                                            \
    {                                                                                              \
        .partition = (p), .kind = DR_COPY_LIVE, .v = (v_), .e = (e_)                               \
    }
#define STUB(p, to_, e_)                                                                           \
    {                                                                                              \
        .partition = (p), .kind = DR_COPY_STUB, .to = (to_), .e = (e_)                             \
    }
#define STAGED(p, v_, e_)                                                                          \
    {                                                                                              \
        .partition = (p), .kind = DR_COPY_STAGED, .v = (v_), .e = (e_), .name = (e_)               \
    }
#define OWNED(p, v_, e_)                                                                           \
    {                                                                                              \
        .partition = (p), .kind = DR_COPY_LIVE, .v = (v_), .e = (e_), .owner = true                \
    }
/* fates: k keep, d drop, p promote */

static const struct {
    const char *what;
    struct dr_copy copy[MOST];
    size_t n;
    enum dr_verdict_kind kind;
    size_t winner;
    const char *fates;
    bool put_home;
} row[] = {
    /* nothing to mend */
    { "at home", { LIVE(0, 3, 0) }, 1, DR_VERDICT_VERTEX, 0, "k", false },
    { "away, home knows", { STUB(0, 1, 5), LIVE(1, 3, 5) }, 2, DR_VERDICT_VERTEX, 1, "kk", false },
    { "created away by a claim",
      { STUB(0, 1, 0), LIVE(1, 1, 0) },
      2,
      DR_VERDICT_VERTEX,
      1,
      "kk",
      false },
    { "a claim alone", { STUB(0, 1, 0) }, 1, DR_VERDICT_CLAIM, SIZE_MAX, "k", false },
    { "an old stub that still leads there",
      { STUB(0, 2, 7), LIVE(2, 3, 7), STUB(1, 2, 7), STUB(3, 1, 5) },
      4,
      DR_VERDICT_VERTEX,
      1,
      "kkkk",
      false },
    /* the source was cut first */
    { "two live, the target is further",
      { LIVE(0, 3, 5), LIVE(1, 4, 5) },
      2,
      DR_VERDICT_VERTEX,
      1,
      "dk",
      true },
    { "two live, taken on at the target",
      { LIVE(0, 9, 5), LIVE(1, 4, 6) },
      2,
      DR_VERDICT_VERTEX,
      1,
      "dk",
      true },
    { "two alike: the one a stub leads to",
      { LIVE(1, 3, 5), LIVE(2, 3, 5), STUB(0, 2, 4) },
      3,
      DR_VERDICT_VERTEX,
      1,
      "dkk",
      false },
    { "the claim was cut off", { LIVE(1, 1, 0) }, 1, DR_VERDICT_VERTEX, 0, "k", true },
    /* the target was cut first */
    { "staged, not fenced",
      { LIVE(0, 3, 5), STAGED(1, 3, 5) },
      2,
      DR_VERDICT_VERTEX,
      0,
      "kd",
      false },
    { "fenced, not promoted",
      { STUB(0, 1, 5), STAGED(1, 3, 5) },
      2,
      DR_VERDICT_FORWARD,
      1,
      "kp",
      false },
    { "fenced, not promoted, over an older stub",
      { STUB(0, 1, 7), STAGED(1, 3, 7), STUB(1, 0, 5) },
      3,
      DR_VERDICT_FORWARD,
      1,
      "kpd",
      false },
    { "fenced away from home, home unaware",
      { STUB(0, 1, 5), STUB(1, 2, 7), STAGED(2, 3, 7), STAGED(2, 3, 6) },
      4,
      DR_VERDICT_FORWARD,
      2,
      "dkpd",
      true },
    /* home is behind, or ahead */
    { "home leads there by an older epoch than another stub's",
      { STUB(0, 1, 3), LIVE(1, 9, 9), STUB(2, 3, 7), STUB(3, 1, 9) },
      4,
      DR_VERDICT_VERTEX,
      1,
      "dkkk",
      true },
    { "a stub whose way is older than itself",
      { STUB(0, 1, 9), LIVE(1, 3, 9), STUB(2, 3, 7), STUB(3, 1, 6) },
      4,
      DR_VERDICT_VERTEX,
      1,
      "kkdk",
      false },
    { "a stub that leads nowhere",
      { STUB(0, 1, 9), LIVE(1, 3, 9), STUB(2, 3, 7) },
      3,
      DR_VERDICT_VERTEX,
      1,
      "kkd",
      false },
    /* the rule was broken */
    { "no copy at the newest stub's end: the best other",
      { STUB(0, 1, 9), LIVE(2, 3, 5), LIVE(3, 4, 5) },
      3,
      DR_VERDICT_ROLLED_BACK,
      2,
      "ddk",
      true },
    { "a staged copy of an earlier attempt is better than none",
      { STUB(0, 1, 9), STAGED(1, 3, 8), STAGED(2, 9, 7) },
      3,
      DR_VERDICT_ROLLED_BACK,
      1,
      "kpd",
      false },
    { "staged under another name than its epoch",
      { STUB(0, 1, 9),
        { .partition = 1, .kind = DR_COPY_STAGED, .v = 3, .e = 8, .name = 9 },
        LIVE(2, 1, 8) },
      3,
      DR_VERDICT_ROLLED_BACK,
      1,
      "kpd",
      false },
    { "as new as the stub, elsewhere",
      { STUB(0, 1, 9), LIVE(2, 3, 9) },
      2,
      DR_VERDICT_ROLLED_BACK,
      1,
      "dk",
      true },
    { "lost", { STUB(0, 1, 9), STUB(2, 1, 9) }, 2, DR_VERDICT_LOST, SIZE_MAX, "dd", false },
    /* leftovers */
    { "staged, of what is not there yet",
      { STAGED(1, 1, 5) },
      1,
      DR_VERDICT_NOTHING,
      SIZE_MAX,
      "d",
      false },
    { "a claim, and staged of what is not there yet",
      { STUB(0, 1, 0), STAGED(2, 1, 5) },
      2,
      DR_VERDICT_CLAIM,
      SIZE_MAX,
      "kd",
      false },
    /* one key on two shards */
    { "the same live twice: the owner's",
      { LIVE(0, 3, 5), OWNED(0, 3, 5) },
      2,
      DR_VERDICT_VERTEX,
      1,
      "dk",
      false },
    { "older, on the owner",
      { LIVE(0, 4, 5), OWNED(0, 3, 5) },
      2,
      DR_VERDICT_VERTEX,
      0,
      "kd",
      false },
    { "fenced on one, live on the other, copy gone on",
      { LIVE(0, 3, 5), STUB(0, 1, 5), LIVE(1, 3, 5) },
      3,
      DR_VERDICT_VERTEX,
      2,
      "dkk",
      false },
    { "back again on one, still a stub on the other",
      { STUB(0, 1, 5), LIVE(0, 3, 7), STUB(1, 0, 7) },
      3,
      DR_VERDICT_VERTEX,
      1,
      "dkk",
      false },
    { "a claim and a vertex: the vertex",
      { STUB(0, 1, 0), LIVE(0, 1, 0) },
      2,
      DR_VERDICT_VERTEX,
      1,
      "dk",
      false },
    { "staged twice",
      { STUB(0, 1, 5), STAGED(1, 3, 5), STAGED(1, 3, 5) },
      3,
      DR_VERDICT_FORWARD,
      1,
      "kpd",
      false },
};

static void keeps_the_latest(void **state)
{
    (void)state;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct dr_copy copy[MOST];
        struct dr_verdict v;
        const bool raise = row[i].put_home || row[i].kind == DR_VERDICT_ROLLED_BACK;
        size_t changes = (size_t)row[i].put_home + raise;
        char fates[MOST + 1] = "";
        memcpy(copy, row[i].copy, sizeof copy);
        dr_reconcile(copy, row[i].n, HOME, FRESH, &v);
        for (size_t k = 0; k < row[i].n; k++) {
            fates[k] = "kdp"[copy[k].fate];
            changes += copy[k].fate != DR_FATE_KEEP;
        }
        if (v.kind != row[i].kind || v.winner != row[i].winner ||
            strcmp(fates, row[i].fates) != 0 || v.put_home != row[i].put_home)
            fail_msg("%s: verdict %d, winner %zd, fates %s, home %d", row[i].what, (int)v.kind,
                     (ssize_t)v.winner, fates, v.put_home);
        assert_int_equal(v.raise, raise);
        assert_int_equal(v.changes, changes);
        if (v.winner != SIZE_MAX)
            assert_int_equal(v.at, copy[v.winner].partition);
        if (v.raise)
            assert_int_equal(v.epoch, FRESH);
    }
}

/* Every order of the same copies gives the same vertex. */
static void the_order_does_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < PR_COUNT(row); i++)
        for (size_t turn = 1; turn < row[i].n; turn++) {
            struct dr_copy copy[MOST];
            struct dr_verdict v;
            for (size_t k = 0; k < row[i].n; k++)
                copy[k] = row[i].copy[(k + turn) % row[i].n];
            dr_reconcile(copy, row[i].n, HOME, FRESH, &v);
            assert_int_equal(v.kind, row[i].kind);
            assert_int_equal(v.put_home, row[i].put_home);
            if (v.winner != SIZE_MAX)
                assert_int_equal(v.at, row[i].copy[row[i].winner].partition);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_latest),
        cmocka_unit_test(the_order_does_not_matter),
    };
    return cmocka_run_group_tests_name("dr reconcile", tests, NULL, NULL);
}
