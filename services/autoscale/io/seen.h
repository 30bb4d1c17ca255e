/* What providers reported last, told by the thread that asks them to the one that decides. */
#ifndef AUTOSCALE_SEEN_H
#define AUTOSCALE_SEEN_H

#include "io/actuators/actuator.h"

#include "core/fleet.h"

#include <pthread.h>

struct autoscale_sight { /* of one fleet; release with autoscale_sight_done */
    int64_t at_us;       /* monotonic */
    struct autoscale_report report;
    int zone[AUTOSCALE_TARGETS], group[AUTOSCALE_TARGETS];
    bool names[AUTOSCALE_TARGETS]; /* members can be terminated by name */
};
void autoscale_sight_done(struct autoscale_sight *s);

struct autoscale_seen {
    pthread_mutex_t lock;
    struct autoscale_seen_fleet *first;
};
void autoscale_seen_init(struct autoscale_seen *s);
void autoscale_seen_done(struct autoscale_seen *s);
/* Takes over sight->report; NULL: nothing is known of that fleet any more. */
void autoscale_seen_put(struct autoscale_seen *s, const char *fleet, struct autoscale_sight *sight);
/* A copy. False: nothing is known, or no memory. */
bool autoscale_seen_get(struct autoscale_seen *s, const char *fleet, struct autoscale_sight *out);

#endif
