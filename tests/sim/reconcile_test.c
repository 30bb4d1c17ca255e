/* Histories of the real mover and client, every shard cut at an offset of its own, reconciled by
 * dr, and looked at as after any run: one copy, reachable from everywhere, with every write that
 * was before its shard's cut; also when the plans that ran at the cut are then resumed. Usage:
 * reconcile_test [first seed] [seeds]; a violation prints its seed. */
#include "world.h"

#include "core/reconcile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COPIES = 2 * PARTS * (1 + SHARD_STAGED), NEVER = INT32_MAX };

static struct world w, after;
static struct shard_tape tape[PARTS];
static uint64_t first_seed = 1, seeds = 100000;
static struct pr_rng rng;

struct cut {
    uint32_t at[PARTS];    /* position in the tape */
    uint32_t other[PARTS]; /* of a second shard that holds the same slot; NEVER: there is none */
};

struct found { /* what the cut shards hold of the vertex */
    struct dr_copy copy[COPIES];
    struct model_key key[COPIES];
    size_t n;
    uint64_t newest; /* epoch seen */
};

static uint64_t saw[DR_VERDICT_LOST + 1], saw_put_home, saw_double;

/* --- histories ----------------------------------------------------------------------------------
 */

static struct sim_config drawn(void)
{
    struct sim_config c = { .to = { ANY_PART, ANY_PART, ANY_PART }, .writes = true };

    c.home = (uint32_t)pr_rng_below(&rng, 3);
    c.rows = 1 + (uint32_t)pr_rng_below(&rng, MAX_ROWS);
    c.replicas = 1 + (uint32_t)pr_rng_below(&rng, SHARD_REPLICAS);
    c.clients = 1 + (uint32_t)pr_rng_below(&rng, MAX_CLIENTS);
    c.ops = 2 + (uint32_t)pr_rng_below(&rng, 4);
    c.faults = (uint32_t)pr_rng_below(&rng, 9);
    c.absent = pr_rng_below(&rng, 3) == 0;
    c.creates = c.absent || pr_rng_below(&rng, 2) == 0;
    c.deletes = pr_rng_below(&rng, 3) == 0;
    c.cancel = pr_rng_below(&rng, 2) == 0;
    return c;
}

/* The disaster comes at any time, or after the last step. */
static void live_through(const struct sim_config *c, uint64_t seed)
{
    const uint64_t until = pr_rng_below(&rng, 4) == 0 ? 100000 : 1 + pr_rng_below(&rng, 160);

    for (uint32_t p = 0; p < PARTS; p++) {
        tape[p] = (struct shard_tape){ .clock = &w.now, .until = until };
        w.shard[p].tape = &tape[p];
    }
    const char *bad = sim_run(&w, c, seed);
    if (bad != NULL)
        fail_msg("seed %llu: before any restore: %s", (unsigned long long)seed, bad);
    for (uint32_t p = 0; p < PARTS; p++) /* the last step was the oracle's */
        while (tape[p].at[tape[p].n - 1] == w.now)
            tape[p].n--;
}

/* --- cuts ---------------------------------------------------------------------------------------
 */

static uint32_t position_at(uint32_t p, uint64_t time)
{
    uint32_t i = 0;
    while (i + 1 < tape[p].n && tape[p].at[i + 1] <= time)
        i++;
    return i;
}

static uint64_t end_of_time(void)
{
    uint64_t end = 0;
    for (uint32_t p = 0; p < PARTS; p++)
        end = tape[p].at[tape[p].n - 1] > end ? tape[p].at[tape[p].n - 1] : end;
    return end;
}

/* Each anywhere; or all about the same time, as shippers do. */
static void draw_cut(struct cut *c)
{
    const bool anywhere = pr_rng_below(&rng, 2) == 0;
    const uint64_t time = pr_rng_below(&rng, end_of_time() + 1);

    for (uint32_t p = 0; p < PARTS; p++) {
        const uint64_t skew = pr_rng_below(&rng, 30);
        c->at[p] = anywhere ? (uint32_t)pr_rng_below(&rng, tape[p].n)
                            : position_at(p, time > skew ? time - skew : 0);
        c->other[p] = NEVER;
    }
}

