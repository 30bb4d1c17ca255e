prism_test(property/dr_retention SOURCES ${T}/dr_retention_test.c LINK dr_core)
