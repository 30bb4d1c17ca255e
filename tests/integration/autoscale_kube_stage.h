/* Kubernetes with a Deployment of two pods and a StatefulSet of three, and an actuator. */
#ifndef AUTOSCALE_KUBE_STAGE_H
#define AUTOSCALE_KUBE_STAGE_H

#include "autoscale_provider.h"

enum { PROXY, REDIS }; /* deployments/proxy-a, statefulsets/redis-b */

extern char token_path[64];

struct autoscale_provider settings_of(struct provider *p);
int kube_setup(void **state); /* *state: a struct provider */
int kube_teardown(void **state);

#endif
