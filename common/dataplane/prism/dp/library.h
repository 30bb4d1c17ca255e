/* The Redis function library `prism` (common/dataplane/prism.lua), embedded at
 * build time. Loaded by prism-admin and checked by every user of the store. */
#ifndef PRISM_DP_LIBRARY_H
#define PRISM_DP_LIBRARY_H

enum { PR_LIBRARY_VERSION = 1 };
extern const char pr_library_code[]; /* NUL-terminated Lua source */

/* Functions, all with one vertex key (promote: vertex key, staging key; print: any keys of a
 * slot); every reply but that of print is an array whose first element is a status word:
 *   FCALL prism_take key E            -> LIVE v dump | STUB "<p>:<e>" | ABSENT | REFUSED e
 *   FCALL prism_fence key v d E       -> OK | REFUSED why
 *   FCALL prism_promote key gkey E    -> OK | DONE | ALARM
 *   FCALL prism_route key d E         -> OK | LIVE | NEWER
 *   FCALL prism_write key n f v ... [field ...]  n pairs set, the rest deleted
 *                                     -> OK v | MOVED "<p>:<e>" | ABSENT | DELETED | FULL
 *   FCALL prism_delete key            -> OK v | MOVED m | ABSENT | DELETED
 *   FCALL prism_claim key t ishome    -> OK | STUB m | LIVE | DELETED   (what is there now;
 *                                        OK: an empty vertex was made, STUB: also the claim
 *                                        just made)
 *   FCALL prism_create key n f v ... [existing]
 *                                     -> OK v | MOVED m | FULL | ABSENT (only with "existing";
 *                                        see client_cmd.existing_only in client.h)
 *   FCALL prism_load key f v ...      -> OK v | MOVED m | DELETED | FULL  (bulk load at home:
 *                                        creates when absent, adds fields when LIVE)
 *   FCALL_RO prism_get key field ...  -> LIVE v value... | MOVED m | ABSENT | DELETED
 *   FCALL_RO prism_neighbors key dir cursor count
 *                                     -> LIVE cursor id weight ... | MOVED m | ABSENT | DELETED
 *                                        dir "o" or "i"; cursor "0" starts and ends
 *   FCALL_RO prism_version key        -> OK 1
 *   FCALL_RO prism_print key ...      -> text ...   (no status word: a fingerprint of each
 *                                        vertex's value and expiry; "": none, or no vertex. What
 *                                        has the library without it, by an older release, has the
 *                                        same version: whoever asks does without)
 *
 * v and e in replies, and the 1 of prism_version, are RESP integers; everything
 * else (status words, dump, stubs, cursor, values) is a bulk string, a missing
 * value of prism_get a nil. m and "<p>:<e>" are one bulk string. Arguments are
 * canonical decimal text. Wrong calls get an error reply "ERR prism_<name>: ..." */

#endif
