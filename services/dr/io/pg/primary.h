/* What is asked of a PostgreSQL server by SQL, whoever runs it. db: as a superuser. */
#ifndef DR_PG_PRIMARY_H
#define DR_PG_PRIMARY_H

#include "core/pg.h"

#include "prism/io/db.h"

/* PR_EUNAVAIL: no primary answers. */
PR_CHECKED enum pr_code dr_pg_look(struct pr_db *db, int64_t now_ms, struct dr_pg_server *out,
                                   struct pr_err *err);

/* The receiver's slot: there, and not lost, when this returns. */
PR_CHECKED enum pr_code dr_pg_slot_make(struct pr_db *db, struct pr_err *err);
PR_CHECKED enum pr_code dr_pg_slot_drop(struct pr_db *db, struct pr_err *err);

/* An old primary may not be written to any more. Takes CONNECT on the database from all who have
 * it, and notes them in the database; ends their sessions; then looks whether anybody who is no
 * superuser could still connect, or does. Doing it again is harmless. db: connected to another
 * database of the server. PR_ECONFLICT: somebody is left, named. */
struct dr_pg_locked {
    int64_t grants;   /* taken, now or before */
    int64_t ended;    /* sessions */
    int64_t prepared; /* transactions that are prepared there, and keep their locks */
};
PR_CHECKED enum pr_code dr_pg_lock_out(struct pr_db *db, const char *database,
                                       struct dr_pg_locked *out, struct pr_err *err);
/* Nobody who is no superuser may connect. */
PR_CHECKED enum pr_code dr_pg_is_locked(struct pr_db *db, const char *database, bool *is,
                                        struct pr_err *err);
/* Gives back what was taken. *grants: how many. */
PR_CHECKED enum pr_code dr_pg_admit(struct pr_db *db, const char *database, int64_t *grants,
                                    struct pr_err *err);

#endif
