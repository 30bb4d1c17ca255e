#!/usr/bin/env python3
"""Rows of route_bases for COPY: HOMES home partitions with ENTRIES routed vertices each, packed
as common/base/prism/routes.h says (hash and partition, little-endian, sorted by hash)."""
import struct
import sys

homes, entries = int(sys.argv[1]), int(sys.argv[2])
step = (1 << 64) // homes // entries
pack = struct.Struct("<QI").pack
for home in range(homes):
    away = (home + 1) % homes
    blob = b"".join(pack(k * step * homes + home, away) for k in range(entries))
    sys.stdout.write(f"current\t0\t{home}\t{entries}\t\\\\x{blob.hex()}\n")
