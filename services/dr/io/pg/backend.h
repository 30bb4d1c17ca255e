/* Whoever keeps PostgreSQL safe: `self` here; a managed service would answer the same by its API.
 * All of these block for as long as the work takes. */
#ifndef DR_PG_BACKEND_H
#define DR_PG_BACKEND_H

#include "io/settings.h"

#include "core/pg.h"

struct dr_pg_status {
    struct dr_pg_server server; /* at_ms 0: no primary answers: words */
    char words[DR_PG_WORDS];
    struct dr_pg_repo repo;
};

struct dr_pg_restore {
    const char
        *to; /* self: a directory that is absent or empty; a managed service: a new instance */
    int64_t until_ms;           /* Unix epoch; INT64_MAX: all there is */
    const char *set;            /* label of a backup; NULL: the fitting one */
    bool scratch;               /* to look at, not to take over: archives nothing */
    const char *const *setting; /* "name=value", NULL-terminated; may be NULL */
    const char *mark;           /* empty file that is in it as soon as it is there; may be NULL */
};
struct dr_pg_restored {
    char backup[DR_PG_LABEL]; /* that it began with */
    uint64_t system_id;
};

struct dr_pg_promote {
    const char *at;      /* the directory (started when it does not run), or the instance */
    const char *options; /* of the server at its start; NULL: none */
    int64_t wait_ms;
};
struct dr_pg_promoted {
    uint32_t timeline;
    uint64_t lsn;
    int64_t admitted;  /* grants given back, when it was locked out before it was copied */
    char address[160]; /* host:port */
};

struct dr_pg_rewind {
    const char *at;      /* data directory of the old primary; stopped */
    const char *options; /* of the server at its start; NULL: none */
    int64_t wait_ms;
    const char *mark; /* empty file that is in it when it is done; may be NULL */
};

struct dr_pg_lockout {
    bool admit;   /* the other way round */
    bool if_open; /* only when somebody who is no superuser could connect: superusers' sessions,
                   * which are ended with the others', stay where all is as it should be */
    int64_t grants, ended, prepared;
};

struct dr_pg_backend {
    const char *name;
    enum pr_code (*open)(void **self, const struct dr_config *cfg, struct pr_err *err);
    void (*close)(void *self);
    enum pr_code (*status)(void *self, struct dr_pg_status *out, struct pr_err *err);
    enum pr_code (*backup)(void *self, bool full, struct dr_pg_repo *after, struct pr_err *err);
    enum pr_code (*restore)(void *self, const struct dr_pg_restore *how, struct dr_pg_restored *out,
                            struct pr_err *err);
    enum pr_code (*promote)(void *self, const struct dr_pg_promote *how, struct dr_pg_promoted *out,
                            struct pr_err *err);
    enum pr_code (*lockout)(void *self, struct dr_pg_lockout *io, struct pr_err *err);
    enum pr_code (*rewind)(void *self, const struct dr_pg_rewind *how, struct pr_err *err);
    /* The server or instance at ...; one that does not run, or is not there, is PR_OK. */
    enum pr_code (*stop)(void *self, const char *at, struct pr_err *err);
};

/* PR_EINVAL: PRISM_DR_PG_BACKEND names none. */
PR_CHECKED enum pr_code dr_pg_backend_find(const char *name, const struct dr_pg_backend **out,
                                           struct pr_err *err);

extern const struct dr_pg_backend dr_pg_self;

#endif
