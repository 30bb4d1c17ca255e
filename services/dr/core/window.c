#include "core/window.h"

#include "core/retention.h"

void dr_window_of(const struct dr_generation *g, const struct dr_generation_id *next,
                  int64_t written_ms, struct dr_window *out)
{
    *out = (struct dr_window){ .epoch = g->id.epoch, .from_ms = g->begun_ms - DR_SKEW_MS };
    if (next != NULL && written_ms != 0) {
        out->next_epoch = next->epoch;
        out->to_ms = written_ms + DR_SKEW_MS;
    }
}

bool dr_window_over(const struct dr_window *w, uint64_t epoch, int64_t modified_ms)
{
    return epoch < w->epoch ||
           (w->next_epoch != 0 && epoch >= w->next_epoch && modified_ms > w->to_ms);
}

bool dr_window_may(const struct dr_window *w, uint64_t epoch, int64_t modified_ms)
{
    if (modified_ms == 0)
        return epoch >= w->epoch;
    return modified_ms >= w->from_ms && !dr_window_over(w, epoch, modified_ms);
}
