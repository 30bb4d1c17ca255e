/* Files that somebody else replaces: certificates, keys, tables of roles. */
#ifndef PRISM_IO_FILE_H
#define PRISM_IO_FILE_H

#include "prism/buf.h"
#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <time.h>

/* What a file was like at one time. Take it before reading: what is replaced meanwhile is then
 * seen as changed at the next look. */
struct pr_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
    bool there;
};
struct pr_stamp pr_stamp_of(const char *path); /* follows links, as Kubernetes exchanges them */
bool pr_stamp_same(const struct pr_stamp *a, const struct pr_stamp *b);

/* All of a file, at most max_bytes, into *out, which pr_file_forget must get in any case. setting:
 * whose value path is, for errors; PR_EINVAL: it cannot be read, is empty or too large;
 * PR_EUNAVAIL: another try may do (no memory, no file to open, an I/O error). */
PR_CHECKED enum pr_code pr_file_read(const char *setting, const char *path, size_t max_bytes,
                                     struct pr_buf *out, struct pr_err *err);
void pr_file_forget(struct pr_buf *b); /* overwritten before it is freed: it may be a key */

#endif
