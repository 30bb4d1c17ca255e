/* AWS with the group redis-a-pg1 of three members, and an actuator for it. */
#ifndef AUTOSCALE_AWS_STAGE_H
#define AUTOSCALE_AWS_STAGE_H

#include "autoscale_provider.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

extern struct autoscale_target one_target[1]; /* its name may be changed for a while */

struct autoscale_provider settings_of(struct provider *p);
int aws_setup(void **state); /* *state: a struct provider */
int aws_teardown(void **state);

#endif
