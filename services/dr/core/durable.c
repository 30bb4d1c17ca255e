#include "core/durable.h"

#include <string.h>

enum dr_verdict dr_durable_judge(const struct dr_history *h, const char *replid, uint64_t offset)
{
    if (h->replid[0] == '\0' || replid[0] == '\0')
        return DR_NOT_YET;
    if (strcmp(replid, h->replid) != 0) {
        if (strcmp(replid, h->before) != 0)
            return DR_NOT_YET;
        if (offset > h->before_to)
            return DR_NEVER;
    }
    return offset <= h->durable ? DR_REACHED : DR_NOT_YET;
}
