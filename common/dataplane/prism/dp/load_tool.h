/* prism-load: see prism/dp/tools.h. */
#ifndef PRISM_DP_LOAD_TOOL_H
#define PRISM_DP_LOAD_TOOL_H

int dp_load_tool(int argc, char **argv); /* exit status */

#endif
