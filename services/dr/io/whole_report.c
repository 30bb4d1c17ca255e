#include "io/time_text.h"
#include "io/whole.h"

#include "prism/io/json_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void add_ids(struct pr_buf *b, const char *name, const struct pr_buf *lines)
{
    const char *comma = "";
    pr_buf_printf(b, ",\"%s\":[", name);
    for (size_t at = 0; at < lines->len;) {
        char id[DR_KEY];
        const size_t n = strcspn(lines->data + at, "\n");
        (void)snprintf(id, sizeof id, "%.*s", (int)n, lines->data + at);
        pr_buf_str(b, comma);
        pr_json_add(b, id);
        comma = ",";
        at += n + 1;
    }
    pr_buf_str(b, "]");
}

static void add_shards(struct pr_buf *b, const struct dr_whole_done *d)
{
    pr_buf_str(b, "\"shards\":[");
    for (size_t i = d->first; i < d->last; i++) {
        const struct dr_whole_shard *s = &d->shard[i];
        char at[32];
        dr_time_text(s->restored.last_ms, at);
        pr_buf_printf(b,
                      "%s{\"shard\":\"%s\",\"generation\":\"%016" PRIx64
                      "-%04x\",\"offset\":%" PRIu64 ",\"until\":\"%s\",\"keys\":%" PRIu64
                      ",\"skipped_generations\":%zu,\"gap\":%s,\"why_it_ends\":",
                      i > d->first ? "," : "", s->name, s->restored.generation.epoch,
                      s->restored.generation.n, s->restored.offset, at, s->keys,
                      s->restored.skipped, s->restored.gap ? "true" : "false");
        pr_json_add(b, s->restored.why);
        pr_buf_str(b, "}");
    }
    pr_buf_str(b, "]");
}

void dr_whole_report(const struct dr_whole *w, const struct dr_whole_done *d, struct pr_buf *out)
{
    const struct dr_mend *m = &d->mend;
    char oldest[32], newest[32];
    uint64_t fetched = 0;
    for (size_t i = 0; i < d->shards; i++)
        fetched += d->shard[i].restored.base_bytes + d->shard[i].restored.stream_bytes;
    dr_time_text(d->oldest_ms, oldest);
    dr_time_text(d->newest_ms, newest);
    pr_buf_str(out, "{");
    add_shards(out, d);
    pr_buf_printf(out,
                  ",\"parallel\":%zu,\"fetched_bytes\":%" PRIu64
                  ",\"oldest_end\":\"%s\",\"oldest_end_ms\":%" PRId64
                  ",\"newest_end\":\"%s\",\"vertices_judged\":%" PRIu64 ",\"promoted\":%" PRIu64
                  ",\"homes_told\":%" PRIu64 ",\"dropped_keys\":%" PRIu64 ",\"strays\":%" PRIu64
                  ",\"epoch\":%" PRIu64,
                  d->parallel, fetched, oldest, d->oldest_ms, newest, m->vertices, m->forward,
                  m->homes_told, m->dropped, m->strays, m->epoch);
    add_ids(out, "rolled_back", &m->rolled_back_ids);
    add_ids(out, "lost", &m->lost_ids);
    add_ids(out, "damaged_moves", &d->damaged);
    add_ids(out, "doubtful_keys", &m->doubtful_keys);
    pr_buf_printf(out, ",\"unsure_slots\":%" PRIu64, d->unsure);
    if (d->refused)
        pr_buf_str(out, ",\"refused\":true");
    else if (w->seeds != NULL)
        pr_buf_printf(out,
                      ",\"copied_keys\":%" PRIu64 ",\"copied_bytes\":%" PRIu64
                      ",\"digest\":\"%016" PRIx64 "%016" PRIx64 "\"",
                      d->copied.keys, d->copied.bytes, d->digest.sum[1], d->digest.sum[0]);
    else
        pr_buf_printf(out, ",\"gathered_keys\":%" PRIu64, d->gathered);
    if (d->routes_written)
        pr_buf_printf(out, ",\"routes\":%" PRIu64 ",\"next_epoch_above\":%" PRIu64,
                      d->routes.entries, d->routes.epoch);
    pr_buf_str(out, "}");
}
