prism_test(unit/dr_region SOURCES ${T}/dr_region_test.c LINK dr_core)
prism_test(unit/dr_sites SOURCES ${T}/dr_sites_test.c LINK dr_io)
prism_test(unit/dr_pg_fetch SOURCES ${T}/dr_pg_fetch_test.c LINK dr_core)
