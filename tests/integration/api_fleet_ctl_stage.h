/* A metadata-api whose plans are made and carried out by triggers of its database, as the rebalance
 * service would. */
#ifndef API_FLEET_CTL_STAGE_H
#define API_FLEET_CTL_STAGE_H

#include "api_fixture.h"

/* cmocka group fixture: api_small_setup, and the triggers; plans of 3 moves, carried out. */
int fleet_setup(void **state);
/* From now on: a plan has that many moves, is carried out once it is executed, or is refused in
 * these words (NULL: it is not). */
void fleet_orders(int moves, bool carries_out, const char *refuse);

#endif
