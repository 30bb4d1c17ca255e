/* Several machines that restore parts of one cluster tell each other what they found, by files in a
 * directory that all of them see. Each writes its own once, whole or not at all, and waits for the
 * others'. */
#ifndef DR_EXCHANGE_H
#define DR_EXCHANGE_H

#include "prism/buf.h"
#include "prism/err.h"

#include <stddef.h>
#include <stdint.h>

struct dr_exchange {
    const char *dir;   /* borrowed; NULL: there is one part only */
    unsigned part, of; /* 1..of */
    uint64_t run;      /* of what is restored: files of another run are refused */
    int64_t silent_ms; /* a part that was there and says nothing for so long is no more */
    struct dr_exchange_beat *beat;
};
enum { DR_EXCHANGE_BEAT_MS = 5000, DR_EXCHANGE_SILENT_MS = 60000 };

/* From now on the others hear every DR_EXCHANGE_BEAT_MS that this part is there, by a file whose
 * number grows; until dr_exchange_end(), which may be called in any state. *x stays where it is. */
PR_CHECKED enum pr_code dr_exchange_begin(struct dr_exchange *x, struct pr_err *err);
void dr_exchange_end(struct dr_exchange *x);

/* This part's, under that name. PR_EEXISTS: it is there, of an earlier try: a new directory is
 * wanted. */
PR_CHECKED enum pr_code dr_exchange_put(const struct dr_exchange *x, const char *name,
                                        const struct pr_buf *data, struct pr_err *err);
/* This part gave up: the others need not wait. Nothing is told of a failure of this. */
void dr_exchange_give_up(const struct dr_exchange *x);
/* Calls take() with every other part's, waiting for it as long as it takes. PR_ECONFLICT: a part
 * gave up; PR_ETIMEOUT: it was there, and is not heard of any more; PR_EDATA: a file is damaged, or
 * of another run. */
typedef enum pr_code dr_exchange_fn(void *ctx, const char *data, size_t n, struct pr_err *err);
PR_CHECKED enum pr_code dr_exchange_take(const struct dr_exchange *x, const char *name,
                                         dr_exchange_fn *take, void *ctx, struct pr_err *err);

/* Reading what was written with pr_buf_u64le and pr_buf_add; beyond the end zeros, and failed. */
struct dr_reader {
    const char *at, *end;
    int failed;
};
uint64_t dr_read_u64(struct dr_reader *r);
const char *dr_read_bytes(struct dr_reader *r, size_t n); /* NULL: not so many */

#endif
