foreach(name mover client)
    prism_test(unit/${name} SOURCES ${T}/${name}_test.c LINK prism_dataplane)
endforeach()
