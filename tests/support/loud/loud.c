/* cmocka keeps what went wrong until its test is over. In another thread there is no test to end:
 * an assertion or a signal there calls exit(-1), and nobody would ever know where. */
#include <execinfo.h>
#include <stdlib.h>
#include <unistd.h>

static void say_where(int status, void *unused)
{
    static const char what[] = "exit(-1): an assertion or a signal in a thread that is not "
                               "cmocka's (addr2line -e TEST ADDRESS):\n";
    void *frame[64];

    (void)unused;
    if (status != 255 && status != -1)
        return;
    if (write(STDERR_FILENO, what, sizeof what - 1) < 0)
        return;
    backtrace_symbols_fd(frame, backtrace(frame, 64), STDERR_FILENO);
}

__attribute__((constructor)) static void listen_for_exit(void)
{
    (void)on_exit(say_where, NULL);
}
