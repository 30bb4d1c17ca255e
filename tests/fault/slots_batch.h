/* Commands to the cluster, several at once, whose words are copied. */
#ifndef SLOTS_BATCH_H
#define SLOTS_BATCH_H

#include "prism/io/redis.h"

enum { SLOTS_BATCH = 512, SLOTS_ARGS = 8, SLOTS_WORDS = 320 };

struct slots_batch {
    struct pr_rcmd cmd[SLOTS_BATCH];
    const char *argv[SLOTS_BATCH][SLOTS_ARGS];
    size_t len[SLOTS_BATCH][SLOTS_ARGS];
    char text[SLOTS_BATCH][SLOTS_WORDS]; /* all words of a command, NUL-terminated each */
    size_t n;
};

/* argv: words without NUL bytes, up to a NULL; too many fail the test. */
void slots_batch_add(struct slots_batch *b, uint16_t slot, bool wait, const char *const *argv);
void slots_batch_done(struct slots_batch *b); /* frees the replies; empty again */

#endif
