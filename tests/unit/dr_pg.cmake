foreach(name plan state text wal)
    prism_test(unit/dr_pg_${name} SOURCES ${T}/dr_pg_${name}_test.c LINK dr_core)
endforeach()
prism_test(unit/dr_pg_info SOURCES ${T}/dr_pg_info_test.c LINK dr_format)
