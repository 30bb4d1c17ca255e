/* W3C Trace Context, level 1. */
#ifndef PRISM_HTTP_TRACE_H
#define PRISM_HTTP_TRACE_H

enum { PR_TRACE_BYTES = 56 };

/* A traceparent with a span of our own: of the caller's trace when incoming is
 * a valid traceparent, else of a new one. "" when the kernel has no randomness. */
void pr_trace_continue(char out[PR_TRACE_BYTES], const char *incoming);

#endif
