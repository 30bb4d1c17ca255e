/* A dr service of the test's own: says of a fail-over what it is told to, keeps what it was asked.
 */
#ifndef API_FAILOVERS_STAGE_H
#define API_FAILOVERS_STAGE_H

#include "api_fixture.h"

#include "prism/v1/dr.pb-c.h"

#include <pthread.h>

extern struct failovers_dr {
    pthread_mutex_t mu;
    Prism__V1__DrFailoverRequest last; /* no pointers of it */
    char verb[16], to[64], by[64], key[80];
    const char *status; /* what STATUS says */
    bool executing;
    enum pr_code refuse;
    int asked, looked, done_after; /* STATUS is "done" after so many looks; 0: never */
} failovers_dr;

extern const char FAILOVERS_NEVER[], FAILOVERS_AT_WORK[], FAILOVERS_STOPPED[], FAILOVERS_DONE[];

void failovers_dr_is(const char *status, bool executing); /* from now on, and refuses nothing */
void failovers_dr_answers(bool there);

#endif
