/* PostgreSQL: what is asked of whoever keeps it safe (backend `self`: pgBackRest and pg_receivewal;
 * a managed service answers the same questions), and what can be told from the answers. Pure. */
#ifndef DR_PG_H
#define DR_PG_H

#include "prism/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { DR_PG_LABEL = 64, DR_PG_WORDS = 256, DR_PG_WAL = 25 };

/* Name of the receiver: its slot, and in synchronous_standby_names. */
#define DR_PG_STANDBY "prism_dr"

enum dr_pg_slot { /* of the receiver, on the primary */
                  DR_PG_SLOT_NONE,
                  DR_PG_SLOT_RESERVED,
                  DR_PG_SLOT_EXTENDED,   /* beyond max_wal_size */
                  DR_PG_SLOT_UNRESERVED, /* the next checkpoint may take what it needs */
                  DR_PG_SLOT_LOST        /* and has */
};

/* What the primary says of itself. */
struct dr_pg_server {
    int64_t at_ms;      /* when; 0: never */
    uint64_t system_id; /* of the cluster of databases */
    uint32_t timeline;
    uint64_t lsn; /* written */
    /* the receiver */
    bool attached, synchronous;
    uint64_t flushed_lsn; /* safe with the receiver; 0: unknown */
    enum dr_pg_slot slot;
    bool slot_active;
    int64_t slot_kept_bytes; /* kept on the primary for the receiver's sake */
    int64_t slot_safe_bytes; /* may be written before the slot is lost; -1: no limit */
    /* the archive */
    int64_t archive_waiting; /* segments that were not handed over yet */
    char archived[DR_PG_WAL];
    bool archive_failing; /* the last try failed */
    /* settings */
    int64_t wal_keep_bytes, max_wal_bytes, slot_cap_bytes; /* slot_cap: -1: none */
    bool archiving;                                        /* archive_mode */
    bool replica_level;                                    /* wal_level */
    bool full_page_writes;                                 /* or a rewound server may be torn */
    bool rewindable;                                       /* data checksums or wal_log_hints */
    bool named; /* synchronous_standby_names has the receiver's name */
};

/* Why its write-ahead log cannot be looked after as it is set up; false and a sentence that names
 * the setting. A failback by pg_rewind needs the log back to the last checkpoint before the fork,
 * which is up to max_wal_size old; a slot without a limit fills the primary's disk when the
 * receiver stays away. */
bool dr_pg_settings_ok(const struct dr_pg_server *s, char why[DR_PG_WORDS]);

/* What the repository holds. */
enum dr_pg_repo_state {
    DR_PG_REPO_UNKNOWN,
    DR_PG_REPO_EMPTY, /* nothing was made there yet */
    DR_PG_REPO_NO_BACKUP,
    DR_PG_REPO_OK,
    DR_PG_REPO_ERROR /* cannot be read: words */
};
struct dr_pg_repo {
    enum dr_pg_repo_state state;
    enum pr_code code; /* of ERROR */
    char words[DR_PG_WORDS];
    uint64_t system_id;      /* of the newest server that it is of */
    char archive[16];        /* id of that server's archive: "15-1" */
    uint32_t fulls, others;  /* good backups */
    uint32_t damaged;        /* with pages whose checksum is wrong */
    int64_t oldest_ms;       /* end of the oldest: a restore goes back to here; 0: none */
    int64_t full_ms, any_ms; /* end of the newest full one, of the newest; 0: none */
    char newest[DR_PG_LABEL];
    int64_t bytes; /* of all in the repository */
    bool busy;     /* a backup is under way */
};

/* How far the receiver is behind, as an age: of the oldest write that was seen on the primary and
 * not yet with the receiver. Grows also while the primary or the receiver does not answer. */
struct dr_pg_lag {
    uint64_t lsn; /* to be reached */
    int64_t at_ms;
};
/* A look at the primary. Returns the lag in ms. */
int64_t dr_pg_lag_step(struct dr_pg_lag *l, const struct dr_pg_server *s, int64_t now_ms);

enum dr_pg_alarm {
    DR_PG_ALARM_PRIMARY,    /* does not answer */
    DR_PG_ALARM_SETTINGS,   /* dr_pg_settings_ok */
    DR_PG_ALARM_RECEIVER,   /* not attached */
    DR_PG_ALARM_LAG,        /* over 4 s: 5 are promised */
    DR_PG_ALARM_ASYNC,      /* attached, and not synchronous: a loss of the primary loses rows */
    DR_PG_ALARM_SLOT,       /* lost, or three quarters of its cap used */
    DR_PG_ALARM_ARCHIVE,    /* fails, or more waits than 16 segments */
    DR_PG_ALARM_REPOSITORY, /* cannot be read, or holds damaged backups */
    DR_PG_ALARM_BACKUP,     /* none, or older than its schedule and a day */
    DR_PG_ALARMS
};
struct dr_pg_facts {
    int64_t now_ms, lag_ms;
    const struct dr_pg_server *server;
    const struct dr_pg_repo *repo;
    int64_t due_ms;  /* end of the newest backup is to be after this; 0: no backups are made here */
    bool supervised; /* a receiver is to run */
};
uint32_t dr_pg_alarms(const struct dr_pg_facts *f); /* bits 1 << enum dr_pg_alarm */
const char *dr_pg_alarm_name(enum dr_pg_alarm a);   /* "receiver" */
const char *dr_pg_slot_name(enum dr_pg_slot s);

/* "0/16B3740"; out has 24 bytes. */
void dr_pg_lsn_print(uint64_t lsn, char out[24]);
bool dr_pg_lsn_parse(const char *text, uint64_t *out);

#endif
