/* Ties the simulator to reality: random sequences of calls go to the model of
 * tests/sim and to the library on a real Redis; every reply and every state in
 * between must be the same. Usage: model_test [first seed] [sequences]. */
#include "model.h"
#include "own_redis.h"

#include "prism/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CALLS = 60, EPOCHS = 8, PARTITIONS = 4, NAMES = 6, ARGS = 32, ARG = 32 };

static const char *const KEY = "{p1}v:k";

static struct own_redis server;
static redisContext *redis;
static uint64_t first_seed = 1, sequences = 400, seed_now;

struct pair { /* the same state twice */
    struct model_key key, staged[EPOCHS], taken;
    redisReply *dump; /* of the last take: what taken is to the model */
};

struct command {
    const char *argv[ARGS];
    size_t len[ARGS];
    char text[ARGS][ARG];
    int argc;
};

static void word(struct command *c, const char *text)
{
    (void)snprintf(c->text[c->argc], ARG, "%s", text);
    c->argv[c->argc] = c->text[c->argc];
    c->len[c->argc] = strlen(text);
    c->argc++;
}

static void number(struct command *c, const char *prefix, unsigned long long n)
{
    char text[ARG];

    (void)snprintf(text, sizeof(text), "%s%llu", prefix, n);
    word(c, text);
}

static void fields(struct command *c, const struct model_call *m)
{
    number(c, "", m->n_set);
    for (unsigned i = 0; i < m->n_set; i++) {
        number(c, "p:", m->set[i].field);
        number(c, "", m->set[i].value);
    }
    for (unsigned i = 0; i < m->n_del; i++)
        number(c, "p:", m->del[i]);
}

static void build(struct command *c, const struct model_call *m)
{
    static const char *const name[MODEL_FNS] = {
        [FN_TAKE] = "prism_take",   [FN_FENCE] = "prism_fence",   [FN_PROMOTE] = "prism_promote",
        [FN_ROUTE] = "prism_route", [FN_WRITE] = "prism_write",   [FN_DELETE] = "prism_delete",
        [FN_CLAIM] = "prism_claim", [FN_CREATE] = "prism_create", [FN_GET] = "prism_get",
    };

    c->argc = 0;
    word(c, m->fn == FN_GET ? "FCALL_RO" : "FCALL");
    word(c, name[m->fn]);
    number(c, "", m->fn == FN_PROMOTE ? 2 : 1);
    word(c, KEY);
    if (m->fn == FN_PROMOTE)
        number(c, "{p1}g:k:", m->E);
    if (m->fn == FN_FENCE)
        number(c, "", m->v);
    if (m->fn == FN_FENCE || m->fn == FN_ROUTE || m->fn == FN_CLAIM)
        number(c, "", m->p);
    if (m->fn == FN_TAKE || m->fn == FN_FENCE || m->fn == FN_PROMOTE || m->fn == FN_ROUTE)
        number(c, "", m->E);
    if (m->fn == FN_WRITE || m->fn == FN_CREATE)
        fields(c, m);
    if (m->fn == FN_CLAIM)
        number(c, "", m->flag);
    if (m->fn == FN_CREATE && m->flag)
        word(c, "existing");
    for (unsigned long long i = 0; m->fn == FN_GET && i < NAMES; i++)
        number(c, "p:", i);
}

/* The model's reply, as reply_text shows the library's. */
static const char *expected(const struct model_call *m, const struct model_reply *r)
{
    static char text[256];
    static const char *const words[MODEL_WORDS] = {
        [WORD_OK] = "OK",         [WORD_LIVE] = "LIVE",       [WORD_STUB] = "STUB",
        [WORD_ABSENT] = "ABSENT", [WORD_DELETED] = "DELETED", [WORD_REFUSED] = "REFUSED",
        [WORD_DONE] = "DONE",     [WORD_NEWER] = "NEWER",     [WORD_ALARM] = "ALARM",
    };
    bool mover = m->fn == FN_TAKE || m->fn == FN_CLAIM;
    bool numbered =
        r->word == WORD_OK && (m->fn == FN_WRITE || m->fn == FN_DELETE || m->fn == FN_CREATE);
    int n = snprintf(text, sizeof(text), "%s",
                     r->word == WORD_STUB && !mover ? "MOVED" : words[r->word]);

    if (r->word == WORD_STUB)
        n += snprintf(text + n, sizeof(text) - (size_t)n, " %u:%llu", r->p,
                      (unsigned long long)r->e);
    if (numbered || (r->word == WORD_LIVE && (m->fn == FN_TAKE || m->fn == FN_GET)) ||
        (r->word == WORD_REFUSED && m->fn == FN_TAKE))
        n += snprintf(text + n, sizeof(text) - (size_t)n, " %llu", (unsigned long long)r->n);
    for (int i = 0; m->fn == FN_GET && r->word == WORD_LIVE && i < NAMES; i++)
        n += r->copy.field[i] != 0
                 ? snprintf(text + n, sizeof(text) - (size_t)n, " %u", r->copy.field[i])
                 : snprintf(text + n, sizeof(text) - (size_t)n, " nil");
    return text;
}

/* take's dump and fence's reason are not the model's business. */
static void same_reply(const struct model_call *m, const redisReply *r, const char *want)
{
    const char *got = reply_text(r);
    size_t n = strlen(want);
    bool cut = (m->fn == FN_TAKE && strncmp(want, "LIVE", 4) == 0) ||
               (m->fn == FN_FENCE && strcmp(want, "REFUSED") == 0);

    if (cut && strncmp(got, want, n) == 0 && got[n] == ' ')
        return;
    assert_string_equal(got, want);
}

