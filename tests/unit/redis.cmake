prism_test(unit/topology SOURCES ${T}/topology_test.c LINK prism_io)
prism_test(unit/resp_bytes SOURCES ${T}/resp_bytes_test.c LINK prism_io)
prism_test(unit/graph_read SOURCES ${T}/graph_read_test.c LINK prism_graph)
prism_test(unit/ledger SOURCES ${T}/ledger_test.c LINK prism_dataplane_io)
