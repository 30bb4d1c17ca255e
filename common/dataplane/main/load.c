#include "prism/dp/load_tool.h"

int main(int argc, char **argv)
{
    return dp_load_tool(argc, argv);
}