static void same_state(const char *name, const struct model_key *k)
{
    char want[512];
    int n = 0;

    want[0] = '\0';
    if (k->kind == MODEL_STUB)
        n = snprintf(want, sizeof(want), "_m=%u:%llu", k->stub_p, (unsigned long long)k->stub_e);
    if (k->kind == MODEL_LIVE)
        n = snprintf(want, sizeof(want), "_e=%llu _v=%llu%s", (unsigned long long)k->e,
                     (unsigned long long)k->v, k->x ? " _x=1" : "");
    for (int i = 0; k->kind == MODEL_LIVE && i < NAMES; i++)
        if (k->field[i] != 0)
            n += snprintf(want + n, sizeof(want) - (size_t)n, " p:%d=%u", i, k->field[i]);
    assert_string_equal(hash_text(redis, name), want);
}

static void same_staging(const struct pair *p, uint64_t e)
{
    char name[ARG];

    (void)snprintf(name, sizeof(name), "{p1}g:k:%llu", (unsigned long long)e);
    same_state(name, &p->staged[e]);
}

static void both(struct pair *p, const struct model_call *m)
{
    struct command c;
    struct model_reply want;

    build(&c, m);
    redisReply *r = redisCommandArgv(redis, c.argc, c.argv, c.len);
    assert_non_null(r);
    model_run(&p->key, &p->staged[m->E], m, &want);
    same_reply(m, r, expected(m, &want));
    if (m->fn == FN_TAKE && want.word == WORD_LIVE) {
        p->taken = want.copy;
        if (p->dump != NULL)
            freeReplyObject(p->dump);
        p->dump = r;
        return;
    }
    freeReplyObject(r);
}

static void restore(struct pair *p, uint64_t e)
{
    if (p->dump == NULL)
        return;
    const redisReply *d = p->dump->element[2];
    const char *got =
        ask(redis, "RESTORE {p1}g:k:%llu 0 %b", (unsigned long long)e, d->str, d->len);

    if (p->staged[e].kind == MODEL_ABSENT) {
        assert_string_equal(got, "OK");
        p->staged[e] = p->taken;
    } else {
        assert_memory_equal(got, "-BUSYKEY", 8);
    }
}

static struct model_call drawn(struct pr_rng *rng, const struct pair *p)
{
    struct model_call m = { .fn = (enum model_fn)pr_rng_below(rng, MODEL_FNS) };

    m.E = 1 + pr_rng_below(rng, EPOCHS - 1);
    m.v = pr_rng_below(rng, 4) == 0 ? pr_rng_below(rng, 9) : p->key.v;
    if (m.fn == FN_FENCE && pr_rng_below(rng, 4) != 0 && p->key.e > 0)
        m.E = p->key.e;
    m.p = (uint32_t)pr_rng_below(rng, PARTITIONS);
    m.flag = pr_rng_below(rng, 2) == 1;
    m.n_set = (uint8_t)pr_rng_below(rng, MODEL_MAX_ARGS + 1);
    for (unsigned i = 0; i < m.n_set; i++) {
        m.set[i].field = (uint8_t)pr_rng_below(rng, NAMES);
        m.set[i].value = (uint8_t)(1 + pr_rng_below(rng, 9));
    }
    if (m.fn == FN_WRITE)
        m.n_del = (uint8_t)pr_rng_below(rng, MODEL_MAX_ARGS + 1);
    for (unsigned i = 0; i < m.n_del; i++)
        m.del[i] = (uint8_t)pr_rng_below(rng, NAMES);
    return m;
}

static void sequence(uint64_t seed)
{
    struct pair p = { 0 };
    struct pr_rng rng;

    pr_rng_init(&rng, seed);
    assert_string_equal(ask(redis, "FLUSHDB"), "OK");
    for (int i = 0; i < CALLS; i++) {
        uint64_t what = pr_rng_below(&rng, 12);
        if (what == 0 && pr_rng_below(&rng, 4) == 0) { /* as a fail-over may lose it */
            (void)ask(redis, "DEL %s", KEY);
            p.key = (struct model_key){ .kind = MODEL_ABSENT };
        } else if (what < 3) {
            restore(&p, 1 + pr_rng_below(&rng, EPOCHS - 1));
        } else {
            struct model_call m = drawn(&rng, &p);
            both(&p, &m);
            if (m.fn == FN_PROMOTE)
                same_staging(&p, m.E);
        }
        same_state(KEY, &p.key);
    }
    for (uint64_t e = 1; e < EPOCHS; e++)
        same_staging(&p, e);
    if (p.dump != NULL)
        freeReplyObject(p.dump);
}

static void the_model_and_redis_agree(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < sequences; n++) {
        seed_now = first_seed + n;
        sequence(seed_now);
    }
}

static int tell_seed(void **state)
{
    (void)state;
    print_message("first seed %llu, last seed %llu\n", (unsigned long long)first_seed,
                  (unsigned long long)seed_now);
    return 0;
}

static int start(void **state)
{
    (void)state;
    own_redis_start(&server, 0);
    redis = own_redis_connect(&server);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(redis);
    own_redis_stop(&server);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        sequences = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(the_model_and_redis_agree,
                                                                  tell_seed) };
    return cmocka_run_group_tests_name("integration/model", tests, start, stop);
}
