/* What the tests of /v1/autoscale share: rows as the autoscale service writes them, and
 * somebody who answers in its place. */
#ifndef API_AUTOSCALE_STAGE_H
#define API_AUTOSCALE_STAGE_H

#include "api_fixture.h"

/* cmocka group fixtures: an empty metadata-api, partitions for samples, an answerer. */
int scale_setup(void **state);
int scale_teardown(void **state);

/* The answerer: settings that hold "refuse me" are refused at policies[0].target_pct; fleet
 * "silent" cannot be simulated; decision 404404 cannot be replayed, and of others those with
 * an even number are equal. */
struct scale_asked {
    int checks, simulations, replays; /* since the start */
    char settings[4096];              /* of the last check or simulation */
    int64_t from_ms, to_ms;
};
extern struct scale_asked scale_asked;
void scale_answerer(bool there); /* comes or goes */

/* A fleet by its own hand, with settings {}. */
void scale_fleet(const char *name);
/* A decision of a fleet, `minutes` ago; returns its number. decision and input: JSON. */
long long scale_decision(const char *fleet, int minutes, const char *move, int from, int to,
                         const char *state, const char *decision, const char *input);
/* One with votes, places and leavers, inward from 54 to 51, of shards. */
long long scale_inward(const char *fleet, int minutes, const char *state);
void scale_sample(const char *fleet, const char *at, double cpu_pct, int serving);

#endif
