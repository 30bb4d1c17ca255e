/* Peak resident memory of this process, as Linux counts it. */
#ifndef PLACEMENT_MEMORY_H
#define PLACEMENT_MEMORY_H

#include <stdint.h>

void placement_peak_reset(void);     /* where the kernel refuses, the peak is since start */
uint64_t placement_peak_bytes(void); /* 0: unknown */

#endif
