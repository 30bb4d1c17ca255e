/* One look of core/carry.h, shared by carry.c (who is who), carry_leave.c (who leaves),
 * carry_numbers.c (what the provider wants), carry_plan.c (joining and draining), carry_begin.c
 * (what is intended) and carry_lapse.c (what is too old). */
#ifndef AUTOSCALE_CARRY_PRIVATE_H
#define AUTOSCALE_CARRY_PRIVATE_H

#include "core/carry.h"

struct carry_place {    /* one target, as it is seen */
    int staying;        /* members in use that stay */
    int foreign;        /* of them: who answers and is not the provider's */
    int leaving;        /* who leaves and still counts at the provider */
    int told;           /* of them: who may have been terminated already */
    int joinable, need; /* cluster: who came and is in no use; who is still to join */
    int number;         /* what the provider should want */
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

void carry_clock(struct carry_look *l);    /* what is of the future was written by a wrong clock */
void carry_keep(struct carry_look *l);     /* cluster: who was to leave and is in it stays */
void carry_no_more(struct carry_look *l);  /* cluster: who is not in it is not waited for */
void carry_lapse(struct carry_look *l);    /* gives up what nobody has looked at for long */
void carry_mark_out(struct carry_look *l); /* since when leavers serve nothing */

/* True: the act, or to wait, is settled. */
bool carry_numbers(struct carry_look *l);  /* what the provider should want */
bool carry_unknown(struct carry_look *l);  /* nobody knows what runs */
bool carry_arrivals(struct carry_look *l); /* what is on its way, or will not come */
bool carry_plan(struct carry_look *l);
bool carry_join(struct carry_look *l);
bool carry_drain(struct carry_look *l);
bool carry_depart(struct carry_look *l); /* who serves nothing any more is terminated */

#endif
