foreach(name alarm chain container durable gate gives keys reconcile stream)
    prism_test(unit/dr_${name} SOURCES ${T}/dr_${name}_test.c LINK dr_core)
endforeach()
prism_test(unit/dr_generation SOURCES ${T}/dr_generation_test.c LINK dr_format)
