#include "core/pg_wal.h"

#include <string.h>

bool dr_wal_name_ok(const char *name)
{
    return strspn(name, "0123456789ABCDEF") == DR_PG_WAL - 1 && name[DR_PG_WAL - 1] == '\0';
}

void dr_wal_decide(struct dr_wal_file *file, size_t n, int64_t keep_bytes, const char *archived)
{
    int64_t newer = 0; /* bytes in the files behind it */
    for (size_t i = n; i-- > 0;) {
        struct dr_wal_file *f = &file[i];
        f->todo = DR_WAL_KEEP;
        if (f->in_repository)
            f->todo = newer >= keep_bytes ? DR_WAL_DROP : DR_WAL_KEEP;
        else if (archived[0] != '\0' && strcmp(f->name, archived) <= 0)
            f->todo = DR_WAL_PUSH;
        newer += f->bytes;
    }
}
