#include "core/slot/reign.h"

#include <string.h>

static bool known(const char *id)
{
    return strlen(id) == REBALANCE_ID - 1;
}

/* A promoted replica goes on from the history that it followed, and remembers one such history
 * alone: of whom it followed before that it has nothing, or no word. The same node under a new
 * history was restarted, or voted out and in again; and then it has lost its marks. */
unsigned rebalance_reigns_between(const struct rebalance_reign *was,
                                  const struct rebalance_reign *is)
{
    if (strcmp(was->node, is->node) != 0)
        return known(was->history) && strcmp(was->history, is->before) == 0 ? 1 : 2;
    return strcmp(was->history, is->history) == 0 || is->open ? 0 : 2;
}

bool rebalance_reign_restarted(const struct rebalance_reign *was, const struct rebalance_reign *is)
{
    return strcmp(was->node, is->node) == 0 && is->open && known(was->run) && known(is->run) &&
           strcmp(was->run, is->run) != 0;
}

void rebalance_fail_overs_saw(struct rebalance_fail_overs *f, unsigned changes, int64_t seen_us)
{
    if (f->n == 0)
        f->first_us = seen_us;
    f->n = f->n + changes < 2 ? f->n + changes : 2;
}

void rebalance_fail_overs_missed(struct rebalance_fail_overs *f)
{
    *f = (struct rebalance_fail_overs){ .n = 2 };
}
