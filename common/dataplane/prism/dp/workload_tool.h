/* prism-workload: see prism/dp/tools.h. */
#ifndef PRISM_DP_WORKLOAD_TOOL_H
#define PRISM_DP_WORKLOAD_TOOL_H

int dp_workload_tool(int argc, char **argv); /* exit status */

#endif
