# How every target of the project is compiled and linked.

add_library(prism_flags INTERFACE)
target_compile_options(prism_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wformat=2 -Wvla -fstack-protector-strong -fstack-clash-protection -fno-common)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(prism_flags INTERFACE -fcf-protection)
endif()
if(PRISM_WERROR)
    target_compile_options(prism_flags INTERFACE -Werror)
endif()
target_compile_definitions(prism_flags INTERFACE _GNU_SOURCE)
if(PRISM_SANITIZE)
    target_compile_options(prism_flags INTERFACE
        -fsanitize=${PRISM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(prism_flags INTERFACE -fsanitize=${PRISM_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_options(prism_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(PRISM_FUZZ)
    target_compile_options(prism_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_options(prism_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
set(CMAKE_EXE_LINKER_FLAGS "${CMAKE_EXE_LINKER_FLAGS} -pie")

# prism_core(name SOURCES... [LINK libs]): decisions only; depends on base and
# may reference no I/O, clock or randomness: a test reads its undefined symbols.
# prism_io(name SOURCES... [LINK libs]): shells.
# prism_program(name SOURCES... [LINK libs])
function(prism_library kind name)
    cmake_parse_arguments(A "" "" "SOURCES;LINK;INCLUDE" ${ARGN})
    add_library(${name} STATIC ${A_SOURCES})
    target_include_directories(${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR} ${A_INCLUDE})
    target_link_libraries(${name} PUBLIC ${A_LINK} PRIVATE $<BUILD_INTERFACE:prism_flags>)
    target_link_libraries(${name} INTERFACE prism_flags)
    if(kind STREQUAL "core")
        set_property(GLOBAL APPEND PROPERTY PRISM_CORES ${name})
    endif()
endfunction()

function(prism_core name)
    prism_library(core ${name} ${ARGN})
endfunction()

function(prism_io name)
    prism_library(io ${name} ${ARGN})
endfunction()

function(prism_program name)
    cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${A_SOURCES})
    target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE ${A_LINK} prism_flags)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# prism_test(unit/slot SOURCES slot_test.c LINK prism_base [LABELS ...] [FIXTURE stack]
#            [TIMEOUT s] [ARGS ...])
# LABELS: the first part of the name (unit, property, sim, integration, fault,
# e2e, fuzz) is always one; "threads" marks what the thread sanitizer runs.
# FIXTURE stack: needs the test stack (PostgreSQL, NATS, Redis Cluster); s3: an S3 server. With
# several, the directory of the first is PRISM_IT_DIR, and it_env knows them all.
# The tests that may last longest (TIMEOUT) start first, or one would be the last.
# SLOW: only run when asked for (./dev test slow).
# PRISM_TEST_KINDS: registers only tests with one of these labels (empty: all).
set(PRISM_TEST_KINDS "" CACHE STRING "Labels of the tests to build, e.g. unit;threads")
function(prism_wanted kind labels out)
    set(${out} ON PARENT_SCOPE)
    if(PRISM_TEST_KINDS)
        set(${out} OFF PARENT_SCOPE)
        foreach(label ${kind} ${labels})
            if(label IN_LIST PRISM_TEST_KINDS)
                set(${out} ON PARENT_SCOPE)
            endif()
        endforeach()
    endif()
endfunction()

function(prism_test name)
    cmake_parse_arguments(A "SLOW" "TIMEOUT" "SOURCES;LINK;LABELS;ARGS;FIXTURE" ${ARGN})
    string(REGEX REPLACE "/.*" "" kind ${name})
    prism_wanted(${kind} "${A_LABELS}" wanted)
    string(REPLACE "/" "_" target "test_${name}")
    add_executable(${target} ${A_SOURCES})
    target_link_libraries(${target} PRIVATE ${A_LINK} PkgConfig::cmocka prism_loud prism_flags)
    target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}
        ${CMAKE_SOURCE_DIR}/tests/support)
    target_compile_definitions(${target} PRIVATE
        PRISM_SOURCE_DIR="${CMAKE_SOURCE_DIR}" PRISM_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
    if(NOT wanted) # known, so that its list may say more about it, but not built
        set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
        return()
    endif()
    string(REPLACE "/" "." dotted ${name})
    set(test ${PRISM_TEST_PREFIX}${dotted})
    set(command $<TARGET_FILE:${target}>)
    if(NOT kind MATCHES "^(integration|fault)$") # or servers that wait for it would look dead
        set(command nice -n 10 ${command})
    endif()
    set(when "")
    # The S3 server takes minutes to start beside a second one: the release run is enough.
    if(A_SLOW OR (PRISM_SANITIZE AND "s3" IN_LIST A_FIXTURE))
        set(when CONFIGURATIONS slow)
        list(APPEND A_LABELS slow)
    endif()
    add_test(NAME ${test} ${when} COMMAND ${command} ${A_ARGS})
    if(NOT A_TIMEOUT)
        set(A_TIMEOUT 120)
    endif()
    set(most ${A_TIMEOUT})
    if(NOT kind MATCHES "^(integration|fault)$") # it waits for those that are not nice
        math(EXPR most "3 * ${A_TIMEOUT}")
    endif()
    set_tests_properties(${test} PROPERTIES LABELS "${kind};${A_LABELS}" TIMEOUT ${most}
        COST ${A_TIMEOUT})
    if(A_FIXTURE)
        prism_test_needs(${test} servers ${A_FIXTURE})
    else()
        prism_test_needs(${test} cpus)
    endif()
endfunction()

# prism_test_needs(test cpus|servers [STACK...]): what a test takes of the machine, and its
# stacks. Tests with servers mostly wait, the others compute: ./dev test runs so many of
# each at a time (ctest by itself does not count). Those of one stack flush and kill, so
# they run one after another; those of different stacks run side by side.
# PREFIXbuilt: ./dev test builds some trees while tests of others run.
function(prism_test_needs test pool)
    set_tests_properties(${test} PROPERTIES RESOURCE_GROUPS ${pool}:1)
    set(fixtures ${PRISM_TEST_PREFIX}built)
    if(ARGN)
        set_property(GLOBAL APPEND PROPERTY PRISM_FIXTURES ${ARGN})
        list(TRANSFORM ARGN PREPEND ${CMAKE_BINARY_DIR}/it- OUTPUT_VARIABLE dirs)
        list(POP_FRONT dirs dir)
        list(JOIN dirs ":" more)
        list(TRANSFORM ARGN PREPEND "${PRISM_TEST_PREFIX}" OUTPUT_VARIABLE stacks)
        list(APPEND fixtures ${stacks})
        set_tests_properties(${test} PROPERTIES RESOURCE_LOCK "${stacks}"
            ENVIRONMENT "PRISM_IT_DIR=${dir};PRISM_IT_MORE=${more}")
        if("stack2" IN_LIST ARGN) # most of the time is spent there: it never waits for others
            set_tests_properties(${test} PROPERTIES COST 2000)
        endif()
    endif()
    set_tests_properties(${test} PROPERTIES FIXTURES_REQUIRED "${fixtures}")
endfunction()
