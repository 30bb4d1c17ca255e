foreach(name log config http_route token)
    prism_test(unit/${name} SOURCES ${T}/${name}_test.c LINK prism_io)
endforeach()
prism_test(unit/metrics SOURCES ${T}/metrics_test.c LINK prism_io LABELS threads)
