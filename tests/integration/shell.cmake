prism_test(integration/http SOURCES ${T}/http_test.c LINK prism_io PkgConfig::libcurl LABELS threads)
prism_test(integration/service SOURCES ${T}/service_test.c LINK prism_io prism_it
    LABELS threads FIXTURE stack TIMEOUT 180)
