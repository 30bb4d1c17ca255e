/* Memory of this process and what it may still take, as Linux counts it. */
#ifndef PLACEMENT_MEMORY_H
#define PLACEMENT_MEMORY_H

#include <stdint.h>

void placement_peak_reset(void);     /* where the kernel refuses, the peak is since start */
uint64_t placement_peak_bytes(void); /* 0: unknown */

/* What may be taken before the machine or the cgroup runs out; 0: unknown. */
uint64_t placement_memory_free(void);

#endif