static uint32_t staged_since(uint32_t p, uint64_t name)
{
    for (uint32_t i = 0; i < tape[p].n; i++)
        for (uint32_t k = 0; k < SHARD_STAGED; k++)
            if (tape[p].state[i].staged[k].name == name)
                return i;
    return NEVER;
}

/* The contract: when a vertex was fenced (and so, when anything was routed to its copy) the copy
 * was durable; so a cut behind the fence goes with a cut behind the staging. */
static void keep_contract(struct cut *c)
{
    for (bool again = true; again;) {
        again = false;
        for (uint32_t p = 0; p < PARTS; p++)
            for (uint32_t i = 0; i <= c->at[p]; i++) {
                const struct model_key *k = &tape[p].state[i].key;
                if (k->kind != MODEL_STUB || k->stub_e <= 1) /* 0: a claim; 1: before the tape */
                    continue;
                const uint32_t since = staged_since(k->stub_p, k->stub_e);
                assert_true(since != NEVER);
                if (c->at[k->stub_p] < since) {
                    c->at[k->stub_p] = since;
                    again = true;
                }
            }
    }
}

/* Some slots were being moved: their keys are on a second shard too, as they were earlier. */
static void draw_doubles(struct cut *c)
{
    for (uint32_t p = 0; p < PARTS; p++)
        if (pr_rng_below(&rng, 3) == 0)
            c->other[p] = (uint32_t)pr_rng_below(&rng, c->at[p] + 1);
}

/* --- what is found ------------------------------------------------------------------------------
 */

static void find(struct found *f, const struct dr_copy *c, const struct model_key *key)
{
    assert_true(f->n < COPIES);
    f->key[f->n] = *key;
    f->copy[f->n++] = *c;
    f->newest = c->e > f->newest ? c->e : f->newest;
    f->newest = c->name > f->newest ? c->name : f->newest;
}

static void find_state(struct found *f, uint32_t p, const struct shard_state *s, uint32_t shard)
{
    const bool live = s->key.kind == MODEL_LIVE;
    struct dr_copy c = { .shard = shard, .partition = p, .owner = pr_rng_below(&rng, 2) == 0 };

    if (s->key.kind != MODEL_ABSENT) {
        c.kind = live ? DR_COPY_LIVE : DR_COPY_STUB;
        c.v = live ? s->key.v : 0;
        c.e = live ? s->key.e : s->key.stub_e;
        c.to = live ? 0 : s->key.stub_p;
        find(f, &c, &s->key);
    }
    for (uint32_t k = 0; k < SHARD_STAGED; k++) {
        const struct shard_staged *g = &s->staged[k];
        c = (struct dr_copy){ .shard = shard,
                              .partition = p,
                              .kind = DR_COPY_STAGED,
                              .v = g->copy.v,
                              .e = g->copy.e,
                              .name = g->name };
        if (g->name != 0)
            find(f, &c, &g->copy);
    }
}

static void find_all(struct found *f, const struct cut *c)
{
    *f = (struct found){ .n = 0 };
    for (uint32_t p = 0; p < PARTS; p++) {
        const bool other = c->other[p] != NEVER;
        find_state(f, p, &tape[p].state[c->at[p]], p);
        if (other)
            find_state(f, p, &tape[p].state[c->other[p]], PARTS + p);
        saw_double += other;
    }
}

/* --- what is made of it -------------------------------------------------------------------------
 */

/* Carries it out in the world `after`: keys, and no staging. */
static void carry_out(const struct found *f, const struct dr_verdict *v)
{
    struct model_key key[PARTS];
    memset(key, 0, sizeof key);

    for (size_t i = 0; i < f->n; i++) {
        const struct dr_copy *c = &f->copy[i];
        if (c->fate == DR_FATE_DROP)
            continue;
        if (c->kind == DR_COPY_STAGED && c->fate != DR_FATE_PROMOTE)
            fail_msg("a staging key is kept");
        if (key[c->partition].kind != MODEL_ABSENT)
            fail_msg("partition %u keeps two keys", c->partition);
        key[c->partition] = f->key[i];
        if (i == v->winner && v->raise)
            key[c->partition].e = v->epoch;
    }
    if (v->put_home && key[w.cfg.home].kind != MODEL_ABSENT)
        fail_msg("what home held is not replaced");
    if (v->put_home)
        key[w.cfg.home] =
            (struct model_key){ .kind = MODEL_STUB, .stub_p = v->at, .stub_e = v->epoch };
    for (uint32_t p = 0; p < PARTS; p++) {
        after.shard[p].tape = NULL;
        shard_init(&after.shard[p], w.cfg.replicas, &key[p]);
    }
    uint32_t live = 0;
    for (uint32_t p = 0; p < PARTS; p++)
        live += key[p].kind == MODEL_LIVE;
    assert_int_equal(live, v->winner != SIZE_MAX);
}

