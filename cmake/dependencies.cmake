# Every library comes from Debian; docs/reference/dependencies.md says why each.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

foreach(module libnats libpq hiredis libmicrohttpd jansson libxxhash libzstd liblzma zlib
        libprotobuf-c libcurl expat libcrypto gnutls librhonabwy cmocka)
    pkg_check_modules(${module} REQUIRED IMPORTED_TARGET ${module})
endforeach()

find_program(PROTOC_C protoc-c REQUIRED)
