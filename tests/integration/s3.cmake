foreach(name s3 s3_upload s3_wrong s3_faults s3_storm)
    prism_test(integration/${name} SOURCES ${T}/${name}_test.c ${T}/s3_stage.c
        LINK prism_it prism_s3 FIXTURE s3 TIMEOUT 180)
endforeach()
