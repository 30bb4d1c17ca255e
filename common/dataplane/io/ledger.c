#include "prism/dp/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void dp_ledger_init(struct dp_ledger *l, uint64_t first_value, bool to_file)
{
    *l = (struct dp_ledger){ .first = first_value, .to_file = to_file };
    pr_map_init(&l->by_hash);
    pr_buf_init(&l->lines, 0);
}

void dp_ledger_done(struct dp_ledger *l)
{
    free(l->entry);
    pr_map_done(&l->by_hash);
    pr_buf_done(&l->lines);
    *l = (struct dp_ledger){ .n = 0 };
}

static uint64_t hash_of(const char *vertex, const char *writer)
{
    return pr_vertex_hash(vertex, strlen(vertex)) ^
           (pr_vertex_hash(writer, strlen(writer)) * 0x9e3779b97f4a7c15ULL);
}

/* Finds the entry or makes it; PR_ECONFLICT when its place is another's. */
static enum pr_code entry_of(struct dp_ledger *l, const char *vertex, const char *writer,
                             size_t *out)
{
    const uint64_t hash = hash_of(vertex, writer);
    uint64_t at;
    if (pr_map_get(&l->by_hash, hash, &at)) {
        *out = (size_t)at;
        return strcmp(l->entry[at].vertex, vertex) == 0 && strcmp(l->entry[at].writer, writer) == 0
                   ? PR_OK
                   : PR_ECONFLICT;
    }
    if (strlen(vertex) > PR_MAX_ID_BYTES || strlen(writer) >= DP_WRITER_BYTES)
        return PR_EINVAL;
    if (l->n == l->cap) {
        const size_t cap = l->cap == 0 ? 256 : l->cap * 2;
        struct dp_entry *grown = realloc(l->entry, cap * sizeof *grown);
        if (grown == NULL)
            return PR_ENOMEM;
        l->entry = grown;
        l->cap = cap;
    }
    if (pr_map_put(&l->by_hash, hash, l->n) != PR_OK)
        return PR_ENOMEM;
    struct dp_entry *e = &l->entry[l->n];
    *e = (struct dp_entry){ .open = true };
    memcpy(e->vertex, vertex, strlen(vertex) + 1);
    memcpy(e->writer, writer, strlen(writer) + 1);
    *out = l->n++;
    return PR_OK;
}

static void note(struct dp_ledger *l, char what, const struct dp_entry *e)
{
    if (l->to_file)
        pr_buf_printf(&l->lines, "%c %s %s %" PRIu64 "\n", what, e->vertex, e->writer,
                      e->attempted);
}

enum pr_code dp_ledger_attempt(struct dp_ledger *l, const char *vertex, const char *writer,
                               uint64_t *value, size_t *entry)
{
    const enum pr_code rc = entry_of(l, vertex, writer, entry);
    if (rc != PR_OK)
        return rc;
    struct dp_entry *e = &l->entry[*entry];
    if (!e->open || e->in_flight)
        return PR_ECONFLICT;
    e->attempted = (e->attempted > l->first ? e->attempted : l->first) + 1;
    e->in_flight = true;
    *value = e->attempted;
    note(l, 'T', e);
    return PR_OK;
}

void dp_ledger_acked(struct dp_ledger *l, size_t entry)
{
    struct dp_entry *e = &l->entry[entry];
    e->in_flight = false;
    e->acked = e->attempted;
    note(l, 'A', e);
}

void dp_ledger_unknown(struct dp_ledger *l, size_t entry)
{
    l->entry[entry].in_flight = false;
    l->entry[entry].open = false;
}

/* attempted stays raised: the next value is a new one, and no harm is done. */
void dp_ledger_refused(struct dp_ledger *l, size_t entry)
{
    l->entry[entry].in_flight = false;
}

enum pr_code dp_ledger_flush(struct dp_ledger *l, int fd, const char *path, struct pr_err *err)
{
    if (l->lines.failed)
        return pr_fail(err, PR_ENOMEM, "%s: no memory for its lines", path);
    for (size_t at = 0; at < l->lines.len;) {
        const ssize_t n = write(fd, l->lines.data + at, l->lines.len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pr_fail(err, PR_EUNAVAIL, "%s: %s", path, strerror(errno));
        at += (size_t)n;
    }
    pr_buf_reset(&l->lines);
    return PR_OK;
}

static bool merge_line(struct dp_ledger *l, const char *line)
{
    char what, vertex[PR_MAX_ID_BYTES + 1], writer[DP_WRITER_BYTES], end;
    uint64_t value;
    size_t at;
    _Static_assert(PR_MAX_ID_BYTES == 128 && DP_WRITER_BYTES == 40, "widths of the format");
    if (sscanf(line, "%c %128s %39s %" SCNu64 "%c", &what, vertex, writer, &value, &end) != 5 ||
        end != '\n' || (what != 'T' && what != 'A') || entry_of(l, vertex, writer, &at) != PR_OK)
        return false;
    struct dp_entry *e = &l->entry[at];
    if (value > e->attempted)
        e->attempted = value;
    if (what == 'A' && value > e->acked)
        e->acked = value;
    return true;
}

enum pr_code dp_ledger_read(struct dp_ledger *l, const char *path, struct pr_err *err)
{
    char *line = NULL;
    size_t cap = 0, number = 0;
    ssize_t n;
    enum pr_code rc = PR_OK;
    FILE *f = fopen(path, "re");
    if (f == NULL && errno == ENOENT)
        return PR_OK;
    if (f == NULL)
        return pr_fail(err, errno == EACCES ? PR_EDENIED : PR_EUNAVAIL, "%s: %s", path,
                       strerror(errno));
    while (rc == PR_OK && (n = getline(&line, &cap, f)) > 0) {
        number++;
        if (line[n - 1] == '\n' && !merge_line(l, line))
            rc = pr_fail(err, PR_EDATA, "%s: line %zu: not a ledger's line", path, number);
    }
    if (rc == PR_OK && ferror(f))
        rc = pr_fail(err, PR_EUNAVAIL, "%s: %s", path, strerror(errno));
    (void)fclose(f);
    free(line);
    return rc;
}

enum dp_verdict dp_ledger_judge(const struct dp_entry *e, bool found, uint64_t value)
{
    if (!found || value < e->acked)
        return DP_LOST;
    return value > e->attempted ? DP_INVENTED : DP_KEPT;
}
