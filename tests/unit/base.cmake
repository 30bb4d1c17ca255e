foreach(name slot map rng memory stats routes cron zone text traffic backoff crc32c)
    prism_test(unit/${name} SOURCES ${T}/${name}_test.c LINK prism_base m)
endforeach()
target_include_directories(test_unit_zone PRIVATE ${CMAKE_SOURCE_DIR}/common/base) # zones.def

# No core may reach for I/O, clocks or randomness.
get_property(cores GLOBAL PROPERTY PRISM_CORES)
foreach(core ${cores})
    get_target_property(type ${core} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
        set(test ${PRISM_TEST_PREFIX}unit.pure.${core})
        add_test(NAME ${test} COMMAND ${T}/pure.sh $<TARGET_FILE:${core}>)
        set_tests_properties(${test} PROPERTIES LABELS unit)
        prism_test_needs(${test} cpus)
    endif()
endforeach()
