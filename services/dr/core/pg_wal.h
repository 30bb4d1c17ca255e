/* The segments that the receiver wrote: which of them may go, and which the archive has missed.
 * Pure. */
#ifndef DR_PG_WAL_H
#define DR_PG_WAL_H

#include "core/pg.h"

#include <stddef.h>

struct dr_wal_file {
    char name[DR_PG_WAL]; /* 24 hex digits: timeline, log, segment */
    int64_t bytes;
    bool in_repository;
    enum dr_wal_todo {
        DR_WAL_KEEP,
        DR_WAL_PUSH, /* the primary's archiver went past it without bringing it there */
        DR_WAL_DROP  /* it is in the repository, and not among the newest any more */
    } todo;
};

bool dr_wal_name_ok(const char *name); /* 24 hex digits in capitals */

/* Sets todo of file[n], oldest first by name. keep_bytes: of the newest stay here whatever is in
 * the repository. archived: the last that the primary's archiver says it brought away; "": none. */
void dr_wal_decide(struct dr_wal_file *file, size_t n, int64_t keep_bytes, const char *archived);

#endif
