/* Takes the rules of the protocol out one by one and sees the simulator find
 * what then goes wrong; with every rule in place the same seeds find nothing.
 * The first eleven are the faults of earlier, weaker versions (docs/reference/
 * data-plane.md, "What went wrong in weaker versions"). */
#include "rules.h"
#include "switches.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

bool core_rule_off[CORE_RULES];

static struct world w;

enum { SEEDS = 400000, CLEAN_SEEDS = 4000, CORE = 1000 /* + enum core_rule */, END = -1 };

struct regression {
    const char *name;
    int off[3];
    struct sim_config cfg; /* home is set by the seed */
    const char *want;      /* the violation; NULL: any */
};

#define ANYWHERE .to = { ANY_PART, ANY_PART, ANY_PART }
#define PLAIN    ANYWHERE, .rows = 1, .replicas = 1, .clients = 1, .ops = 4, .faults = 3
#define BUSY     ANYWHERE, .rows = 2, .replicas = 2, .clients = 2, .ops = 5, .faults = 6

static const struct regression regression[] = {
    { .name = "1 moving looked like deleted",
      .off = { CORE + RULE_MOVING_IS_KNOWN, END },
      .cfg = { PLAIN, .writes = true },
      .want = "a live vertex is not found" },
    { .name = "2 write created an absent key",
      .off = { SIM_WRITE_NEVER_CREATES, END },
      .cfg = { PLAIN, .writes = true },
      .want = "an acknowledged write is lost" },
    { .name = "2 and promote overwrote it",
      .off = { SIM_WRITE_NEVER_CREATES, SIM_PROMOTE_KEEPS_VERTEX, END },
      .cfg = { PLAIN, .writes = true },
      .want = "an acknowledged write is lost" },
    { .name = "3 a version was used twice",
      .off = { SIM_FENCE_CHECKS_EPOCH, END },
      .cfg = { BUSY, .writes = true },
      .want = "an acknowledged write is lost" },
    { .name = "4 a late RESTORE replaced newer staging",
      .off = { SIM_STAGING_BY_EPOCH, END },
      .cfg = { BUSY, .writes = true },
      .want = "an acknowledged write is lost" },
    { .name = "5 WAIT on a new connection",
      .off = { SIM_WAIT_SAME_CONNECTION, END },
      .cfg = { BUSY, .writes = true },
      .want = "two live copies" },
    { .name = "6 no WAIT after promote",
      .off = { SIM_WAIT_PROMOTED, END },
      .cfg = { PLAIN, .writes = true },
      .want = "unreachable" },
    { .name = "7 the claim was in a key of its own",
      .off = { SIM_CLAIM_SEES_VERTEX, END },
      .cfg = { PLAIN, .creates = true },
      .want = "two live copies" },
    { .name = "8 the claim was lost by a fail-over of home",
      .off = { SIM_WAIT_CLAIM_MADE, END },
      .cfg = { PLAIN, .absent = true, .creates = true },
      .want = "a live vertex is not found" },
    { .name = "8 also when it was found, not made",
      .off = { SIM_WAIT_CLAIM_FOUND, END },
      .cfg = { BUSY, .absent = true, .creates = true } },
    { .name = "9 delete removed the key",
      .off = { SIM_DELETE_LEAVES_TOMBSTONE, END },
      .cfg = { PLAIN, .writes = true, .deletes = true },
      .want = "unreachable" },
    { .name = "10 a refused stale mover swept good staging",
      .off = { CORE + RULE_REFUSED_STOPS, SIM_SWEEP_UNDER_LEASE, END },
      .cfg = { BUSY, .writes = true, .zombie = true },
      .want = "promote: neither vertex nor staging" },
    { .name = "11 a stale mover moved a later creation and died",
      .off = { SIM_RECORD_UNDER_LEASE, END },
      .cfg = { BUSY, .absent = true, .creates = true },
      .want = "unreachable" },

    { .name = "take by an older epoch",
      .off = { SIM_TAKE_REFUSES_OLDER, END },
      .cfg = { BUSY, .writes = true, .zombie = true, .cancel = true } },
    { .name = "fence of a version that was written since",
      .off = { SIM_FENCE_CHECKS_VERSION, END },
      .cfg = { PLAIN, .writes = true },
      .want = "an acknowledged write is lost" },
    { .name = "route over the vertex itself",
      .off = { SIM_ROUTE_KEEPS_LIVE, END },
      .cfg = { BUSY, .writes = true, .zombie = true } },
    { .name = "route over a newer one",
      .off = { SIM_ROUTE_KEEPS_NEWER, END },
      .cfg = { BUSY, .writes = true },
      .want = "home does not know where it is" },
    { .name = "create over a stub",
      .off = { SIM_CREATE_KEEPS_STUB, END },
      .cfg = { PLAIN, .creates = true } },
    { .name = "an epoch used twice",
      .off = { SIM_FRESH_EPOCH, END },
      .cfg = { BUSY, .writes = true },
      .want = "an acknowledged write is lost" },
    { .name = "no WAIT after RESTORE",
      .off = { SIM_WAIT_STAGED, END },
      .cfg = { PLAIN, .writes = true },
      .want = "promote: neither vertex nor staging" },
    { .name = "no WAIT after fence",
      .off = { SIM_WAIT_FENCED, END },
      .cfg = { PLAIN, .writes = true },
      .want = "two live copies" },
    { .name = "no WAIT after route",
      .off = { SIM_WAIT_ROUTED, END },
      .cfg = { PLAIN, .writes = true },
      .want = "home does not know where it is" },
    { .name = "no WAIT after the take of a cancel",
      .off = { SIM_WAIT_CANCELED, END },
      .cfg = { BUSY, .writes = true, .zombie = true, .cancel = true } },
    { .name = "a sweep by who no longer holds the lease",
      .off = { SIM_SWEEP_UNDER_LEASE, END },
      .cfg = { BUSY, .writes = true, .zombie = true, .long_sweep = true } },
    { .name = "a sweep before the end",
      .off = { SIM_SWEEP_ONLY_AT_END, END },
      .cfg = { PLAIN, .writes = true },
      .want = "promote: neither vertex nor staging" },
    { .name = "a stub of this move taken for another's",
      .off = { CORE + RULE_ADOPT_OWN_STUB, END },
      .cfg = { PLAIN, .writes = true },
      .want = "unreachable" },
    { .name = "a claim taken for a stub of this move",
      .off = { CORE + RULE_CLAIM_IS_NO_MOVE, END },
      .cfg = { PLAIN, .absent = true, .creates = true },
      .want = "promote: neither vertex nor staging" },
    { .name = "a stale cache believed",
      .off = { CORE + RULE_CACHE_ASKS_HOME, END },
      .cfg = { PLAIN, .writes = true },
      .want = "a live vertex is not found" },
    { .name = "created where a vertex was on its way",
      .off = { CORE + RULE_EXISTING_ONLY, END },
      .cfg = { PLAIN, .creates = true } },
};

