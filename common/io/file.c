#include "prism/io/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct pr_stamp pr_stamp_of(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return (struct pr_stamp){ .there = false };
    return (struct pr_stamp){ s.st_dev, s.st_ino, s.st_size, s.st_mtim, s.st_ctim, true };
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool pr_stamp_same(const struct pr_stamp *a, const struct pr_stamp *b)
{
    return a->there == b->there && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           same_time(a->mtime, b->mtime) && same_time(a->ctime, b->ctime);
}

/* Of this moment, not of the file. */
static bool passes(int fault)
{
    return fault == EMFILE || fault == ENFILE || fault == ENOMEM || fault == EINTR ||
           fault == EIO || fault == ESTALE || fault == ETIMEDOUT;
}

enum pr_code pr_file_read(const char *setting, const char *path, size_t max_bytes,
                          struct pr_buf *out, struct pr_err *err)
{
    const char *wrong = NULL;
    bool passing = false;
    pr_buf_init(out, max_bytes);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return pr_fail(err, passes(errno) ? PR_EUNAVAIL : PR_EINVAL, "%s: %s: %s", setting, path,
                       strerror(errno));
    /* At once, for growing would leave copies of it behind. */
    if (!pr_buf_reserve(out, max_bytes)) {
        wrong = "no memory for it";
        passing = true;
    } else {
        setvbuf(f, NULL, _IONBF, 0);
        errno = 0;
        out->len = fread(out->data, 1, max_bytes, f);
        out->data[out->len] = '\0';
        char one;
        const bool more = out->len == max_bytes && fread(&one, 1, 1, f) == 1;
        wrong = ferror(f)       ? "cannot be read"
                : more          ? "is too large"
                : out->len == 0 ? "is empty"
                                : NULL;
        passing = ferror(f) && passes(errno);
    }
    (void)fclose(f);
    return wrong == NULL ? PR_OK
                         : pr_fail(err, passing ? PR_EUNAVAIL : PR_EINVAL, "%s: %s: %s", setting,
                                   path, wrong);
}

void pr_file_forget(struct pr_buf *b)
{
    if (b->data != NULL)
        explicit_bzero(b->data, b->cap);
    pr_buf_done(b);
}
