/* Faults of the service that moves the slots, and of what it leans on. */
#include "slots_cases.h"

#include "t.h"

#include "prism/io/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nothing but the service was struck: clients notice nothing but redirections. */
static void verify_quietly(const char *label, struct slots_plan *p)
{
    slots_plan_await(p, "done");
    const struct slots_traffic t = slots_verify(label, p);
    assert_int_equal(t.absent, 0);
    assert_int_equal(t.old, 0);
}

/* A little later: between two slots, or while one is handed over. */
static void maybe_later(struct pr_rng *rng)
{
    if (pr_rng_below(rng, 2) == 0)
        slots_last((int)pr_rng_below(rng, 25));
}

/* --- one and two schedulers -------------------------------------------------------------- */

static bool lease_held(void *ctx)
{
    return slots_lease_holder() == *(int *)ctx;
}

static void await_lease(int i)
{
    assert_true(it_await(lease_held, &i, SLOTS_AWAIT_MS));
}

void slots_scheduler_is_killed(void **state)
{
    (void)state;
    struct pr_rng rng = slots_rng("scheduler killed", 0);
    struct slots_plan p;
    struct slots_strike s;
    slots_plan_start(&p, &rng, "{}");
    for (long kills = 0; kills < slots_counts.kills;) {
        s = (struct slots_strike){ .plan = &p };
        if (!slots_await_open(&s, &rng)) {
            verify_quietly("scheduler killed", &p);
            slots_plan_start(&p, &rng, "{}");
            continue;
        }
        maybe_later(&rng);
        slots_service_kill(0);
        kills++;
        slots_service_start(0, NULL);
    }
    verify_quietly("scheduler killed", &p);
}

void slots_other_scheduler_takes_over(void **state)
{
    (void)state;
    struct pr_rng rng = slots_rng("other scheduler", 0);
    struct slots_plan p;
    struct slots_strike s;
    slots_service_start(1, NULL);
    for (long kills = 0; kills < slots_counts.strikes; kills++) {
        slots_start_open(&s, &p, &rng);
        maybe_later(&rng);
        const int holder = slots_lease_holder();
        assert_true(holder >= 0);
        slots_service_kill(holder);
        await_lease(1 - holder);
        verify_quietly("other scheduler", &p);
        slots_service_start(holder, NULL);
    }
}

static long fleet_users(int port, uint64_t epoch)
{
    char user[64];
    long found = 0;
    redisContext *c = it_redis_admin(port);
    redisReply *r = redisCommand(c, "ACL USERS");
    assert_non_null(r);
    snprintf(user, sizeof user, "prism-fl-%llu", (unsigned long long)epoch);
    for (size_t i = 0; i < r->elements; i++)
        found += strcmp(r->element[i]->str, user) == 0;
    freeReplyObject(r);
    redisFree(c);
    return found;
}

/* Stopped in the middle of a slot and continued when another goes on with it: its
 * user is gone from every node, and no row is written under its epoch any more. */
void slots_scheduler_is_stopped_past_its_lease(void **state)
{
    (void)state;
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    slots_service_start(1, NULL);
    for (long i = 0; i < slots_counts.strikes; i++) {
        struct pr_rng rng = slots_rng("scheduler stopped", i);
        struct slots_plan p;
        struct slots_strike s;
        slots_start_open(&s, &p, &rng);
        const int first = slots_lease_holder();
        assert_true(first >= 0);
        const long epoch = slots_number("SELECT epoch FROM leases WHERE name = "
                                        "'rebalance-executor'");
        assert_int_equal(kill(slots_scene.service[first].pid, SIGSTOP), 0);
        await_lease(1 - first);
        s = (struct slots_strike){ .plan = &p };
        if (pr_rng_below(&rng, 2) == 0)
            (void)slots_await_open(&s, &rng); /* else: while the other one prepares */
        assert_int_equal(kill(slots_scene.service[first].pid, SIGCONT), 0);
        verify_quietly("scheduler stopped", &p);
        assert_int_equal(slots_lease_holder(), 1 - first);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(fleet_users(port[k], (uint64_t)epoch), 0);
        assert_true(it_service_ready(&slots_scene.service[first]));
    }
}

/* --- the network, NATS, PostgreSQL ---------------------------------------------------------- */

void slots_scheduler_is_cut_off_from_a_node(void **state)
{
    (void)state;
    enum { CUT_MS = 30000 };
    char label[64];
    slots_service_kill(0);
    slots_service_start(0, slots_cut_settings());
    for (long i = 0; i < slots_counts.strikes; i++) {
        struct pr_rng rng = slots_rng("cut off", i);
        struct slots_shard shard[SLOTS_SHARDS];
        struct slots_plan p;
        struct slots_strike s;
        const bool source = pr_rng_below(&rng, 2) == 0;
        snprintf(label, sizeof label, "cut off from the %s %ld", source ? "source" : "target", i);
        slots_shards(shard);
        slots_start_open(&s, &p, &rng);
        slots_cut(shard[source ? p.from : p.to].primary);
        slots_last(CUT_MS);
        assert_false(slots_plan_over(&p));
        slots_cut(0);
        verify_quietly(label, &p);
    }
}

void slots_nats_is_restarted(void **state)
{
    (void)state;
    for (long i = 0; i < slots_counts.strikes; i++) {
        struct pr_rng rng = slots_rng("nats", i);
        struct slots_plan p;
        struct slots_strike s;
        slots_start_open(&s, &p, &rng);
        it_server_kill("nats", true);
        slots_plan_await(&p, "done"); /* it needs no bus to go on */
        it_server_up("nats");
        verify_quietly("nats restarted", &p);
    }
}

/* For longer than the lease lasts. */
void slots_postgres_is_restarted(void **state)
{
    (void)state;
    enum { DOWN_MS = 4000 };
    for (long i = 0; i < slots_counts.strikes; i++) {
        struct pr_rng rng = slots_rng("postgres", i);
        struct slots_plan p;
        struct slots_strike s;
        slots_start_open(&s, &p, &rng);
        it_server_kill("postgres", true);
        slots_last((int)pr_rng_below(&rng, DOWN_MS));
        it_server_up("postgres");
        verify_quietly("postgres restarted", &p);
    }
}
