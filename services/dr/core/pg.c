#include "core/pg.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LAG_MS = 4000,
    SILENT_MS = 5000,
    WAITING = 16, /* segments */
    DAY_MS = 86400000
};

static const char *const ALARM[DR_PG_ALARMS] = { "primary", "settings",   "receiver",
                                                 "lag",     "async",      "slot",
                                                 "archive", "repository", "backup" };
static const char *const SLOT[] = { "none", "reserved", "extended", "unreserved", "lost" };

const char *dr_pg_alarm_name(enum dr_pg_alarm a)
{
    return ALARM[a];
}

const char *dr_pg_slot_name(enum dr_pg_slot s)
{
    return SLOT[s];
}

bool dr_pg_settings_ok(const struct dr_pg_server *s, char why[DR_PG_WORDS])
{
    int n = 0;
    why[0] = '\0';
    if (!s->replica_level)
        n = snprintf(why, DR_PG_WORDS, "wal_level is minimal: nothing can be received");
    else if (s->slot_cap_bytes < 0)
        n = snprintf(
            why, DR_PG_WORDS,
            "max_slot_wal_keep_size is -1: a receiver that stays away would fill the disk");
    else if (s->wal_keep_bytes < s->max_wal_bytes)
        n = snprintf(why, DR_PG_WORDS,
                     "wal_keep_size is %lld MiB, less than max_wal_size %lld MiB: pg_rewind would "
                     "not find the log back to the fork",
                     (long long)s->wal_keep_bytes >> 20, (long long)s->max_wal_bytes >> 20);
    else if (!s->rewindable)
        n = snprintf(why, DR_PG_WORDS,
                     "wal_log_hints is off and there are no data checksums: pg_rewind needs one");
    else if (!s->full_page_writes)
        n = snprintf(why, DR_PG_WORDS, "full_page_writes is off: pg_rewind needs it");
    else if (!s->archiving)
        n = snprintf(why, DR_PG_WORDS, "archive_mode is off: backups could not be restored");
    return n == 0;
}

int64_t dr_pg_lag_step(struct dr_pg_lag *l, const struct dr_pg_server *s, int64_t now_ms)
{
    if (l->at_ms == 0 || s->flushed_lsn >= l->lsn) {
        l->lsn = s->lsn;
        l->at_ms = s->at_ms;
        if (s->flushed_lsn >= s->lsn)
            return now_ms > s->at_ms + SILENT_MS ? now_ms - s->at_ms : 0;
    }
    return now_ms > l->at_ms ? now_ms - l->at_ms : 0;
}

static bool slot_is_short(const struct dr_pg_server *s)
{
    if (s->slot == DR_PG_SLOT_LOST || s->slot == DR_PG_SLOT_UNRESERVED)
        return true;
    return s->slot != DR_PG_SLOT_NONE && s->slot_cap_bytes > 0 &&
           s->slot_kept_bytes > s->slot_cap_bytes / 4 * 3;
}

static uint32_t of_server(const struct dr_pg_facts *f)
{
    const struct dr_pg_server *s = f->server;
    char why[DR_PG_WORDS];
    uint32_t bits = 0;
    if (s->at_ms == 0 || f->now_ms - s->at_ms > SILENT_MS)
        return 1u << DR_PG_ALARM_PRIMARY | (f->lag_ms > LAG_MS ? 1u << DR_PG_ALARM_LAG : 0);
    if (!dr_pg_settings_ok(s, why))
        bits |= 1u << DR_PG_ALARM_SETTINGS;
    if (f->supervised && !s->attached)
        bits |= 1u << DR_PG_ALARM_RECEIVER;
    if (f->supervised && f->lag_ms > LAG_MS)
        bits |= 1u << DR_PG_ALARM_LAG;
    if (s->attached && !s->synchronous)
        bits |= 1u << DR_PG_ALARM_ASYNC;
    if (slot_is_short(s))
        bits |= 1u << DR_PG_ALARM_SLOT;
    if (s->archive_failing || s->archive_waiting > WAITING)
        bits |= 1u << DR_PG_ALARM_ARCHIVE;
    return bits;
}

uint32_t dr_pg_alarms(const struct dr_pg_facts *f)
{
    uint32_t bits = of_server(f);
    const struct dr_pg_repo *r = f->repo;
    if (r->state == DR_PG_REPO_ERROR || r->damaged > 0)
        bits |= 1u << DR_PG_ALARM_REPOSITORY;
    if (f->due_ms > 0 && r->state != DR_PG_REPO_UNKNOWN && r->state != DR_PG_REPO_ERROR &&
        (r->any_ms == 0 || (r->any_ms < f->due_ms && f->now_ms - f->due_ms > DAY_MS)))
        bits |= 1u << DR_PG_ALARM_BACKUP;
    return bits;
}

void dr_pg_lsn_print(uint64_t lsn, char out[24])
{
    (void)snprintf(out, 24, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
}

bool dr_pg_lsn_parse(const char *text, uint64_t *out)
{
    unsigned high, low;
    int end = -1;
    if (sscanf(text, "%8X/%8X%n", &high, &low, &end) != 2 || text[end] != '\0')
        return false;
    *out = (uint64_t)high << 32 | low;
    return true;
}
