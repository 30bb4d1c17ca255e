/* Structs as JSON objects, by tables: one row a member, read and written by the same table, so
 * that what is written can be read. Reading is strict: a member that no row names, a wrong
 * type or a value out of range is an error that names the path ("fleet.zones[2].name").
 * A member that is left out keeps what the struct held before: its default.
 * Numbers survive exactly: 17 digits, null for what is unknown, "inf" and "-inf". */
#ifndef AUTOSCALE_JSON_FIELDS_H
#define AUTOSCALE_JSON_FIELDS_H

#include "core/fleet.h"
#include "prism/arena.h"
#include "prism/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind {
    FIELD_INT, /* int */
    FIELD_I32,
    FIELD_I64,
    FIELD_U64,
    FIELD_SIZE,
    FIELD_BOOL,
    FIELD_REAL,  /* double; null is NAN, where the row is FIELD_NULLABLE */
    FIELD_LOWER, /* double; null is -INFINITY: no bound */
    FIELD_UPPER, /* double; null is INFINITY */
    FIELD_TEXT,  /* char[cap] */
    FIELD_WORDS, /* const char *, borrowed from the arena */
    FIELD_NAME,  /* an enum of int's size: index into names[cap] */
    FIELD_ZONE,  /* int: the fleet's zone of that name */
    FIELD_GROUP, /* ... placement group; null is -1 */
    FIELD_TYPE,  /* ... instance type */
    FIELD_OBJECT,
    FIELD_ARRAY, /* of objects: struct[cap]; how many is at `count` */
    FIELD_LIST,  /* of objects: a pointer to `count` of them, in the arena */
    FIELD_REALS, /* double[cap]; what is left out at the end is 0 */
    FIELD_I64S,
    FIELD_I32S,
    FIELD_WITHIN /* the rows of another table, as if they were here */
};

enum field_flag {
    FIELD_NULLABLE = 1,
    FIELD_NEEDED = 2,   /* may not be left out */
    FIELD_OMIT_NAN = 4, /* not written when unknown */
    FIELD_OMIT_ZERO = 8 /* not written when 0, false, "" or empty */
};

struct field_table;
struct field {
    const char *name;
    enum field_kind kind;
    size_t at;
    unsigned flags;
    double lo, hi; /* of a number, both inside; equal: whatever its type holds */
    size_t cap, count;
    enum field_count { COUNT_INT, COUNT_I32, COUNT_SIZE } count_is;
    const struct field_table *of;
    const char *const *names;
};

struct field_table {
    const struct field *field;
    size_t n, bytes;
    void (*defaults)(void *one); /* of an element of a list, after it was zeroed; or NULL */
};
#define FIELD_TABLE(rows, type, set)                                                               \
    {                                                                                              \
        rows, PR_COUNT(rows), sizeof(type), set                                                    \
    }

struct field_ctx {
    const struct autoscale_fleet *fleet; /* for zones, groups and types by name */
    struct pr_arena *arena;              /* for lists and words */
    struct pr_err *err;
    char path[160];
};

/* Appends a member (or, member NULL, an index) to the path; leave with what enter returned. */
size_t field_enter(struct field_ctx *c, const char *member, size_t index);
void field_leave(struct field_ctx *c, size_t at);
/* PR_EINVAL, with the path before the words. */
PR_CHECKED enum pr_code field_bad(struct field_ctx *c, const char *fmt, ...) PR_PRINTF(2, 3);

/* also: one more member that is allowed, and read by somebody else; or NULL. */
PR_CHECKED enum pr_code fields_read(struct field_ctx *c, const struct field_table *t,
                                    const json_t *o, const char *also, void *to);
/* A new object; NULL without memory. */
json_t *fields_write(const struct autoscale_fleet *fleet, const struct field_table *t,
                     const void *from);
/* Adds to an object; false without memory. */
bool fields_add(const struct autoscale_fleet *fleet, const struct field_table *t, const void *from,
                json_t *o);
json_t *field_number(double v);
json_t *field_text(const char *s); /* bytes that are no UTF-8 become ?; NULL: no memory */

#endif
