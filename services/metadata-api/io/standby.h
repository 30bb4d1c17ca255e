/* Who may ask for a fail-over where PostgreSQL, and so every token, is away: the holder of the
 * standby token, whose hash is in a file. What is done meanwhile is kept for the audit trail. */
#ifndef METADATA_API_STANDBY_H
#define METADATA_API_STANDBY_H

#include "api_snapshot.h"
#include "prism/err.h"
#include "prism/io/db.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct api_standby_gate; /* thread-safe */

/* hash_file "": there is no such token. PR_EINVAL: the file cannot be read, or is no hash. */
PR_CHECKED enum pr_code api_standby_open(struct api_standby_gate **gate, const char *hash_file,
                                         struct pr_err *err);
void api_standby_close(struct api_standby_gate *g); /* NULL is fine */

bool api_standby_has_token(const struct api_standby_gate *g);
/* hash: SHA-256 of what the request brought. */
bool api_standby_is(const struct api_standby_gate *g, const unsigned char hash[API_HASH_BYTES]);
/* Whether PostgreSQL was found to be away, every second or so; and for how long it was not. */
void api_standby_saw(struct api_standby_gate *g, bool away, int64_t mono_ms);
int64_t api_standby_up_ms(const struct api_standby_gate *g, int64_t mono_ms); /* since opened */
int64_t api_standby_away_age_ms(struct api_standby_gate *g, int64_t mono_ms); /* < 0: never away */

/* Puts an action on the list of what is to be audited; after may be NULL, and stays the caller's.
 */
void api_standby_note(struct api_standby_gate *g, const char *who, const char *action,
                      const char *resource, const json_t *after, int64_t now_ms);
/* Writes the list to PostgreSQL; what could not be written stays on it. */
PR_CHECKED enum pr_code api_standby_audit(struct api_standby_gate *g, struct pr_db *db,
                                          struct pr_err *err);

#endif
