/* The only place that reads clocks. Shells read it once per turn and pass
 * now_ms down; cores never call it. */
#ifndef PRISM_IO_CLOCK_H
#define PRISM_IO_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t pr_now_ms(void);  /* Unix epoch */
int64_t pr_mono_us(void); /* monotonic; only differences mean anything */

/* "2030-01-31T12:00:00Z" or "...+00:00"; fractions are dropped. ms: Unix epoch. */
bool pr_time_parse(const char *text, int64_t *ms);

#endif
