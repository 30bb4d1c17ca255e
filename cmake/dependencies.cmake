# Every library comes from Debian; docs/reference/dependencies.md says why each.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

foreach(module libnats libpq hiredis libmicrohttpd jansson libxxhash libzstd liblzma zlib
        libprotobuf-c libcurl libcrypto cmocka)
    pkg_check_modules(${module} REQUIRED IMPORTED_TARGET ${module})
endforeach()

find_library(METIS_LIBRARY metis REQUIRED)
find_path(METIS_INCLUDE metis.h REQUIRED)
add_library(metis INTERFACE)
target_link_libraries(metis INTERFACE ${METIS_LIBRARY})
target_include_directories(metis SYSTEM INTERFACE ${METIS_INCLUDE})

find_program(PROTOC_C protoc-c REQUIRED)
