/* Between the files of a region fail-over. */
#ifndef DR_REGION_PRIVATE_H
#define DR_REGION_PRIVATE_H

#include "io/region/journal.h"
#include "io/region/lock.h"
#include "io/region/marker.h"
#include "io/region/region.h"
#include "io/region/sites.h"
#include "io/region/tail.h"
#include "io/store.h"

#include "prism/io/db.h"

struct dr_region_job {
    const struct dr_region_run *run;
    struct dr_sites sites;
    struct dr_store store;
    struct pr_s3 *s3;
    struct dr_marker owner; /* newest when it was opened */
    struct dr_journal journal;
    const struct dr_site *from, *to; /* NULL before they are known */
    struct dr_tail tail;
};

/* A step acts; it may have been begun before, and done in part or whole. text: what to say of it;
 * facts: members for the journal. PR_OK: done_when of its row is so. */
struct dr_region_said {
    char text[DR_REGION_TEXT];
    struct pr_buf facts;
};
typedef enum pr_code dr_region_act(struct dr_region_job *job, struct dr_region_said *said,
                                   struct pr_err *err);

bool dr_region_canceled(const struct dr_region_job *job);
/* Where the new side's rows are: its PostgreSQL, or PRISM_DB_URI. NULL: nobody said; then nothing
 * is begun or resumed, because of DR_REGION_NO_DB. */
#define DR_REGION_NO_DB                                                                            \
    "the sites have no \"postgres\", and neither PRISM_DB_URI nor PRISM_DB_URI_FILE is set: the "  \
    "database where routes and nodes are"
const char *dr_region_db_uri(const struct dr_region_job *job);

/* check.c: everything that would be needed. facts: from, to, flags, data, next_data are set. */
struct dr_region_check {
    struct pr_buf problems, shards; /* JSON, the members of two arrays */
    char first[DR_REGION_TEXT];     /* of the fatal problems */
    size_t fatal, of_shards;
    int64_t rpo_ms; /* age of the oldest shard now; -1: not known */
};
PR_CHECKED enum pr_code dr_region_look(struct dr_region_job *job, const struct dr_region_facts *f,
                                       struct dr_region_check *out, struct pr_err *err);
void dr_region_check_done(struct dr_region_check *c);

/* steps.c */
extern dr_region_act *const dr_region_acts[DR_REGION_STEPS];
extern dr_region_act *const dr_region_backs[DR_REGION_STEPS]; /* of those with an undo */
PR_CHECKED enum pr_code dr_region_hook(const struct dr_region_job *job, const struct dr_site *s,
                                       enum dr_hook which, struct pr_err *err);

/* verify.c */
enum pr_code dr_region_verify(struct dr_region_job *job, struct dr_region_said *said,
                              struct pr_err *err);

/* postgres.c. What a site without PostgreSQL has to do is nothing. */
struct dr_region_pg_lock {
    bool if_open; /* in: see struct dr_pg_lockout */
    bool silent;  /* it does not answer */
    char words[DR_REGION_TEXT];
    int64_t grants, ended;
};
PR_CHECKED enum pr_code dr_region_pg_lock(const struct dr_config *cfg, const struct dr_site *s,
                                          bool admit, struct dr_region_pg_lock *out,
                                          struct pr_err *err);
/* Why it could not be restored; "": it could. */
PR_CHECKED enum pr_code dr_region_pg_check(const struct dr_region_job *job, bool over_existing,
                                           char why[DR_REGION_TEXT], struct pr_err *err);
enum pr_code dr_region_pg_restore(struct dr_region_job *job, struct dr_region_said *said,
                                  struct pr_err *err);
enum pr_code dr_region_pg_back(struct dr_region_job *job, struct dr_region_said *said,
                               struct pr_err *err);
enum pr_code dr_region_pg_promote(struct dr_region_job *job, struct dr_region_said *said,
                                  struct pr_err *err);
/* It takes a write. */
PR_CHECKED enum pr_code dr_region_pg_verify(const struct dr_region_job *job, struct pr_err *err);

/* rows.c: in the new side's database; nothing where there is none. Nodes of the old side give way
 * to the new side's, and dr knows nothing of the streams it had followed. */
PR_CHECKED enum pr_code dr_region_register(const struct dr_region_job *job, struct pr_err *err);
PR_CHECKED enum pr_code dr_region_report(const struct dr_region_job *job, const char *report,
                                         bool *written, struct pr_err *err);

/* region.c: as status prints it. */
void dr_region_print(const struct dr_region_job *job, struct pr_buf *out);

#endif
