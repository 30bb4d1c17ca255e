/* What does not fit: big keys, little memory; and a plan that is canceled. */
#include "slots_cases.h"

#include "t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- big keys ------------------------------------------------------------------------------ */

static const char *big_key(const struct slots_plan *p, char out[64])
{
    const struct slots_key *k = slots_key;
    while (k->slot != p->slot[p->slots / 2] || k->type != SLOTS_STRING)
        k++;
    const char *open = strchr(k->name, '{'), *close = strchr(k->name, '}');
    snprintf(out, 64, "big:%.*s", (int)(close - open) + 1, open);
    return out;
}

/* A string of so many bytes, on all replicas. */
static void make_big(const struct slots_plan *p, const char *key, long bytes)
{
    struct slots_shard shard[SLOTS_SHARDS];
    slots_shards(shard);
    redisContext *c = it_redis_admin(shard[p->from].primary);
    redisReply *r = redisCommand(c, "SETRANGE %s %ld x", key, bytes - 1);
    assert_non_null(r);
    if (r->type != REDIS_REPLY_INTEGER)
        fail_msg("SETRANGE: %s", r->str);
    freeReplyObject(r);
    r = redisCommand(c, "WAIT 2 10000");
    assert_true(r != NULL && r->integer == 2);
    freeReplyObject(r);
    redisFree(c);
}

/* Where it is now; -1: in neither shard. */
static int take_away(const struct slots_plan *p, const char *key)
{
    struct slots_shard shard[SLOTS_SHARDS];
    char text[32];
    slots_shards(shard);
    for (int i = 0; i < 2; i++) {
        const int s = i == 0 ? p->from : p->to;
        if (slots_ask(shard[s].primary, text, sizeof text, "UNLINK %s", key) &&
            strcmp(text, "1") == 0)
            return s;
    }
    return -1;
}

static void assert_names(const char *text, const char *key)
{
    if (strstr(text, key) == NULL)
        fail_msg("\"%s\" does not name %s", text, key);
}

static bool over(void *ctx)
{
    return slots_plan_over(ctx);
}

/* Begins a plan with such a key in one of its slots: that slot is not opened, and the
 * reason names the key. Then ends the plan. */
static void refused(struct slots_plan *p, struct pr_rng *rng, const char *params, char key[64],
                    long bytes)
{
    slots_plan_propose(p, rng, -1, -1, params, "proposed");
    make_big(p, big_key(p, key), bytes);
    slots_plan_execute(p);
    assert_true(it_await(over, p, SLOTS_AWAIT_MS));
    assert_string_not_equal(p->state, "done");
    assert_names(p->error, key);
    slots_agree();
    if (strcmp(p->state, "paused") == 0) {
        slots_plan_cancel(p);
        slots_plan_await(p, "canceled");
    }
}

/* Predicted to block for 0.4 s, several times the budget on a fast machine and well below
 * a third of the node time-out on a slow one: that needs a person's word. */
void slots_big_key_needs_approval(void **state)
{
    (void)state;
    enum { BIG = 40 * 1000 * 1000 };
    struct pr_rng rng = slots_rng("big key", 0);
    struct slots_plan p;
    char key[64];
    /* No command is sent that could outlast the lease: this one takes a while. */
    slots_service_kill(0);
    slots_service_start(0, (const char *[]){ "PRISM_REBALANCE_LEASE_TTL_MS=8000",
                                             "PRISM_REBALANCE_SLOT_BLOCK_BUDGET_MS=60", NULL });
    refused(&p, &rng, "{}", key, BIG);
    assert_int_equal(take_away(&p, key), p.from); /* a plan made with it would be another */
    slots_plan_propose(&p, &rng, -1, -1, "{\"allow_big_keys\": true}", "proposed");
    make_big(&p, big_key(&p, key), BIG);
    slots_plan_execute(&p);
    slots_plan_await(&p, "done");
    assert_int_equal(take_away(&p, key), p.to);
    (void)slots_verify("big key", &p);
}

/* Over a third of the node time-out: no word helps. */
void slots_too_big_key_is_refused(void **state)
{
    (void)state;
    enum { TOO_BIG = 200 * 1000 * 1000 };
    struct pr_rng rng = slots_rng("too big key", 0);
    struct slots_plan p;
    char key[64];
    refused(&p, &rng, "{\"allow_big_keys\": true}", key, TOO_BIG);
    assert_int_equal(take_away(&p, key), p.from);
    (void)slots_verify("too big key", &p);
}

/* --- memory ----------------------------------------------------------------------------------- */

static long used_memory(int port)
{
    char text[8192];
    assert_true(slots_ask(port, text, sizeof text, "INFO memory"));
    const char *at = strstr(text, "used_memory:");
    assert_non_null(at);
    return strtol(at + strlen("used_memory:"), NULL, 10);
}

void slots_target_is_rather_full(void **state)
{
    (void)state;
    struct pr_rng rng = slots_rng("84 %", 0);
    struct slots_shard shard[SLOTS_SHARDS];
    struct slots_plan p;
    slots_shards(shard);
    const int to = (int)pr_rng_below(&rng, SLOTS_SHARDS);
    const int port = shard[to].primary;
    const long used = used_memory(port);
    assert_true(slots_say(port, "CONFIG SET maxmemory %ld", (long)((double)used / 0.84)));
    slots_plan_propose(&p, &rng, -1, to, "{\"max_slots\": 8}", "proposed");
    slots_plan_execute(&p);
    slots_plan_await(&p, "done");
    assert_true(slots_say(port, "CONFIG SET maxmemory 0"));
    (void)slots_verify("memory at 84 %", &p);
}

/* The target refuses more keys in the middle of the plan: what it has goes on being
 * served, and when there is room again the plan ends. */
void slots_target_gets_full(void **state)
{
    (void)state;
    struct pr_rng rng = slots_rng("full", 0);
    struct slots_shard shard[SLOTS_SHARDS];
    struct slots_plan p;
    struct slots_strike s;
    slots_shards(shard);
    slots_start_open(&s, &p, &rng);
    const int port = shard[p.to].primary;
    assert_true(slots_say(port, "CONFIG SET maxmemory %ld", used_memory(port) / 2));
    assert_true(it_await(over, &p, SLOTS_AWAIT_MS));
    assert_string_not_equal(p.state, "done");
    assert_string_not_equal(p.error, "");
    (void)slots_verify("target full", &p);
    assert_true(slots_say(port, "CONFIG SET maxmemory 0"));
    if (strcmp(p.state, "paused") == 0) { /* resumed, it tries again */
        slots_plan_order(&p, "running");
        slots_plan_await(&p, "done");
        (void)slots_verify("target full, then not", &p);
    }
}

/* --- cancel ------------------------------------------------------------------------------------
 */

void slots_canceled_plan_closes_its_slot(void **state)
{
    (void)state;
    struct pr_rng rng = slots_rng("canceled", 0);
    struct slots_plan p;
    struct slots_strike s;
    slots_start_open(&s, &p, &rng);
    slots_plan_cancel(&p);
    slots_plan_await(&p, "canceled");
    const struct slots_traffic t = slots_verify("canceled", &p);
    assert_int_equal(t.absent + t.old, 0);
}