static void switch_rules(const struct regression *r, bool off)
{
    for (size_t i = 0; i < 3 && r->off[i] != END; i++) {
        if (r->off[i] >= CORE)
            core_rule_off[r->off[i] - CORE] = off;
        else
            sim_off[r->off[i]] = off;
    }
}

static const char *run_seed(const struct regression *r, uint64_t seed)
{
    struct sim_config c = r->cfg;

    c.home = (uint32_t)(seed % 3);
    return sim_run(&w, &c, seed);
}

static void finds_what_goes_wrong_without_the_rule(void **state)
{
    const struct regression *r = *state;
    const char *bad = NULL;
    uint64_t seed = 0;

    switch_rules(r, true);
    while (seed < SEEDS) {
        bad = run_seed(r, ++seed);
        if (bad != NULL && (r->want == NULL || strcmp(bad, r->want) == 0))
            break;
    }
    switch_rules(r, false);
    if (bad == NULL)
        fail_msg("%s: nothing in %d seeds", r->name, SEEDS);
    print_message("  seed %llu: %s\n", (unsigned long long)seed, bad);
    if (r->want != NULL)
        assert_string_equal(bad, r->want);
}

static void finds_nothing_with_every_rule_in_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(regression) / sizeof(regression[0]); i++) {
        for (uint64_t seed = 1; seed <= CLEAN_SEEDS; seed++) {
            const char *bad = run_seed(&regression[i], seed);
            if (bad != NULL)
                fail_msg("%s: seed %llu: %s", regression[i].name, (unsigned long long)seed, bad);
        }
    }
}

int main(void)
{
    enum { N = sizeof(regression) / sizeof(regression[0]) };
    struct CMUnitTest tests[N + 1];

    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){ .name = regression[i].name,
                                        .test_func = finds_what_goes_wrong_without_the_rule,
                                        .initial_state = (void *)(uintptr_t)&regression[i] };
    tests[N] = (struct CMUnitTest)cmocka_unit_test(finds_nothing_with_every_rule_in_place);
    return cmocka_run_group_tests_name("sim/regressions", tests, NULL, NULL);
}
