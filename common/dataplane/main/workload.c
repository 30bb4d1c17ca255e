#include "prism/dp/workload_tool.h"

int main(int argc, char **argv)
{
    return dp_workload_tool(argc, argv);
}
