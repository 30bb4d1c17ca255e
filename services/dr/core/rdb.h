/* What the beginning of an RDB says about the rest. Pure.
 * Source: Redis RDB format, versions 9 to 12. */
#ifndef DR_RDB_H
#define DR_RDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dr_rdb_head {
    bool whole;    /* as much was there as is looked at; else all else is unset */
    bool has_keys; /* of database 0; false: it says nothing, an empty database for one */
    uint64_t keys;
    char version[32]; /* of the server; "" */
};
/* False: no RDB, or one that is not understood. */
bool dr_rdb_head(const void *data, size_t n, struct dr_rdb_head *out);

#endif
