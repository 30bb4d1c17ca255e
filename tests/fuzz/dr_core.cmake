# What the DR service reads from a server and from a bucket; as the targets of fuzz.cmake, but
# without their graphs.
foreach(name dr_stream dr_container dr_generation)
    if(PRISM_FUZZ)
        add_executable(fuzz_${name} ${T}/${name}_fuzz.c ${T}/broken.c)
        target_link_libraries(fuzz_${name} PRIVATE dr_format prism_graph prism_flags)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        set_target_properties(fuzz_${name} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
    else()
        prism_test(fuzz/${name} SOURCES ${T}/${name}_fuzz.c ${T}/broken.c ${T}/replay.c
            LINK dr_format prism_graph ARGS ${T}/corpus/${name})
    endif()
endforeach()
