/* Nobody but who is kept may use a site's Redis; and everybody again.
 *
 * On every node users are turned off that are not kept, and their connections ended. Which ones is
 * noted on the node itself, in the name patterns of a user that is off (DR_LOCK_USER): so the note
 * is lost exactly where the lock is, in a node that restarts and reads its users from its files. */
#ifndef DR_LOCK_H
#define DR_LOCK_H

#include "io/region/sites.h"

#include "core/region.h"

#define DR_LOCK_USER "prism-locked-out"

struct dr_lock {                   /* owned: dr_lock_done */
    size_t nodes;                  /* of the site's file, and those that they know */
    size_t silent;                 /* that do not answer, or refuse us: nothing was done there */
    size_t refused;                /* of those; a wrong password, a permission that is missing */
    size_t users, users_on;        /* turned off, or on, by this */
    char silent_names[160];        /* the first of silent, with what those that refused said; "" */
    struct dr_region_point *point; /* [points] of primaries that own slots and answered */
    size_t points;
};
/* Doing it again is harmless. PR_OK also when nodes are silent or refuse us: see there. Any other
 * error: one that answers failed, or somebody is still on, named. */
PR_CHECKED enum pr_code dr_lock_out(const struct dr_site *s, struct dr_lock *out,
                                    struct pr_err *err);
/* Turns on who is noted, and forgets the note. */
PR_CHECKED enum pr_code dr_lock_admit(const struct dr_site *s, struct dr_lock *out,
                                      struct pr_err *err);
/* Nothing but who is silent. */
PR_CHECKED enum pr_code dr_lock_look(const struct dr_site *s, struct dr_lock *out,
                                     struct pr_err *err);
void dr_lock_done(struct dr_lock *l);

#endif
