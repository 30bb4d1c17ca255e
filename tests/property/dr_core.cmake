foreach(name chain_model chain_ledger stream)
    prism_test(property/dr_${name} SOURCES ${T}/dr_${name}_test.c LINK dr_core)
endforeach()
prism_test(property/dr_damage SOURCES ${T}/dr_damage_test.c LINK dr_format)
