/* How far a fleet plan is, and how long it takes: what REST, prismctl and the events
 * say of it. Pure. */
#ifndef REBALANCE_FLEET_PROGRESS_H
#define REBALANCE_FLEET_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rebalance_fleet_progress {
    double steps, verified;
    double bytes, moved_bytes; /* of slots, expected and so far */
    double running_s;
};
double rebalance_fleet_ratio(const struct rebalance_fleet_progress *p); /* 0..1 */
double rebalance_fleet_eta_s(const struct rebalance_fleet_progress *p); /* negative: unknown */

/* Speed over the last seconds: what was seen of a growing number now and then. */
enum { REBALANCE_SPEED_SAMPLES = 16 };
struct rebalance_speed { /* zero is empty */
    struct {
        int64_t at_us;
        double bytes;
    } seen[REBALANCE_SPEED_SAMPLES];
    unsigned n; /* in all; the newest is seen[(n - 1) % SAMPLES] */
};
/* now_us grows; a look sooner than a second after the one before changes nothing. */
void rebalance_speed_see(struct rebalance_speed *s, int64_t now_us, double bytes);
/* Between the oldest look kept and now; 0 while there is none. */
double rebalance_speed_per_s(const struct rebalance_speed *s, int64_t now_us, double bytes);

/* What is known of a plan that is being carried out. */
struct rebalance_fleet_seen {
    int wave, waves;                        /* wave: the first with something left; 0: nothing is */
    uint64_t steps, verified, begun, stuck; /* begun: and not over */
    uint64_t slots, slots_verified;
    double bytes, bytes_verified;      /* expected ones, of slots */
    double wave_bytes;                 /* bytes_verified when the wave in hand began */
    double moving_bytes;               /* of keys moved in it since */
    double running_s;                  /* in which it was carried out, pauses not counted */
    const char *stuck_why, *waits_for; /* "" or NULL: nothing; borrowed */
};
/* What is told of it. */
struct rebalance_fleet_told {
    double ratio; /* 0..1; 1 only of a plan that is done */
    double eta_s; /* negative: unknown */
    int wave, waves;
    uint64_t steps, steps_done, steps_running, steps_stuck;
    uint64_t slots, slots_done;
    double bytes, bytes_done, bytes_per_s;
    char reason[256]; /* why it stands still or is slow; "" */
};
/* told: what was told last (zero: nothing yet), and then what is told now. Its ratio and
 * bytes never go back. speed: of the bytes; takes part in every telling of one plan. */
void rebalance_fleet_tell(const struct rebalance_fleet_seen *seen, int64_t now_us,
                          struct rebalance_speed *speed, struct rebalance_fleet_told *told);
/* As of a change of state (plans.state): nothing runs any more in one that is over or
 * paused, and the ratio of one that is done is 1. why: of the state, NULL or "" none. */
void rebalance_fleet_tell_state(struct rebalance_fleet_told *told, const char *state,
                                const char *why);

/* What a plan is expected to take. A slot costs its bytes and some round trips with
 * both shards however few keys it holds; a step of another kind is mostly waiting
 * for gossip, its bytes are a new replica's. */
struct rebalance_fleet_work {
    double bytes; /* copied */
    size_t slots, others;
    size_t pairs;       /* that move at once, as the plan allows; 0: 1 */
    double bytes_per_s; /* of all pairs together */
};
double rebalance_fleet_duration_s(const struct rebalance_fleet_work *w);

#endif
