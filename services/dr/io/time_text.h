#ifndef DR_TIME_TEXT_H
#define DR_TIME_TEXT_H

#include <stdint.h>

/* "2030-01-31T12:00:00Z" in UTC; fractions are dropped. */
void dr_time_text(int64_t ms, char out[32]);

#endif
