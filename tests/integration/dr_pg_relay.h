#ifndef PRISM_DR_PG_RELAY_H
#define PRISM_DR_PG_RELAY_H

/* A process that listens when this returns; pid, or -1. Both ports are of 127.0.0.1. */
int dr_pg_relay(int port, int to);

#endif
