/* The fleets and their settings, read again when their version changes; and the time that
 * their policies live in. */
#ifndef AUTOSCALE_FLEETS_H
#define AUTOSCALE_FLEETS_H

#include "io/settings.h"
#include "io/setup.h"

#include "prism/io/db.h"

struct autoscale_fleet_row {
    char name[AUTOSCALE_NAME];
    int64_t version;
    bool enabled;
    int64_t made_ms;               /* of its first settings */
    struct autoscale_setup *setup; /* NULL: unfit */
    char unfit[256];               /* why; "" fit */
    char shared[256];              /* it would count another fleet's members; "" none */
    bool there;
};

struct autoscale_fleets { /* of one thread; zeroed: none */
    bool quiet;           /* another thread logs what is new */
    struct autoscale_fleet_row *
        *fleet; /* [n] by name; a row's address stays while its version does */
    size_t n;
};

/* A changed fleet is a new row: gone() is called with the old one before it is freed; NULL:
 * nobody needs to know. */
typedef void autoscale_fleet_gone(void *ctx, const struct autoscale_fleet_row *old);
PR_CHECKED enum pr_code autoscale_fleets_load(struct autoscale_fleets *f, struct pr_db *db,
                                              const struct autoscale_config *cfg,
                                              autoscale_fleet_gone *gone, void *ctx,
                                              struct pr_err *err);
void autoscale_fleets_done(struct autoscale_fleets *f, autoscale_fleet_gone *gone, void *ctx);

/* Settings from text, checked against those of the service. PR_EINVAL: path and why. */
PR_CHECKED enum pr_code autoscale_fleet_settings(const char *name, const char *settings,
                                                 const struct autoscale_config *cfg,
                                                 struct autoscale_setup *out, struct pr_err *err);

/* A member is of one fleet: two that are on share neither a zone of the Redis Cluster nor a
 * provider's group. PR_EINVAL: where they do. names: of the fleets. */
PR_CHECKED enum pr_code autoscale_fleets_apart(const char *name, const struct autoscale_setup *one,
                                               const char *other_name,
                                               const struct autoscale_setup *other,
                                               const struct autoscale_config *cfg,
                                               struct pr_err *err);
/* The same with every fleet that is stored and on. */
PR_CHECKED enum pr_code
autoscale_fleets_has_room(struct pr_db *db, const struct autoscale_config *cfg, const char *name,
                          const struct autoscale_setup *setup, struct pr_err *err);

/* The fleet's time: the machine's, or, in a trial, one that runs faster since it was made. */
int64_t autoscale_fleet_time(const struct autoscale_config *cfg,
                             const struct autoscale_fleet_row *f, int64_t now_ms);
/* Is decided for, and is carried out. */
bool autoscale_fleet_on(const struct autoscale_fleet_row *f);

#endif
