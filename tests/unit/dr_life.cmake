foreach(name drill rebase retention scrub)
    prism_test(unit/dr_${name} SOURCES ${T}/dr_${name}_test.c LINK dr_core)
endforeach()
