/* What one writer has written: per vertex the highest value attempted and the
 * highest acknowledged by every replica. Values of a vertex only grow. Later the
 * store must hold, per vertex, a value between the two: less is a lost write,
 * more is one that nobody made.
 *
 * A write whose effect is unknown closes its vertex: it may still arrive, late,
 * and overwrite what would be written after it.
 *
 * Optionally every step is appended to a file first, so that another process can
 * verify after this one was killed. One line a step:
 *   T <vertex> <writer> <value>   about to be written
 *   A <vertex> <writer> <value>   acknowledged */
#ifndef PRISM_DP_LEDGER_H
#define PRISM_DP_LEDGER_H

#include "prism/buf.h"
#include "prism/err.h"
#include "prism/map.h"
#include "prism/slot.h"

#include <stdbool.h>

enum { DP_WRITER_BYTES = 40 };

struct dp_entry {
    char vertex[PR_MAX_ID_BYTES + 1];
    char writer[DP_WRITER_BYTES];
    uint64_t attempted, acked; /* acked 0: never */
    bool open, in_flight;
};

struct dp_ledger {
    struct dp_entry *entry; /* owned, in order of the first write */
    size_t n, cap;
    struct pr_map by_hash; /* of vertex and writer -> index */
    uint64_t first;        /* values start above */
    struct pr_buf lines;   /* not yet in the file */
    bool to_file;
};

void dp_ledger_init(struct dp_ledger *l, uint64_t first_value, bool to_file);
void dp_ledger_done(struct dp_ledger *l);

/* The next value to write; PR_ECONFLICT: closed, or its last write has no outcome
 * yet (also for two ids of one hash). *entry is for the outcome. */
PR_CHECKED enum pr_code dp_ledger_attempt(struct dp_ledger *l, const char *vertex,
                                          const char *writer, uint64_t *value, size_t *entry);
void dp_ledger_acked(struct dp_ledger *l, size_t entry);
void dp_ledger_unknown(struct dp_ledger *l, size_t entry);
/* Certainly not executed. */
void dp_ledger_refused(struct dp_ledger *l, size_t entry);

/* Appends the pending lines; fd is opened with O_APPEND. */
PR_CHECKED enum pr_code dp_ledger_flush(struct dp_ledger *l, int fd, const char *path,
                                        struct pr_err *err);
/* Merges a file's lines. A last line that was cut off is ignored; PR_EDATA names
 * any other bad line. A missing file is an empty one. */
PR_CHECKED enum pr_code dp_ledger_read(struct dp_ledger *l, const char *path, struct pr_err *err);

enum dp_verdict { DP_KEPT, DP_LOST, DP_INVENTED };
/* found: the vertex exists; value: what its property holds, 0 when absent. */
enum dp_verdict dp_ledger_judge(const struct dp_entry *e, bool found, uint64_t value);

#endif