static bool cut_has_field(const struct cut *c, uint32_t field)
{
    for (uint32_t p = 0; p < PARTS; p++)
        for (uint32_t i = 0; i <= c->at[p]; i++)
            if (tape[p].state[i].key.kind == MODEL_LIVE && tape[p].state[i].key.field[field] != 0)
                return true;
    return false;
}

static bool cut_is_after(const struct cut *c, uint64_t time)
{
    for (uint32_t p = 0; p < PARTS; p++)
        if (c->at[p] + 1 < tape[p].n ? tape[p].at[c->at[p] + 1] <= time : tape[p].until < time)
            return false;
    return true;
}

/* What is before the cut counts as acknowledged: it must be there. */
static void judge_records(const struct cut *c)
{
    for (uint32_t i = 0; i < after.n_records; i++) {
        struct record *r = &after.record[i];
        const bool acked = r->status == ACKED && r->ack <= tape[0].until;
        const bool durable =
            r->op == CLIENT_DELETE ? acked && cut_is_after(c, r->ack) : cut_has_field(c, r->field);
        if (durable) {
            r->status = ACKED;
            r->ack = acked ? r->ack : after.now;
        } else if (r->status != FAILED) {
            r->status = r->inv > tape[0].until ? FAILED : UNKNOWN;
        }
    }
}

static void make_after(const struct cut *c, const struct found *f, const struct dr_verdict *v)
{
    after = w;
    after.broken = NULL;
    after.quiet = true;
    after.faults_left = 0;
    after.late.used = after.stale.alive = after.holder.alive = false;
    after.epoch = f->newest + 1; /* the sequence goes on above what the repairs used */
    after.now++;
    carry_out(f, v);
    judge_records(c);
}

static void print_found(const struct found *f, const struct dr_verdict *v)
{
    static const char *const kind[] = { "live", "stub", "staged" };
    for (size_t i = 0; i < f->n; i++) {
        const struct dr_copy *c = &f->copy[i];
        print_message("  shard %u, partition %u: %s v %llu e %llu name %llu to %u: fate %d\n",
                      c->shard, c->partition, kind[c->kind], (unsigned long long)c->v,
                      (unsigned long long)c->e, (unsigned long long)c->name, c->to, (int)c->fate);
    }
    print_message("  home %u; verdict %d: at %u, winner %zd%s\n", w.cfg.home, (int)v->kind, v->at,
                  (ssize_t)v->winner, v->put_home ? ", home is told" : "");
}

/* A backup of what was restored is as good as any. */
static void check_again(uint64_t seed)
{
    static struct found f;
    struct dr_verdict v;
    f.n = 0;
    f.newest = 0;
    for (uint32_t p = 0; p < PARTS; p++)
        find_state(&f, p, shard_now(&after.shard[p]), p);
    if (f.n == 0)
        return;
    dr_reconcile(f.copy, f.n, w.cfg.home, f.newest + 1, &v);
    if (v.changes == 0 && (v.kind == DR_VERDICT_VERTEX || v.kind == DR_VERDICT_CLAIM))
        return;
    print_found(&f, &v);
    fail_msg("seed %llu: what was restored is not whole", (unsigned long long)seed);
}

/* PostgreSQL was restored to some time of its own: a plan goes on in the middle, the vertices of
 * the later ones are believed anywhere. */
