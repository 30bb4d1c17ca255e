# As the targets of fuzz.cmake, but without their graphs.
if(PRISM_FUZZ)
    add_executable(fuzz_autoscale_json ${T}/autoscale_json_fuzz.c ${T}/broken.c)
    target_link_libraries(fuzz_autoscale_json PRIVATE autoscale_json prism_graph prism_flags)
    target_link_options(fuzz_autoscale_json PRIVATE -fsanitize=fuzzer)
    set_target_properties(fuzz_autoscale_json PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
else()
    prism_test(fuzz/autoscale_json SOURCES ${T}/autoscale_json_fuzz.c ${T}/broken.c ${T}/replay.c
        LINK autoscale_json prism_graph ARGS ${T}/corpus/autoscale_json)
endif()
