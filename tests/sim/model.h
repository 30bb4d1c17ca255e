/* What the functions of the library `prism` do to one key, in C, for the
 * simulator. tests/integration/model_test.c applies the same calls to this and
 * to a real Redis. Only prism_load, the caps and paging are left out. */
#ifndef PRISM_SIM_MODEL_H
#define PRISM_SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum { MODEL_FIELDS = 29, MODEL_MAX_ARGS = 4 }; /* 29: no padding, keys are compared bytewise */

enum model_kind { MODEL_ABSENT, MODEL_LIVE, MODEL_STUB };

struct model_key {
    uint64_t v, e;               /* LIVE */
    uint64_t stub_e;             /* STUB */
    uint32_t stub_p;             /* STUB */
    uint32_t side_p;             /* claim in a separate key; only with SIM_CLAIM_SEES_VERTEX off */
    uint8_t kind;                /* enum model_kind */
    bool x, side;                /* tombstone; side_p is set */
    uint8_t field[MODEL_FIELDS]; /* 0: absent */
};

enum model_fn {
    FN_TAKE,
    FN_FENCE,
    FN_PROMOTE,
    FN_ROUTE,
    FN_WRITE,
    FN_DELETE,
    FN_CLAIM,
    FN_CREATE,
    FN_GET,
    MODEL_FNS
};

struct model_call {
    enum model_fn fn;
    uint64_t v, E;
    uint32_t p; /* d of fence and route, t of claim */
    bool flag;  /* claim: ishome; create: existing */
    uint8_t n_set, n_del;
    struct {
        uint8_t field, value;
    } set[MODEL_MAX_ARGS];
    uint8_t del[MODEL_MAX_ARGS];
};

enum model_word {
    WORD_OK,
    WORD_LIVE,
    WORD_STUB, /* and MOVED */
    WORD_ABSENT,
    WORD_DELETED,
    WORD_REFUSED,
    WORD_DONE,
    WORD_NEWER,
    WORD_ALARM,
    MODEL_WORDS
};

struct model_reply {
    enum model_word word;
    uint64_t n;            /* version, or the epoch that refused a take */
    uint32_t p;            /* STUB */
    uint64_t e;            /* STUB */
    struct model_key copy; /* take: the dump; get: what was read */
};

/* staging: of the epoch in question, ABSENT when there is none; promote only. */
void model_run(struct model_key *key, struct model_key *staging, const struct model_call *call,
               struct model_reply *r);

#endif
