/* Memory and disk that are free. */
#ifndef DR_ROOM_IO_H
#define DR_ROOM_IO_H

#include "core/room.h"

/* dir exists. Memory: what the kernel says is available, or less where the control group has less.
 */
PR_CHECKED enum pr_code dr_room_look(const char *dir, struct dr_room *out, struct pr_err *err);

#endif
