/* What pgBackRest complains of, in one line and a code. Pure. Source: its error messages (2.45),
 * which carry the whole exchange with the bucket. */
#ifndef DR_PG_VERDICT_H
#define DR_PG_VERDICT_H

#include "core/pg.h"

#include <stddef.h>

/* The code, and the line that tells most into words; text[0..n): all that it said, any bytes. */
enum pr_code dr_pg_verdict(const char *text, size_t n, char words[DR_PG_WORDS]);

#endif
