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

/* Rounds of a test with random cases: a sanitizer sees as much in fewer. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define T_SLOWER 4
#else
#define T_SLOWER 1
#endif
#define T_ROUNDS(n) (((n) + T_SLOWER - 1) / T_SLOWER)

/* Fails with err's words, which a bare assert_int_equal would swallow. */
#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        enum pr_code t_rc = (call);                                                                \
        if (t_rc != PR_OK)                                                                         \
            fail_msg("%s: %s (%s)", #call, (err)->text, pr_code_name(t_rc));                       \
    } while (0)

#endif
