/* The only place that reads clocks. Shells read it once per turn and pass
 * now_ms down; cores never call it. */
#ifndef PRISM_IO_CLOCK_H
#define PRISM_IO_CLOCK_H

#include <stdint.h>

int64_t pr_now_ms(void);  /* Unix epoch */
int64_t pr_mono_us(void); /* monotonic; only differences mean anything */

#endif
