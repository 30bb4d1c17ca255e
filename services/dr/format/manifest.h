/* The manifest of a generation as JSON, so that a person can read it in the bucket:
 *
 *   {"format": 1, "cluster": "c", "shard": "s", "group": "g",
 *    "generation": "<epoch>-<n>" (as in the key), "replid": "...", "offset": n,
 *    "begun_ms": n, "ended_ms": n, "source": "host:port", "server_version": "7.0.15",
 *    "keys": n or null, "slot_epoch": n, "slots": [[first, last], ...],
 *    "parts": [{"bytes": n, "stored_bytes": n, "flags": n, "crc32c": "8 hex digits",
 *               "sha256": "64 hex digits"}, ...],
 *    "chain": "64 hex digits", "check": "64 hex digits"}
 *
 * check is the SHA-256 of all text before its own member, so that no byte of it can be changed by
 * accident, not even a blank. */
#ifndef DR_MANIFEST_H
#define DR_MANIFEST_H

#include "core/generation.h"

/* Into out (emptied first); g is sealed. PR_EINVAL: a field holds what cannot be, naming it.
 * PR_EFULL: beyond out's ceiling. PR_ENOMEM. */
PR_CHECKED enum pr_code dr_generation_write(const struct dr_generation *g, struct pr_buf *out,
                                            struct pr_err *err);
/* out->part is one malloc: dr_generation_done. PR_EDATA: no manifest, another format, damaged, or
 * its chain does not agree with the rest; names the field. PR_ENOMEM. */
PR_CHECKED enum pr_code dr_generation_read(const char *json, size_t n, struct dr_generation *out,
                                           struct pr_err *err);
#endif
