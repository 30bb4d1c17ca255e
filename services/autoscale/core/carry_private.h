/* One look of core/carry.h, shared by carry.c (who leaves), carry_numbers.c (what the provider
 * wants), carry_plan.c (joining and draining) and carry_begin.c (what is intended). */
#ifndef AUTOSCALE_CARRY_PRIVATE_H
#define AUTOSCALE_CARRY_PRIVATE_H

#include "core/carry.h"

struct carry_place {      /* one target, as it is seen */
    int staying;          /* members in use that stay */
    int foreign;          /* of them: who answers and is not the provider's */
    int leaving;          /* who leaves and still counts at the provider */
    int told;             /* of them: who may have been terminated already */
    int joinable, need;   /* cluster: who came and is in no use; who is still to join */
    int number;           /* what the provider should want */
    bool known, is_short; /* short: no more will come */
    struct autoscale_settlement is;
};

struct carry_look {
    const struct autoscale_carry_pace *pace;
    const struct autoscale_carry_facts *facts;
    struct autoscale_carry *r;
    struct autoscale_carry_step *out;
    struct carry_place place[AUTOSCALE_CARRY_TARGETS];
};

void carry_count(struct carry_look *l); /* fills place, from the record as it is */
/* Counts at the provider, whoever decides how many there are. */
bool carry_present(const struct autoscale_carry_member *m);
struct autoscale_leaver *carry_leaver(struct autoscale_carry *r, const char *id);
bool carry_owns(const struct autoscale_carry *r, const char *id);
void carry_own(struct autoscale_carry *r, const char *id);
bool carry_leave(struct autoscale_carry *r, const char *id, int target, int64_t out_ms);
void carry_stay(struct autoscale_carry *r, const char *id); /* leaves no more */

/* Waits in that phase; true, for the callers' sake. */
bool carry_wait(struct carry_look *l, enum autoscale_phase phase, const char *fmt, ...)
    PR_PRINTF(3, 4);
bool carry_act(struct carry_look *l, enum autoscale_phase phase, enum autoscale_act act,
               const char *fmt, ...) PR_PRINTF(4, 5);
void carry_failing(struct carry_look *l, const char *fmt, ...)
    PR_PRINTF(2, 3); /* first one stays */

/* True: the act, or to wait, is settled. */
bool carry_numbers(struct carry_look *l);  /* what the provider should want */
bool carry_unknown(struct carry_look *l);  /* nobody knows what runs */
bool carry_arrivals(struct carry_look *l); /* what is on its way, or will not come */
bool carry_plan(struct carry_look *l);
bool carry_join(struct carry_look *l);
bool carry_drain(struct carry_look *l);

#endif
