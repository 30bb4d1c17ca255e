# A fuzz target a reader: NAME_fuzz.c, with its kept inputs in corpus/NAME. With
# PRISM_FUZZ (preset "fuzz", clang) libFuzzer programs in bin/, which ./dev test
# fuzz SECONDS runs; else a test each that replays the kept inputs.
set(fuzz_targets snap metis bin32 bin64 packed assign pins)
set(fuzz_needs_pins placement_io) # the others are content with the readers
foreach(name ${fuzz_targets})
    set(fuzz_sources ${T}/${name}_fuzz.c ${T}/fuzz.c ${T}/broken.c)
    if(PRISM_FUZZ)
        add_executable(fuzz_${name} ${fuzz_sources})
        target_link_libraries(fuzz_${name} PRIVATE ${fuzz_needs_${name}} placement_core prism_graph
            prism_flags)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
    else()
        prism_test(fuzz/${name} SOURCES ${fuzz_sources} ${T}/replay.c
            LINK ${fuzz_needs_${name}} placement_core prism_graph ARGS ${T}/corpus/${name})
    endif()
endforeach()
