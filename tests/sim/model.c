#include "model.h"

#include "switches.h"

#include <string.h>

bool sim_off[SIM_RULES];

static void word(struct model_reply *r, enum model_word w)
{
    r->word = w;
}

static void word_n(struct model_reply *r, enum model_word w, uint64_t n)
{
    r->word = w;
    r->n = n;
}

/* Replies for a key that is not LIVE. */
static void elsewhere(const struct model_key *k, struct model_reply *r)
{
    if (k->kind == MODEL_ABSENT) {
        word(r, WORD_ABSENT);
        return;
    }
    r->word = WORD_STUB;
    r->p = k->stub_p;
    r->e = k->stub_e;
}

static void become_stub(struct model_key *k, uint32_t p, uint64_t e)
{
    *k = (struct model_key){
        .kind = MODEL_STUB, .stub_p = p, .stub_e = e, .side = k->side, .side_p = k->side_p
    };
}

static void become_live(struct model_key *k)
{
    *k = (struct model_key){ .kind = MODEL_LIVE, .side = k->side, .side_p = k->side_p };
}

static bool is_stub(const struct model_key *k, const struct model_call *c)
{
    return k->kind == MODEL_STUB && k->stub_p == c->p && k->stub_e == c->E;
}

static void take(struct model_key *k, const struct model_call *c, struct model_reply *r)
{
    if (k->kind != MODEL_LIVE) {
        elsewhere(k, r);
        return;
    }
    if (k->e > c->E && ON(TAKE_REFUSES_OLDER)) {
        word_n(r, WORD_REFUSED, k->e);
        return;
    }
    k->e = c->E;
    word_n(r, WORD_LIVE, k->v);
    r->copy = *k;
}

static void fence(struct model_key *k, const struct model_call *c, struct model_reply *r)
{
    bool version = k->v == c->v || !ON(FENCE_CHECKS_VERSION);
    bool epoch = k->e == c->E || !ON(FENCE_CHECKS_EPOCH);

    if (is_stub(k, c)) {
        word(r, WORD_OK);
    } else if (k->kind == MODEL_LIVE && version && epoch) {
        become_stub(k, c->p, c->E);
        word(r, WORD_OK);
    } else {
        word(r, WORD_REFUSED);
    }
}

static void promote(struct model_key *k, struct model_key *staging, const struct model_call *c,
                    struct model_reply *r)
{
    bool done = k->kind == MODEL_LIVE || (k->kind == MODEL_STUB && k->stub_e >= c->E);
    bool ours = staging->kind == MODEL_LIVE && (staging->e == c->E || !ON(STAGING_BY_EPOCH));

    if (done && (!ours || ON(PROMOTE_KEEPS_VERTEX))) {
        word(r, WORD_DONE);
        return;
    }
    if (!ours) {
        word(r, WORD_ALARM);
        return;
    }
    *k = *staging;
    *staging = (struct model_key){ .kind = MODEL_ABSENT };
    word(r, WORD_OK);
}

static void route(struct model_key *k, const struct model_call *c, struct model_reply *r)
{
    if (k->kind == MODEL_LIVE && ON(ROUTE_KEEPS_LIVE)) {
        word(r, WORD_LIVE);
    } else if (k->kind == MODEL_STUB && k->stub_e >= c->E && ON(ROUTE_KEEPS_NEWER)) {
        word(r, is_stub(k, c) ? WORD_OK : WORD_NEWER);
    } else {
        become_stub(k, c->p, c->E);
        word(r, WORD_OK);
    }
}

static void apply(struct model_key *k, const struct model_call *c, struct model_reply *r)
{
    k->v++;
    for (unsigned i = 0; i < c->n_set; i++)
        k->field[c->set[i].field] = c->set[i].value;
    for (unsigned i = 0; i < c->n_del; i++)
        k->field[c->del[i]] = 0;
    word_n(r, WORD_OK, k->v);
}

static void write(struct model_key *k, const struct model_call *c, struct model_reply *r)
{
    if (k->kind == MODEL_ABSENT && !ON(WRITE_NEVER_CREATES))
        become_live(k);
    if (k->kind != MODEL_LIVE)
        elsewhere(k, r);
    else if (k->x)
        word(r, WORD_DELETED);
    else
        apply(k, c, r);
}

static void erase(struct model_key *k, struct model_reply *r)
{
    if (k->kind != MODEL_LIVE) {
        elsewhere(k, r);
        return;
    }
    if (k->x) {
        word(r, WORD_DELETED);
        return;
    }
    word_n(r, WORD_OK, ++k->v);
    if (ON(DELETE_LEAVES_TOMBSTONE)) {
        memset(k->field, 0, sizeof(k->field));
        k->x = true;
    } else {
        *k = (struct model_key){ .kind = MODEL_ABSENT };
    }
}

/* The weaker version kept claims and routes in a key of their own, which says
 * nothing while the vertex lives at home. */
static void claim_aside(struct model_key *k, const struct model_call *c, struct model_reply *r)
{
    if (!k->side) {
        k->side = true;
        k->side_p = c->p;
    }
    r->word = WORD_STUB;
    r->p = k->side_p;
    r->e = 0;
}

static void claim(struct model_key *k, const struct model_call *c, struct model_reply *r)
{
    if (!ON(CLAIM_SEES_VERTEX) && k->kind != MODEL_STUB && !c->flag) {
        claim_aside(k, c, r);
    } else if (k->kind == MODEL_STUB) {
        elsewhere(k, r);
    } else if (k->kind == MODEL_LIVE) {
        word(r, k->x ? WORD_DELETED : WORD_LIVE);
    } else if (c->flag) {
        become_live(k);
        k->v = 1;
        word(r, WORD_OK);
    } else {
        become_stub(k, c->p, 0);
        elsewhere(k, r);
    }
}

static void create(struct model_key *k, const struct model_call *c, struct model_reply *r)
{
    bool over = k->kind == MODEL_STUB && !ON(CREATE_KEEPS_STUB);

    if ((k->kind == MODEL_ABSENT && !c->flag) || over)
        become_live(k);
    if (k->kind != MODEL_LIVE) {
        elsewhere(k, r);
        return;
    }
    k->x = false;
    apply(k, c, r);
}

static void get(const struct model_key *k, struct model_reply *r)
{
    if (k->kind != MODEL_LIVE) {
        elsewhere(k, r);
    } else if (k->x) {
        word(r, WORD_DELETED);
    } else {
        word_n(r, WORD_LIVE, k->v);
        r->copy = *k;
    }
}

void model_run(struct model_key *key, struct model_key *staging, const struct model_call *call,
               struct model_reply *r)
{
    *r = (struct model_reply){ .word = WORD_OK };
    switch (call->fn) {
    case FN_TAKE:
        take(key, call, r);
        break;
    case FN_FENCE:
        fence(key, call, r);
        break;
    case FN_PROMOTE:
        promote(key, staging, call, r);
        break;
    case FN_ROUTE:
        route(key, call, r);
        break;
    case FN_WRITE:
        write(key, call, r);
        break;
    case FN_DELETE:
        erase(key, r);
        break;
    case FN_CLAIM:
        claim(key, call, r);
        break;
    case FN_CREATE:
        create(key, call, r);
        break;
    case FN_GET:
        get(key, r);
        break;
    case MODEL_FNS:
        break;
    }
}
