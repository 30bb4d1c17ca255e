#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    (void)fuzz_graph(fuzz_file(data, n), GRAPH_BIN32);
    return 0;
}
