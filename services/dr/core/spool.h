/* What has arrived of a stream and is not packed yet: a bounded queue of bytes that knows at
 * which offset it begins. Pure memory; the owner locks. */
#ifndef DR_SPOOL_H
#define DR_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dr_spool {
    char *data; /* owned */
    size_t first, len, cap, max_bytes;
    uint64_t from; /* offset before the first byte kept */
};

void dr_spool_init(struct dr_spool *s, size_t max_bytes);
void dr_spool_done(struct dr_spool *s);
void dr_spool_reset(struct dr_spool *s, uint64_t from); /* empty; goes on behind `from` */
size_t dr_spool_room(const struct dr_spool *s);
/* False, and nothing added: more than there is room for, or no memory. */
bool dr_spool_add(struct dr_spool *s, const void *data, size_t n);
const char *
dr_spool_peek(const struct dr_spool *s);          /* the first of len bytes; until the next call */
void dr_spool_drop(struct dr_spool *s, size_t n); /* n <= len */

#endif
