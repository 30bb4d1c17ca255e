foreach(name http http_limits http_load http_stream http_wait)
    prism_test(integration/${name} SOURCES ${T}/${name}_test.c ${T}/http_stage.c
        LINK prism_io PkgConfig::libcurl LABELS threads)
endforeach()
foreach(name http_tls http_slow)
    prism_test(integration/${name} SOURCES ${T}/${name}_test.c ${T}/http_stage.c
        LINK prism_io prism_it PkgConfig::libcurl PkgConfig::gnutls LABELS threads TIMEOUT 300)
endforeach()
prism_test(integration/service SOURCES ${T}/service_test.c LINK prism_io prism_it
    LABELS threads FIXTURE stack TIMEOUT 180)
