/* What every test starts with. */
#ifndef PRISM_TEST_T_H
#define PRISM_TEST_T_H

/* cmocka wants these before its own header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "prism/err.h"

/* Fails with err's words, which a bare assert_int_equal would swallow. */
#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        enum pr_code t_rc = (call);                                                                \
        if (t_rc != PR_OK)                                                                         \
            fail_msg("%s: %s (%s)", #call, (err)->text, pr_code_name(t_rc));                       \
    } while (0)

#endif
