#ifndef AUTOSCALE_CLI_BACKTEST_FILE_H
#define AUTOSCALE_CLI_BACKTEST_FILE_H

#include "prism/buf.h"

/* A file's bytes, decompressed when it is xz. Release *out, also after a failure. */
PR_CHECKED enum pr_code backtest_file(const char *path, struct pr_buf *out, struct pr_err *err);

#endif