static void resume_plans(void)
{
    after.row = (uint32_t)pr_rng_below(&rng, after.cfg.rows);
    after.lives_at = (uint32_t)pr_rng_below(&rng, PARTS);
    for (uint32_t i = after.row; i < after.cfg.rows; i++) {
        after.rows[i].done = after.rows[i].swept = false;
        if (i > after.row)
            after.rows[i] = (struct row){ .begun = false };
    }
    for (int i = 0; after.row < after.cfg.rows && after.broken == NULL; i++) {
        if (after.holder.alive)
            mover_step(&after, &after.holder);
        else
            mover_spawn(&after);
        if (i > 4000)
            violation(&after, "the mover does not come to an end");
    }
}

static void check(uint64_t seed, const char *when, const struct found *f,
                  const struct dr_verdict *v)
{
    check_end(&after);
    if (after.broken == NULL)
        return;
    print_found(f, v);
    fail_msg("seed %llu, %s: %s", (unsigned long long)seed, when, after.broken);
}

/* --- tests --------------------------------------------------------------------------------------
 */

static void restore(uint64_t seed, bool contract)
{
    static struct found f;
    struct dr_verdict v;
    struct cut c;

    draw_cut(&c);
    if (contract)
        keep_contract(&c);
    draw_doubles(&c);
    find_all(&f, &c);
    if (f.n == 0)
        return;
    dr_reconcile(f.copy, f.n, w.cfg.home, f.newest + 1, &v);
    saw[v.kind]++;
    saw_put_home += v.put_home;
    make_after(&c, &f, &v);
    if (!contract) { /* writes may be lost: then nobody was told that they are safe */
        for (uint32_t i = 0; i < after.n_records; i++)
            after.record[i].status = UNKNOWN;
    } else if (v.kind == DR_VERDICT_LOST || v.kind == DR_VERDICT_ROLLED_BACK) {
        print_found(&f, &v);
        fail_msg("seed %llu: a copy is missed", (unsigned long long)seed);
    }
    check_again(seed);
    const struct world as_restored = after;
    check(seed, "after the restore", &f, &v);
    after = as_restored;
    resume_plans();
    check(seed, "after the restore and the rest of the plan", &f, &v);
}

static void run(bool contract, uint64_t from, uint64_t n)
{
    memset(saw, 0, sizeof saw);
    for (uint64_t seed = from; seed < from + n; seed++) {
        pr_rng_init(&rng, seed ^ 0xd15a57e2);
        const struct sim_config c = drawn();
        live_through(&c, seed);
        for (int i = 0; i < 4; i++)
            restore(seed, contract);
    }
    print_message(
        "seeds %llu to %llu, four cuts each: %llu as they are, %llu forward, %llu rolled "
        "back, %llu claims, %llu nothing, %llu lost; home told %llu times, %llu slots on "
        "two shards\n",
        (unsigned long long)from, (unsigned long long)(from + n - 1),
        (unsigned long long)saw[DR_VERDICT_VERTEX], (unsigned long long)saw[DR_VERDICT_FORWARD],
        (unsigned long long)saw[DR_VERDICT_ROLLED_BACK], (unsigned long long)saw[DR_VERDICT_CLAIM],
        (unsigned long long)saw[DR_VERDICT_NOTHING], (unsigned long long)saw[DR_VERDICT_LOST],
        (unsigned long long)saw_put_home, (unsigned long long)saw_double);
}

static void nothing_durable_is_lost(void **state)
{
    (void)state;
    run(true, first_seed, seeds);
    assert_true(saw[DR_VERDICT_VERTEX] > 0 && saw[DR_VERDICT_FORWARD] > 0 &&
                saw[DR_VERDICT_CLAIM] > 0 && saw[DR_VERDICT_NOTHING] > 0);
    assert_true(saw_put_home > 0 && saw_double > 0);
}

/* DR was off, or another time was asked for: what is there is whole, and what is not is said. */
static void without_the_contract_what_is_left_is_whole(void **state)
{
    (void)state;
    run(false, first_seed, seeds / 4);
    assert_true(saw[DR_VERDICT_ROLLED_BACK] > 0 && saw[DR_VERDICT_LOST] > 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seeds = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_durable_is_lost),
        cmocka_unit_test(without_the_contract_what_is_left_is_whole),
    };
    return cmocka_run_group_tests_name("sim/reconcile", tests, NULL, NULL);
}
