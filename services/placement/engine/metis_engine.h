/* METIS (libmetis 5.1, multilevel k-way) as the engine. Allocates, computes,
 * does no I/O; not for two threads at once, since METIS draws from rand(). */
#ifndef PLACEMENT_METIS_ENGINE_H
#define PLACEMENT_METIS_ENGINE_H

#include "core/engine.h"

/* Limits of METIS's 32-bit numbers: 2^31 - 1 arcs, and as much for the sum of
 * all arc weights. Fixed vertices are refused. */
placement_engine_fn placement_metis;

#endif
